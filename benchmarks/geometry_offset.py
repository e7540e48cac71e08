"""The centre of rotation, found in made sinograms and in real ones.

python benchmarks/geometry_offset.py --real folder

Real ones are read from a folder with aps_tooth.h5 (Data Exchange), dls_rows.npz and
htc2022_ta_fan.npz; what is not there is left out. Known values are the best ones of a
sweep of the misfit, in bins.
"""

import argparse
import time
from pathlib import Path

import _record
import numpy as np
import torch

from sklearn_ei.datasets import make_thorax_phantoms
from sklearn_ei.operators import FanBeamCT, ParallelBeamCT, estimate_detector_offset

SMOKE = ["--size", "16"]
OFFSETS = (0.0, 1.37, -4.6)


def made(size):
    """Yield sinograms with 1 % noise, and a guess of the scanner."""
    images = make_thorax_phantoms(2, (size, size), random_state=0)
    n_bins = 2 * size + 13
    instruments = {
        "parallel": (ParallelBeamCT, {"n_views": 40}),
        "fan": (FanBeamCT, {"n_views": 60, "source_distance": 2.0 * size}),
    }
    for name, (kind, settings) in instruments.items():
        common = {**settings, "image_shape": (size, size), "n_bins": n_bins}
        for offset in OFFSETS:
            Y = kind(**common, detector_offset=offset).measure(images)
            noise = np.random.default_rng(0).standard_normal(Y.shape)
            Y = Y + 0.01 * Y.max() * noise.astype(np.float32)
            yield f"{name}, {offset:g}", kind(**common), Y, offset


def binned(array, factor):
    shape = (*array.shape[:-1], array.shape[-1] // factor, factor)
    return array.reshape(shape).mean(-1)


def real(folder):
    """Yield real sinograms, set up as the page on real data says."""
    tooth, dls, htc = (
        folder / name for name in ("aps_tooth.h5", "dls_rows.npz", "htc2022_ta_fan.npz")
    )
    if tooth.exists():
        import h5py

        with h5py.File(tooth) as file:
            exchange = file["exchange"]
            counts, flat, dark = (
                np.asarray(exchange[name], dtype=np.float32)
                for name in ("data", "data_white", "data_dark")
            )
        flat, dark = binned(flat.mean(0), 4), binned(dark.mean(0), 4)
        Y = -np.log((binned(counts, 4) - dark) / (flat - dark)).transpose(1, 0, 2)
        angles = np.arange(0, 181, 6.0)
        operator = ParallelBeamCT(image_shape=(96, 96), angles=angles)
        yield "tooth", operator, Y[:, ::6], 5.9
    if dls.exists():
        data = np.load(dls)
        Y = -np.log(data["transmission"].astype(np.float32) / 0.69)
        Y = binned(Y, 2).transpose(1, 0, 2)
        views = np.linspace(0, 90, 16).round().astype(int)
        operator = ParallelBeamCT(image_shape=(56, 56), angles=data["angles"][views])
        yield "DLS", operator, Y[20:90:10][:, views], -3.2
    if htc.exists():
        data = np.load(htc)
        operator = FanBeamCT(
            image_shape=(96, 96),
            pixel_size=0.75,
            bin_size=2 * float(data["bin_size_mm"]),
            source_distance=float(data["source_distance_mm"]),
            detector_distance=float(data["detector_distance_mm"]),
            angles=data["angles"][::24],
        )
        yield "HTC", operator, binned(data["sinogram"][::24], 2)[np.newaxis], 0.0


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--real", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows = {}
    problems = list(made(options.size))
    if options.real is not None:
        problems += real(options.real)
    for name, operator, Y, known in problems:
        start = time.process_time()
        found = estimate_detector_offset(operator, Y)
        width = operator.bin_size or 1.0
        rows[name] = {
            "known": known,
            "found": round(found.values["detector_offset"] / width, 4),
            "standard deviation": round(found.errors["detector_offset"] / width, 4),
            "unexplained": round(found.unexplained, 4),
            "processor seconds": round(time.process_time() - start, 2),
        }
        print(name, rows[name], flush=True)
    result = {"seed": 0, **_record.machine(), "bins": rows}
    print(_record.write("geometry_offset", result))


if __name__ == "__main__":
    main()
