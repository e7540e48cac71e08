"""NumPy files and TIFF stacks."""

import io
from pathlib import Path

import numpy as np
from sklearn.utils import Bunch

from ..utils.files import write_atomically
from ..utils.params import brief, check_path, check_real
from ..utils.validation import check_stack
from ._files import existing, files_in, readable, require

_TIFF = (".tif", ".tiff")
_CENTIMETER, _MM_PER_UNIT = 3, {2: 25.4, 3: 10.0}


def read_numpy(path, key=None, *, lazy=False):
    """Read a stack from a ``.npy`` or ``.npz`` file; nothing is unpickled.

    Parameters
    ----------
    path : str or path-like
        The file.
    key : str, default=None
        Which array of an ``.npz`` file; may be left out if there is one.
    lazy : bool, default=False
        Whether to leave the array of an ``.npy`` file where it is, as a read-only
        memory map, which estimators read batch by batch.

    Returns
    -------
    stack : Bunch
        With ``data``, the array as it is, and ``filenames``.

    Raises
    ------
    FileNotFoundError, TypeError, ValueError
        If there is no such file or array, or it holds Python objects.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_ei.datasets import read_numpy
    >>> np.save("scans.npy", np.ones((3, 8, 8)))  # doctest: +SKIP
    >>> read_numpy("scans.npy").data.shape  # doctest: +SKIP
    (3, 8, 8)
    """
    found = existing(path, kind="file")
    expected = "a .npy or .npz file of numbers"
    with readable(found, expected):
        loaded = np.load(found, mmap_mode="r" if lazy else None, allow_pickle=False)
    if isinstance(loaded, np.ndarray):
        if key is not None:
            raise ValueError(f"Got key={brief(key)} for a file with a single array.")
        return Bunch(data=loaded, filenames=[str(found)])
    with loaded:
        names = list(loaded.files)
        if lazy:
            raise ValueError(
                "Got lazy=True for an .npz file, which cannot be mapped, but expected "
                "a .npy file."
            )
        if key not in names and (key is not None or len(names) != 1):
            raise ValueError(
                f"Got key={brief(key)}, but expected one of "
                f"{', '.join(map(repr, names))}."
            )
        with readable(found, expected):
            data = loaded[names[0] if key is None else key]
    return Bunch(data=data, filenames=[str(found)])


def read_tiff_stack(path):
    """Read a stack of frames from a TIFF file, or from a folder of them.

    Parameters
    ----------
    path : str or path-like
        A file with one or more pages, or a folder, of which all files that end in
        ``.tif`` or ``.tiff`` are read, one frame each, in the order of the numbers
        in their names (2 before 10).

    Returns
    -------
    stack : Bunch
        With ``data`` of shape (n_frames, H, W[, n_channels]), in the dtype of the
        files; ``pixel_spacing``, the height and width of a pixel in mm, or None
        where the file does not tell; ``filenames``.

    Raises
    ------
    FileNotFoundError, ValueError
        If there is no TIFF file, one is damaged, or frames differ in shape or dtype.
    """
    tifffile = require("tifffile", "read_tiff_stack")
    found = existing(path)
    files = files_in(found, _TIFF) if found.is_dir() else [found]
    if not files:
        raise FileNotFoundError(
            f"Got the folder {str(path)!r} without TIFF files, but expected some that "
            "end in .tif or .tiff."
        )
    frames = []
    spacing = None
    for file in files:
        with readable(file, "a TIFF file"), tifffile.TiffFile(file) as tiff:
            page = tiff.pages[0]
            frame, n_series = tiff.asarray(), len(tiff.series)
            spacing = _tiff_spacing(page) if spacing is None else spacing
        n_channels = page.samplesperpixel
        if n_series > 1 or n_channels not in (1, frame.shape[-1]):
            raise ValueError(
                f"Got {str(file)!r} with {n_series} kinds of pages and {n_channels} "
                f"channels, of shape {frame.shape}, but expected pages of one kind, "
                "channels (if any) last."
            )
        n_axes = 3 if n_channels > 1 else 2
        if not found.is_dir():
            frames = frame.reshape(-1, *frame.shape[-n_axes:])
            break
        if frame.ndim != n_axes:
            raise ValueError(
                f"Got {str(file)!r} with an array of shape {frame.shape}, but expected "
                "one frame in each file of a folder."
            )
        if frames and (frame.shape, frame.dtype) != (frames[0].shape, frames[0].dtype):
            raise ValueError(
                f"Got {str(file)!r} with {frame.dtype} of shape {frame.shape}, but "
                f"expected {frames[0].dtype} of shape {frames[0].shape}, as in "
                f"{str(files[0])!r}."
            )
        frames.append(frame)
    return Bunch(
        data=np.asarray(frames),
        pixel_spacing=spacing,
        filenames=[str(file) for file in files],
    )


