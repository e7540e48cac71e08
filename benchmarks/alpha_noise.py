"""Which score chooses α as the true PSNR would, where measurements have noise?

    python benchmarks/alpha_noise.py ct100_train_128.npz urban100_train_256.npz

The default estimator is trained on [:70] of images of `--size` pixels a side, for each
α; scores look at the measurements of [70:80], and the best α is that of the PSNR of the
same images, or with `--report` of [80:90]. Noise is a share of the largest measurement;
in sinograms its level is estimated, for lost pixels it is told. What has been run is
kept in results/alpha_noise.json, a cell for each problem, seed and α. `--models DIR`
keeps the trained estimators, so that another score costs no training.
"""

import argparse
import time
from functools import partial
from pathlib import Path

import _record
import numpy as np
import torch
from alpha_study import block_means, spearman

from sklearn_ei import EquivariantReconstructor, load, save
from sklearn_ei.model_selection import (
    equivariance_score,
    held_out_score,
    round_trip,
    round_trip_score,
    tensors,
)
from sklearn_ei.model_selection._risk import Probe, Trip
from sklearn_ei.noise import GaussianNoise
from sklearn_ei.operators import Inpainting, ParallelBeamCT, part_of

SMOKE = ["{ct16}", "{urban32}", "--size", "16", "--views", "8", "--epochs", "1"]
SMOKE += ["--alphas", "10", "--seeds", "0", "--report", "--problems", "ct, 2 %"]
SMOKE_SLOW = True
NAME = "alpha_noise"
TRAIN, CHOOSE, REPORT = slice(0, 70), slice(70, 80), slice(80, 90)
N_TRANSFORMS = 4
# Instrument, and noise over the largest measurement.
PROBLEMS = {
    "ct, 2 %": ("ct", 0.02),
    "ct, 0.5 %": ("ct", 0.005),
    "lost pixels, 5 %": ("inpainting", 0.05),
}


def uncorrected(estimator, Y, **parameters):
    """The round trip as if there were no noise."""
    f, A, group = estimator.reconstruct_tensors, estimator.operator_, estimator.group_
    return round_trip(f, A, group, tensors(estimator, Y), **parameters)


@torch.no_grad()
def parts(estimator, Y):
    """Stein's estimates of what is wrong with both passes of a round trip.

    What f(y) says of the part of the image that is measured, and what comes back of the
    part that the second measurement does not see, which has noise or not.
    """
    A, group, noise = estimator.operator_, estimator.group_, estimator.noise_
    f = estimator.reconstruct_tensors
    elements, draws = torch.Generator(), torch.Generator()
    elements.manual_seed(0)
    draws.manual_seed(1)
    total, norm = dict.fromkeys(("seen", "unseen", "unseen, noisy again"), 0.0), 0.0
    for batch in tensors(estimator, Y):
        part, y = part_of(A, batch)
        g = group.sample(elements, 1, N_TRANSFORMS)
        copies = y.expand(N_TRANSFORMS, *y.shape[1:])
        probe = Probe(noise, copies, part, draws)
        for name, again in (("unseen", None), ("unseen, noisy again", noise)):
            trip = Trip(f, part, group, g, noise=again, generator=draws)
            first, second = trip(y)
            moved_first, moved_second = trip(probe.moved)
            total[name] += float(trip.unseen(second - y).square().sum())
            total[name] += probe.correction(moved_second - second, trip.unseen)
        total["seen"] += float(part.pinv(first - y).square().sum())
        total["seen"] += probe.correction(moved_first - first, part.pinv)
        norm += N_TRANSFORMS * float(part.pinv(y).square().sum())
    return {name: -each / norm for name, each in total.items()}


@torch.no_grad()
def recorrupted(estimator, Y, *, strength=0.5):
    """The round trip of y + τ w, in what it does not see against y − w/τ."""
    A, group, noise = estimator.operator_, estimator.group_, estimator.noise_
    elements, draws = torch.Generator(), torch.Generator()
    elements.manual_seed(0)
    draws.manual_seed(1)
    total = norm = 0.0
    for batch in tensors(estimator, Y):
        part, y = part_of(A, batch)
        g = group.sample(elements, 1, N_TRANSFORMS)
        copies = y.expand(N_TRANSFORMS, *y.shape[1:])
        given, other = noise.recorrupt(copies, draws, strength)
        given, other = part.only_measured(given), part.only_measured(other)
        f = estimator.reconstruct_tensors
        trip = Trip(f, part, group, g, noise=noise, generator=draws)
        _, second = trip(given)
        total += float(trip.unseen(second - other).square().sum())
        norm += N_TRANSFORMS * float(part.pinv(y).square().sum())
    return -total / norm


SCORERS = {
    "round trip": uncorrected,
    "round trip, all": partial(uncorrected, only_unseen=False),
    "seen, and corrected, noisy again": round_trip_score,
    "all, corrected, noisy again": partial(round_trip_score, only_unseen=False),
    "recorrupted": recorrupted,
    "held out": partial(held_out_score, round_trip=False),
    "held out, round trip": held_out_score,
    "equivariance": equivariance_score,
}
# Sums of parts of Stein's estimate.
SUMS = {
    "corrected": ["unseen"],
    "corrected, noisy again": ["unseen, noisy again"],
    "seen": ["seen"],
    "seen, and corrected": ["seen", "unseen"],
}


