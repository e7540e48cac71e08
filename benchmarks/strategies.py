"""Every way of training on the same slices, network, seed and number of steps.

    python benchmarks/strategies.py ct100_train_128.npz [--only ROW ...]

The file holds an array `images`, (90, 128, 128), uint16: CT100 slices. Sinograms
of 50 views; `[:80]` to train, `[80:]` to report, which nothing was tuned on. Rows
that have been run are kept in results/strategies.json unless --only names them.
Noise is Gaussian, its standard deviation given in parts of the largest y.

`cpu` is processor time. With one thread (the default) it hardly depends on what
else the machine does, and several copies can run side by side.
"""

import argparse
import time

import _record
import numpy as np
import torch

from sklearn_ei import EquivariantReconstructor, PseudoInverseReconstructor
from sklearn_ei.groups import Rotations
from sklearn_ei.metrics import psnr, ssim
from sklearn_ei.networks import UNet
from sklearn_ei.noise import GaussianNoise
from sklearn_ei.operators import ParallelBeamCT

SMOKE = ["{ct16}", "--epochs", "3", "--only", "default: EI", "plain: supervised"]
SMOKE += ["default: EI, a tenth of the slices with ground truth"]
SMOKE += ["noise 2.0%: robust EI, R2R", "noise 2.0%: A†y, Hann"]
SMOKE_SLOW = True
OPERATOR = ParallelBeamCT(n_views=50)
REFINED = ParallelBeamCT(n_views=50, n_refinements=1)
HANN = ParallelBeamCT(n_views=50, filter="hann")


def default(**parameters):
    return EquivariantReconstructor(OPERATOR, Rotations(360), **parameters)


def plain(**parameters):
    return default(network=UNet(width=16, depth=3), **parameters)


# row: (noise, estimator, which ground truth it gets)
ROWS = {
    "A†y, Ram-Lak": (0, PseudoInverseReconstructor(OPERATOR), None),
    "A†y, refined once": (
        0,
        PseudoInverseReconstructor(REFINED),
        None,
    ),
    "plain: EI": (0, plain(), None),
    "plain: supervised": (0, plain(alpha=0, data_term="supervised"), "all"),
    "plain: MC": (0, plain(alpha=0), None),
    "plain: supervised + EI": (0, plain(data_term="supervised"), "all"),
    "plain: EI adversarial": (0, plain(beta=1e-4), None),
    "default: EI": (0, default(), None),
    "default: supervised": (0, default(alpha=0, data_term="supervised"), "all"),
    "default: supervised + EI": (0, default(data_term="supervised"), "all"),
    "default: MC": (0, default(alpha=0), None),
    "default: EI, a tenth of the slices with ground truth": (
        0,
        default(data_term="supervised"),
        "tenth",
    ),
}
for level in (0.005, 0.02):
    noisy = f"noise {level:.1%}: "
    ROWS |= {
        noisy + "A†y, Ram-Lak": (level, PseudoInverseReconstructor(OPERATOR), None),
        noisy + "A†y, Hann": (level, PseudoInverseReconstructor(HANN), None),
        noisy + "plain: EI": (level, plain(), None),
        noisy + "EI": (level, default(), None),
        noisy + "robust EI, level estimated": (
            level,
            default(noise=GaussianNoise()),
            None,
        ),
        noisy + "robust EI, level unknown (UNSURE)": (
            level,
            default(data_term="unsure"),
            None,
        ),
        noisy + "robust EI, level 1.5 times too large": (level, ("sure", 1.5), None),
        noisy + "robust EI, level 1.5 times too small": (
            level,
            ("sure", 1 / 1.5),
            None,
        ),
        noisy + "robust EI, R2R": (level, ("r2r", 1.0), None),
    }


def measure(images, level, seed):
    """Return sinograms, with the standard deviation of their noise."""
    Y = OPERATOR.measure(images)
    sigma = level * float(Y.max())
    if level == 0:
        return Y, 0.0
    return GaussianNoise(sigma).add(Y, random_state=seed), sigma


def estimator_of(recipe, sigma):
    if not isinstance(recipe, tuple):
        return recipe
    kind, factor = recipe
    noise = GaussianNoise(float(sigma * factor))
    return default(noise=noise, data_term=kind)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file")
    parser.add_argument("--only", nargs="*", choices=ROWS, default=None)
    parser.add_argument(
        "--epochs", type=int, default=60, help="of one network; fewer for several"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--name", default="strategies", help="of the JSON file")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    images = np.load(options.file)["images"][:90] / np.float32(65535)
    for operator in (OPERATOR, REFINED, HANN):
        operator.set_params(image_shape=images.shape[1:])
    train, test = slice(0, 80), slice(80, 90)

    for name, (level, recipe, truth) in ROWS.items():
        result = _record.read(options.name)
        if (
            name in result.get("rows", {})
            if options.only is None
            else name not in options.only
        ):
            continue
        Y, sigma = measure(images, level, options.seed)
        estimator = estimator_of(recipe, sigma)
        if hasattr(estimator, "max_epochs"):
            # Equal processor time, and equally many passes through a network.
            n_stages = 3 if estimator.network == "auto" else 1
            n_epochs = options.epochs // n_stages
            estimator.set_params(max_epochs=n_epochs, random_state=options.seed)
        x = None if truth is None else images[train].copy()
        if truth == "tenth":
            x[8:] = np.nan
        wall, cpu = time.perf_counter(), time.process_time()
        estimator.fit(Y[train], x)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        reconstructed = estimator.predict(Y[test])
        per_image = psnr(images[test], reconstructed, per_image=True)
        row = {
            "psnr": float(per_image.mean()),
            "ssim": ssim(images[test], reconstructed),
            "train_psnr": estimator.score(Y[train], images[train]),
            "epochs": getattr(estimator, "n_iter_", 0),
            "wall_seconds": wall,
            "cpu_seconds": cpu,
            "threads": options.threads,
            "seed": options.seed,
            "sigma": sigma,
            "psnr_per_image": [round(float(value), 3) for value in per_image],
        }
        if getattr(estimator, "noise_", None) is not None:
            row["sigma_used"] = float(estimator.noise_.sigma)
        # Another copy may have written meanwhile.
        result = _record.read(options.name)
        result["machine"] = _record.machine()
        result["setting"] = "CT100[:90] 128², 50 views, train [:80], test [80:]"
        result.setdefault("rows", {})[name] = row
        _record.write(options.name, result)
        print(name, {k: v for k, v in row.items() if k != "psnr_per_image"}, flush=True)

    rows = _record.read(options.name)["rows"]
    print(f"\n| | PSNR (dB) | SSIM | on train | epochs | CPU (s) |\n|{' --- |' * 6}")
    for name in (name for name in ROWS if name in rows):
        row = rows[name]
        print(
            f"| {name} | {row['psnr']:.2f} | {row['ssim']:.4f} | "
            f"{row['train_psnr']:.2f} | {row['epochs']} | {row['cpu_seconds']:.0f} |"
        )


if __name__ == "__main__":
    main()
