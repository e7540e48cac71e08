"""Each measured figure that a page gives is that of a recorded result.

A page's line is written once more from the JSON files under benchmarks/results, and has
to be there letter by letter (``tests/figures`` has the lines of most pages). What looks
like a figure and is on no such line is a fault: it is to be recorded, or to go.
"""

import json

import numpy as np
import pytest

from tests.figures import docstrings, instruments, methods, peers, scores
from tests.figures.guard import EXCEPTIONS, QUOTED, figures, in_one_line, prose
from tests.figures.recorded import RESULTS, ROOT, load

if not RESULTS.exists():
    pytest.skip("the results are not beside the tests", allow_module_level=True)


def paper(name, what="psnr"):
    """Return a figure of a run of ``python -m benchmarks.paper`` for each seed."""
    paths = sorted((RESULTS / "paper").glob(f"{name}-seed*.json"))
    runs = [json.loads(path.read_text("utf-8")) for path in paths]
    return [run[what] if what in run else run["test"][what] for run in runs]


def shown(values, form=".2f"):
    """Return the mean, and the standard deviation of several seeds."""
    spread = f" ± {np.std(values, ddof=1):{form}}" if len(values) > 1 else ""
    return f"{np.mean(values):{form}}{spread}"


def gap(better, worse):
    """Return the difference of the means of two runs of the paper."""
    return np.mean(paper(better)) - np.mean(paper(worse))


DEFAULTS = load("defaults")["problems"]
STRATEGIES = {name: row["psnr"] for name, row in load("strategies")["rows"].items()}
PRESETS = load("tune_presets")["ct"]
LOST = load("tune_presets")["inpainting"]


def nothing_set(problem, what="psnr"):
    return [run[what] for run in DEFAULTS[problem].values()]


REAL = [
    json.loads(path.read_text("utf-8"))
    for path in sorted((RESULTS / "real").glob("*-seed*.json"))
]


def parts(problem, method):
    (row,) = (
        row
        for row in load("parts")["rows"]
        if row["problem"] == problem and row["method"] == method
    )
    return row["psnr"]


def of_scan(scan, method, what="psnr"):
    """Return a figure of a real scan for each seed."""
    return [
        cell["test"][what]
        for cell in REAL
        if (cell["scan"], cell["method"]) == (scan, method)
    ]


def scan(name, key):
    (start,), (best,) = (of_scan(key, method) for method in ("fbp", "tv-best"))
    learned = of_scan(key, "ei")
    mean, spread = np.mean(learned), np.std(learned, ddof=1)
    return f"| {name} | {start:.2f} | {best:.2f} | {mean:.2f} ± {spread:.2f} |"


def readme():
    for problem in ("ct", "inpainting"):
        (start,), (best,), learned = (
            paper(f"{problem}-default-{method}") for method in ("pinv", "tv", "ei")
        )
        yield f"| {start:.2f} | {best:.2f} | {shown(learned)} |"
    seconds = paper("ct-default-ei", "cpu_seconds")[0]
    yield f"a fit took {seconds:.0f} s of processor time"
    single = nothing_set("ct_single")
    start = nothing_set("ct_single", "psnr of A†y")[0]
    yield f"slice, 50 views | {start:.2f} | – | {shown(single, '.1f')} |"
    yield scan("tooth, 31 views of a synchrotron", "tooth")
    yield scan("HTC 2022, 30 views of a fan", "htc")
    yield scan("rows of a volume (DLS), 16 views", "dls")
    yield scan("brain, 10 % of k-space", "brain")
    s = STRATEGIES
    for name, key, run in (
        ("consistency alone", "MC", "mc"),
        ("**equivariant imaging**", "EI", "ei"),
        ("supervised, which needs ground truth", "supervised", "supervised"),
    ):
        ours = shown(paper(f"ct-default-{run}"))
        yield f"{name} | {s[f'plain: {key}']:.2f} | {ours} |"
    noisy = nothing_set("ct_noisy")
    yield f"nothing set | – | {shown(noisy)} |"
    few, many = "noise 0.5%: ", "noise 2.0%: "
    yield " | ".join(
        f"{s[noise + 'A†y, Ram-Lak']:.2f} / {s[noise + 'A†y, Hann']:.2f}"
        for noise in (few, many)
    )
    yield f"`noise=None` | {s[few + 'EI']:.2f} | {s[many + 'EI']:.2f} |"
    told = "robust EI, level estimated"
    yield f"estimated | {s[few + told]:.2f} | {s[many + told]:.2f} |"
    yield f"unknown | – | {s[many + 'robust EI, level unknown (UNSURE)']:.2f} |"


