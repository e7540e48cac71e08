"""Which score, seen without ground truth, chooses α as the true PSNR would?

    python benchmarks/alpha_study.py ct100_train_128.npz urban100_train_256.npz

Four problems, each noise-free and noisy, and several seeds; with `--noise told` the
estimator is told that there is noise. Networks are trained
on [:70] for each α; every scorer looks at the measurements of [70:80]; the true
PSNR is that of [80:90]. A scorer's regret is how many dB the α it chooses lies
below the best one. One run, a (problem, noise, seed, α), is written to
results/alpha_study.json as soon as it is done, and not repeated. `--models DIR`
keeps the trained estimators too, so that a new scorer costs no training.
"""

import argparse
import pickle
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import _record
import numpy as np
import torch
from scipy.stats import spearmanr
from sklearn.datasets import load_digits

from sklearn_ei import EquivariantReconstructor
from sklearn_ei.groups import Rotations, Shifts
from sklearn_ei.model_selection import (
    equivariance_score,
    held_out_score,
    neg_measurement_error_score,
    round_trip_score,
)
from sklearn_ei.networks import UNet, Unrolled
from sklearn_ei.noise import GaussianNoise
from sklearn_ei.operators import MRI, CompressedSensing, Inpainting, ParallelBeamCT

NAME = "alpha_study"
SMOKE = ["{ct64}", "{urban128}", "--problems", "compressed_sensing"]
SMOKE += ["--noise", "noisy", "--seeds", "0", "--effort", "0.01"]
SMOKE_SLOW = True
TRAIN, CHOOSE, REPORT = slice(0, 70), slice(70, 80), slice(80, 90)


@dataclass(frozen=True)
class Problem:
    """An instrument, a group, images and the values of α to choose from.

    ``noise`` is the standard deviation in the noisy case, relative to the root
    mean square of the measured entries.
    """

    data: str
    operator: object
    group: object
    alphas: tuple
    noise: float
    epochs: int
    settings: dict


SCORERS = {
    "round trip, unseen part": round_trip_score,
    "round trip, all": partial(round_trip_score, only_unseen=False),
    "held out": partial(held_out_score, round_trip=False),
    "held out, 4 %": partial(held_out_score, fraction=0.04, round_trip=False),
    "held out, round trip": held_out_score,
    "equivariance": equivariance_score,
    "measurement error": neg_measurement_error_score,
}

DEFAULT = {}  # the estimator's own network
PROBLEMS = {
    "ct": Problem(
        "ct",
        ParallelBeamCT(n_views=25, image_shape=(64, 64)),
        Rotations(360),
        (0, 1, 10, 100, 1000, 10000),
        0.02,
        20,
        DEFAULT,
    ),
    "inpainting": Problem(
        "grey", Inpainting(0.3), Shifts(), (0, 0.1, 1, 10, 100), 0.1, 20, DEFAULT
    ),
    "mri": Problem(
        "complex", MRI(4), Rotations(360), (0, 0.1, 1, 10, 100), 0.1, 20, DEFAULT
    ),
    "compressed_sensing": Problem(
        "digits",
        CompressedSensing(32, image_shape=(8, 8)),
        Shifts(),
        (0, 0.1, 1, 10, 100),
        0.05,
        300,
        {"network": Unrolled(UNet(width=16, depth=2)), "batch_size": 10},
    ),
}


