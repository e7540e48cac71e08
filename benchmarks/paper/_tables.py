"""Tables: the runs they need, and how they are written."""

from ._recipes import HANN, Spec
from ._runs import ensure, write_json

STRATEGIES = ("pinv", "mc", "ei", "ei-adversarial", "supervised", "supervised-ei")
# PSNR of the paper's Table 1, in the convention of its code.
_PAPER_CT = (30.24, 31.01, 36.94, 36.96, 38.17, 38.79)
_PAPER_INPAINTING = (5.84, 5.84, 25.14, 23.26, 26.51, 26.75)
PAPER = {
    "ct": dict(zip(STRATEGIES, _PAPER_CT, strict=True)),
    "inpainting": dict(zip(STRATEGIES, _PAPER_INPAINTING, strict=True)),
}
# Its Table 2.
PAPER_ALPHA = {
    "ct": {0: 31.01, 1: 36.78, 10: 36.88, 100: 36.94, 1000: 33.31},
    "inpainting": {0: 5.84, 0.1: 23.42, 1: 25.14, 10: 22.96},
}


def table1_specs(problem):
    added = ("tv",) if problem == "inpainting" else ("ei-rotations", "tv")
    return [Spec(problem, strategy) for strategy in (*STRATEGIES, *added)]


def table2_specs(problem):
    return [Spec(problem, "ei", alpha=float(alpha)) for alpha in PAPER_ALPHA[problem]]


def crime_specs():
    added = ("ei-robust", *HANN)
    strategies = ("pinv", "pinv-hann", "tv", *STRATEGIES[1:3], *added, *STRATEGIES[3:])
    return [Spec("ct-fine", strategy) for strategy in strategies]


def table1(problem, settings):
    specs = table1_specs(problem)
    rows = [
        row(spec.title, run.result(), PAPER[problem].get(spec.strategy))
        for spec, run in zip(specs, ensure(specs, settings), strict=True)
    ]
    return finish(f"table1-{problem}", rows, settings)


def table2(problem, settings):
    specs = table2_specs(problem)
    rows = [
        row(f"α = {spec.alpha:g}", run.result(), PAPER_ALPHA[problem][spec.alpha])
        for spec, run in zip(specs, ensure(specs, settings), strict=True)
    ]
    return finish(f"table2-{problem}", rows, settings)


def no_inverse_crime(settings):
    specs = crime_specs()
    rows = [
        row(spec.title, run.result(), None)
        for spec, run in zip(specs, ensure(specs, settings), strict=True)
    ]
    return finish("no-inverse-crime", rows, settings)


def row(title, result, paper):
    """Return the row of a table, of the JSON of a run."""
    test = result["test"]
    return {
        "title": title,
        "run": result["name"],
        "psnr": test["psnr"],
        "psnr_of_pixels": test.get("psnr_of_pixels"),
        "ssim": test["ssim"],
        "train_psnr": result.get("train", {}).get("psnr"),
        "epochs": result["epochs"],
        "cpu_seconds": result["cpu_seconds"],
        "paper": paper,
    }


def markdown(rows):
    """Return a table; columns that no row has are left out."""
    columns = {
        "PSNR (dB)": ("psnr", ".2f"),
        "PSNR as the paper's code has it": ("psnr_of_pixels", ".2f"),
        "the paper": ("paper", ".2f"),
        "SSIM": ("ssim", ".4f"),
        "on training images": ("train_psnr", ".2f"),
        "epochs": ("epochs", "d"),
        "processor time (s)": ("cpu_seconds", ".0f"),
    }
    columns = {
        head: (name, form)
        for head, (name, form) in columns.items()
        if any(r.get(name) is not None for r in rows)
    }
    lines = [f"| | {' | '.join(columns)} |", f"|{' --- |' * (len(columns) + 1)}"]
    for r in rows:
        cells = [
            "–" if r.get(name) is None else format(r[name], form)
            for name, form in columns.values()
        ]
        if "psnr" not in r:
            cells[0] = "not run"
        lines.append(f"| {r['title']} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def finish(name, rows, settings):
    """Write a table as JSON and Markdown, and print it."""
    stem = f"{name}-{settings.preset}-seed{settings.seed}"
    write_json(settings.out / f"{stem}.json", {"preset": settings.preset, "rows": rows})
    text = markdown(rows)
    (settings.out / f"{stem}.md").write_text(text, "utf-8")
    print(f"\n{stem}\n\n{text}", flush=True)
    return rows
