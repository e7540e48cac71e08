"""Real sinograms, set up as their instruments were.

A folder with them is passed to the scripts; nothing is copied into the project.
"""

from pathlib import Path

import numpy as np

from sklearn_ei.operators import FanBeamCT, ParallelBeamCT

FILES = {
    "tooth": "aps_tooth.h5",
    "DLS": "dls_rows.npz",
    "HTC": "htc2022_ta_fan.npz",
}
#: Offset of the detector in the unit of the pixels, and width of a bin.
OFFSETS = {"tooth": (5.9, 1.0), "DLS": (-3.2, 1.0), "HTC": (0.0, 0.8)}


def available(folder):
    """Return the names of the data in a folder, and why the others are missing."""
    if folder is None:
        return [], dict.fromkeys(FILES, "no folder was given (--real)")
    found = [name for name, file in FILES.items() if (Path(folder) / file).exists()]
    missing = {name: f"no {FILES[name]}" for name in FILES if name not in found}
    return found, missing


def load(folder, name):
    """Return the operator, with the offset that was found, and sinograms."""
    path = Path(folder) / FILES[name]
    return {"tooth": _tooth, "DLS": _dls, "HTC": _htc}[name](path)


def _binned(array, factor):
    return array.reshape(*array.shape[:-1], -1, factor).mean(-1)


def _tooth(path):
    import h5py

    with h5py.File(path) as file:
        exchange = file["exchange"]
        counts = _binned(exchange["data"][:].astype(float), 4)  # view, row, bin
        flat = _binned(exchange["data_white"][:].astype(float).mean(0), 4)
        dark = _binned(exchange["data_dark"][:].astype(float).mean(0), 4)
        angles = exchange["theta"][:]
    y = -np.log(np.clip((counts - dark) / (flat - dark), 1e-4, None))
    operator = ParallelBeamCT(
        angles=angles[::6], image_shape=(96, 96), detector_offset=OFFSETS["tooth"][0]
    )
    return operator, np.moveaxis(y, 1, 0)[:, ::6].astype(np.float32)


def _htc(path, step=24):
    data = np.load(path)
    y = _binned(data["sinogram"], 2)[::step]
    operator = FanBeamCT(
        angles=data["angles"][::step],
        image_shape=(96, 96),
        pixel_size=0.75,
        bin_size=2 * float(data["bin_size_mm"].ravel()[0]),
        source_distance=float(data["source_distance_mm"].ravel()[0]),
        detector_distance=float(data["detector_distance_mm"].ravel()[0]),
    )
    return operator, y[None].astype(np.float32)


def _dls(path):
    data = np.load(path)
    y = -np.log(np.clip(data["transmission"].astype(float) / 0.69, 1e-3, None))
    views = np.linspace(0, 90, 16).round().astype(int)
    operator = ParallelBeamCT(
        angles=data["angles"][views],
        image_shape=(56, 56),
        detector_offset=OFFSETS["DLS"][0],
    )
    y = np.moveaxis(_binned(y, 2), 1, 0)[:, views]
    return operator, y.astype(np.float32)