def block_means(images, size):
    n, height, width = images.shape
    step = height // size
    return images.reshape(n, size, step, size, width // size).mean((2, 4))


def load_images(kind, options):
    """Return 90 images, in [0, 1]."""
    if kind == "digits":
        order = np.random.default_rng(0).permutation(1797)[:90]
        return (load_digits().images[order] / 16).astype(np.float32)
    if kind == "grey":
        colour = np.load(options.grey)["images"][:90] / np.float32(255)
        grey = block_means(colour @ np.float32([0.299, 0.587, 0.114]), 128)
        return grey[:, 32:96, 32:96].astype(np.float32)
    images = np.load(options.ct)["images"][:90] / np.float32(65535)
    images = block_means(images, 64).astype(np.float32)
    return images if kind == "ct" else np.stack([images, 0 * images], axis=-1)


def simulate(problem, noisy, seed, options):
    """Return images and their measurements."""
    images = load_images(problem.data, options)
    Y = problem.operator.measure(images)
    if noisy:
        measured = np.abs(Y).max(axis=0) > 0  # lost pixels and lines stay zero
        sigma = problem.noise * np.sqrt(np.square(Y[:, measured]).mean())
        rng = np.random.default_rng(seed)
        Y = Y + measured * rng.normal(0, sigma, Y.shape).astype(np.float32)
    return images, Y


def train(case, alpha, Y, options):
    name, noise, seed = case
    problem = PROBLEMS[name]
    epochs = max(1, round(problem.epochs * options.effort))
    estimator = EquivariantReconstructor(
        problem.operator,
        problem.group,
        alpha,
        max_epochs=epochs,
        random_state=seed,
        noise=GaussianNoise() if noise == "told" else None,
        **problem.settings,
    )
    start = time.perf_counter()
    estimator.fit(Y[TRAIN])
    return estimator, time.perf_counter() - start


def fitted(case, alpha, Y, options):
    """Return a trained estimator, from --models where it is kept there."""
    name, noise, seed = case
    key = f"{name}-{noise}-{seed}-{alpha}-{options.effort:g}".replace("/", "_")
    path = options.models and Path(options.models) / f"{key}.pkl"
    if path and path.exists():
        return pickle.loads(path.read_bytes())
    estimator, seconds = train(case, alpha, Y, options)
    if path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(pickle.dumps((estimator, seconds)))
    return estimator, seconds


def run(name, noise, seed, options, result):
    """Train and score every α of one problem, skipping what is there."""
    problem = PROBLEMS[name]
    images, Y = simulate(problem, noise != "clean", seed, options)
    for alpha in problem.alphas:
        key = f"{name} | {noise} | {seed} | {alpha:g}"
        row = result["runs"].setdefault(key, {})
        missing = [scorer for scorer in SCORERS if scorer not in row.get("scores", {})]
        if not missing:
            continue
        estimator, seconds = fitted((name, noise, seed), alpha, Y, options)
        row.update(
            psnr=estimator.score(Y[REPORT], images[REPORT]),
            psnr_choose=estimator.score(Y[CHOOSE], images[CHOOSE]),
            seconds=seconds,
            epochs=estimator.n_iter_,
        )
        scores = row.setdefault("scores", {})
        for scorer in missing:
            scores[scorer] = SCORERS[scorer](estimator, Y[CHOOSE])
        _record.write(options.name, result)
        print(key, f"{row['psnr']:.2f} dB, {seconds:.0f} s", flush=True)


def spearman(scores, truth):
    """Return the rank correlation, 0 for scores that are all equal."""
    return float(spearmanr(scores, truth)[0]) if np.ptp(scores) > 0 else 0.0


def summary(result):
    """Return, for each problem, noise and scorer, what it chose at each seed.

    The row "PSNR of [70:80]" is the choice of an oracle on the same samples.
    """
    groups = {}
    for key, row in result["runs"].items():
        name, noise, seed, alpha = key.split(" | ")
        if "psnr" in row:
            groups.setdefault((name, noise, seed), []).append((float(alpha), row))
    table = {}
    for (name, noise, seed), rows in groups.items():
        if len(rows) < len(PROBLEMS[name].alphas):
            continue
        truth = np.array([row["psnr"] for _, row in rows])
        columns = {s: [row["scores"][s] for _, row in rows] for s in SCORERS}
        columns["PSNR of [70:80]"] = [row["psnr_choose"] for _, row in rows]
        for scorer, column in columns.items():
            chosen = int(np.argmax(column))
            table.setdefault(f"{name} | {noise} | {scorer}", {})[seed] = {
                "alpha": rows[chosen][0],
                "dB_below_best": float(truth.max() - truth[chosen]),
                "spearman": spearman(column, truth),
            }
    return table


def print_table(table):
    seeds = sorted({seed for row in table.values() for seed in row})
    print(f"\n| problem | noise | scorer |{' α, dB below best, ρ |' * len(seeds)}")
    print("|" + " --- |" * (3 + len(seeds)))
    for key, row in sorted(table.items()):
        cells = [
            f"{r['alpha']:g}, {r['dB_below_best']:.2f}, {r['spearman']:.2f}"
            for r in (row[seed] for seed in seeds if seed in row)
        ]
        print("|", " | ".join([*key.split(" | "), *cells]), "|")


def plot(result, path):
    """Draw every score against the true PSNR, one panel a problem and noise."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    panels = sorted({tuple(key.split(" | ")[:2]) for key in result["runs"]})
    figure, axes = plt.subplots(
        1, len(panels), figsize=(3.5 * len(panels), 3.5), squeeze=False
    )
    for ax, (name, noise) in zip(axes[0], panels, strict=True):
        prefix = f"{name} | {noise} | "
        rows = [row for key, row in result["runs"].items() if key.startswith(prefix)]
        rows = [row for row in rows if len(row.get("scores", {})) == len(SCORERS)]
        psnrs = [row["psnr"] for row in rows]
        for scorer in SCORERS:
            errors = np.array([-row["scores"][scorer] for row in rows])
            # Relative to its smallest, in dB: parallel to the PSNR if all is well.
            below = -10 * np.log10(np.maximum(errors, 1e-12) / errors.min())
            ax.plot(psnrs, below, "o", ms=4, label=scorer)
        ax.set(title=f"{name}, {noise}", xlabel="true PSNR (dB)", ylim=(-6, 0.5))
    axes[0, 0].set_ylabel("score below its best (dB)")
    axes[0, -1].legend(fontsize=6)
    figure.tight_layout()
    figure.savefig(path, dpi=120)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("ct")
    parser.add_argument("grey")
    parser.add_argument("--problems", nargs="*", choices=PROBLEMS, default=[*PROBLEMS])
    parser.add_argument("--noise", nargs="*", default=["clean", "noisy"])
    parser.add_argument("--seeds", nargs="*", type=int, default=[0, 1, 2])
    parser.add_argument("--effort", type=float, default=1.0, help="times the epochs")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--models", help="folder that keeps trained estimators")
    parser.add_argument("--name", default=NAME, help="of the file in results/")
    parser.add_argument("--plot", help="PNG file")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)

    result = _record.read(options.name)
    result.update(machine=_record.machine(), effort=options.effort)
    result.setdefault("runs", {})
    for seed in options.seeds:
        for name in options.problems:
            for noise in options.noise:
                run(name, noise, seed, options, result)
    result["summary"] = summary(result)
    _record.write(options.name, result)
    print_table(result["summary"])
    if options.plot:
        plot(result, options.plot)


if __name__ == "__main__":
    main()
