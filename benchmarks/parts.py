"""Measurements in parts: holes, several operators, splits, correlated noise.

    python benchmarks/parts.py PROBLEM … --ct ct100_train_128.npz \\
        --urban urban100_train_256.npz --seconds 240
    python benchmarks/parts.py --table

The files hold an array `images`: CT100 slices (90, 128, 128), uint16, and Urban100
crops (90, 256, 256, 3), uint8. Slices are averaged over blocks to `--size` pixels a
side, photographs cropped in the middle. `[:80]` to train, `[80:]` to report, both from
measurements of their own; nothing was tuned on `[80:]`. Seeds are those of masks, noise
and phases as well as of the training.

Every learned method gets as much processor time: the first fit of one epoch warms up, a
second one is timed, and `--seconds` divided by that is the number of epochs. Both are
recorded, with the time that the fit then took. Predictions are not part of it.

Each problem, method and seed is a file of results/parts; what is there is not run
again. `--table` writes results/parts.json and results/parts.md from them.
"""

import argparse
import json
import re
import time

import _record
import numpy as np
import torch
from _parts_problems import N_TRAIN, OF_PHOTOGRAPHS, PROBLEMS
from sklearn.base import clone

from sklearn_ei.metrics import ssim

SMOKE = ["noise", "--ct", "{ct16}", "--size", "16", "--epochs", "1", "--seeds", "0"]
SMOKE += ["--only", "A†y", "EI with SURE", "MC", "total variation", "--table"]
SMOKE_SLOW = True


def load(path, size, *, photographs):
    """Return images of so many pixels a side, from 0 to 1."""
    images = np.load(path)["images"]
    images = images / np.float32(np.iinfo(images.dtype).max)
    if images.shape[1] < size or (not photographs and images.shape[1] % size):
        raise ValueError(
            f"Got --size {size} for images of {images.shape[1]} pixels a side, but "
            "expected a divisor of that, or no more for photographs."
        )
    if photographs:
        start = (images.shape[1] - size) // 2
        return images[:, start : start + size, start : start + size]
    step = images.shape[1] // size
    return images.reshape(len(images), size, step, size, step).mean((2, 4))


def psnr_of(truth, found):
    """Return the PSNR of each image; the peak of complex ones is their magnitude's."""
    axes = tuple(range(1, truth.ndim))
    error = np.square(np.abs(truth - found)).mean(axes)
    return 10 * np.log10(np.abs(truth).max(axes) ** 2 / error)


def timed(function, *args):
    """Return processor seconds, and what was returned."""
    start = time.process_time()
    result = function(*args)
    return time.process_time() - start, result


def fit(estimator, Y, truth, options):
    """Fit within the time that there is; return what is to be recorded of it."""
    if not hasattr(estimator, "max_epochs"):
        seconds, _ = timed(estimator.fit, Y)
        return {"fit_seconds": seconds}
    n_epochs, of_one = options.epochs, None
    if n_epochs is None:
        for _ in range(2):
            short = clone(estimator).set_params(max_epochs=1)
            of_one, _ = timed(short.fit, Y, truth)
        n_epochs = max(1, round(options.seconds / of_one))
    seconds, _ = timed(estimator.set_params(max_epochs=n_epochs).fit, Y, truth)
    return {"fit_seconds": seconds, "epochs": n_epochs, "seconds_of_one_epoch": of_one}


def slug(text):
    """Return a name for a file."""
    return re.sub("[^a-z0-9]+", "-", text.lower().replace("†", "pinv-")).strip("-")


def run(name, method, seed, problem, options):
    """Train and report one method, unless that has been done."""
    cell = f"parts/{name}-{options.size}/{slug(method)}-{seed}"
    if _record.read(cell):
        return
    estimator, which, has_truth = problem.methods[method]
    Y, images = problem.Y[which], problem.images[which]
    estimator = clone(estimator)
    if hasattr(estimator, "random_state"):
        estimator.set_params(random_state=seed)
    truth = images[:N_TRAIN] if has_truth else None
    result = fit(estimator, Y[:N_TRAIN], truth, options)
    result["predict_seconds"], found = timed(estimator.predict, Y[N_TRAIN:])
    shown, told = images[N_TRAIN:], found
    each = psnr_of(shown, told)
    if np.iscomplexobj(shown):  # SSIM is of magnitudes
        shown, told = np.abs(shown), np.abs(told)
    result = {
        "problem": name,
        "method": method,
        "seed": seed,
        "size": options.size,
        "seconds": None if options.epochs else options.seconds,
        "psnr": float(each.mean()),
        "ssim": float(ssim(shown, told, channel_axis=-1 if shown.ndim == 4 else None)),
        **result,
        "alpha": getattr(estimator, "alpha_", None),
        "psnr_per_image": [round(float(value), 3) for value in each],
        "machine": _record.machine(),
    }
    if not options.no_record:
        (_record.RESULTS / cell).parent.mkdir(parents=True, exist_ok=True)
        _record.write(cell, result)
    print(
        f"{name}, {method}, seed {seed}: {result['psnr']:.2f} dB, "
        f"{result.get('epochs', '–')} epochs, {result['fit_seconds']:.0f} s",
        flush=True,
    )


