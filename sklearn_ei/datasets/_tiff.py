"""TIFF stacks."""

import io
import logging
import threading
from contextlib import contextmanager

import numpy as np
from sklearn.utils import Bunch

from ..utils.files import write_atomically
from ..utils.params import check_option
from ..utils.stack_check import check_stack
from ._files import (
    LAYOUTS,
    arranged,
    check_fits,
    check_output,
    check_spacing,
    existing,
    files_in,
    readable,
    require,
)

_TIFF = (".tif", ".tiff")
_GREY_OR_RGB = ("MINISBLACK", "RGB")
_CENTIMETER, _MM_PER_UNIT = 3, {2: 25.4, 3: 10.0}
_CHANNELS = "SC"  # samples of a pixel; channels, as microscopes record them


def read_tiff_stack(path, layout="stack", *, pattern="*"):
    """Read a stack of frames from a TIFF file, from a folder or a list of them.

    Parameters
    ----------
    path : str, path-like or list of them
        A file with one or more pages; a folder, of which all files that end in
        ``.tif`` or ``.tiff`` are read, one frame each, in the order of the numbers
        in their names (−60, 0.25, 2, 10); or a list of files, one frame each, which
        is read in its own order.
    layout : {"stack", "projections"}, default="stack"
        ``"stack"``: frames as they are. ``"projections"``: frames are views of a
        detector whose rows are along the first axis of a frame, parallel to the
        turning plane; rows become sinograms.
    pattern : str, default="*"
        Which files of a folder, such as ``"proj_*"`` where flats lie beside.

    Returns
    -------
    stack : Bunch
        With ``data`` of shape (n_frames, H, W[, n_channels]), in the dtype of the
        files, or ``measurements`` of shape (n_rows, n_views, n_bins) in its place for
        ``"projections"``; ``axes``, what its axes are in the file: the first one is for
        instance T (time) or Z (depth), Q or I where the file does not tell, and the
        last one S (samples of a pixel) or C (channels); ``pixel_spacing``, the
        height and width of a pixel in mm, or None where the file does not tell;
        ``filenames``.

    Raises
    ------
    FileNotFoundError, TypeError, ValueError
        If there is no TIFF file; one is damaged, has parts that were never written
        or that are in other files, colours that are neither grey (black is zero)
        nor RGB, or more than one axis of frames (ZT); or frames differ in shape or
        dtype.

    Notes
    -----
    Values are those of tifffile.
    """
    tifffile = require("tifffile", "read_tiff_stack")
    check_option("layout", layout, LAYOUTS)
    if isinstance(path, list | tuple):
        files, single = [existing(file, kind="file") for file in path], False
    else:
        found = existing(path)
        single = not found.is_dir()
        files = [found] if single else files_in(found, _TIFF, pattern)
    if not files:
        raise FileNotFoundError(
            f"Got {str(path)!r} without TIFF files, but expected some that end in .tif "
            f"or .tiff{'' if pattern == '*' else f' and fit {pattern!r}'}."
        )
    stacks = []
    for file in files:
        frames, axes, spacing = read_tiff(tifffile, file, _GREY_OR_RGB)
        if not single and len(frames) != 1:
            raise ValueError(
                f"Got {str(file)!r} with {len(frames)} frames, but expected one frame "
                "in each file of several."
            )
        if not stacks:
            first = frames, axes, spacing
            check_fits(file, (len(files), *frames.shape), frames.dtype, "frames")
        elif (frames.shape, frames.dtype, axes) != (
            first[0].shape,
            first[0].dtype,
            first[1],
        ):
            raise ValueError(
                f"Got {str(file)!r} with {frames.dtype} of shape {frames.shape[1:]}, "
                f"axes {axes[1:]}, but expected {first[0].dtype} of shape "
                f"{first[0].shape[1:]}, axes {first[1][1:]}, as in {str(files[0])!r}."
            )
        stacks.append(frames)
    return Bunch(
        **arranged(stacks[0] if single else np.concatenate(stacks), layout, files[0]),
        axes=first[1],
        pixel_spacing=first[2],
        filenames=[str(file) for file in files],
    )


