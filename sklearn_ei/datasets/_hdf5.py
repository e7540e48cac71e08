"""Scans in HDF5 files, in two layouts that are in use, or any other by name."""

import numpy as np
from sklearn.utils import Bunch

from ..utils.params import brief
from ._files import existing, readable, require

# LoDoPaB-CT: 362² pixels over 26 cm, 1000 views at the middle of equal parts of the
# half circle, 513 bins over the diagonal; attenuations divided by 81.35858 per metre.
_LODOPAB_SHAPES = {(1000, 513): "measurements", (362, 362): "images"}
_LODOPAB_SIDE = 0.26
_LODOPAB_MU_MAX = 81.35858


def read_hdf5(path, layout="dxchange", *, samples=None, lazy=False):
    """Read a scan from an HDF5 file.

    Parameters
    ----------
    path : str or path-like
        The file.
    layout : str, default="dxchange"
        ``"dxchange"``: Data Exchange, as synchrotrons write it, ``/exchange/data``
        (views, rows, bins), ``data_white``, ``data_dark``, ``theta``.
        ``"lodopab"``: the data set ``data`` of LoDoPaB-CT, of observations or of
        ground truth. Else the name of a data set, such as ``"/entry/data"``, with
        samples along its first axis.
    samples : slice, default=None
        Which samples to read, for ``"dxchange"`` detector rows; None for all.
    lazy : bool, default=False
        Whether to leave the data in the file: an open h5py data set, which
        estimators read batch by batch, is returned, and ``file``, to be closed. Not
        for ``"dxchange"``, whose samples are not along the first axis.

    Returns
    -------
    scan : Bunch
        With ``filenames`` and

        - ``"dxchange"``: ``measurements`` of shape (n_rows, n_views, n_bins), one
          sinogram of intensities for each row of the detector; ``flat`` and
          ``dark`` of shape (n_rows, 1, n_bins), means over frames, or None; and
          ``angles`` of shape (n_views,) in degrees, or None;
        - ``"lodopab"``: ``measurements`` of shape (n, 1000, 513) or ``images`` of
          shape (n, 362, 362); ``angles`` in degrees, ``bin_size``, ``pixel_size``
          in m, ``image_shape``; ``mu_max``, by which the attenuations in 1/m were
          divided;
        - a name: ``data``.

    Raises
    ------
    FileNotFoundError, TypeError, ValueError
        If there is no such file or data set, or shapes do not fit the layout.

    Notes
    -----
    LoDoPaB-CT [1]_ was made with ODL, whose images have x along the first axis:
    those of ``ParallelBeamCT`` are ``np.rot90(image)`` of its ground truth.

    References
    ----------
    .. [1] J. Leuschner, M. Schmidt, D. O. Baguer and P. Maass, "LoDoPaB-CT, a
       benchmark dataset for low-dose computed tomography reconstruction",
       Scientific Data 8, 109 (2021).

    Examples
    --------
    >>> from sklearn_ei.datasets import read_hdf5
    >>> from sklearn_ei.operators import ParallelBeamCT
    >>> scan = read_hdf5("scan.h5")  # doctest: +SKIP
    >>> operator = ParallelBeamCT(angles=scan.angles)  # doctest: +SKIP
    """
    h5py = require("h5py", "read_hdf5")
    found = existing(path, kind="file")
    if not isinstance(layout, str) or not layout:
        raise TypeError(
            f"Got layout={brief(layout)}, but expected 'dxchange', 'lodopab' or the "
            "name of a data set."
        )
    if samples is not None and not isinstance(samples, slice):
        raise TypeError(f"Got samples={brief(samples)}, but expected a slice or None.")
    if lazy and (layout == "dxchange" or samples is not None):
        raise ValueError(
            f"Got lazy=True with layout={layout!r} and samples={samples}, but expected "
            "another layout, with samples along the first axis, and all of them."
        )
    read = {"dxchange": _read_dxchange, "lodopab": _read_lodopab}.get(layout)
    with readable(found, "an HDF5 file"):
        file = h5py.File(found, "r")
    keep = False
    try:
        if read is _read_dxchange:
            scan = read(file, found, samples)
        else:
            name = "data" if read else layout
            source = _dataset(file, name, found)
            if source.ndim < 2:
                raise ValueError(
                    f"Got {name!r} of shape {source.shape} in {str(found)!r}, but "
                    "expected a stack with samples along the first axis."
                )
            data = source if lazy else _values(source, found, samples)
            scan = read(data, found) if read else Bunch(data=data)
        keep = lazy
    finally:
        if not keep:
            file.close()
    scan.filenames = [str(found)]
    if lazy:
        scan.file = file
    return scan


