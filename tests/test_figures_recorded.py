"""Each measured figure that a page gives is that of a recorded result.

A page's line is written once more from the JSON files under benchmarks/results, and has
to be there letter by letter (``tests/figures`` has the lines of most pages). What looks
like a figure and is on no such line is a fault: it is to be recorded, or to go.
"""

import json

import numpy as np
import pytest

from tests.figures import instruments, methods
from tests.figures.guard import EXCEPTIONS, FIGURE, QUOTED, in_one_line, prose
from tests.figures.recorded import RESULTS, ROOT, load

if not RESULTS.exists():
    pytest.skip("the results are not beside the tests", allow_module_level=True)


def paper(name):
    """Return the PSNR of a run of ``python -m benchmarks.paper``."""
    (path,) = (RESULTS / "paper").glob(f"{name}-seed0-*.json")
    return json.loads(path.read_text("utf-8"))["test"]["psnr"]


DEFAULTS = load("defaults")["problems"]
BASELINES = load("baselines_auto")["problems"]
STRATEGIES = {name: row["psnr"] for name, row in load("strategies")["rows"].items()}
PRESETS = load("tune_presets")["ct"]
LOST = load("tune_presets")["inpainting"]


def nothing_set(problem, what="psnr"):
    return [run[what] for run in DEFAULTS[problem].values()]


REAL = [
    json.loads(path.read_text("utf-8"))
    for path in sorted((RESULTS / "real").glob("*-seed*.json"))
]


def tv(problem):
    return BASELINES[problem]["total variation"]["0"]["best"]["psnr"]


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
    single, many = nothing_set("ct_single"), nothing_set("ct")
    start = nothing_set("ct", "psnr of A†y")[0]
    yield (
        f"| chest slices, 50 views | {start:.2f} | {tv('ct'):.2f} | "
        f"{np.mean(many):.2f} |"
    )
    yield scan("tooth, 31 views of a synchrotron", "tooth")
    yield scan("HTC 2022, 30 views of a fan", "htc")
    yield scan("rows of a volume (DLS), 16 views", "dls")
    start = nothing_set("ct_single", "psnr of A†y")[0]
    mean, spread = np.mean(single), np.std(single)
    yield f"slice, 50 views | {start:.2f} | – | {mean:.1f} ± {spread:.1f} |"
    yield f"fit took {nothing_set('ct', 'cpu_seconds')[0]:.0f} s of processor time"
    s, tilts = STRATEGIES, paper("ct-fast-ei")
    yield f"alone | {s['plain: MC']:.2f} | {paper('ct-fast-mc'):.2f} |"
    turned = paper("ct-fast-ei-rotations")
    yield f"360 rotations | {s['plain: EI']:.2f} | {turned:.2f} |"
    yield f"with small tilts and zooms | – | {tilts:.2f} |"
    yield f"steps on one slice | – | **{nothing_set('ct')[0]:.2f}** |"
    critic, unrolled = s["plain: EI adversarial"], paper("ct-fast-ei-adversarial")
    yield f"| {critic:.2f} | {unrolled:.2f} (tilts and zooms) |"
    yield f"| {s['plain: supervised']:.2f} | {paper('ct-fast-supervised'):.2f} |"
    lost = {n: paper(f"inpainting-fast-{n}") for n in ("ei", "supervised", "tv")}
    yield (
        f"reaches {lost['ei']:.2f} dB, supervised training {lost['supervised']:.2f} "
        f"and total variation {lost['tv']:.2f}."
    )
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
    many = np.mean(nothing_set("ct", "cpu_seconds")) / 60
    predict = nothing_set("ct", "predict_seconds_an_image")[0]
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
        "**EI, tilts and zooms of 0.8 to 1** (`fast`)": "EI, tilts and zooms",
        "… tilts exact": "EI, tilts, fft, and zooms",
    }
    for shown, name in rows.items():
        row = PRESETS[name]
        yield f"{shown} | {row['psnr']:.2f} | {row['fine_energy']:.2f} |"
    truth = paper("ct-fast-supervised")
    tilts, turned = paper("ct-fast-ei"), paper("ct-fast-ei-rotations")
    yield f"is {truth - tilts:.2f} dB with `fast`, {truth - turned:.2f} dB with the"
    yield f"ends {truth - paper('ct-fast-supervised-ei'):.2f} dB below supervised"
    lost = paper("inpainting-fast-ei") - paper("inpainting-fast-tv")
    yield f"{lost:.1f} dB below it on lost"
    known = [PRESETS[n]["psnr"] for n in ("supervised", "ground truth, rotations, fft")]
    yield f"f still falls {known[0] - known[1]:.1f} dB behind"
    images = PRESETS["ground truth, tilts and zooms"]["psnr"]
    made = PRESETS["EI, tilts and zooms"]["psnr"]
    yield f"reach {images:.2f} dB where supervised training has\n"
    yield f"  {known[0]:.2f} and EI {made:.2f}:"
    noisy = paper("ct-fine-fast-ei-robust") - paper("ct-fine-fast-ei")
    yield f"`noise=GaussianNoise()` is worth {noisy:.1f} dB."
    plain = [paper(f"ct-plain-ei-alpha{alpha}") for alpha in (100, 1000)]
    yield f"ten times as much costs {plain[0] - plain[1]:.1f} dB"
    plain = [paper(f"inpainting-plain-ei-alpha{alpha}") for alpha in (1, 10)]
    yield f"10 costs {plain[0] - plain[1]:.1f} dB"


PAGES = {
    "README.md": readme,
    "doc/index.md": index,
    "doc/defaults.md": defaults,
    "doc/missing.md": missing,
    "doc/results.md": results,
    **instruments.PAGES,
    **methods.PAGES,
}
ALL_PAGES = [
    *(f"{name}.md" for name in ("README", "CHANGES", "CONTRIBUTING")),
    *(f"doc/{path.name}" for path in sorted((ROOT / "doc").glob("*.md"))),
    *(f"examples/{path.name}" for path in sorted((ROOT / "examples").glob("*.*"))),
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
    assert FIGURE.findall(text) == []


def test_what_is_excepted_is_on_a_page():
    assert {*PAGES, *QUOTED, *EXCEPTIONS} <= {*ALL_PAGES}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("EI | 38.85 | 0.97", ["38.85"]),
        ("gains 0.5 dB in 20 s and 1.5 GB", ["0.5 dB", "20 s", "1.5 GB"]),
        ("takes 2.5 times, three times as long", ["2.5 times", "three times as long"]),
        ("256 × 256 pixels, MRI ×4, 30 % of 50 views, torch 2.4, 8 × 8 digits", []),
    ],
)
def test_figures_are_told_from_sizes(text, found):
    assert FIGURE.findall(text) == found
