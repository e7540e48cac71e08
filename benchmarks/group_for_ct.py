"""Which group for CT: chest slices, and three real scanners.

    python benchmarks/group_for_ct.py DATA_FOLDER [--problems NAME ...] [--groups ...]

DATA_FOLDER holds ct100_train_128.npz and the scans of benchmarks/real. Chest slices:
trained on [:70] of CT100, noise-free, validated on [70:80]; what figures are reported
on is never looked at. Real data: noise level estimated, PSNR against A†y of all views.
All other parameters but the number of steps are the default ones. "f alone" is not
averaged over symmetries of the instrument.
What has been run is kept in results/group_for_ct.json.
"""

import argparse
import time
from pathlib import Path

import _record
import numpy as np
import torch
from real._scans import load

from sklearn_ei import EquivariantReconstructor
from sklearn_ei.datasets import make_thorax_phantoms
from sklearn_ei.groups import RandomAffine, Rotations
from sklearn_ei.metrics import psnr
from sklearn_ei.operators import ParallelBeamCT

SMOKE = ["--toy", "--problems", "htc", "--groups", "360 rotations", "--steps", "2"]
NAME = "group_for_ct"
N_TRAIN, N_ALL = 70, 80
GROUPS = {
    "360 rotations": Rotations(360),
    "tilts and zooms": RandomAffine(),
    "rotations and zooms": RandomAffine(degrees=180),
}
STEPS = {"ct": 280, "tooth": 150, "htc": 150, "dls": 220}


def slices(folder):
    with np.load(folder / "ct100_train_128.npz") as file:
        images = file["images"][:N_ALL] / np.float32(65535)
    operator = ParallelBeamCT(50, images.shape[1:])  # the paper's detector
    Y = operator.measure(images)
    return operator, Y[:N_TRAIN], Y[N_TRAIN:], images[N_TRAIN:]


def make(problem, folder):
    """Return an operator, what to train on, what to reconstruct, and its reference."""
    if folder is None:
        images = make_thorax_phantoms(2, (16, 16), random_state=0)
        operator = ParallelBeamCT(10, images.shape[1:])
        Y = operator.measure(images)
        return operator, Y, Y, images
    if problem == "ct":
        return slices(folder)
    scan = load(folder, problem)
    return scan.operator, scan.train, scan.test, scan.reference


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--toy", action="store_true")
    parser.add_argument("--problems", nargs="*", choices=STEPS, default=STEPS)
    parser.add_argument("--groups", nargs="*", choices=GROUPS, default=GROUPS)
    parser.add_argument("--steps", type=int, help="in place of 150 to 280")
    parser.add_argument("--no-record", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    folder = None if options.toy else options.folder
    for problem in options.problems:
        for group in options.groups:
            result = {**_record.read(NAME), "machine": _record.machine()}
            rows = result.setdefault(problem, {})
            if group in rows:
                continue
            is_real = problem != "ct"
            operator, train, test, reference = make(problem, folder)
            batch_size = 1 if len(train) < N_TRAIN // 2 else 2
            steps = options.steps or STEPS[problem]
            estimator = EquivariantReconstructor(
                operator,
                GROUPS[group],
                noise="auto" if is_real else None,
                batch_size=batch_size,
                max_epochs=max(1, steps * batch_size // len(train)),
                random_state=0,
            )
            start = time.process_time()
            estimator.fit(train)
            seconds = time.process_time() - start
            with torch.no_grad():
                y = estimator.measurement_layout_.to_tensor(test)
                alone = estimator.image_layout_.to_array(
                    torch.cat([estimator.reconstruct_tensors(p) for p in y.split(1)])
                )
            rows[group] = {
                "psnr": float(psnr(reference, estimator.predict(test))),
                "psnr of f alone": float(psnr(reference, alone)),
                "n_steps": estimator.n_steps_,
                "cpu_seconds": seconds,
            }
            print(problem, group, rows[group], flush=True)
            if not options.no_record:
                _record.write(NAME, result)


if __name__ == "__main__":
    main()