def index():
    single = np.mean(nothing_set("ct_single", "cpu_seconds")) / 60
    many = np.mean(paper("ct-default-ei", "cpu_seconds")) / 60
    predict = nothing_set("ct_noisy", "predict_seconds_an_image")[0]
    yield f"on a single sinogram in {single:.1f}\nminutes"
    yield f"on 80 of them in {many:.0f}, and reconstructs a slice in\n{predict:.2f} s"


def defaults():
    runs = DEFAULTS["HTC"].values()
    gains = sorted(run["psnr"] - run["psnr of f alone"] for run in runs)
    yield f"{gains[0]:.1f} and {gains[1]:.1f} dB on HTC"


def missing():
    def value(problem, method):
        return f"{parts(problem, method):.2f}"

    yield (
        f"masks of any scan {value('mri', 'EI, any mask')} | its own "
        f"{value('mri', 'EI, own masks')}; supervised {value('mri', 'supervised')}; "
        f"splitting {value('mri', 'splitting')}; A†y {value('mri', 'A†y')} |"
    )
    yield (
        f"masks of any frame {value('lost', 'EI, another mask each, any')} | its own "
        f"{value('lost', 'EI, another mask each, own')}; one mask for all frames "
        f"{value('lost', 'EI, one mask for all')} |"
    )
    yield (
        f"{value('views', 'EI, 5 of 50 views lost, any')} | 45 even views "
        f"{value('views', 'EI, 45 views')}; A†y "
        f"{value('views', 'A†y, 5 of 50 views lost')} against "
        f"{value('views', 'A†y, 45 views')} |"
    )
    yield (
        f"equivariance and splitting {value('noise', 'EI + splitting')}, splitting "
        f"{value('noise', 'splitting')} | SURE {value('noise', 'EI with SURE')}; total "
        f"variation {value('noise', 'total variation')}; A†y {value('noise', 'A†y')} |"
    )
    seconds = [row["fit_seconds"] for row in load("parts")["rows"] if row["epochs"]]
    yield f"about {round(np.mean(seconds), -1):.0f} s of processor time for each"


def results():
    """What doc/results.md says beside its blocks, which have a test of their own."""
    eight, three = (LOST[f"EI, {n}"]["psnr"] for n in ("eight of depth 1", "default"))
    yield f"eight networks of depth 1 reached {eight:.2f} dB there"
    yield f"of depth 3 had reached {three:.2f}."
    yield f"is {10 * np.log10(3):.2f} dB higher"  # three colours
    rows = {
        "as they lie (supervised)": "supervised",
        "turned by any angle, exactly": "ground truth, rotations, fft",
        "the true slices, tilted and shrunk": "ground truth, tilts and zooms",
        "bilinear, as in the paper": "EI, rotations",
        "… bicubic": "EI, rotations, bicubic",
        "… exact": "EI, rotations, fft",
        "… bicubic, and zooms of 0.7 to 1": "EI, rotations and zooms from 0.7",
        "EI, tilts and zooms of 0.8 to 1": "EI, tilts and zooms",
        "… tilts exact": "EI, tilts, fft, and zooms",
    }
    for shown, name in rows.items():
        row = PRESETS[name]
        yield f"{shown} | {row['psnr']:.2f} | {row['fine_energy']:.2f} |"
    lost, ct = (
        gap(f"{problem}-default-supervised", f"{problem}-default-ei")
        for problem in ("inpainting", "ct")
    )
    yield f"comes within {np.ceil(10 * lost) / 10:.1f} dB of"
    yield f"it comes within {np.ceil(10 * ct) / 10:.1f} dB"
    yield f"is {gap('ct-default-supervised', 'ct-default-ei'):.2f} dB with nothing set"
    yield f"{gap('ct-plain-supervised', 'ct-plain-ei'):.2f} dB with `plain`"
    ahead = gap("ct-default-tv", "ct-default-ei")
    behind = gap("inpainting-default-ei", "inpainting-default-tv")
    yield f"{ahead:.1f} dB above EI on noise-free CT"
    yield f"{behind:.1f} dB below it on lost"
    yield f"{ahead:.1f} dB ahead of it on noise-free CT"
    yield f"{behind:.1f} dB behind on lost"
    known = [PRESETS[n]["psnr"] for n in ("supervised", "ground truth, rotations, fft")]
    yield f"f still falls {known[0] - known[1]:.1f} dB behind"
    images = PRESETS["ground truth, tilts and zooms"]["psnr"]
    made = PRESETS["EI, tilts and zooms"]["psnr"]
    yield f"reach {images:.2f} dB where supervised training has\n"
    yield f"  {known[0]:.2f} and EI {made:.2f}:"
    noisy = gap("ct-fine-default-ei-robust", "ct-fine-default-tv")
    yield f"{noisy:.1f} dB above total variation"
    plain = [np.mean(paper(f"ct-plain-ei-alpha{alpha}")) for alpha in (100, 1000)]
    yield f"ten times as much costs {plain[0] - plain[1]:.1f} dB"
    plain = [np.mean(paper(f"inpainting-plain-ei-alpha{a}")) for a in (1, 10)]
    yield f"10 costs {plain[0] - plain[1]:.1f} dB"
    (longer,) = (RESULTS / "paper" / "longer").glob("ct-default-ei-seed0-*.json")
    longer = json.loads(longer.read_text("utf-8"))["test"]["psnr"]
    yield f"four times as many epochs bring EI to {longer:.2f} dB, one seed"
    spread = np.std(paper("ct-default-ei"), ddof=1)
    yield f"spreads by {spread:.2f} dB over seeds"
    yield from peers.rival()


