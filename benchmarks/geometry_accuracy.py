"""Filtered back-projection of a disc and of chest slices, scan by scan.

    python benchmarks/geometry_accuracy.py [--against FOLDER]

FOLDER holds another version's ``sklearn_ei``, whose values are put beside. Writes
``benchmarks/results/geometry_accuracy.json``.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import _record
import numpy as np

from sklearn_ei.datasets import make_thorax_phantoms
from sklearn_ei.metrics import psnr
from sklearn_ei.operators import FanBeamCT, ParallelBeamCT

SMOKE = []
SMOKE_SLOW = True
SEED = 0
SHAPE = (64, 64)
FAN = {"source_distance": 80.0, "detector_distance": 40.0}


def disc():
    """Return a disc of ones with soft edges."""
    fine = (np.arange(320) + 0.5) / 5 - 32
    inside = fine[:, None] ** 2 + fine**2 <= 20**2
    return inside.reshape(64, 5, 64, 5).mean(axis=(1, 3))[None]


def scans():
    rng = np.random.RandomState(SEED)
    half = {
        "even": np.arange(90) * 2.0,
        "both ends": np.linspace(0, 180, 61),
        "1° then 3°": np.r_[np.arange(0, 90), np.arange(90, 180, 3)],
        "random": rng.uniform(0, 180, 90),
        "golden angle": np.arange(90) * 111.246117975,
        "each view three times": np.repeat(np.arange(60) * 3.0, 3),
        "interlaced": np.r_[np.arange(0, 180, 4), np.arange(2, 180, 4)],
        "permuted": rng.permutation(90) * 2.0,
        "two views lost": np.delete(np.arange(90) * 2.0, [44, 45]),
    }
    full = {
        "full turn": np.arange(180) * 2.0,
        "full turn, odd": np.arange(181) * 360 / 181,
        "full turn, random": rng.uniform(0, 360, 180),
        "1.5 turns": np.arange(270) * 2.0,
        "full turn, views lost": np.delete(np.arange(180) * 2.0, [0, 90, 91, 178, 179]),
    }
    for name, angles in {**half, **full}.items():
        yield f"parallel, {name}", ParallelBeamCT(angles=angles, image_shape=SHAPE)
        around = angles * (2 if name in half else 1)
        yield f"fan, {name}", FanBeamCT(angles=around, image_shape=SHAPE, **FAN)
    for detector in ("flat", "curved"):
        short = FanBeamCT(150, SHAPE, scan="short", detector=detector, **FAN)
        yield f"fan, short, {detector}", short
    all_around = np.arange(0, 360, 2.0)
    for overlap in (1, 3, 5, 10, 20):
        for beam, edge in (("parallel", 46.5), ("fan", 55.5)):
            n_bins = int(edge + overlap / 2)
            kwargs = {
                "angles": all_around,
                "image_shape": SHAPE,
                "n_bins": n_bins,
                "detector_offset": edge - n_bins / 2,
            }
            if beam == "parallel":
                operator = ParallelBeamCT(**kwargs)
            else:
                operator = FanBeamCT(source_distance=100.0, **kwargs)
            yield f"{beam}, half acquisition, overlap {overlap}", operator
    lost = np.delete(np.arange(0, 360, 2.0), [178, 179])
    yield (
        "parallel, half acquisition, views lost",
        ParallelBeamCT(angles=lost, image_shape=SHAPE, n_bins=60, detector_offset=15.5),
    )


def measure_once():
    phantoms = make_thorax_phantoms(3, SHAPE, random_state=SEED)
    rows = {}
    for name, operator in scans():
        image = operator.reconstruct(operator.measure(disc()))[0]
        sinograms = operator.measure(phantoms)
        rows[name] = {
            "value": float(image[24:40, 24:40].mean()),
            "rms": float(np.sqrt(np.mean((image - disc()[0]) ** 2))),
            "psnr": float(np.mean(psnr(phantoms, operator.reconstruct(sinograms)))),
        }
    print(json.dumps(rows))


def rows_of(folder):
    output = subprocess.run(
        [sys.executable, "-W", "ignore", __file__, "--once"],
        env={**os.environ, "PYTHONPATH": str(folder)},
        capture_output=True,
        check=True,
        text=True,
    )
    return json.loads(output.stdout.splitlines()[-1])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--against", type=Path, default=None)
    against = parser.parse_args().against
    this = rows_of(Path(__file__).resolve().parents[1])
    results = {
        "machine": _record.machine(),
        "seed": SEED,
        "value": "mean of A†Ax inside a disc of ones: 1 is right",
        "largest_error_of_value": max(abs(row["value"] - 1) for row in this.values()),
        "required": 0.02,
        "this": this,
        "other": None if against is None else rows_of(against.resolve()),
    }
    path = _record.write("geometry_accuracy", results)
    print(path, results["largest_error_of_value"])


if __name__ == "__main__":
    measure_once() if "--once" in sys.argv else main()
