"""Tomographic scans in HDF5: Data Exchange and NXtomo."""

import numpy as np
from sklearn.utils import Bunch

from ..utils.params import brief
from ..utils.warn import warn
from ._hdf5_stack import Hdf5Stack

_DEGREES = {
    **dict.fromkeys(("deg", "degs", "degree", "degrees", "°"), 1.0),
    **dict.fromkeys(("rad", "rads", "radian", "radians"), 180 / np.pi),
    **dict.fromkeys(("mrad", "millirad", "milliradian", "milliradians"), 0.18 / np.pi),
}
_MM = {
    **dict.fromkeys(("m", "meter", "metre", "meters", "metres"), 1e3),
    **dict.fromkeys(("cm", "centimeter", "centimetre"), 10.0),
    **dict.fromkeys(("mm", "millimeter", "millimetre"), 1.0),
    **dict.fromkeys(("um", "µm", "μm", "micron", "microns", "micrometer"), 1e-3),
    **dict.fromkeys(("nm", "nanometer", "nanometre"), 1e-6),
}
_FULL_TURN_RAD = 2 * np.pi + 0.1  # hardly the degrees of a scan
_PROJECTION, _FLAT, _DARK, _INVALID = 0, 1, 2, 3


def read_dxchange(file, rows, lazy):
    """Return a scan in the layout of Data Exchange; see ``read_hdf5``."""
    data = _frames(file, "exchange/data")
    scan = Bunch(measurements=_sinograms(file, data, rows, lazy))
    for name, entry in (("flat", "data_white"), ("dark", "data_dark")):
        scan[name] = _field(file, f"exchange/{entry}", data, rows)
    theta = file.data("exchange/theta", optional=True)
    scan.angles = None if theta is None else _angles(file, theta, len(data))
    return scan


def read_nxtomo(file, rows, lazy):
    """Return a scan in the layout of NXtomo; see ``read_hdf5``."""
    detector = _detector(file)
    data = _frames(file, f"{detector}/data")
    key = file.read(file.data(f"{detector}/image_key"))
    if key.shape != data.shape[:1] or not np.isin(key, np.arange(4)).all():
        raise ValueError(
            f"Got {str(file.path)!r} with image_key of shape {key.shape} and values "
            f"{brief(np.unique(key).tolist())}, but expected {len(data)} of 0 "
            "(projection), 1 (flat), 2 (dark) and 3 (invalid)."
        )
    kinds = {kind: np.flatnonzero(key == kind) for kind in (_PROJECTION, _FLAT, _DARK)}
    if not len(kinds[_PROJECTION]):
        raise ValueError(
            f"Got {str(file.path)!r} with an image_key without 0, but expected "
            "projections."
        )
    views = kinds[_PROJECTION]
    scan = Bunch(measurements=_sinograms(file, data, rows, lazy, views))
    for name, kind in (("flat", _FLAT), ("dark", _DARK)):
        frames = kinds[kind]
        scan[name] = None
        if len(frames):
            values = file.read(data, axis=1, samples=rows, frames=frames)
            scan[name] = _mean(file, values, f"{name} frames of {data.name}")
    theta = _rotation(file, detector)
    scan.angles = None if theta is None else _angles(file, theta, len(data))[views]
    size = file.data(f"{detector}/x_pixel_size", optional=True)
    mm = None if size is None else _MM.get(_unit(size))
    scan.bin_size = None if mm is None else mm * float(np.ravel(size[()])[0])
    return scan


def _frames(file, name):
    data = file.data(name)
    if data.ndim != 3:
        raise ValueError(
            f"Got {name} of shape {data.shape} in {str(file.path)!r}, but expected "
            "(n_views, n_rows, n_bins)."
        )
    return data


def _sinograms(file, data, rows, lazy, views=None):
    """Return the rows of frames, one sinogram each."""
    if rows is not None and not len(range(data.shape[1])[rows]):
        raise ValueError(
            f"Got samples={rows} of {data.shape[1]} rows, but expected at least one."
        )
    if lazy:
        file.check(data)
        return Hdf5Stack(data.file.filename, data.name, axis=1, frames=views)
    values = file.read(data, axis=1, samples=rows, frames=views)
    return np.ascontiguousarray(np.moveaxis(values, 0, 1))


