"""Sizes of the data-consistency steps: equal ones, or those of Chebyshev.

    python benchmarks/consistency_steps.py ct100_train_128.npz

The file holds an array `images` of CT100 slices, (90, 128, 128), uint16. They are
averaged to `--size` pixels a side; 50 views of [:70] train the default network with
nothing else set, [70:80] are looked at. Noise is a share of the largest measurement.
Processor seconds are those of one thread. What has been run is kept in
results/consistency_steps.json, a cell for each noise, sizes and seed.
"""

import argparse
import time
from unittest.mock import patch

import _record
import numpy as np
import torch

from sklearn_ei import EquivariantReconstructor
from sklearn_ei.metrics import psnr
from sklearn_ei.networks import Unrolled
from sklearn_ei.operators import ParallelBeamCT

SMOKE = ["{ct16}", "--size", "16", "--epochs", "1", "--seeds", "0"]
SMOKE += ["--noise", "0"]
SMOKE_SLOW = True
NAME = "consistency_steps"
TRAIN, VALID = slice(0, 70), slice(70, 80)
# How many steps, and where their interval begins; None: equal steps.
SIZES = {"three equal": (3, None), "two from 0.05": (2, 0.05), "two from 0.3": (2, 0.3)}


def steps_of(least):
    """Return what stands in for `refinement_steps`."""

    def steps(operator, n_steps, *, noisy=False):
        norm, _ = operator._refinement_spectrum
        if least is None:
            return (min(1.0, 1.8 / norm),) * n_steps
        nodes = np.cos(np.pi * (2 * np.arange(1, n_steps + 1) - 1) / (2 * n_steps))
        return tuple(2 / norm / (1 + least + (1 - least) * nodes))

    return steps


def run(problem, sizes, seed, epochs):
    """Return what one training gives."""
    operator, Y, images = problem
    n_steps, least = SIZES[sizes]
    estimator = EquivariantReconstructor(
        operator,
        network=Unrolled(n_consistency=n_steps),
        max_epochs=epochs,
        random_state=seed,
    )
    with patch.object(ParallelBeamCT, "refinement_steps", steps_of(least)):
        start = time.process_time()
        estimator.fit(Y[TRAIN])
        seconds = time.process_time() - start
        found = estimator.predict(Y[VALID])
    noise = str(estimator.noise_)
    value = float(psnr(images[VALID], found))
    return {"psnr": value, "cpu_seconds": seconds, "noise": noise}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("ct")
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--noise", nargs="*", type=float, default=[0.0, 0.05])
    parser.add_argument("--seeds", nargs="*", type=int, default=[0, 1, 2])
    parser.add_argument("--name", default=NAME, help="of the file in results/")
    options = parser.parse_args()
    torch.set_num_threads(1)
    images = np.load(options.ct)["images"] / np.float32(65535)
    step = images.shape[1] // options.size
    shape = (len(images), options.size, step, options.size, step)
    images = images.reshape(shape).mean((2, 4))
    operator = ParallelBeamCT(50, images.shape[1:])
    clean = operator.measure(images)
    for seed in options.seeds:
        for noise in options.noise:
            draws = np.random.default_rng(seed).standard_normal(clean.shape)
            Y = clean + (noise * clean.max() * draws).astype(np.float32)
            for sizes in SIZES:
                key = f"{noise:g} | {sizes} | {seed}"
                if key in _record.read(options.name).get("runs", {}):
                    continue
                found = run((operator, Y, images), sizes, seed, options.epochs)
                result = _record.read(options.name)
                result |= {"machine": _record.machine(), "epochs": options.epochs}
                result.setdefault("runs", {})[key] = found
                _record.write(options.name, result)
                print(key, found, flush=True)


if __name__ == "__main__":
    main()
