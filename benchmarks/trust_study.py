"""Do error maps and intervals say what they promise?

    python benchmarks/trust_study.py CT.npz URBAN.npz --models DIR

The networks are those of alpha_study.py (trained on [:70], kept in `--models`, or
trained anew), with the α that the round trip chooses on [70:80]. Intervals at 90 % are
calibrated on [70:80] with their truth; all figures are those of [80:90]. Pixels that
the instrument measures one by one and without noise are known, and are left out of
the shares; rank correlations are over all pixels, and over those that are not measured
by themselves. Results go to results/trust_study.json.
"""

import argparse

import _record
import numpy as np
import torch
from alpha_study import CHOOSE, PROBLEMS, REPORT, fitted, simulate
from scipy.stats import spearmanr

from sklearn_ei import ConformalReconstructor
from sklearn_ei.model_selection import round_trip_score

NAME = "trust_study"
SMOKE = ["{ct64}", "{urban128}", "--problems", "compressed_sensing"]
SMOKE += ["--noise", "noisy", "--effort", "0.01"]
SMOKE_SLOW = True
LEVEL = 0.9


def measured_pixels(problem, images):
    """Return where the measurements are pixels of the image, for inpainting."""
    if problem.data != "grey":
        return np.zeros(images.shape[1:], dtype=bool)
    return problem.operator.measure(np.ones_like(images[:1]))[0] > 0


def shares(inside, counted):
    """Return the share of pixels inside: all together, and of single images."""
    each = np.array([image[counted].mean() for image in inside])
    return {"mean": float(each.mean()), "images": each.tolist()}


def rank_correlation(a, b, counted):
    """Return the mean over images of the rank correlation of pixels."""
    pairs = zip(a, b, strict=True)
    return float(np.mean([spearmanr(x[counted], y[counted])[0] for x, y in pairs]))


def study(case, options):
    """Return the figures of one (problem, noise, seed)."""
    name, noisy, seed = case
    problem = PROBLEMS[name]
    images, Y = simulate(problem, noisy == "noisy", seed, options)
    estimators = [fitted(case, a, Y, options)[0] for a in problem.alphas if a > 0]
    best = max(estimators, key=lambda e: round_trip_score(e, Y[CHOOSE]))
    noise = None
    if noisy == "noisy":
        clean = problem.operator.measure(images)
        noise = float(np.std((Y - clean)[clean != 0]))
    conformal = ConformalReconstructor(best, level=LEVEL, noise=noise)
    conformal.fit(Y[CHOOSE], images[CHOOSE])
    truth, measured = images[REPORT], measured_pixels(problem, images)
    everywhere = np.ones_like(measured)
    counted = everywhere if noisy == "noisy" else ~measured

    found, std = best.predict(Y[REPORT], return_std=True, noise=noise)
    row = {
        "alpha": best.alpha_,
        "psnr": best.score(Y[REPORT], truth),
        "rank_correlation": rank_correlation(std, np.abs(found - truth), everywhere),
        "rank_correlation_unmeasured": rank_correlation(
            std, np.abs(found - truth), ~measured
        ),
    }
    for what, (lower, upper) in {
        "uncalibrated": best.predict_interval(Y[REPORT], LEVEL, noise=noise),
        "calibrated": conformal.predict_interval(Y[REPORT]),
    }.items():
        row[what] = shares((lower <= truth) & (truth <= upper), counted)
    fraction = best.null_space_fraction(Y[REPORT])
    row["null_space_fraction_correlation"] = rank_correlation(
        fraction, np.abs(found - truth), everywhere
    )
    return row


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("ct")
    parser.add_argument("grey")
    parser.add_argument("--problems", nargs="*", choices=PROBLEMS, default=[*PROBLEMS])
    parser.add_argument("--noise", nargs="*", default=["clean", "noisy"])
    parser.add_argument("--seeds", nargs="*", type=int, default=[0])
    parser.add_argument("--effort", type=float, default=0.6, help="as in alpha_study")
    parser.add_argument("--models", help="folder that keeps trained estimators")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)

    result = _record.read(NAME)
    result.update(machine=_record.machine(), level=LEVEL, effort=options.effort)
    rows = result.setdefault("rows", {})
    print("| problem | calibrated | uncalibrated | rank correlation | where lost |")
    print("| --- | --- | --- | --- | --- |")
    for seed in options.seeds:
        for name in options.problems:
            for noisy in options.noise:
                key = f"{name} | {noisy} | {seed}"
                rows[key] = row = study((name, noisy, seed), options)
                _record.write(NAME, result)
                print(
                    f"| {key.replace(' | ', ', ')} | {row['calibrated']['mean']:.3f} | "
                    f"{row['uncalibrated']['mean']:.3f} | "
                    f"{row['rank_correlation']:.2f} | "
                    f"{row['rank_correlation_unmeasured']:.2f} |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