def _dataset(file, name, path, optional=False):
    """Return a data set of numbers in an open file."""
    with readable(path, f"a data set {name!r}"):
        entry = file.get(name)
    if entry is None and optional:
        return None
    if getattr(entry, "shape", None) is None or entry.dtype.kind not in "biuf":
        raise ValueError(
            f"Got {str(path)!r} with {', '.join(_names(file)) or 'nothing'}, but "
            f"expected a data set {name!r} of numbers."
        )
    return entry


def _names(file):
    names = []
    file.visit(lambda name: names.append(name) if len(names) < 20 else None)
    return names


def _values(source, path, key=None):
    with readable(path, f"a readable data set {source.name!r}"):
        return source[slice(None) if key is None else key]


def _read_dxchange(file, path, samples):
    data = _dataset(file, "exchange/data", path)
    if data.ndim != 3:
        raise ValueError(
            f"Got exchange/data of shape {data.shape} in {str(path)!r}, but expected "
            "(n_views, n_rows, n_bins)."
        )
    rows = slice(None) if samples is None else samples
    values = _values(data, path, (slice(None), rows))
    if not values.size:
        raise ValueError(
            f"Got samples={samples} of {data.shape[1]} rows, but expected at least one."
        )
    scan = Bunch(measurements=np.ascontiguousarray(np.moveaxis(values, 0, 1)))
    for name, entry in (("flat", "data_white"), ("dark", "data_dark")):
        frames = _dataset(file, f"exchange/{entry}", path, optional=True)
        if frames is None:
            scan[name] = None
            continue
        if frames.ndim != 3 or frames.shape[1:] != data.shape[1:]:
            raise ValueError(
                f"Got exchange/{entry} of shape {frames.shape} in {str(path)!r}, but "
                f"expected frames of shape {data.shape[1:]}."
            )
        mean = _values(frames, path, (slice(None), rows)).mean(axis=0, dtype=float)
        scan[name] = mean[:, np.newaxis]
    theta = _dataset(file, "exchange/theta", path, optional=True)
    scan.angles = None if theta is None else _degrees(theta, path)
    if theta is not None and scan.angles.shape != data.shape[:1]:
        raise ValueError(
            f"Got {scan.angles.size} angles for {len(data)} views in {str(path)!r}, "
            "but expected one for each."
        )
    return scan


def _degrees(theta, path):
    angles = np.asarray(_values(theta, path), dtype=np.float64)
    units = theta.attrs.get("units", b"deg")
    units = units.decode("utf-8", "replace") if isinstance(units, bytes) else str(units)
    return np.rad2deg(angles) if units.lower().startswith("rad") else angles


def _read_lodopab(data, path):
    kind = _LODOPAB_SHAPES.get(tuple(data.shape[1:]))
    if kind is None or data.ndim != 3:
        raise ValueError(
            f"Got data of shape {data.shape} in {str(path)!r}, but expected sinograms "
            "(n, 1000, 513) or images (n, 362, 362)."
        )
    side = _LODOPAB_SIDE
    return Bunch(
        **{kind: data},
        angles=(np.arange(1000) + 0.5) * 0.18,
        bin_size=side * np.sqrt(2) / 513,
        pixel_size=side / 362,
        image_shape=(362, 362),
        mu_max=_LODOPAB_MU_MAX,
    )
