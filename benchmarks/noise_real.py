"""How well noise levels are estimated from measurements of real instruments.

    python benchmarks/noise_real.py FOLDER

FOLDER holds three scans: ``aps_tooth.h5``, the tooth of TomoPy; as ``.npz``,
``htc2022_ta_fan``, sample "ta" of the Helsinki Tomography Challenge 2022 with bins
averaged in pairs (``sinogram``, ``angles``, ``source_distance_mm``,
``detector_distance_mm``), and ``dls_rows``, rows 30 to 134 of the projections of Savu
(``transmission`` of views, rows and bins; ``angles``). True levels are not known; what
stands for them are fourth differences along *all* views of a scan, by the mean square
and by the median, to be compared with what ``GaussianNoise()`` and ``estimate_noise``
find in some of the views, with the right and a wrong centre.
"""

import argparse
import time
from pathlib import Path

import _record
import numpy as np
import torch

from sklearn_ei.datasets import read_hdf5
from sklearn_ei.noise import GaussianNoise, estimate_noise
from sklearn_ei.operators import FanBeamCT, ParallelBeamCT
from sklearn_ei.preprocessing import transmission_to_attenuation

SMOKE = ["{data}"]  # the real scans
AIR = 0.69  # transmission of the DLS scan where nothing is in the beam
# name: (scan, every n-th view, detector offset, or None for the right one)
CASES = {
    "tooth, 31 views": ("tooth", 6, None),
    "tooth, 31 views, centre 0.5 bins off": ("tooth", 6, 5.4),
    "tooth, 31 views, offset 0": ("tooth", 6, 0.0),
    "tooth, 61 views": ("tooth", 3, None),
    "tooth, 181 views": ("tooth", 1, None),
    "HTC, 30 views": ("htc", 24, None),
    "HTC, 30 views, centre 1 bin off": ("htc", 24, 0.8),
    "HTC, 60 views": ("htc", 12, None),
    "HTC, 90 views": ("htc", 8, None),
    "HTC, 180 views": ("htc", 4, None),
    "DLS, 16 views": ("dls", 6, None),
    "DLS, 16 views, offset 0": ("dls", 6, 0.0),
    "DLS, 46 views": ("dls", 2, None),
}


def binned(values, k):
    """Average every k bins."""
    n_bins = values.shape[-1] // k
    kept = np.asarray(values, dtype=np.float64)[..., : n_bins * k]
    return kept.reshape(*kept.shape[:-1], n_bins, k).mean(axis=-1)


def load_tooth(folder):
    """Two rows of a synchrotron scan, 181 views of 160 bins (of 640)."""
    scan = read_hdf5(folder / "aps_tooth.h5", layout="dxchange")
    counts, flat, dark = (
        binned(values, 4) for values in (scan.measurements, scan.flat, scan.dark)
    )
    Y = transmission_to_attenuation(counts, dark=dark, flat=flat)

    def operator(views, offset):
        return ParallelBeamCT(
            image_shape=(96, 96),
            n_bins=160,
            angles=scan.angles[views],
            detector_offset=5.9 if offset is None else offset,
        )

    return Y, operator


def load_htc(folder):
    """One sinogram of a laboratory fan beam, 720 views of 140 bins (of 280)."""
    scan = np.load(folder / "htc2022_ta_fan.npz")
    Y = binned(scan["sinogram"], 2)[np.newaxis]

    def operator(views, offset):
        return FanBeamCT(
            image_shape=(96, 96),
            n_bins=140,
            angles=scan["angles"][views],
            pixel_size=0.75,
            bin_size=0.8,
            source_distance=float(scan["source_distance_mm"]),
            detector_distance=float(scan["detector_distance_mm"]),
            detector_offset=0.0 if offset is None else offset,
        )

    return Y, operator


def load_dls(folder):
    """44 rows of a synchrotron scan, 91 views of 80 bins (of 160)."""
    scan = np.load(folder / "dls_rows.npz")
    Y = -np.log(binned(scan["transmission"], 2) / AIR).transpose(1, 0, 2)[46:90]

    def operator(views, offset):
        return ParallelBeamCT(
            image_shape=(56, 56),
            n_bins=80,
            angles=scan["angles"][views],
            detector_offset=-3.2 if offset is None else offset,
        )

    return Y, operator


def neighbouring_views(Y):
    """Level of fourth differences along the views, by mean square and by median."""
    d = np.diff(Y, n=4, axis=1) / 70**0.5
    return float(d.std()), float(np.median(np.abs(d)) / 0.6745)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    loaders = {"tooth": load_tooth, "htc": load_htc, "dls": load_dls}
    scans = {name: load(options.folder) for name, load in loaders.items()}
    rows = {}
    for name, (scan, step, offset) in CASES.items():
        Y, make = scans[scan]
        views = slice(None, None, step)
        operator = make(views, offset)
        y = torch.from_numpy(np.float32(Y[:, views]))[:, None]
        mean_square, median = neighbouring_views(Y)
        start = time.process_time()
        sigma = GaussianNoise().resolve(operator, y).sigma
        seconds = time.process_time() - start
        estimate = estimate_noise(operator, y)
        rows[name] = {
            "neighbouring views": [round(mean_square, 4), round(median, 4)],
            "GaussianNoise()": round(sigma, 5),
            "over mean square": round(sigma / mean_square, 2),
            "over median": round(sigma / median, 2),
            "estimate_noise": str(estimate.noise),
            "model error": round(estimate.model_error, 4),
            "correlation": round(estimate.correlation, 2),
            "seconds": round(seconds, 1),
        }
        print(f"{name:40s}", rows[name], flush=True)
    _record.write("noise_real", {"machine": _record.machine(), "rows": rows})


if __name__ == "__main__":
    main()
