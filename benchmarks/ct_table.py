"""What EI and its baselines reach on real CT slices, with the defaults.

    python benchmarks/ct_table.py ct100_train_128.npz

The file holds an array `images`, (90, 128, 128), uint16: CT100 slices. Sinograms
of 50 noise-free views; `[:80]` to train, `[80:]` to report. Every method trains as
many epochs as the defaults say. A method that has been run is kept in
results/ct_table.json unless --methods names it.
"""

import argparse
import os
import time

import _record
import numpy as np
import torch

from sklearn_ei import EquivariantReconstructor, PseudoInverseReconstructor
from sklearn_ei.groups import Rotations
from sklearn_ei.metrics import psnr, ssim
from sklearn_ei.operators import ParallelBeamCT

DEFAULT = ParallelBeamCT(n_views=50)
PLAIN = ParallelBeamCT(n_views=50, n_refinements=0)  # A† of the paper: FBP


def ei(operator, seed, **parameters):
    return EquivariantReconstructor(
        operator, Rotations(360), random_state=seed, **parameters
    )


METHODS = {
    "A†y, Ram-Lak FBP": lambda seed: PseudoInverseReconstructor(PLAIN),
    "A†y, one refinement (default)": lambda seed: PseudoInverseReconstructor(DEFAULT),
    "MC, f = G∘A† (paper)": lambda seed: ei(PLAIN, seed, alpha=0, n_consistency=0),
    "MC (default f)": lambda seed: ei(DEFAULT, seed, alpha=0),
    "EI, f = G∘A† (paper)": lambda seed: ei(PLAIN, seed, n_consistency=0),
    "EI (default)": lambda seed: ei(DEFAULT, seed),
    "supervised, f = G∘A† (paper)": lambda seed: ei(
        PLAIN, seed, alpha=0, supervised=True, n_consistency=0
    ),
    "supervised (default f)": lambda seed: ei(DEFAULT, seed, alpha=0, supervised=True),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file")
    parser.add_argument("--methods", nargs="*", choices=METHODS, default=None)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)

    images = np.load(options.file)["images"][:90] / np.float32(65535)
    Y = DEFAULT.measure(images)
    train, test = slice(0, 80), slice(80, 90)
    result = {**_record.read("ct_table"), "machine": _record.machine()}
    result["setting"] = "CT100[:90] 128², 50 noise-free views, train [:80], test [80:]"
    rows = result.setdefault("methods", {})
    fbp = PseudoInverseReconstructor(PLAIN).fit(Y[train])
    result["fbp_train_psnr"] = fbp.score(Y[train], images[train])
    reference = fbp.score(Y[test], images[test])

    for name, make in METHODS.items():
        if name in rows and name not in (options.methods or ()):
            continue
        if options.methods is not None and name not in options.methods:
            continue
        estimator = make(options.seed)
        truth = images[train] if getattr(estimator, "supervised", False) else None
        load = os.getloadavg()[0]  # what else was running: times are honest with it
        start = time.perf_counter()
        estimator.fit(Y[train], truth)
        seconds = time.perf_counter() - start
        reconstructed = estimator.predict(Y[test])
        per_image = psnr(images[test], reconstructed, per_image=True)
        rows[name] = {
            "psnr": float(per_image.mean()),
            "gain": float(per_image.mean()) - reference,
            "ssim": ssim(images[test], reconstructed),
            "train_psnr": estimator.score(Y[train], images[train]),
            "seconds": seconds,
            "threads": options.threads,
            "load_before": load,
            "epochs": getattr(estimator, "n_iter_", 0),
            "seed": options.seed,
            "psnr_per_image": [round(float(value), 3) for value in per_image],
        }
        _record.write("ct_table", result)
        print(name, {k: v for k, v in rows[name].items() if k != "psnr_per_image"})

    print(f"\n| | PSNR (dB) | gain | SSIM | training (s) |\n|{' --- |' * 5}")
    for name in (name for name in METHODS if name in rows):
        row = rows[name]
        print(
            f"| {name} | {row['psnr']:.2f} | {row['gain']:+.2f} | {row['ssim']:.4f} "
            f"| {row['seconds']:.0f} |"
        )


if __name__ == "__main__":
    main()