def _field(file, name, data, rows):
    """Return the mean of flat or dark frames, or None if there are none."""
    frames = file.data(name, optional=True)
    if frames is None or (frames.ndim == 3 and len(frames) == 0):
        return None
    if frames.shape == data.shape[1:]:  # one frame
        return _mean(file, file.read(frames, samples=rows)[np.newaxis], name)
    if frames.ndim != 3 or frames.shape[1:] != data.shape[1:]:
        raise ValueError(
            f"Got {name} of shape {frames.shape} in {str(file.path)!r}, but expected "
            f"frames of shape {data.shape[1:]}."
        )
    return _mean(file, file.read(frames, axis=1, samples=rows), name)


def _mean(file, frames, name):
    """Return the mean of frames, of shape (n_rows, 1, n_bins)."""
    if not np.isfinite(frames).all():
        raise ValueError(
            f"Got {str(file.path)!r} with NaN or infinity in {name}, but expected "
            "what the detector read; give dead pixels the readings of a neighbour."
        )
    return frames.mean(axis=0, dtype=float)[:, np.newaxis]


def _unit(data):
    """Return the unit of a data set in lower case, or an empty string."""
    unit = data.attrs.get("units", "")
    if isinstance(unit, np.ndarray) and unit.size == 1:
        unit = unit.ravel()[0]
    if isinstance(unit, bytes):
        unit = unit.decode("utf-8", "replace")
    return str(unit).strip(" []().\0").lower() if isinstance(unit, str) else brief(unit)


def _angles(file, theta, n_views):
    """Return angles in degrees, one for each view."""
    unit = _unit(theta)
    angles = np.asarray(file.read(theta), dtype=np.float64)
    if max(angles.shape, default=0) == angles.size:  # a column or a row
        angles = angles.ravel()
    if angles.shape != (n_views,) or not np.isfinite(angles).all():
        n_finite = np.count_nonzero(np.isfinite(angles))
        raise ValueError(
            f"Got {n_finite} angles for {n_views} views in {theta.name!r} of "
            f"{str(file.path)!r}, of shape {theta.shape}, but expected one for each, "
            "none of them NaN."
        )
    if not unit and len(angles) > 2 and np.ptp(angles) < _FULL_TURN_RAD:
        warn(
            f"{theta.name!r} of {str(file.path)!r} has no units, and reaches over "
            f"{np.ptp(angles):.4g}; it is taken as degrees. If it is in radians, pass "
            "np.rad2deg(scan.angles) on."
        )
    unit = unit or "deg"
    if unit not in _DEGREES:
        raise ValueError(
            f"Got {theta.name!r} of {str(file.path)!r} in units of {unit!r}, but "
            f"expected one of {', '.join(_DEGREES)}; correct its attribute 'units'."
        )
    return angles * _DEGREES[unit]


def _detector(file):
    """Return the name of the group with frames and their image_key."""
    found = []

    def look(_, entry):
        if hasattr(entry, "keys") and {"data", "image_key"} <= set(entry):
            found.append(entry)

    file.file.visititems(look)
    detectors = [group for group in found if _class_of(group) == "NXdetector"] or found
    names = [group.name for group in detectors]
    if len(names) != 1:
        raise ValueError(
            f"Got {str(file.path)!r} with {len(names)} groups that hold data and "
            f"image_key{': ' if names else ''}{', '.join(names[:5])}, but expected one "
            "NXdetector, as in NXtomo; a data set can be read by its name."
        )
    return names[0]


def _rotation(file, detector):
    """Return the data set of rotation angles of the entry that has the detector."""
    entry = file.entry(detector)
    while entry.name != "/":
        entry = entry.parent
        samples = [
            name
            for name in entry
            if name == "sample"
            or _class_of(file.entry(f"{entry.name}/{name}")) == "NXsample"
        ]
        for name in [*samples, "data"]:
            theta = file.data(f"{entry.name}/{name}/rotation_angle", optional=True)
            if theta is not None:
                return theta
    return None


def _class_of(entry):
    kind = getattr(entry, "attrs", {}).get("NX_class", "")
    return kind.decode("utf-8", "replace") if isinstance(kind, bytes) else kind
