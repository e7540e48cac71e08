"""MRC files, of electron microscopes: tilt series, stacks and volumes."""

import tempfile
from pathlib import Path

import numpy as np
from sklearn.utils import Bunch

from ..utils.files import write_atomically
from ..utils.params import check_option
from ..utils.stack_check import check_stack
from ._files import (
    arranged,
    check_fits,
    check_output,
    check_spacing,
    existing,
    readable,
    require,
)

_LAYOUTS = ("tilts", "stack")
_EXPECTED = "an MRC file with all its data"
_MM_PER_ANGSTROM = 1e-7
_IMOD_STAMP, _SIGNED = 1146047817, 1  # of bytes, in headers of IMOD


def read_mrc(path, layout="tilts", *, tilt_file=None, lazy=False):
    """Read a tilt series, or any stack, from an MRC file.

    Parameters
    ----------
    path : str or path-like
        The file, also one that is compressed (gzip, bzip2).
    layout : {"tilts", "stack"}, default="tilts"
        ``"tilts"``: sections are projections, the tilt axis is along their columns
        (y), as after alignment, and rows become sinograms. ``"stack"``: sections as
        they are.
    tilt_file : str or path-like, default=None
        Text file with an angle in degrees for each section, as the ``.tlt`` and
        ``.rawtlt`` of IMOD. None: angles of an extended header of type FEI1 or
        FEI2, if the file has one.
    lazy : bool, default=False
        Whether to leave the data in the file, as a read-only memory map.

    Returns
    -------
    scan : Bunch
        With ``pixel_spacing``, (height, width) of a pixel in mm, or None where the
        file does not tell; ``filenames``; and

        - ``"tilts"``: ``measurements`` of shape (n_rows, n_tilts, n_bins),
          ``angles`` of shape (n_tilts,) in degrees, or None, and ``bin_size`` in mm,
          or None;
        - ``"stack"``: ``data`` of shape (n_sections, H, W).

    Raises
    ------
    FileNotFoundError, ValueError
        If there is no such file; it is damaged, or shorter than its header says; it
        is a stack of volumes, or its axes are permuted (MAPC, MAPR, MAPS); or there
        is not one angle for each section.

    Notes
    -----
    Values are those of mrcfile, but for bytes that IMOD wrote without a sign, whose
    header says so. MRC files of counts have no flat fields: normalise by what the
    beam gives beside the object before the logarithm.

    Examples
    --------
    >>> from sklearn_ei.datasets import read_mrc
    >>> scan = read_mrc("tilts.mrc", tilt_file="tilts.tlt")  # doctest: +SKIP
    """
    mrcfile = require("mrcfile", "read_mrc")
    check_option("layout", layout, _LAYOUTS)
    found = existing(path, kind="file")
    with readable(found, _EXPECTED), mrcfile.open(found, header_only=True) as file:
        header, shape = file.header, mrcfile.utils.data_shape_from_header(file.header)
        dtype = mrcfile.utils.data_dtype_from_header(file.header)
        angles = _fei_angles(file)
    axes = [int(header[name]) for name in ("mapc", "mapr", "maps")]
    if axes not in ([1, 2, 3], [0, 0, 0]) or len(shape) > 3:
        raise ValueError(
            f"Got {str(found)!r} of shape {shape} with MAPC, MAPR, MAPS {axes}, but "
            "expected sections with columns, rows and sections along x, y and z."
        )
    check_fits(found, shape, np.uint8 if lazy else dtype, "sections")
    with readable(found, _EXPECTED):
        if lazy:
            with mrcfile.mmap(found) as file:
                data = file.data[...]
        else:
            data = mrcfile.read(found)
    data = data.reshape(-1, *shape[-2:])
    if dtype == np.int8 and _is_unsigned(header):
        data = data.view(np.uint8)
    height, width = (
        float(header.cella[axis]) / n * _MM_PER_ANGSTROM if n > 0 else 0.0
        for axis, n in (("y", int(header.my)), ("x", int(header.mx)))
    )
    known = 0 < height < np.inf and 0 < width < np.inf
    spacing = (height, width) if known else None
    if tilt_file is not None:
        angles = _tilts(tilt_file)
    if angles is not None and angles.shape != (len(data),):
        raise ValueError(
            f"Got {angles.size} angles for {len(data)} sections of {str(found)!r}, but "
            "expected one for each."
        )
    scan = Bunch(pixel_spacing=spacing, filenames=[str(found)])
    if layout == "stack":
        scan.data = data
        return scan
    scan.update(arranged(data, "projections", found))
    scan.angles = angles
    scan.bin_size = spacing[1] if spacing else None
    return scan


def _fei_angles(file):
    """Return the tilts of an extended header, or None."""
    if bytes(file.header.exttyp) not in (b"FEI1", b"FEI2"):
        return None
    records = file.indexed_extended_header
    return None if records is None else np.array(records["Alpha tilt"], np.float64)


def _tilts(tilt_file):
    path = existing(tilt_file, "tilt_file", "file")
    with readable(path, "a text file with an angle a line"):
        angles = np.loadtxt(path, dtype=np.float64, ndmin=1)
    if angles.ndim != 1 or not np.isfinite(angles).all():
        raise ValueError(
            f"Got {str(path)!r} with values of shape {angles.shape}, but expected an "
            "angle a line, none of them NaN."
        )
    return angles


def _is_unsigned(header):
    """Return whether IMOD wrote bytes from 0 to 255, as its header says."""
    stamp, flags = np.frombuffer(
        header.extra2.tobytes(), header.nx.dtype, count=2, offset=40
    )
    return stamp == _IMOD_STAMP and not flags & _SIGNED


def write_mrc(path, images, *, voxel_size=None):
    """Write a stack of slices as one MRC volume of float32.

    Parameters
    ----------
    path : str or path-like
        Ends in ``.mrc`` or ``.rec``; replaced if it exists; written completely or
        not at all.
    images : array-like of shape (n_slices, H, W)
        Slices, along z; rows along y, columns along x.
    voxel_size : tuple (slice, height, width), default=None
        In mm; None where it is not known (zero in the file).

    Raises
    ------
    TypeError, ValueError
        If there is no such folder, or images are no finite, real stack.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_ei.datasets import write_mrc
    >>> volume = np.zeros((4, 8, 8), np.float32)
    >>> write_mrc("volume.mrc", volume, voxel_size=(2e-6,) * 3)  # doctest: +SKIP
    """
    mrcfile = require("mrcfile", "write_mrc")
    check_output(path, (".mrc", ".rec"))
    checked = check_stack(images, "images", "images")
    if checked.ndim != 3:
        raise ValueError(
            f"Got images of shape {checked.shape}, but expected (n_slices, H, W)."
        )
    size = (0.0, 0.0, 0.0)
    if voxel_size is not None:
        size = check_spacing("voxel_size", voxel_size, 3)
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / "volume.mrc"
        with mrcfile.new(made) as file:
            file.set_data(checked)
            file.voxel_size = tuple(mm / _MM_PER_ANGSTROM for mm in size[::-1])
        write_atomically(path, [made.read_bytes()])
