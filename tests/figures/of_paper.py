"""Figures of ``python -m benchmarks.paper``, and the page of its results."""

import json

import numpy as np

from . import peers
from .recorded import RESULTS, load

PAPER = {"pinv": 30.24, "mc": 31.01, "ei": 36.94}  # PSNR of its Table 1, CT
PRESETS = ("default", "plain")


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


def results():
    """What doc/results.md says beside its blocks, which have a test of their own."""
    chosen = load("tune_presets")
    eight, three = (
        chosen["inpainting"][f"EI, {n}"]["psnr"]
        for n in ("eight of depth 1", "default")
    )
    yield f"eight networks of depth 1 reached {eight:.2f} dB there"
    yield f"of depth 3 had reached {three:.2f} (both"
    yield f"is {10 * np.log10(3):.2f} dB higher"  # three colours
    rows = {
        "as they lie (supervised)": "supervised",
        "turned by any angle, exactly": "ground truth, rotations, fft",
        "tilted by up to 12° and shrunk": "ground truth, tilts and zooms",
        "bilinear, as in the paper": "EI, rotations",
        "… bicubic": "EI, rotations, bicubic",
        "… exact": "EI, rotations, fft",
        "… bicubic, and zooms of 0.7 to 1": "EI, rotations and zooms from 0.7",
        "EI, tilts and zooms of 0.8 to 1": "EI, tilts and zooms",
        "… tilts exact": "EI, tilts, fft, and zooms",
    }
    for shown, name in rows.items():
        row = chosen["ct, earlier default"][name]
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
    known, turned, made = (
        chosen["ct"][name]
        for name in (
            "supervised",
            "ground truth, any angle and zooms",
            "EI, any angle and zooms",
        )
    )
    for beside, row in {
        "the true slices, as they lie (supervised)": known,
        "the true slices, turned and shrunk": turned,
        "EI, turned and shrunk": made,
    }.items():
        yield f"| {beside} | {row['psnr']:.2f} | {row['fine_energy']:.2f} |"
    yield f"f is {known['psnr'] - turned['psnr']:.1f} dB behind"
    yield f"another {turned['psnr'] - made['psnr']:.1f} dB."
    yield f"the same transforms reach {turned['psnr']:.2f} dB where"
    yield f"supervised training has {known['psnr']:.2f} and EI {made['psnr']:.2f}."
    price = (known["psnr"] - turned["psnr"]) / (known["psnr"] - made["psnr"])
    assert 0.28 < price < 0.38  # "a third of the distance"
    plain, theirs = (
        [gap("ct-plain-mc", "ct-default-pinv"), gap("ct-plain-ei", "ct-plain-mc")],
        [PAPER["mc"] - PAPER["pinv"], PAPER["ei"] - PAPER["mc"]],
    )
    yield f"gains {plain[0]:.1f} dB as well, where the paper's gains {theirs[0]:.1f}"
    yield f"adds {plain[1]:.1f} dB to it there, where the paper has {theirs[1]:.1f} dB"
    yield from tables()
    yield from consistency_alone()
    yield from peers.rival()


def tables():
    """What the page says of its tables."""
    behind = gap("inpainting-plain-supervised", "inpainting-plain-ei")
    theirs = 26.51 - 25.14  # PSNR of the paper's Table 1, inpainting
    yield f"EI is {behind:.1f} dB below supervised training, where the paper has"
    yield f"the paper has {theirs:.2f}. Both are trained"
    both = [gap(f"ct-{p}-supervised", f"ct-{p}-supervised-ei") for p in PRESETS]
    yield f"is {both[0]:.1f} dB below ground truth alone on CT, {both[1]:.1f} dB with"
    lost = gap("inpainting-plain-supervised", "inpainting-plain-supervised-ei")
    yield f"and there {lost:.1f} dB on lost pixels"
    lower = gap("ct-default-ei", "ct-default-ei-rotations")
    yield f"the paper's group is {lower:.1f} dB below the one"
    noisy = gap("ct-fine-default-ei-robust", "ct-fine-default-tv")
    yield f"{noisy:.1f} dB above total variation"
    noisy = gap("ct-fine-default-supervised", "ct-fine-default-ei-robust")
    yield f"{noisy:.1f} dB below supervised training."
    plain = [np.mean(paper(f"ct-plain-ei-alpha{alpha}")) for alpha in (100, 1000)]
    yield f"ten times as much costs {plain[0] - plain[1]:.1f} dB"
    plain = [np.mean(paper(f"inpainting-plain-ei-alpha{a}")) for a in (1, 10)]
    yield f"10 costs {plain[0] - plain[1]:.1f} dB"
    (longer,) = (RESULTS / "paper" / "longer").glob("ct-default-ei-seed0-*.json")
    longer = json.loads(longer.read_text("utf-8"))["test"]["psnr"]
    yield f"four times as many epochs bring EI to {longer:.2f} dB, one seed"
    spread = np.std(paper("ct-default-ei"), ddof=1)
    yield f"spreads by {spread:.2f} dB over seeds"


def consistency_alone():
    """Why the paper's gains less, a section of doc/results.md."""
    result = load("consistency_alone")
    rows = {name: f"{row['psnr']:.2f}" for name, row in result["rows"].items()}
    yield f"where A†y has {result['pinv']:.1f} dB"
    for shown, alone, equivariant in (
        ("last layer at zero, as `plain`", "as `plain`", "EI as `plain`"),
        (
            "last layer at random",
            "last layer begins at random",
            "EI, last layer begins at random",
        ),
        ("at zero, the paper's rate, constant", "the paper's rate", None),
        ("at zero, 300 epochs", "five times as long", "EI, five times as long"),
        (
            "at random, the paper's rate, 300 epochs",
            "five times as long, at random, the paper's rate",
            None,
        ),
        ("the paper's network, at zero, 15 epochs", "the paper's network", None),
        ("… at random, at its rate", "the paper's network, at random, its rate", None),
    ):
        yield f"| {shown} | {rows[alone]} | {rows.get(equivariant, '–')} |"

    def psnr(name):
        return result["rows"][name]["psnr"]

    lost = psnr("as `plain`") - psnr("last layer begins at random")
    yield f"at random costs {lost:.0f} dB"
    paper_s = "the paper's network"
    random = f"{paper_s}, at random, its rate"
    yield f"and {psnr(paper_s) - psnr(random):.1f} dB (rate and all)"
    yield f"gain of {psnr(random) - result['pinv']:.1f} dB over A†y is"
    terms = [
        result["rows"][name]["train_error"]
        for name in ("last layer begins at random", "as `plain`")
    ]
    yield f"the first term is {terms[0] / terms[1]:.0f} times as large"
    gains = (
        psnr("EI as `plain`") - psnr("as `plain`"),
        psnr("EI, five times as long") - psnr("five times as long"),
    )
    yield f"from {gains[0]:.1f} to {gains[1]:.1f} dB here"


PAGES = {"doc/results.md": results}
