"""Figures on the pages about instruments, groups and noise."""

import numpy as np

from .recorded import load, signed


def data():
    yield f"[{load('readers_agree')['files']} files](../benchmarks/results/"


def geometry():
    check = load("geometry_check")
    n_missed = {4: "four"}[len(check["missed"])]
    n_alarms = {0: "none"}[len(check["false_alarms"])]
    yield f"Of {check['n_wrong']} wrong set-ups ("
    yield f"it missed {n_missed}, and of {check['n_right']} right ones,"
    yield f"among them, it warned of {n_alarms} ("
    bins = load("geometry_offset")["bins"]
    made = [row for name, row in bins.items() if ", " in name]
    error = np.ceil(100 * max(abs(row["found"] - row["known"]) for row in made)) / 100
    yield f"1 % noise, parallel and fan | 0, 1.37, −4.6 | within {error} |"
    for shown, name in {
        "human tooth, synchrotron, 31 views of 160 bins": "tooth",
        "rows of a synchrotron volume, 16 views of 80 bins": "DLS",
        "laboratory fan beam, 30 views of 140 bins": "HTC",
    }.items():
        row = bins[name]
        yield f"| {shown} | {signed(row['known'], 1)} | {signed(row['found'], 2)} |"


def identifiability():
    result = load("group_rank")
    index = {}
    for row in result["innovation_of_ct"]:
        index.setdefault(row["case"], {})[row["group"]] = row
    names = "rotations by the view spacing", "shifts", "360 rotations"
    for case, rows in index.items():
        cells = [
            f"{np.mean(rows[name]['index']):.3f}" if name in rows else "–"
            for name in (*names, "rotations by half of it")
        ]
        floor = np.mean(rows["360 rotations"]["floor"])
        yield f"| {case} | {' | '.join(cells)} | {floor:.3f} |"
    half = index["CT 30 views 64²"]["rotations by half of it"]
    yield f"at 64² stands at {np.mean(half['index']) / np.mean(half['floor']):.2f})"
    rows = result["rows"]
    one = {name: row["answer"] for name, row in rows.items() if row["threads"]}
    turned = one["CT 50 views 128², 360 rotations"]
    shifted = one["CT 50 views 128², shifts"]["innovation"]
    yield (
        f"| CT 50 views 128² (one seed) | – | {shifted:.3f} | "
        f"{turned['innovation']:.3f} | – | {turned['innovation_floor']:.3f} |"
    )
    large = one["CT 60 views 256², 360 rotations"]
    yield (
        f"| CT 60 views 256² (one seed) | – | – | {large['innovation']:.3f} | – | "
        f"{large['innovation_floor']:.3f} |"
    )
    for name, row in rows.items():
        asked = f"{row['asked']['seconds']} s"
        if row["asked"]["gigabytes"]:
            asked += f", {row['asked']['gigabytes']} GB"
        answer = row["answer"]
        yield (
            f"| {name} | `{answer['verdict']}` | {answer['certificate']} | "
            f"{row['median_seconds']:.2g} s | "
            f"{answer['peak_gigabytes']:.1f} GB | {asked} |"
        )


def mri():
    """Errors that a test measures, where the real scan is at hand."""
    from tests.operators.test_sensitivities import SHOWN

    for lines, errors in SHOWN.items():
        yield f"| {lines} | {' | '.join(f'{error} %' for error in errors)} |"


def which_group():
    table = load("which_group")["rows"]
    for instrument, answers in table.items():
        yield f"| | {' | '.join(answers)} |"
        cells = []
        for answer in answers.values():
            cells.append(answer["verdict"].partition("_")[0].lower())
            if cells[-1] == "fail":
                seen = 100 * answer["rank_interval"][1] / answer["n"]
                cells[-1] += f", {int(seen)} %"
        yield f"| {instrument} | {' | '.join(cells)} |"
    rows = table["CT, 24 views of a fan beam"]
    alone, row = rows["quarter turns"], rows["360 rotations"]
    share = int(100 * alone["rank_interval"][1] / alone["n"])
    yield f"sees most directions by itself ({share} % above 10⁻³ of the strongest)"
    yield (
        f"innovation index ({row['innovation']:.2f} above a floor of "
        f"{row['innovation_floor']:.2f})"
    )


def noise():
    for shown, name in {
        "parallel beam, 50 views": "parallel beam, 50 views",
        "— images on a grid twice as fine": "finer grid",
        "— detector half a bin off": "half a bin off",
        "parallel beam, 20 views": "parallel beam, 20 views",
        "fan beam, 50 views": "fan beam, 50 views",
        "Gaussian blur, σ = 1.5 pixels": "blur",
    }.items():
        row = load("noise_level")["rows"][name]
        cells = [
            ", ".join(
                f"{row[f'{level} {model}'][what]:.2f}" for level in ("0.5%", "2.0%")
            )
            for model, what in (
                ("GaussianNoise", "sigma"),
                ("PoissonNoise", "gain"),
                ("PoissonGaussianNoise", "sigma"),
                ("PoissonGaussianNoise", "gain"),
            )
        ]
        yield f"| {shown} | {cells[0]} | {cells[1]} | {cells[2]}; {cells[3]} |"
    for name, row in load("noise_real")["rows"].items():
        beside = ", ".join(f"{value:.4f}" for value in row["neighbouring views"])
        yield (
            f"| {name} | {beside} | {row['GaussianNoise()']:.4f} | "
            f"{row['model error']:.3f} |"
        )


PAGES = {
    "doc/data.md": data,
    "doc/geometry.md": geometry,
    "doc/identifiability.md": identifiability,
    "doc/mri.md": mri,
    "doc/noise.md": noise,
    "doc/which_group.md": which_group,
}
