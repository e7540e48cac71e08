"""What somebody gets who sets nothing: `EquivariantReconstructor(operator).fit(Y)`.

    python benchmarks/defaults.py DATA_FOLDER [--problems NAME ...] [--seeds 0 1 2]

DATA_FOLDER holds ct100_train_128.npz and, in real/, htc2022_ta_fan.npz; what is not
there is left out. With --toy, a few small phantoms in their place. Training on CT100
is on [:80], PSNR that of [80:], which nothing was tuned on; a single measurement is
reconstructed by what was trained on itself. Against the truth, or for HTC against A†y
of all views with three refinements. Processor seconds are those of one thread.
Noise-free slices and photographs are in benchmarks/paper, all real scans and methods
in benchmarks/real. What has been run is kept in results/defaults.json, a cell for each
problem and seed.
"""

import argparse
import time
import warnings
from pathlib import Path

import _record
import numpy as np
import torch
from baselines_auto import htc

from sklearn_ei import EquivariantReconstructor
from sklearn_ei.datasets import make_thorax_phantoms
from sklearn_ei.metrics import psnr
from sklearn_ei.operators import ParallelBeamCT

SMOKE = ["--toy", "--problems", "ct_noisy", "--seeds", "0"]
SMOKE_SLOW = True
NAME = "defaults"
N_TRAIN = 80


def ct_noisy(folder, options):
    """Noise of 2 % of the largest measurement."""
    images = _images(folder)
    # The paper's detector, which sees the corners.
    operator = ParallelBeamCT(50 if folder else 10, images.shape[1:])
    clean = operator.measure(images)
    noise = np.random.default_rng(0).standard_normal(clean.shape)
    Y = (clean + 0.02 * clean.max() * noise).astype(np.float32)
    n_train = N_TRAIN if folder else 4
    return operator, Y[:n_train], Y[n_train:], images[n_train:]


def ct_single(folder, options):
    images = _images(folder)[-10:][:1]  # slice 80
    # The paper's detector, which sees the corners.
    operator = ParallelBeamCT(50 if folder else 10, images.shape[1:])
    Y = operator.measure(images)
    return operator, Y, Y, images


def _images(folder):
    if folder is None:
        return make_thorax_phantoms(20, (16, 16), random_state=0)
    with np.load(folder / "ct100_train_128.npz") as file:
        return file["images"] / np.float32(65535)


def fan(folder, options):
    """One slice of the Helsinki Tomography Challenge 2022."""
    if folder is None:
        return ct_single(None, options)
    operator, Y, reference = htc(folder, options)
    return operator, Y, Y, reference


PROBLEMS = {
    "ct_noisy": ct_noisy,
    "ct_single": ct_single,
    "HTC": fan,
}


def run(operator, train, test, reference, seed):
    """Return what one fit with nothing set gives."""
    estimator = EquivariantReconstructor(operator, random_state=seed)
    start = time.process_time()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        estimator.fit(train)
    fitted = time.process_time()
    found = estimator.predict(test)
    predicted = time.process_time()
    with torch.no_grad():
        y = estimator.measurement_layout_.to_tensor(test)
        alone = estimator.image_layout_.to_array(
            torch.cat([estimator.reconstruct_tensors(part) for part in y.split(1)])
        )
    return {
        "psnr": float(psnr(reference, found)),
        "psnr of f alone": float(psnr(reference, alone)),
        "psnr of A†y": float(psnr(reference, operator.reconstruct(test))),
        "cpu_seconds": fitted - start,
        "predict_seconds_an_image": (predicted - fitted) / len(test),
        "group": str(estimator.group_),
        "noise": str(estimator.noise_),
        "alpha": estimator.alpha_,
        "n_steps": estimator.n_steps_,
        "batch_size": estimator.batch_size_,
        "warnings": sorted({str(w.message)[:200] for w in caught}),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--toy", action="store_true")
    parser.add_argument("--problems", nargs="*", choices=PROBLEMS, default=PROBLEMS)
    parser.add_argument("--seeds", nargs="*", type=int, default=[0, 1, 2])
    parser.add_argument("--again", action="store_true", help="cells that are there")
    parser.add_argument("--no-record", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    folder = None if options.toy else options.folder
    if folder is None and not options.toy:
        parser.error("expected a folder with data, or --toy")
    for name in options.problems:
        for seed in options.seeds:
            if str(seed) in _cells(options)[1].get(name, {}) and not options.again:
                continue
            try:
                problem = PROBLEMS[name](folder, options)
            except FileNotFoundError as error:
                print(f"{name}: left out, {error}")
                break
            found = run(*problem, seed)
            print(name, seed, found, flush=True)
            if not options.no_record:
                result, cells = _cells(options)  # others may have written meanwhile
                cells.setdefault(name, {})[str(seed)] = found
                _record.write(NAME, result)


def _cells(options):
    """Return what is recorded, and the cells in it."""
    result = {**_record.read(NAME), "machine": _record.machine()}
    return result, result.setdefault("toy" if options.toy else "problems", {})


if __name__ == "__main__":
    main()
