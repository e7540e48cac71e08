"""What reconstruction without training data reaches on real CT slices.

    python benchmarks/dip_table.py ct100_train_128.npz

The file holds an array `images`, (90, 128, 128), uint16: CT100 slices. Sinograms
of 50 noise-free views of the slices `[80:90]`. Tikhonov and
total variation with their defaults; the deep image prior with both of the paper's
networks, `--iterations` for each slice. `--paper` gives these the paper's widths. A
method that has been run is kept in results/classical_table.json unless --methods
names it; `--first` and `--last` choose other slices, whose results are only printed.
"""

import argparse
import os
import time

import _record
import numpy as np
import torch
from sklearn.base import clone

from sklearn_ei import (
    DeepImagePriorReconstructor,
    PseudoInverseReconstructor,
    TikhonovReconstructor,
    TotalVariationReconstructor,
)
from sklearn_ei.metrics import psnr, ssim
from sklearn_ei.operators import ParallelBeamCT

SMOKE = ["{ct32}", "--iterations", "3", "--threads", "1", "--methods", "Tikhonov"]
SMOKE += ["DIP-1 (U-Net)", "DIP-2 (encoder–decoder)"]
SMOKE_SLOW = True
OPERATOR = ParallelBeamCT(n_views=50)
PAPER_WIDTH = {"unet": 64, "encoder-decoder": 128}
REPORTED = (80, 90)


def dip(network, options):
    return DeepImagePriorReconstructor(
        OPERATOR,
        network=network,
        width=PAPER_WIDTH[network] if options.paper else None,
        n_iterations=options.iterations,
        early_stopping=not options.to_the_end,
        random_state=options.seed,
        verbose=1,
    )


METHODS = {
    "A†y, refined once": lambda o: PseudoInverseReconstructor(
        clone(OPERATOR).set_params(n_refinements=1)
    ),
    "Tikhonov": lambda o: TikhonovReconstructor(OPERATOR),
    "total variation": lambda o: TotalVariationReconstructor(OPERATOR),
    "total variation, x ≥ 0": lambda o: TotalVariationReconstructor(
        OPERATOR, nonneg=True
    ),
    "DIP-1 (U-Net)": lambda o: dip("unet", o),
    "DIP-2 (encoder–decoder)": lambda o: dip("encoder-decoder", o),
}


def run(estimator, Y, images):
    """Return the row of the table."""
    load = os.getloadavg()[0]  # what else was running: times are honest with it
    start = time.perf_counter()
    transductive = hasattr(estimator, "fit_predict")
    found = estimator.fit_predict(Y) if transductive else estimator.fit(Y).predict(Y)
    seconds = time.perf_counter() - start
    per_image = psnr(images, found, per_image=True)
    row = {
        "psnr": float(per_image.mean()),
        "ssim": ssim(images, found),
        "seconds": seconds,
        "load_before": load,
        "parameters": {
            name: value
            for name, value in estimator.get_params(deep=False).items()
            if name != "operator"
        },
        "psnr_per_image": [round(float(value), 3) for value in per_image],
    }
    if transductive:
        row["iterations"] = estimator.n_iter_.tolist()
        row["best_iterations"] = estimator.best_iteration_.tolist()
        row["ms_per_iteration"] = 1e3 * seconds / float(estimator.n_iter_.sum())
        row["precision"] = str(estimator.precision_)
    return row


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file")
    parser.add_argument("--methods", nargs="*", choices=METHODS, default=None)
    parser.add_argument("--iterations", type=int, default=5000)
    parser.add_argument("--paper", action="store_true", help="the paper's widths")
    parser.add_argument("--to-the-end", action="store_true", help="no early stopping")
    parser.add_argument("--first", type=int, default=REPORTED[0])
    parser.add_argument("--last", type=int, default=REPORTED[1])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)

    images = np.load(options.file)["images"][options.first : options.last]
    images = images / np.float32(65535)
    OPERATOR.set_params(image_shape=images.shape[1:])
    Y = OPERATOR.measure(images)
    reported = (options.first, options.last) == REPORTED
    result = _record.read("classical_table") if reported else {}
    result["machine"] = _record.machine()
    result["setting"] = (
        f"CT100[{options.first}:{options.last}] 128², 50 noise-free views"
    )
    rows = result.setdefault("methods", {})
    for name, make in METHODS.items():
        if options.methods is not None and name not in options.methods:
            continue
        key = f"{name}, the paper's width" if options.paper and "DIP" in name else name
        if options.methods is None and key in rows:
            continue
        rows[key] = {**run(make(options), Y, images), "threads": options.threads}
        if reported:
            _record.write("classical_table", result)
        print(key, {k: v for k, v in rows[key].items() if k != "psnr_per_image"})

    print(f"\n| | PSNR (dB) | SSIM | time (s) |\n|{' --- |' * 4}")
    for name, row in rows.items():
        print(
            f"| {name} | {row['psnr']:.2f} | {row['ssim']:.4f} | {row['seconds']:.0f} |"
        )


if __name__ == "__main__":
    main()
