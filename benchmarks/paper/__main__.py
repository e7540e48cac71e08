"""The paper's tables and figures, one subcommand each.

    python -m benchmarks.paper table1 ct --data ct100_train_128.npz

Data are images: an .npz, .npy or .mat file or a folder of PNG, JPEG or TIFF; without
--data they are downloaded from where the paper's authors publish them. Subcommands
share their trainings, which are kept in --out; one that was killed goes on when the
same command is given again. A run that is there is not repeated.
"""

import argparse
import os
import sys
from pathlib import Path

SINGLE = {"table1": "1", "table2": "2: the weight α"}
HELP = {
    "figure1": "one image of both problems",
    "figure3": "1-D toy: with and without shift invariance (minutes)",
    "figure4": "CT images",
    "figure5": "CT: PSNR against the epoch",
    "figure6": "inpainted images",
    "figure8": "inpainting: PSNR against the epoch",
    "figure9": "more CT images",
    "figure10": "more inpainted images",
    "figure11": "CT: deep image prior",
    "figure12": "inpainting: deep image prior",
    "no_inverse_crime": "noisy sinograms of finer images, by another projector",
}


def parser():
    main = argparse.ArgumentParser(
        prog="python -m benchmarks.paper",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    shared = argparse.ArgumentParser(add_help=False)
    add = shared.add_argument
    add(
        "--data",
        action="append",
        default=[],
        metavar="[PROBLEM=]PATH",
        help="file or folder; with ct=, inpainting= or ct-fine= where a command needs "
        "several",
    )
    add("--data-home", help="folder of downloads, as in scikit-learn")
    add("--out", type=Path, default=Path("paper_runs"), help="(paper_runs)")
    add(
        "--preset",
        choices=("default", "plain", "paper"),
        default="default",
        help="default: nothing is set; plain: one network without data "
        "consistency, of our width; paper: the paper's network and schedule (default)",
    )
    add("--epochs", type=_positive, help="in place of the preset's")
    add("--effort", type=float, default=1.0, help="times the preset's epochs (1)")
    add("--iterations", type=_positive, help="of the deep image prior")
    add("--images", type=_positive, default=2, help="for figures 11 and 12 (2)")
    add("--n-train", type=_positive, default=80, help="images to train on (80)")
    add("--n-test", type=_positive, default=10, help="images after them to report (10)")
    add("--size", type=_positive, help="pixels a side, for images from a folder")
    add("--noise", type=float, default=0.005, help="of no_inverse_crime (0.005)")
    add("--seed", type=int, default=0, help="(0)")
    add("--threads", type=_positive, default=1, help="of each training (1)")
    add("--jobs", type=_positive, help="trainings side by side (as cores allow)")
    add("--device", default="auto", help="(auto)")
    commands = main.add_subparsers(dest="command", required=True)
    for name, title in SINGLE.items():
        sub = commands.add_parser(name, parents=[shared], help=f"table {title}")
        sub.add_argument("problem", choices=("ct", "inpainting"))
    for name, title in HELP.items():
        commands.add_parser(name, parents=[shared], help=title)
    everything = commands.add_parser("all", parents=[shared], help="all of a problem")
    everything.add_argument("problem", choices=("ct", "inpainting"))
    report = commands.add_parser("report", help="write doc/results.md")
    report.add_argument(
        "--collect",
        type=Path,
        metavar="OUT",
        help="take the results of an output folder into benchmarks/results/paper first",
    )
    return main


def _positive(text):
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"got {text}, but expected 1 or more")
    return number


def make_settings(options):
    from ._settings import PROBLEMS, Settings, default_jobs

    data = []
    for item in options.data:
        name, equals, path = item.partition("=")
        known = equals and name in PROBLEMS
        data.append((name, path) if known else (None, item))
    for _, path in data:
        if not Path(path).exists():
            raise SystemExit(f"Got --data {path}, but there is no such file or folder.")
    if options.effort <= 0 or options.noise < 0:
        raise SystemExit("Expected --effort above 0 and --noise of 0 or more.")
    options.out.mkdir(parents=True, exist_ok=True)
    return Settings(
        out=options.out,
        preset=options.preset,
        data=tuple(data),
        data_home=options.data_home,
        size=options.size,
        n_train=options.n_train,
        n_test=options.n_test,
        epochs=options.epochs,
        effort=options.effort,
        iterations=options.iterations,
        noise=options.noise,
        seed=options.seed,
        threads=options.threads,
        device=options.device,
        jobs=options.jobs or default_jobs(options.threads),
    )


def main(arguments=None):
    options = parser().parse_args(arguments)
    if options.command == "report":
        from . import _report

        return _report.report(options.collect)
    if options.threads == 1:
        # Before anything starts threads of its own; processes inherit it.
        os.environ.setdefault("OMP_NUM_THREADS", "1")
    settings = make_settings(options)
    commands = [options.command]
    if options.command == "all":
        ct = ("table1", "figure4", "figure5", "figure9", "table2", "figure11")
        inpainting = ("table1", "figure6", "figure8", "figure10", "table2", "figure12")
        commands = ct if options.problem == "ct" else inpainting
    for command in commands:
        dispatch(command, options, settings)
    return 0


def dispatch(command, options, settings):
    from . import _figures, _tables, _toy

    if command in SINGLE:
        getattr(_tables, command)(options.problem, settings)
    elif command == "no_inverse_crime":
        _tables.no_inverse_crime(settings)
    elif command == "figure1":
        _figures.figure1(settings)
    elif command == "figure3":
        _toy.figure3(settings)
    elif command in _figures.CURVES:
        _figures.curves(command, settings)
    elif command in _figures.DIP:
        _figures.dip(command, settings, options.images)
    else:
        _figures.panels(command, settings)


if __name__ == "__main__":
    sys.exit(main())