def simulate(name, seed, options):
    """Return the operator, images, measurements and what is said of their noise."""
    kind, share = PROBLEMS[name]
    size = options.size
    if kind == "ct":
        images = np.load(options.ct)["images"][:90] / np.float32(65535)
        images = block_means(images, size).astype(np.float32)
        operator = ParallelBeamCT(options.views, images.shape[1:])
    else:
        colour = np.load(options.grey)["images"][:90] / np.float32(255)
        grey = block_means(colour @ np.float32([0.299, 0.587, 0.114]), 2 * size)
        images = grey[:, size // 2 :, size // 2 :][:, :size, :size].astype(np.float32)
        operator = Inpainting(0.3, image_shape=images.shape[1:])
    Y = operator.measure(images)
    measured = np.abs(Y).max(axis=0) > 0
    sigma = float(share * np.abs(Y).max())
    draws = np.random.default_rng(seed).normal(0, sigma, Y.shape)
    Y = Y + measured * draws.astype(np.float32)
    return operator, images, Y, "auto" if kind == "ct" else GaussianNoise(sigma)


def fitted(name, seed, alpha, problem, options):
    """Return a trained estimator, from --models where it is kept there."""
    operator, _, Y, noise = problem
    key = "".join(c if c.isalnum() else "_" for c in f"{name} {seed} {alpha:g}")
    path = options.models and Path(options.models) / f"{key}.safetensors"
    if path and path.exists():
        return load(path)
    estimator = EquivariantReconstructor(
        operator,
        alpha=alpha,
        noise=noise,
        max_epochs=options.epochs,
        random_state=seed,
    ).fit(Y[TRAIN])
    if path:
        path.parent.mkdir(parents=True, exist_ok=True)
        save(estimator, path)
    return estimator


def run(name, seed, options):
    """Train and score every α of one problem, skipping what is there."""
    problem = simulate(name, seed, options)
    _, images, Y, _ = problem
    for alpha in options.alphas:
        key = f"{name} | {seed} | {alpha:g}"
        row = _record.read(options.name).get("runs", {}).get(key, {})
        missing = [s for s in SCORERS if s not in row.get("scores", {})]
        if not missing and ("psnr" in row or not options.report):
            continue
        start = time.process_time()
        estimator = fitted(name, seed, alpha, problem, options)
        row["noise"] = str(estimator.noise_)
        row["psnr_choose"] = float(estimator.score(Y[CHOOSE], images[CHOOSE]))
        if options.report:
            row["psnr"] = float(estimator.score(Y[REPORT], images[REPORT]))
        scores = row.setdefault("scores", {})
        for scorer in missing:
            scores[scorer] = float(SCORERS[scorer](estimator, Y[CHOOSE]))
        if not set(SUMS) <= set(scores):
            found = parts(estimator, Y[CHOOSE])
            for scorer, names in SUMS.items():
                scores[scorer] = sum(found[name] for name in names)
        result = _record.read(options.name)
        result |= {"machine": _record.machine(), "epochs": options.epochs}
        result.setdefault("runs", {})[key] = row
        _record.write(options.name, result)
        seconds = time.process_time() - start
        print(f"{key}: {row['psnr_choose']:.2f} dB, {seconds:.0f} s", flush=True)


def summary(runs, truth):
    """Return what every score chose, a row for each problem and score."""
    table = {}
    cases = dict.fromkeys(tuple(key.split(" | ")[:2]) for key in runs)
    for name, seed in cases:
        start = f"{name} | {seed} | "
        rows = [
            (key.removeprefix(start), row)
            for key, row in runs.items()
            if key.startswith(start)
        ]
        if any(truth not in row for _, row in rows):
            continue
        psnrs = np.array([row[truth] for _, row in rows])
        columns = {s: [row["scores"][s] for _, row in rows] for s in [*SCORERS, *SUMS]}
        columns["PSNR of [70:80]"] = [row["psnr_choose"] for _, row in rows]
        for scorer, column in columns.items():
            chosen = int(np.argmax(column))
            table.setdefault(f"{name} | {scorer}", {})[seed] = {
                "alpha": float(rows[chosen][0]),
                "dB_below_best": float(psnrs.max() - psnrs[chosen]),
                "spearman": spearman(column, psnrs),
            }
    return table


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("ct")
    parser.add_argument("grey")
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--views", type=int, default=30)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--problems", nargs="*", choices=PROBLEMS, default=[*PROBLEMS])
    parser.add_argument("--seeds", nargs="*", type=int, default=[0, 1])
    alphas = [0, 1, 10, 100, 1000]
    parser.add_argument("--alphas", nargs="*", type=float, default=alphas)
    parser.add_argument("--models", help="folder that keeps trained estimators")
    parser.add_argument("--report", action="store_true", help="look at [80:90]")
    parser.add_argument("--name", default=NAME, help="of the file in results/")
    options = parser.parse_args()
    torch.set_num_threads(1)
    for seed in options.seeds:
        for name in options.problems:
            run(name, seed, options)
    result = _record.read(options.name)
    for truth in ("psnr_choose", "psnr"):
        result[f"summary, {truth}"] = table = summary(result["runs"], truth)
        print(f"\n{truth}: α, dB below the best, ρ")
        for key, row in table.items():
            cells = [
                f"{r['alpha']:g}, {r['dB_below_best']:.2f}, {r['spearman']:.2f}"
                for r in row.values()
            ]
            print("|", " | ".join([*key.split(" | "), *cells]), "|")
    _record.write(options.name, result)


if __name__ == "__main__":
    main()
