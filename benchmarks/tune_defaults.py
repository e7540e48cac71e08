"""Which settings of equivariant imaging pay for their time, on validation slices.

    python benchmarks/tune_defaults.py ct100_train_128.npz [--only NAME ...]

CT100, 50 noise-free views: trained on [:70], validated on [70:80]. The slices that
figures are reported on, [80:], are never looked at. A setting that has been run is
kept in results/tune_defaults.json unless --only names it. Seconds are processor
seconds: with one thread they hardly depend on what else the machine does.
"""

import argparse
import time

import _record
import numpy as np
import torch

from sklearn_ei import EquivariantReconstructor
from sklearn_ei.groups import Rotations
from sklearn_ei.operators import ParallelBeamCT

BASE = {"n_stages": 1, "depth": 3, "width": 16, "n_consistency": 3}
REFINED = {"n_refinements": 1}
# name: (parameters of the operator, parameters of the estimator)
SETTINGS = {
    "depth 4": (REFINED, {"depth": 4}),
    "depth 3": (REFINED, {}),
    "depth 3, batches of one, twice the steps": (REFINED, {"batch_size": 1}),
    "depth 3, A† not refined": ({}, {}),
    "depth 3, two consistency steps": (REFINED, {"n_consistency": 2}),
    "depth 3, width 24": (REFINED, {"width": 24}),
    # From here on for about the same processor time as 23 epochs of one network.
    "two networks, half the epochs": ({}, {"n_stages": 2, "max_epochs": 12}),
    "three networks, a third": ({}, {"n_stages": 3, "max_epochs": 8}),
    "four networks of width 8 and depth 2": (
        {},
        {"n_stages": 4, "width": 8, "depth": 2, "max_epochs": 12},
    ),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file")
    parser.add_argument("--only", nargs="*", choices=SETTINGS, default=None)
    parser.add_argument("--epochs", type=int, default=23)
    options = parser.parse_args()
    torch.set_num_threads(1)
    images = np.load(options.file)["images"][:80] / np.float32(65535)
    Y = ParallelBeamCT(n_views=50).measure(images)
    result = {**_record.read("tune_defaults"), "machine": _record.machine()}
    result["setting"] = f"CT100 [:70] / [70:80], {options.epochs} epochs, seed 0"
    rows = result.setdefault("rows", {})
    for name, (of_operator, of_estimator) in SETTINGS.items():
        if name in rows if options.only is None else name not in options.only:
            continue
        estimator = EquivariantReconstructor(
            ParallelBeamCT(n_views=50, **of_operator),
            Rotations(360),
            random_state=0,
            **{**BASE, "max_epochs": options.epochs, **of_estimator},
        )
        start = time.process_time()
        estimator.fit(Y[:70])
        seconds = time.process_time() - start
        rows[name] = {
            "psnr": estimator.score(Y[70:], images[70:]),
            "cpu_seconds": seconds,
        }
        _record.write("tune_defaults", result)
        print(name, rows[name], flush=True)


if __name__ == "__main__":
    main()
