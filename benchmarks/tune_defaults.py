"""Which settings of equivariant imaging pay for their time, on validation slices.

    python benchmarks/tune_defaults.py ct100_train_128.npz [--only NAME ...]

CT100, 50 noise-free views: trained on [:70], validated on [70:80]. The slices that
figures are reported on, [80:], are never looked at. A setting that has been run is
kept in results/tune_defaults.json unless --only names it. Seconds are processor
seconds: with one thread they hardly depend on what else the machine does.
"""

import argparse
import math
import time

import _record
import numpy as np
import torch

from sklearn_ei import EquivariantReconstructor
from sklearn_ei.groups import Rotations
from sklearn_ei.networks import UNet, Unrolled
from sklearn_ei.operators import ParallelBeamCT

SMOKE = ["{ct16}", "--epochs", "1", "--only", "depth 3, two consistency steps"]
SMOKE_SLOW = True


def unrolled(n_stages=1, width=16, depth=3, n_consistency=3):
    part = UNet(width=width, depth=depth)
    return Unrolled(part, n_stages=n_stages, n_consistency=n_consistency)


REFINED = {"n_refinements": 1}
# name: (parameters of the operator, network, share of the epochs, batch size)
SETTINGS = {
    "depth 4": (REFINED, unrolled(depth=4), 1, 2),
    "depth 3": (REFINED, unrolled(), 1, 2),
    "depth 3, batches of one, twice the steps": (REFINED, unrolled(), 1, 1),
    "depth 3, A† not refined": ({}, unrolled(), 1, 2),
    "depth 3, two consistency steps": (REFINED, unrolled(n_consistency=2), 1, 2),
    "depth 3, width 24": (REFINED, unrolled(width=24), 1, 2),
    # From here on for about the same processor time as 23 epochs of one network.
    "two networks, half the epochs": ({}, unrolled(2), 1 / 2, 2),
    "three networks, a third": ({}, unrolled(3), 1 / 3, 2),
    "four networks of width 8 and depth 2": (
        {},
        unrolled(4, width=8, depth=2),
        1 / 2,
        2,
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
    shape = images.shape[1:]
    Y = ParallelBeamCT(n_views=50, image_shape=shape).measure(images)
    result = {**_record.read("tune_defaults"), "machine": _record.machine()}
    result["setting"] = f"CT100 [:70] / [70:80], {options.epochs} epochs, seed 0"
    rows = result.setdefault("rows", {})
    for name, (of_operator, network, share, batch_size) in SETTINGS.items():
        if name in rows if options.only is None else name not in options.only:
            continue
        estimator = EquivariantReconstructor(
            ParallelBeamCT(n_views=50, image_shape=shape, **of_operator),
            Rotations(360),
            network=network,
            batch_size=batch_size,
            max_epochs=math.ceil(share * options.epochs),
            random_state=0,
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