PAGES = {
    "README.md": readme,
    "doc/index.md": index,
    "doc/defaults.md": defaults,
    "doc/missing.md": missing,
    "doc/results.md": results,
    **instruments.PAGES,
    **methods.PAGES,
    **scores.PAGES,
    **docstrings.PAGES,
}
ALL_PAGES = [
    *(f"{name}.md" for name in ("README", "CHANGES", "CONTRIBUTING")),
    *(f"doc/{path.name}" for path in sorted((ROOT / "doc").glob("*.md"))),
    *(f"examples/{path.name}" for path in sorted((ROOT / "examples").glob("*.*"))),
    *(
        path.relative_to(ROOT).as_posix()
        for path in sorted((ROOT / "sklearn_ei").rglob("*.py"))
    ),
]


def lines_of(page):
    return [in_one_line(line) for line in PAGES[page]()] if page in PAGES else []


@pytest.mark.parametrize("page", PAGES)
def test_the_page_says_what_was_recorded(page):
    text = in_one_line((ROOT / page).read_text("utf-8"))
    for line in lines_of(page):
        assert line in text


@pytest.mark.parametrize("page", ALL_PAGES)
def test_there_is_no_other_figure(page):
    text = prose(ROOT / page)
    for quoted, source in QUOTED.get(page, {}).items():
        (paragraph,) = (part for part in text.split("\n\n") if quoted in part)
        assert source in paragraph
    text = in_one_line(text)
    known = [*QUOTED.get(page, ()), *EXCEPTIONS.get(page, ())]
    assert [words for words in known if words not in text] == []
    for line in [*lines_of(page), *known]:
        text = text.replace(line, " … ")
    assert figures(text) == []


def test_what_is_excepted_is_on_a_page():
    assert {*PAGES, *QUOTED, *EXCEPTIONS} <= {*ALL_PAGES}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("EI | 38.85 | 0.97", ["38.85"]),
        ("gains 0.5 dB in 20 s and 1.5 GB", ["0.5 dB", "20 s", "1.5 GB"]),
        ("takes 2.5 times, three times as long", ["2.5 times", "three times as long"]),
        ("256 × 256 pixels, MRI ×4, 50 views, torch 2.4, 8 × 8 digits", []),
        ("seen: 45%, 83–84 %, 0.3 %", ["45%", "83–84 %", "0.3 %"]),
        ("is 6 to 7 % ahead in 13.4 % more time", ["6 to 7 %", "13.4 %"]),
        ("noise of 2 % and 0.5 % of the largest, 10 % noise, 2 % of noise", []),
        ("30 % lost pixels, has lost 30 %, 30 % of the pixels are dead", []),
        ("90 % intervals, which # %% 24 #%%", []),
        ('max_bytes="4 GB", seconds. s', []),
    ],
)
def test_figures_are_told_from_sizes(text, found):
    assert figures(text) == found