def read_tiff(tifffile, file, photometrics):
    """Return frames (n, H, W[, n_channels]) of one file, their axes and spacing."""
    # Of an open file, tifffile does not look for parts in other files.
    with open(file, "rb") as stream, _complaints() as complaints:
        with readable(file, "a TIFF file"):
            tiff = tifffile.TiffFile(stream)
            fault = _fault(tiff, photometrics)
        if fault:
            raise ValueError(f"Got {str(file)!r} {fault}.")
        (series,) = tiff.series
        check_fits(file, series.shape, series.dtype, "frames")
        with readable(file, "a TIFF file"):
            array = series.asarray()
            axes, spacing = series.axes, _spacing(tiff.pages[0])
    if complaints:
        raise ValueError(
            f"Got {str(file)!r}, of which tifffile says {complaints[0]!r}, but "
            "expected a TIFF file with all its data."
        )
    frame_axis = "".join(axis for axis in axes if axis not in f"YX{_CHANNELS}")
    channel_axis = "".join(axis for axis in axes if axis in _CHANNELS)
    order = [axes.index(axis) for axis in f"{frame_axis}YX{channel_axis}"]
    frames = np.transpose(array, order)
    if not frame_axis:
        frames = frames[np.newaxis]
    return frames, f"{frame_axis or 'I'}YX{channel_axis}", spacing


def _fault(tiff, photometrics):
    """Return what is wrong with the content of a file, or None."""
    if len(tiff.series) != 1:
        return f"with {len(tiff.series)} kinds of pages, but expected pages of one kind"
    (series,) = tiff.series
    page = series.keyframe
    colours = page.photometric.name
    axes = series.axes
    fault = None
    if colours not in photometrics:
        fault = (
            f"with PhotometricInterpretation {colours}, but expected "
            f"{' or '.join(photometrics)}; convert it"
        )
    elif None in series.pages:
        missing = sum(entry is None for entry in series.pages)
        fault = (
            f"with {missing} of {len(series.pages)} pages missing or in other files, "
            "but expected all of them in it; read the files as a folder"
        )
    elif series.size and any(0 in entry.databytecounts for entry in series.pages):
        fault = "with parts that were never written, but expected all of them"
    elif (series.size and not set("YX") <= set(axes)) or len(set(axes)) < len(axes):
        fault = f"with axes {axes} of shape {series.shape}, but expected Y and X once"
    elif sum(axis in _CHANNELS for axis in axes) > 1 or "S" in axes[:-1]:
        fault = (
            f"with axes {axes} of shape {series.shape}, but expected channels (if any) "
            "on one axis, samples of a pixel last; tifffile.imwrite takes three or "
            "four frames for colours unless photometric='minisblack'"
        )
    elif len(set(axes) - set(f"YX{_CHANNELS}")) > 1:
        fault = (
            f"with axes {axes} of shape {series.shape}, but expected one axis of "
            "frames; tifffile.imread reads all, of which you choose"
        )
    return fault


@contextmanager
def _complaints():
    """Collect what tifffile logs of data that it lacks; it goes on with zeros.

    What it says of single tags does not concern the pixels.
    """
    complaints = []

    class Collector(logging.Handler):
        def emit(self, record):
            message = " ".join(record.getMessage().split())
            if record.thread == thread and "TiffTag" not in message:
                complaints.append(message[:150])

    thread, logger = threading.get_ident(), logging.getLogger("tifffile")
    collector = Collector(logging.WARNING)
    logger.addHandler(collector)
    try:
        yield complaints
    finally:
        logger.removeHandler(collector)


def _spacing(page):
    """Return (height, width) of a pixel in mm, or None."""
    tags = page.tags
    mm = _MM_PER_UNIT.get(int(tags.valueof("ResolutionUnit", 1)))
    resolution = [tags.valueof(f"{axis}Resolution", (0, 1)) for axis in "YX"]
    if mm is None or not all(top > 0 and bottom > 0 for top, bottom in resolution):
        return None
    return tuple(mm * bottom / top for top, bottom in resolution)


def write_tiff(path, images, *, pixel_spacing=None):
    """Write images as float32 pages of one TIFF file.

    Parameters
    ----------
    path : str or path-like
        Replaced if it exists; written completely or not at all.
    images : array-like of shape (n_images, H, W) or (n_images, H, W, 3)
        Images.
    pixel_spacing : tuple (height, width), default=None
        Of a pixel in mm.

    Raises
    ------
    TypeError, ValueError
        If there is no such folder, or images are no finite, real stack.
    """
    tifffile = require("tifffile", "write_tiff")
    check_output(path, _TIFF)
    checked = check_stack(images, "images", "images")
    colored = checked.ndim == 4 and checked.shape[-1] == 3
    if checked.ndim != 3 and not colored:
        raise ValueError(
            f"Got images of shape {checked.shape}, but expected (n_images, H, W) or "
            "(n_images, H, W, 3)."
        )
    options = {"photometric": "rgb" if colored else "minisblack"}
    if pixel_spacing is not None:
        height, width = check_spacing("pixel_spacing", pixel_spacing, 2)
        options["resolution"] = (10 / width, 10 / height)
        options["resolutionunit"] = _CENTIMETER
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, checked, metadata=None, **options)
    write_atomically(path, [buffer.getbuffer()])