def _tiff_spacing(page):
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
    _check_name(path, _TIFF)
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


def write_nifti(
    path, images, *, pixel_spacing=(1.0, 1.0), slice_spacing=1.0, affine=None
):
    """Write a stack of slices as one NIfTI volume.

    Parameters
    ----------
    path : str or path-like
        Ends in ``.nii`` or ``.nii.gz``; replaced if it exists; written completely
        or not at all.
    images : array-like of shape (n_slices, H, W)
        Slices, the first one at the patient's feet, rows from front to back,
        columns from the patient's right to left, as a CT slice is shown.
    pixel_spacing : tuple (height, width), default=(1.0, 1.0)
        Of a pixel in mm.
    slice_spacing : float, default=1.0
        Between slices, in mm.
    affine : array-like of shape (4, 4), default=None
        From (column, row, slice) to mm (right, anterior, superior), such as the
        ``affine`` of :func:`read_dicom_series`. None: from the spacings.

    Raises
    ------
    TypeError, ValueError
        If there is no such folder, or images are no finite, real stack.
    """
    nibabel = require("nibabel", "write_nifti")
    _check_name(path, (".nii", ".nii.gz"))
    checked = check_stack(images, "images", "images")
    if checked.ndim != 3:
        raise ValueError(
            f"Got images of shape {checked.shape}, but expected (n_slices, H, W)."
        )
    if affine is None:
        height, width = check_spacing("pixel_spacing", pixel_spacing, 2)
        check_real(
            "slice_spacing", slice_spacing, min_val=0, include_boundaries="neither"
        )
        affine = np.diag([-width, -height, slice_spacing, 1.0])
    affine = np.asarray(affine, dtype=np.float64)
    if affine.shape != (4, 4) or not np.isfinite(affine).all():
        raise ValueError(
            f"Got affine={brief(affine)}, but expected a finite array of shape (4, 4)."
        )
    volume = nibabel.Nifti1Image(np.ascontiguousarray(checked.T), affine)
    volume.header.set_xyzt_units("mm")
    content = volume.to_bytes()
    if str(path).lower().endswith(".gz"):
        import gzip

        content = gzip.compress(content, mtime=0)
    write_atomically(path, [content])


def _check_name(path, suffixes):
    """Refuse a path that is None, a folder, or ends otherwise."""
    if path is None:
        raise TypeError("Got path=None, but expected a path.")
    check_path("path", path)
    if not Path(path).name.lower().endswith(suffixes):
        raise ValueError(
            f"Got path={str(path)!r}, but expected one that ends in "
            f"{' or '.join(suffixes)}."
        )


def check_spacing(name, spacing, n):
    """Return ``n`` positive numbers."""
    try:
        values = tuple(float(value) for value in spacing)
    except (TypeError, ValueError):
        values = ()
    if len(values) != n or not all(0 < value < np.inf for value in values):
        raise ValueError(
            f"Got {name}={brief(spacing)}, but expected {n} positive numbers in mm."
        )
    return values
