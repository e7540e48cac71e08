"""A volume: its rows are the training stack, and its slices come out, on disk."""

import time

import numpy as np

from sklearn_ei import EquivariantReconstructor, VolumeDisplay
from sklearn_ei.datasets import write_mrc, write_tiff

from .. import _record
from ._cells import fitted, plain_parameters, write_json


def volume(scan, out, seed, **parameters):
    """Train on all rows, reconstruct all of them, write the volume; return figures.

    Parameters
    ----------
    scan : Scan
        Whose training and test samples are all rows.
    out : Path
    seed : int
    **parameters
        Of the estimator; nothing, for the figure that is reported.
    """
    out.mkdir(parents=True, exist_ok=True)
    wall, cpu = time.perf_counter(), time.process_time()
    ei = EquivariantReconstructor(
        scan.operator, random_state=seed, verbose=1, **parameters
    )
    ei.fit(scan.train)
    fit_wall = time.perf_counter() - wall
    slices = np.lib.format.open_memmap(
        out / f"{scan.name}_volume.npy", "w+", np.float32, scan.reference.shape
    )
    ei.predict(scan.test, out=slices)
    slices.flush()
    write_tiff(out / f"{scan.name}_volume.tif", slices)
    write_mrc(out / f"{scan.name}_volume.mrc", slices)
    figures = {
        "machine": _record.machine(),
        "setup": scan.setup,
        "parameters": plain_parameters(ei),
        "n_rows": len(scan.test),
        "fit_wall_seconds": round(fit_wall, 1),
        "wall_seconds": round(time.perf_counter() - wall, 1),
        "cpu_seconds": round(time.process_time() - cpu, 1),
        "test": {k: round(v, 5) for k, v in scan.quality(slices).items()},
        **fitted(ei),
    }
    write_json(out / "cells" / "volume.json", figures)
    _, std = ei.predict(scan.test[::8], return_std=True, n_bootstrap=8)
    display = VolumeDisplay.from_predictions(slices, spacing=scan.voxel)
    display.figure_.savefig(out / f"{scan.name}_volume.png", dpi=110)
    figures["mean_std"] = float(std.mean())
    return figures
