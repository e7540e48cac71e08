"""doc/results.md, whose tables come from the committed JSON of runs."""

import json
import re
import shutil
from pathlib import Path
from statistics import mean, stdev

from ._recipes import CLASSICAL, DIP, PRESETS, TITLES, Spec
from ._tables import (
    PAPER,
    PAPER_ALPHA,
    crime_specs,
    table1_specs,
)

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "benchmarks" / "results" / "paper"
PAGE = ROOT / "doc" / "results.md"
FIGURES = ROOT / "doc" / "figures"
_NOT_RUN = "not run"


def report(collect=None):
    """Write the tables of the page; with ``collect``, of new results as well."""
    if collect is not None:
        take(collect)
    PAGE.write_text(render(PAGE.read_text("utf-8"), read_runs()), "utf-8")
    print(PAGE)
    return 0


def take(out):
    """Copy the results of an output folder to where they are committed."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    found = [
        *sorted((out / "runs").glob("*.json")),
        *sorted(out.glob("figure3-*.json")),
    ]
    if not found:
        raise SystemExit(f"Got --collect {out}, but there are no results in it.")
    for path in found:
        shutil.copyfile(path, RESULTS / path.name)
    for path in sorted(out.glob("figure*.png")):
        FIGURES.mkdir(exist_ok=True)
        shutil.copyfile(path, FIGURES / path.name)


def read_runs():
    """Return the JSON of all runs that are committed."""
    paths = sorted(RESULTS.glob("*.json"))
    documents = [json.loads(path.read_text("utf-8")) for path in paths]
    return [document for document in documents if "run" in document]


def render(page, runs):
    """Return the page with every part between markers written anew."""
    parts = {
        "table1-ct": lambda: _table1("ct", runs),
        "table1-inpainting": lambda: _table1("inpainting", runs),
        "table2-ct": lambda: _table2("ct", runs),
        "table2-inpainting": lambda: _table2("inpainting", runs),
        "no-inverse-crime": lambda: _crime(runs),
        "gaps": lambda: _gaps(runs),
        "dip": lambda: _dip(runs),
        "figure3": _toy,
        "figures": _figures,
        "runs": lambda: _runs(runs),
    }

    def fill(match):
        name = match.group(1)
        return f"<!-- begin {name} -->\n{parts[name]()}<!-- end {name} -->"

    return re.sub(
        r"<!-- begin ([\w-]+) -->\n.*?<!-- end \1 -->", fill, page, flags=re.DOTALL
    )


# ------------------------------------------------------------------------ choosing
def select(runs, spec, preset):
    """Return one run a seed, with the most epochs, that saw the whole data set."""
    spec = spec.canonical(preset)
    any_preset = spec.strategy in CLASSICAL  # which have nothing to preset
    wanted = (spec.problem, spec.strategy, spec.alpha, None, preset)
    chosen = {}
    for run in runs:
        of = run["run"]
        its = preset if any_preset else of["preset"]
        key = (of["problem"], of["strategy"], of["alpha"], of["sample"], its)
        if key != wanted:
            continue
        before = chosen.get(of["seed"])
        if before is None or before["epochs"] < run["epochs"]:
            chosen[of["seed"]] = run
    return list(chosen.values())


def _cell(runs, measure="psnr", form=".2f"):
    values = [run["test"][measure] for run in runs if measure in run["test"]]
    return _spread(values, form) if values else _NOT_RUN


def _ssim(runs):
    """Return the mean; seeds hardly differ."""
    return f"{mean(run['test']['ssim'] for run in runs):.3f}"


def _spread(values, form):
    """Return a mean, and the standard deviation of several seeds."""
    spread = f" ± {stdev(values):{form}}" if len(values) > 1 else ""
    return f"{mean(values):{form}}{spread}"


def _table(head, rows):
    lines = [f"| {' | '.join(head)} |", f"|{' --- |' * len(head)}"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)]) + "\n"


def _of_paper(value):
    return "–" if value is None else f"{value:.2f}"


# -------------------------------------------------------------------------- tables
def _table1(problem, runs):
    # The paper's colour figures are compared in the paper's convention.
    measures = ["psnr"] if problem == "ct" else ["psnr_of_pixels", "psnr"]
    head = ["", "the paper", *(f"`{preset}`" for preset in PRESETS)]
    rows = []
    for spec in table1_specs(problem):
        cells = []
        for preset in PRESETS:
            found = select(runs, spec, preset)
            if not found:
                cells.append(_NOT_RUN)
                continue
            values = [_cell(found, m) for m in measures]
            extra = f" ({values[1]})" if len(values) > 1 else ""
            cells.append(f"{values[0]}{extra}, {_ssim(found)}")
        paper = PAPER[problem].get(spec.strategy)
        rows.append([spec.title, _of_paper(paper), *cells])
    return _table(head, rows)


def _table2(problem, runs):
    measure = "psnr" if problem == "ct" else "psnr_of_pixels"
    head = ["α", "the paper", *(f"`{preset}`" for preset in PRESETS)]
    rows = []
    for alpha, paper in PAPER_ALPHA[problem].items():
        cells = []
        for preset in PRESETS:
            found = select(runs, Spec(problem, "ei", float(alpha)), preset)
            cells.append(_cell(found, measure))
        rows.append([f"{alpha:g}", _of_paper(paper), *cells])
    cells = []
    for preset in PRESETS:
        found = select(runs, Spec(problem, "ei"), preset)
        used = f" (α = {found[0]['alpha_used']:.3g})" if found else ""
        cells.append(_cell(found, measure) + used)
    return _table(head, [*rows, ["EI of table 1", "–", *cells]])


def _crime(runs):
    head = ["", *(f"`{preset}`: PSNR (dB), SSIM" for preset in PRESETS[:2])]
    rows = []
    for spec in crime_specs():
        cells = []
        for preset in PRESETS[:2]:
            found = select(runs, spec, preset)
            ssim = f", {_ssim(found)}" if found else ""
            cells.append(_cell(found) + ssim)
        rows.append([spec.title, *cells])
    return _table(head, rows)


def _gaps(runs):
    head = ["", "preset", "on training images", "on test images", "gap"]
    rows = []
    for problem, number in (("ct", 5), ("inpainting", 8)):
        for strategy in ("mc", "ei", "supervised"):
            title = f"figure {number}: {problem}, {TITLES[strategy]}"
            spec = Spec(problem, strategy)
            found = {preset: select(runs, spec, preset) for preset in PRESETS}
            if not any(found.values()):
                rows.append([title, "–", _NOT_RUN, _NOT_RUN, _NOT_RUN])
            for preset, seeds in found.items():
                if seeds:
                    curves = [run["curve"] for run in seeds]
                    train, test = (
                        [curve[part][-1] for curve in curves]
                        for part in ("train", "test")
                    )
                    gap = [a - b for a, b in zip(train, test, strict=True)]
                    cells = (_spread(values, ".2f") for values in (train, test, gap))
                    rows.append([title, f"`{preset}`", *cells])
    return _table(head, rows)


def _dip(runs):
    head = ["", "preset", "image", "PSNR (dB)", "iterations or epochs"]
    rows = []
    for problem, number in (("ct", 11), ("inpainting", 12)):
        for strategy in (*DIP, "ei-single"):
            title = f"figure {number}: {problem}, {TITLES[strategy]}"
            wanted = (problem, strategy)
            found = [
                r for r in runs if (r["run"]["problem"], r["run"]["strategy"]) == wanted
            ]
            if not found:
                rows.append([title, "–", "–", _NOT_RUN, "–"])
            rows += [
                [
                    title,
                    f"`{run['run']['preset']}`",
                    str(run["run"]["n_train"] + run["run"]["sample"]),
                    f"{run['test']['psnr']:.2f}",
                    str(run["epochs"]),
                ]
                for run in found
            ]
    return _table(head, rows)


def _toy():
    paths = sorted(RESULTS.glob("figure3-*.json"))
    if not paths:
        return f"Figure 3: {_NOT_RUN}.\n"
    errors = json.loads(paths[0].read_text("utf-8"))["errors"]
    methods = ["A†y", "MC", "EI"]
    rows = [
        [name, *(f"{values[m]['of_lost_samples']:.3f}" for m in methods)]
        for name, values in errors.items()
    ]
    return _table(["relative error of the lost samples", *methods], rows)


def _figures():
    lines = []
    for number in (1, 3, 4, 5, 6, 8, 9, 10, 11, 12):
        paths = sorted(FIGURES.glob(f"figure{number}-*.png"))
        if not paths:
            lines.append(f"- Figure {number}: {_NOT_RUN}.")
        lines += [f"![Figure {number}](figures/{path.name})" for path in paths]
    return "\n".join(lines) + "\n"


def _runs(runs):
    if not runs:
        return "No run has been collected yet.\n"
    head = ["run", "epochs", "processor time (s)", "threads", "machine", "date"]
    rows = [
        [
            f"`{run['name']}`",
            str(run["epochs"]),
            f"{run['cpu_seconds']:.0f}",
            str(run["threads"]),
            run["machine"]["gpu"] or run["machine"]["cpu"],
            run["machine"]["date"],
        ]
        for run in runs
    ]
    return _table(head, rows)
