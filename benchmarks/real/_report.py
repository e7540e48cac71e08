"""Tables in Markdown, from recorded cells."""

import json
import re
import shutil
from pathlib import Path
from statistics import mean, stdev

from ._methods import METHODS
from ._scans import LOADERS

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "benchmarks" / "results" / "real"
FIGURES = ROOT / "doc" / "figures"
PAGE = ROOT / "doc" / "real_results.md"
NOT_RUN = "not run"


def read_cells(folder):
    """Return all cells of a folder."""
    return [
        json.loads(path.read_text("utf-8"))
        for path in sorted(Path(folder).glob("*.json"))
        if path.name != "volume.json"
    ]


def collect(out):
    """Copy the cells and pictures of an output folder to where they are committed."""
    cells = sorted((out / "cells").glob("*.json"))
    if not cells:
        raise SystemExit(f"Got --collect {out}, but there are no results in it.")
    RESULTS.mkdir(parents=True, exist_ok=True)
    for path in cells:
        shutil.copyfile(path, RESULTS / path.name)
    FIGURES.mkdir(exist_ok=True)
    for path in sorted((out / "pictures").glob("*.png")):
        shutil.copyfile(path, FIGURES / f"real_{path.name}")


def write_page():
    """Write the tables of the page anew."""
    page = PAGE.read_text("utf-8")
    PAGE.write_text(render(page, read_cells(RESULTS)), "utf-8")
    return PAGE


def render(page, cells):
    """Return a page with the tables between its markers written anew."""
    parts = {
        "quality": lambda: table(cells, quality),
        "time": lambda: table(cells, seconds),
        "found": lambda: table(cells, found),
    }

    def replaced(match):
        name = match[1]
        return f"<!-- begin {name} -->\n{parts[name]()}\n<!-- end {name} -->"

    return re.sub(
        r"<!-- begin (\w+) -->\n.*?<!-- end \1 -->", replaced, page, flags=re.DOTALL
    )


def table(cells, what, scans=None, methods=None):
    """Return a table with a row for each method and a column for each scan.

    Parameters
    ----------
    cells : list of dict
        All seeds; those that were skipped count as not run.
    what : callable
        What stands in a place of the table, of the cells that belong there.
    scans : list of str, default=None
        Columns; None: the four of the benchmark.
    methods : dict, default=None
        Rows; None: those of all scans.
    """
    methods = METHODS if methods is None else methods
    scans = list(LOADERS) if scans is None else scans
    lines = [f"| | {' | '.join(scans)} |", f"| --- |{' --- |' * len(scans)}"]
    for name, method in methods.items():
        row = [
            [
                cell
                for cell in cells
                if (cell["scan"], cell["method"]) == (scan, name)
                and "skipped" not in cell
            ]
            for scan in scans
        ]
        places = [what(chosen) if chosen else NOT_RUN for chosen in row]
        lines.append(f"| {method.title} | {' | '.join(places)} |")
    return "\n".join(lines)


def quality(cells):
    """PSNR in dB, SSIM, held-out error."""
    psnr = _spread([cell["test"]["psnr"] for cell in cells], 2)
    ssim = mean(cell["test"]["ssim"] for cell in cells)
    error = mean(cell["test"]["held_out_error"] for cell in cells)
    return f"{psnr}, {ssim:.3f}, {error:.4f}"


def seconds(cells):
    """Processor time of fit and predict, in seconds."""
    return _spread([cell["cpu_seconds"] for cell in cells], 0)


def found(cells):
    """What a method chose by itself: λ, α, epochs, noise."""
    names = {"regularization": "λ", "alpha": "α", "n_iter": "epochs", "noise": ""}
    cell, parts = cells[0], []
    for name, short in names.items():
        if name in cell:
            value = cell[name]
            text = f"{value:.3g}" if isinstance(value, int | float) else f"`{value}`"
            parts.append(f"{short} {text}".strip())
    return ", ".join(parts) or "–"


def _spread(values, digits):
    text = f"{mean(values):.{digits}f}"
    return text if len(values) < 2 else f"{text} ± {stdev(values):.{digits}f}"