def table():
    """Write all cells as one JSON file and one table."""
    cells = [
        json.loads(path.read_text())
        for path in sorted((_record.RESULTS / "parts").rglob("*.json"))
    ]
    rows, lines = [], []
    for name in PROBLEMS:
        for size in sorted({c["size"] for c in cells if c["problem"] == name}):
            of_problem = [c for c in cells if (c["problem"], c["size"]) == (name, size)]
            title = (PROBLEMS[name].__doc__ or "").splitlines()[0].rstrip(".")
            lines += ["", f"**{title}** ({name}, {size} × {size})", ""]
            lines += ["| | PSNR (dB) | SSIM | seeds | epochs | CPU (s) |"]
            lines += ["| --- " * 6 + "|"]
            methods = dict.fromkeys(c["method"] for c in of_problem)
            found = [_row(of_problem, name, size, method) for method in methods]
            found.sort(key=lambda row: row["psnr"])
            rows += found
            lines += [_line(row) for row in found]
    text = "\n".join(lines).strip() + "\n"
    print(text)
    _record.write("parts", {"rows": rows, "machine": _record.machine()})
    (_record.RESULTS / "parts.md").write_text(text, encoding="utf-8")


def _row(cells, problem, size, method):
    own = [cell for cell in cells if cell["method"] == method]
    values = [cell["psnr"] for cell in own]
    return {
        "problem": problem,
        "size": size,
        "method": method,
        "psnr": float(np.mean(values)),
        "psnr_spread": float(np.std(values, ddof=1)) if len(values) > 1 else None,
        "ssim": float(np.mean([cell["ssim"] for cell in own])),
        "seeds": sorted(cell["seed"] for cell in own),
        "epochs": sorted({cell["epochs"] for cell in own if "epochs" in cell}),
        "fit_seconds": float(np.mean([cell["fit_seconds"] for cell in own])),
    }


def _line(row):
    spread = "" if row["psnr_spread"] is None else f" ± {row['psnr_spread']:.2f}"
    seeds, epochs = (
        ", ".join(map(str, row[key])) or "–" for key in ("seeds", "epochs")
    )
    quality = f"{row['psnr']:.2f}{spread} | {row['ssim']:.4f}"
    cost = f"{epochs} | {row['fit_seconds']:.0f}"
    return f"| {row['method']} | {quality} | {seeds} | {cost} |"


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("problems", nargs="*", metavar="PROBLEM", help=str([*PROBLEMS]))
    parser.add_argument("--ct", help="file of CT slices")
    parser.add_argument("--urban", help="file of photographs")
    parser.add_argument("--size", type=int, default=128, help="pixels a side")
    parser.add_argument("--seconds", type=float, default=240.0, help="of a training")
    parser.add_argument("--epochs", type=int, help="in place of --seconds")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--only", nargs="+", help="methods")
    parser.add_argument("--table", action="store_true", help="at the end")
    parser.add_argument("--no-record", action="store_true")
    options = parser.parse_args()
    if unknown := set(options.problems) - PROBLEMS.keys():
        parser.error(f"unknown problems {unknown}; expected {[*PROBLEMS]}")
    torch.set_num_threads(1)
    # Seed by seed, so that what is interrupted has compared all methods.
    for seed in options.seeds:
        for name in options.problems:
            photographs = name in OF_PHOTOGRAPHS
            path = options.urban if photographs else options.ct
            if path is None:
                parser.error(f"{name} needs {'--urban' if photographs else '--ct'}")
            images = load(path, options.size, photographs=photographs)
            problem = PROBLEMS[name](images, seed)
            for method in options.only or problem.methods:
                if method in problem.methods:
                    run(name, method, seed, problem, options)
    if options.table:
        table()


if __name__ == "__main__":
    main()
