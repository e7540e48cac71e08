"""What does EquivariantReconstructorCV cost, in fits with the α that it chooses?

    python benchmarks/alpha_path.py ct100_train_128.npz urban100_train_256.npz

The estimator's own network and five α, on two problems of alpha_study.py: trained
on [:70], PSNR of [80:90]. Processor time of the path, of one fit with the α chosen,
and the quality of both, go to results/alpha_path.json.
"""

import argparse
import time

import _record
import torch
from alpha_study import PROBLEMS, REPORT, TRAIN, simulate

from sklearn_ei import EquivariantReconstructor, EquivariantReconstructorCV

NAME = "alpha_path"
SMOKE = ["{ct64}", "{urban128}", "--problems", "compressed_sensing", "--epochs", "1"]
SMOKE_SLOW = True


def measure(name, noise, options):
    """Return the processor time and quality of a path and of one fit."""
    problem = PROBLEMS[name]
    images, Y = simulate(problem, noise == "noisy", options.seed, options)
    settings = {"max_epochs": options.epochs, "random_state": options.seed}
    wanted = problem.operator, problem.group
    path = EquivariantReconstructorCV(*wanted, **settings)
    row = {"path": timed_fit(path, images, Y)}
    single = EquivariantReconstructor(*wanted, path.alpha_, **settings)
    row["fit"] = timed_fit(single, images, Y)
    return {
        "alphas": path.alphas_.tolist(),
        "scores": path.scores_[:, 0].tolist(),
        "alpha": path.alpha_,
        **row,
        "cost_in_fits": row["path"]["seconds"] / row["fit"]["seconds"],
        "dB_above_the_fit": row["path"]["psnr"] - row["fit"]["psnr"],
    }


def timed_fit(estimator, images, Y):
    start = time.process_time()
    estimator.fit(Y[TRAIN])
    seconds = time.process_time() - start
    return {"seconds": seconds, "psnr": estimator.score(Y[REPORT], images[REPORT])}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("ct")
    parser.add_argument("grey")
    parser.add_argument("--problems", nargs="*", default=["ct", "inpainting"])
    parser.add_argument("--noise", nargs="*", default=["clean"])
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)

    result = _record.read(NAME)
    result.update(machine=_record.machine())
    for name in options.problems:
        for noise in options.noise:
            row = measure(name, noise, options)
            key = f"{name} | {noise} | {options.epochs} epochs | {options.seed}"
            result.setdefault("runs", {})[key] = row
            _record.write(NAME, result)
            print(
                f"{key}: α = {row['alpha']:.3g}, {row['cost_in_fits']:.2f} fits, "
                f"{row['path']['psnr']:.2f} dB ({row['dB_above_the_fit']:+.3f})",
                flush=True,
            )


if __name__ == "__main__":
    main()
