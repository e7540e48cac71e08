"""Real measurements: every method, from the instrument's files to images.

    python -m benchmarks.real all --data FOLDER
    python -m benchmarks.real file my_scan.h5 --bin 4 --keep-every 6
    python -m benchmarks.real 2detect --data FOLDER_OF_SLICES

FOLDER holds the files of benchmarks/real/_scans.py, itself or in ``real/``; scans that
are not there are left out. A cell is one method on one scan with one seed; it is kept
in --out as JSON and not run again, unless data or parameters have changed (a changed
library is not noticed: take another --out). A command that was killed goes on when it
is given again. Pictures are drawn at the end.
"""

import argparse
import sys
from pathlib import Path


def parser():
    main = argparse.ArgumentParser(
        prog="python -m benchmarks.real",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    shared = argparse.ArgumentParser(add_help=False)
    add = shared.add_argument
    add("--out", type=Path, default=Path("real_runs"), help="(real_runs)")
    add("--methods", nargs="+", help="names of rows of _methods.py (all)")
    add("--seeds", type=int, default=3, help="of methods that have one (3)")
    add("--threads", type=int, default=1, help="of torch (1)")
    commands = main.add_subparsers(dest="command", required=True)
    for name in ("all", "tooth", "dls", "htc", "brain"):
        sub = commands.add_parser(name, parents=[shared])
        sub.add_argument("--data", type=Path, required=True, metavar="FOLDER")
    of_volume = commands.add_parser(
        "volume", parents=[shared], help="all 105 rows of DLS: the time it takes"
    )
    of_volume.add_argument("--data", type=Path, required=True, metavar="FOLDER")
    own = commands.add_parser("file", parents=[shared], help="a scan of your own")
    two = commands.add_parser(
        "2detect",
        parents=[shared],
        help="2DeteCT: supervised, Sparse2Inverse, robust EI, Equivariance2Inverse, …",
    )
    from . import _file, _two_detect

    _file.add_arguments(own)
    _two_detect.add_arguments(two)
    report = commands.add_parser("report", help="write doc/real_results.md")
    report.add_argument(
        "--collect",
        type=Path,
        metavar="OUT",
        help="take the results of an output folder into benchmarks/results/real first",
    )
    return main


def main(arguments=None):
    options = parser().parse_args(arguments)
    from . import _report

    if options.command == "report":
        if options.collect:
            _report.collect(options.collect)
        print(_report.write_page())
        return 0
    import torch

    from . import _methods, _two_detect

    torch.set_num_threads(options.threads)
    known = _methods.METHODS
    if options.command == "2detect":
        known = _two_detect.methods(options.epochs)
    unknown = sorted(set(options.methods or ()) - set(known))
    if unknown:
        raise SystemExit(
            f"Got --methods {', '.join(unknown)}, but expected some of "
            f"{', '.join(known)}."
        )
    methods = {name: known[name] for name in options.methods or known}
    if options.command == "volume":
        return _volume(options)
    if options.command == "file":
        from ._file import from_file

        scans = [from_file(options)]
    elif options.command == "2detect":
        scans = [_two_detect.from_2detect(options)]
    else:
        scans = _scans_of(options)
    cells = []
    for scan in scans:
        cells += run_scan(scan, methods, options)
    names = list(dict.fromkeys(cell["scan"] for cell in cells))
    print(_report.table(cells, _report.quality, names, known))
    return 0


def run_scan(scan, methods, options):
    """Run the cells of a scan, one method after the other, and draw its picture."""
    from ._cells import run_cell
    from ._pictures import draw

    print(f"{scan.title}: {scan.setup}", flush=True)
    cells = [
        run_cell(scan, name, method, seed, options.out)
        for name, method in methods.items()
        for seed in range(options.seeds if method.has_seed else 1)
    ]
    if any("skipped" not in cell for cell in cells):
        print(draw(scan, cells, options.out))
    return cells


def _scans_of(options):
    from ._scans import FILES, find, load

    names = list(FILES) if options.command == "all" else [options.command]
    for name in names:
        if find(options.data, name) is None:
            print(f"{name}: left out, no {FILES[name]} in {options.data}")
            continue
        yield load(options.data, name)


def _volume(options):
    from ._scans import FILES, find, load
    from ._volume import volume

    if find(options.data, "dls") is None:
        raise SystemExit(f"Got --data {options.data}, but there is no {FILES['dls']}.")
    scan = load(options.data, "dls", all_rows=True)
    print(volume(scan, options.out, seed=0))
    return 0


if __name__ == "__main__":
    sys.exit(main())
