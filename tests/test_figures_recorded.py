"""Each measured figure that a page gives is that of a recorded result.

A page's line is written once more from the JSON files under benchmarks/results, and has
to be there letter by letter (``tests/figures`` has the lines of most pages). What looks
like a figure and is on no such line is a fault: it is to be recorded, or to go.
"""

import json

import numpy as np
import pytest

from tests.figures import docstrings, instruments, methods, of_paper, scores
from tests.figures.guard import EXCEPTIONS, QUOTED, figures, in_one_line, prose
from tests.figures.of_paper import paper, shown
from tests.figures.recorded import RESULTS, ROOT, load

if not RESULTS.exists():
    pytest.skip("the results are not beside the tests", allow_module_level=True)


DEFAULTS = load("defaults")["problems"]
STRATEGIES = {name: row["psnr"] for name, row in load("strategies")["rows"].items()}


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
    alone = [shown(nothing_set("ct_single"), ".1f")]
    alone.append(shown(paper("ct-default-ei-single-image1")))
    for i, (name, single) in enumerate(
        zip(("first of 10 others", "second"), alone, strict=True)
    ):
        (start,), (best,) = (
            paper(f"ct-default-{method}", "psnr_per_image") for method in ("pinv", "tv")
        )
        yield (
            f"| the {name} alone, 50 views | {start[i]:.2f} | {best[i]:.2f} | "
            f"{single} |"
        )
    yield scan("tooth, 31 views of a synchrotron", "tooth")
    yield scan("HTC 2022, 30 views of a fan", "htc")
    yield scan("rows of a volume (DLS), 16 views", "dls")
    yield scan("brain, 10 % of k-space", "brain")
    s = STRATEGIES
    for name, run in (
        ("consistency alone", "mc"),
        ("**equivariant imaging**", "ei"),
        ("supervised, which needs ground truth", "supervised"),
    ):
        one, ours = (
            shown(paper(f"ct-{preset}-{run}")) for preset in ("plain", "default")
        )
        yield f"{name} | {one} | {ours} |"
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


PAGES = {
    "README.md": readme,
    "doc/index.md": index,
    "doc/defaults.md": defaults,
    "doc/missing.md": missing,
    **instruments.PAGES,
    **methods.PAGES,
    **of_paper.PAGES,
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


@pytest.mark.parametrize("key", ["tooth", "dls", "htc", "brain"])
def test_equivariant_imaging_beside_total_variation_is_as_the_pages_say(key):
    """README.md and doc/real_results.md, in words."""
    for what, sign in (("psnr", 1), ("ssim", 1), ("held_out_error", -1)):
        learned = np.multiply(sign, of_scan(key, "ei", what))
        mean, spread = np.mean(learned), np.std(learned, ddof=1)
        auto, best = (sign * of_scan(key, m, what)[0] for m in ("tv", "tv-best"))
        if what == "psnr" and key == "dls":
            assert abs(mean - best) < spread
        elif what == "psnr":
            assert min(learned) > best
        elif what == "ssim":
            assert (mean > max(auto, best)) == (key == "tooth")
            assert (mean < min(auto, best)) == (key != "tooth")
        else:
            assert 0 < best - mean < spread
            assert (mean > auto) == (key in {"tooth", "dls"})


def test_no_noise_beside_nothing_set_is_as_the_pages_say():
    for what, sign in (("psnr", 1), ("ssim", 1), ("held_out_error", -1)):
        tooth, fan = (
            np.multiply(sign, of_scan(k, "ei", what)) for k in ("tooth", "htc")
        )
        alone = [sign * of_scan(k, "ei-no-noise", what)[0] for k in ("tooth", "htc")]
        assert alone[0] > max(tooth)
        if what == "held_out_error":
            assert min(fan) < alone[1] < max(fan)
        else:
            assert alone[1] < np.mean(fan)


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
