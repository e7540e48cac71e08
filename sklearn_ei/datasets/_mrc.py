"""MRC files, of electron microscopes: tilt series and stacks."""

import numpy as np
from sklearn.utils import Bunch

from ..utils.params import check_option
from ._files import check_fits, existing, readable, require

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
    turned = np.moveaxis(data, 1, 0)
    scan.measurements = turned if lazy else np.ascontiguousarray(turned)
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
