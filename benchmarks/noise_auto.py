"""What `noise="auto"` finds, and what that is worth.

    python benchmarks/noise_auto.py --data FOLDER --quality LEVEL ...

Three tables. *Simulated*: noise of 0 to 20 % of the largest measurement on sinograms
and blurred images, one draw for each seed; printed is the level found over the true
one, or "none". *Operators*: every operator of tests/cases.py with smooth images,
noise-free and with 2 % of their root mean square. *Real*: three scans of FOLDER/real,
beside the differences of neighbouring views (see noise_real.py). *Quality*, with
``--quality``: PSNR of EquivariantReconstructor(operator, group) on slices 70 to 80 of
FOLDER/ct100_train_128.npz, trained on the first 70, with noise of so much of the
largest measurement (50 views), for noise="auto" and noise=None.
"""

import argparse
import sys
import time
import warnings
from pathlib import Path

import _record
import noise_real
import numpy as np
import torch
from scipy.ndimage import gaussian_filter

from sklearn_ei import EquivariantReconstructor
from sklearn_ei.datasets import make_thorax_phantoms
from sklearn_ei.groups import Rotations
from sklearn_ei.metrics import psnr
from sklearn_ei.noise import estimate_noise
from sklearn_ei.operators import Blur, FanBeamCT, ParallelBeamCT, gaussian_kernel

sys.path.insert(0, str(Path(__file__).parents[1]))
SMOKE = ["--size", "32", "--seeds", "1", "--levels", "0", "0.02", "--operators", "fan"]
SMOKE_SLOW = True
LEVELS = (0, 0.0005, 0.001, 0.005, 0.02, 0.05, 0.2)


def instruments(size):
    """Return operators on images of one size."""
    shape = (size, size)
    return {
        "parallel, 50 views": ParallelBeamCT(50, shape),
        "parallel, 20 views": ParallelBeamCT(20, shape),
        "parallel, 120 degrees": ParallelBeamCT(
            image_shape=shape, angles=np.arange(0, 120, 3.0)
        ),
        "fan, 50 views": FanBeamCT(50, shape, source_distance=2.5 * size),
        "blur": Blur(gaussian_kernel(1.5), shape),
    }


def noisy(y, sigma, seed):
    generator = torch.Generator().manual_seed(seed)
    return y + sigma * torch.randn(y.shape, generator=generator)


def judge(operator, y, sigma):
    """Return what was found, in words or over the truth, and processor time."""
    start = time.process_time()
    found = estimate_noise(operator, y)
    seconds = time.process_time() - start
    if found.noise is None:
        return "not told", seconds
    if found.level == 0:
        return "none", seconds
    return (round(found.level / sigma, 3) if sigma else "false"), seconds


def simulated(options):
    rows = {}
    images = make_thorax_phantoms(8, (options.size,) * 2, random_state=0)
    for name, operator in instruments(options.size).items():
        y = operator.forward(torch.from_numpy(images)[:, None])
        for n in (8, 1):
            for level in options.levels:
                sigma = level * float(y.max())
                found = [
                    judge(operator, noisy(y, sigma, seed)[:n], sigma)
                    for seed in range(options.seeds)
                ]
                row = [value for value, _ in found]
                rows[f"{name}, {n} | {level:g}"] = row
                seconds = np.mean([s for _, s in found])
                print(f"{name:22} {n} {level:g}", row, f"{seconds:.2f} s", flush=True)
    return rows


def operators(options):
    from tests.cases import OPERATORS

    rows = {}
    for case in OPERATORS:
        operator = case.operator
        chosen = options.operators is None or case.name in options.operators
        if not chosen or operator.image_shape is None:
            continue
        rng = np.random.default_rng(0)
        shape = operator.image_shape
        images = rng.random((4, case.n_channels, *shape))
        images = gaussian_filter(images, (0, 0, *[1.5] * len(shape)))
        y = operator.forward(torch.from_numpy(np.float32(images)))
        sigma = 0.02 * float(y.square().mean()) ** 0.5
        clean, _ = judge(operator, y, 0)
        found, seconds = judge(operator, noisy(y, sigma, 0), sigma)
        rows[case.name] = {"noise-free": clean, "2 %": found}
        print(f"{case.name:22}", clean, found, f"{seconds:.2f} s", flush=True)
    return rows


def real(folder):
    rows = {}
    scans = {
        "tooth": noise_real.load_tooth,
        "htc": noise_real.load_htc,
        "dls": noise_real.load_dls,
    }
    for name, load in scans.items():
        Y, make = load(folder / "real")
        mean_square, median = noise_real.neighbouring_views(Y)
        for case, (scan, step, offset) in noise_real.CASES.items():
            if scan != name:
                continue
            views = slice(None, None, step)
            y = torch.from_numpy(np.float32(Y[:, views]))[:, None]
            start = time.process_time()
            found = estimate_noise(make(views, offset), y)
            rows[case] = {
                "neighbouring views": [round(median, 4), round(mean_square, 4)],
                "level": round(found.level, 5),
                "seconds": round(time.process_time() - start, 1),
            }
            print(case, rows[case], flush=True)
    return rows


def quality(level, options):
    """Return PSNR and processor time of fits by ``noise``."""
    with np.load(options.data / "ct100_train_128.npz") as file:
        images = file["images"][:80] / np.float32(65535)
    operator = ParallelBeamCT(50, (128, 128))
    Y = operator.measure(images)
    rng = np.random.default_rng(0)
    Y += (level * Y.max() * rng.standard_normal(Y.shape)).astype(np.float32)
    row = {"A†y": round(float(psnr(images[70:], operator.reconstruct(Y[70:]))), 2)}
    for noise in options.noise:
        estimator = EquivariantReconstructor(
            operator,
            Rotations(360),
            noise=None if noise == "None" else noise,
            max_epochs=options.epochs,
            random_state=0,
        )
        start = time.process_time()
        estimator.fit(Y[:70])
        row[noise] = {
            "psnr": round(float(psnr(images[70:], estimator.predict(Y[70:]))), 2),
            "seconds": round(time.process_time() - start),
            "noise_": str(estimator.noise_),
            "epochs": options.epochs,
        }
        print(level, noise, row[noise], flush=True)
    return row


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--levels", type=float, nargs="*", default=LEVELS)
    parser.add_argument("--operators", nargs="*", help="names; all by default")
    parser.add_argument("--quality", type=float, nargs="*", default=[])
    parser.add_argument("--noise", nargs="*", default=["auto", "None"])
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--no-tables", action="store_true", help="quality alone")
    parser.add_argument("--no-record", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    result = {}
    if not options.no_tables:
        result["simulated"] = simulated(options)
        result["operators"] = operators(options)
        if options.data is not None and (options.data / "real").is_dir():
            result["real"] = real(options.data)
    for level in options.quality:
        result.setdefault("quality", {})[f"{level:g}"] = quality(level, options)
    if not options.no_record:
        earlier = _record.read("noise_auto")
        for level, row in earlier.get("quality", {}).items():
            rows = result.setdefault("quality", {})
            rows[level] = row | rows.get(level, {})
        _record.write("noise_auto", earlier | result | {"machine": _record.machine()})


if __name__ == "__main__":
    main()
