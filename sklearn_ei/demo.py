"""The main job from the command line: ``python -m sklearn_ei.demo``.

Trains on sinograms without ground truth and shows what was won over filtered
back-projection, on made chest slices or on the user's own data.
"""

import argparse
import os
import sys
import time
from pathlib import Path

# Read when torch is loaded. Threads that wait for each other sleep then; by themselves
# they spin, which holds up whatever else the cores have to do, themselves included.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
import torch
from sklearn.base import clone

from .datasets import make_thorax_phantoms
from .groups import Rotations
from .metrics import psnr, ssim
from .operators import ParallelBeamCT
from .reconstruction import EquivariantReconstructor, PseudoInverseReconstructor
from .utils.threads import choose_n_threads


def main(arguments=None):
    """Run the demo; see ``python -m sklearn_ei.demo --help``."""
    options = _parse(arguments)
    try:
        _run(options)
    except (TypeError, ValueError) as error:  # refused input, in a sentence
        raise SystemExit(str(error)) from error


def _run(options):
    if options.threads is not None and options.threads < 1:
        raise ValueError(f"Got --threads {options.threads}, but expected at least 1.")
    Y, images = _load(options)
    if len(Y) < 2:
        raise SystemExit(f"Got {len(Y)} sinogram, but expected at least 2.")
    operator = ParallelBeamCT(
        n_views=Y.shape[1], image_shape=None if images is None else images.shape[1:]
    )
    n_test = max(1, len(Y) // 8)
    train, test = slice(None, -n_test), slice(-n_test, None)
    print(
        f"{len(Y) - n_test} sinograms of {Y.shape[1]} views x {Y.shape[2]} bins to "
        f"train on, {n_test} to test on.",
        flush=True,
    )
    methods = _methods(operator, options, supervised=images is not None)
    results = {}
    most_threads = torch.get_num_threads()
    for name, estimator in methods.items():
        torch.set_num_threads(options.threads or choose_n_threads(most_threads))
        start = time.perf_counter()
        _show_progress(estimator, name)
        truth = images[train] if name == "supervised" else None
        estimator.fit(Y[train], truth)
        results[name] = estimator.predict(Y[test]), time.perf_counter() - start
    _print_table(results, methods, Y[test], None if images is None else images[test])
    _plot(results, None if images is None else images[test], options.output)
    print(f"\nFigure: {options.output}", flush=True)


def _parse(arguments):
    parser = argparse.ArgumentParser(
        prog="python -m sklearn_ei.demo", description=__doc__.split("\n\n")[1]
    )
    data = parser.add_mutually_exclusive_group()
    data.add_argument(
        "--sinograms",
        type=Path,
        metavar="FILE",
        help="your own sinograms, .npy or .npz, (n_samples, n_views, n_bins), of views "
        "spread evenly over 180 degrees",
    )
    data.add_argument(
        "--images",
        type=Path,
        metavar="FILE",
        help="your own images, .npy or .npz, (n_samples, H, W), measured in silico",
    )
    parser.add_argument("--views", type=int, default=50, help="views to simulate (50)")
    parser.add_argument("--samples", type=int, default=40, help="slices to make (40)")
    parser.add_argument("--size", type=int, default=128, help="pixels a side (128)")
    parser.add_argument("--epochs", type=int, default=8, help="epochs each (8)")
    parser.add_argument("--seed", type=int, default=0, help="random seed (0)")
    parser.add_argument(
        "--threads", type=int, help="threads to compute with (one for each idle core)"
    )
    parser.add_argument(
        "--output", type=Path, default=Path("demo.png"), help="figure (demo.png)"
    )
    return parser.parse_args(arguments)


def _load(options):
    """Return sinograms, and the images behind them or None."""
    if options.sinograms is not None:
        return _read_stack(options.sinograms), None
    operator = ParallelBeamCT(options.views)
    if options.images is not None:
        images = _read_stack(options.images).astype(np.float32)
        # Whatever is in their corners is measured, too.
        operator.set_params(image_shape=images.shape[1:])
    else:
        size = (options.size, options.size)
        images = make_thorax_phantoms(options.samples, size, random_state=options.seed)
    return operator.measure(images), images


def _read_stack(path):
    try:
        stack = np.load(path, allow_pickle=False)
        if not isinstance(stack, np.ndarray):  # .npz: the first array in it
            stack = stack[stack.files[0]]
    except (OSError, ValueError) as error:
        raise SystemExit(f"Cannot read {path}: {str(error).rstrip('.')}.") from None
    if stack.ndim != 3:
        raise SystemExit(
            f"{path} has an array of shape {stack.shape}, but expected a stack with "
            "three axes."
        )
    return stack


def _methods(operator, options, supervised):
    ei = EquivariantReconstructor(
        operator,
        Rotations(360),
        max_epochs=options.epochs,
        random_state=options.seed,
    )
    methods = {
        "A†y (FBP)": PseudoInverseReconstructor(operator),
        "measurement consistency": clone(ei).set_params(alpha=0),
        "equivariant imaging": ei,
    }
    if supervised:
        methods["supervised"] = clone(ei).set_params(data_term="supervised", alpha=0)
    return methods


def _show_progress(estimator, name):
    """Show a progress bar on a terminal, and a line an epoch in files and pipes."""
    if not hasattr(estimator, "max_epochs"):
        return
    n_threads, n_cores = torch.get_num_threads(), os.cpu_count()
    print(f"Training: {name} (threads: {n_threads}, cores: {n_cores})", flush=True)
    if sys.stdout.isatty():  # elsewhere rich is silent until a bar is complete
        try:
            from sklearn.callback import ProgressBar

            estimator.set_callbacks(ProgressBar())
            return
        except ImportError:  # scikit-learn < 1.9, or no rich
            pass
    estimator.set_params(verbose=1)


def _print_table(results, methods, Y, images):
    columns = ["PSNR (dB)", "SSIM"] if images is not None else ["score without truth"]
    print(f"\n{'':26}" + "".join(f"{c:>20}" for c in [*columns, "time (s)"]))
    for name, (reconstructed, seconds) in results.items():
        if images is not None:
            values = [
                f"{psnr(images, reconstructed):.2f}",
                f"{ssim(images, reconstructed):.4f}",
            ]
        else:
            # Only scores with the same group can be compared.
            learned = hasattr(methods[name], "group")
            values = [f"{methods[name].score(Y):.6f}" if learned else "-"]
        print(f"{name:26}" + "".join(f"{v:>20}" for v in [*values, f"{seconds:.0f}"]))


def _plot(results, images, path):
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    panels = {name: stack[0] for name, (stack, _) in results.items()}
    if images is not None:
        panels["truth"] = images[0]
    reference = panels.get("truth", panels["equivariant imaging"])
    low, high = np.percentile(reference, [0.5, 99.8])
    rows = 3 if images is not None else 2
    figure, axes = plt.subplots(
        rows, len(panels), figsize=(3.1 * len(panels), 3.2 * rows), squeeze=False
    )
    height, width = reference.shape
    zoom = np.s_[
        int(0.3 * height) : int(0.7 * height), int(0.1 * width) : int(0.5 * width)
    ]
    for column, (name, image) in zip(axes.T, panels.items(), strict=True):
        title = name
        if images is not None and name != "truth":
            title += f"\n{psnr(images[:1], image[None]):.1f} dB"
            limit = 0.15 * (high - low)
            error = np.abs(image - images[0])
            column[2].imshow(error, cmap="magma", vmin=0, vmax=limit)
        column[0].imshow(image, cmap="gray", vmin=low, vmax=high)
        column[1].imshow(image[zoom], cmap="gray", vmin=low, vmax=high)
        column[0].set_title(title)
        for axis in column:
            axis.set(xticks=[], yticks=[])
    axes[0, 0].set_ylabel("reconstruction")
    axes[1, 0].set_ylabel("detail")
    if images is not None:
        axes[2, 0].set_ylabel("absolute error")
        axes[2, -1].set_visible(False)
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    plt.close(figure)


if __name__ == "__main__":
    main()
