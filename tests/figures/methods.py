"""Figures on the pages about training, baselines, real scans and speed."""

import numpy as np

from .recorded import load


def baselines():
    problems = load("baselines_auto")["problems"]
    losses = []

    def cell(problem, method):
        if method not in problems[problem]:
            return "–"
        seeds = problems[problem][method].values()
        losses.extend(seed["loss"] for seed in seeds)
        auto, best = (
            np.median([seed[which]["psnr"] for seed in seeds])
            for which in ("auto", "best")
        )
        return f"{auto:.2f} ({best:.2f})"

    methods = ("total variation", "total variation, x ≥ 0", "Tikhonov")
    for shown, problem in {
        "chest slices, 50 views, noise-free": "ct",
        "photographs, 30 % of the pixels lost": "inpainting",
        "… with 5 % noise": "inpainting, 5 % noise",
        "tooth, 31 of 181 views": "tooth",
        "HTC, fan beam, 30 of 720 views": "htc",
        "DLS rows, 16 of 91 views": "dls",
    }.items():
        yield f"| {shown} | {' | '.join(cell(problem, m) for m in methods)} |"
    yield f"All within {np.ceil(10 * max(losses)) / 10} dB of the best, and all met"


def contributing():
    rows = load("tune_defaults")["rows"]
    one, three = rows["depth 3, A† not refined"], rows["three networks, a third"]
    yield f"place of one {three['psnr'] - one['psnr']:.1f} dB at equal processor time"


def speed():
    result = load("speed")
    step, peers = result["step"], result["peers"]

    def ratios(rows, name):
        pair = (rows.get(f"{name}, {precision}") for precision in ("auto", "float32"))
        return " | ".join(f"{row['ratio']:.2f}" if row else "–" for row in pair)

    for shown, name in {
        "the paper's U-Net, one transform": "paper's U-Net",
        "the paper's U-Net, five transforms": "paper's U-Net, 5 transforms",
        "a U-Net of width 16 and depth 4": "16-channel U-Net",
        "the default: three of width 16 and depth 3, with data consistency": "default",
    }.items():
        yield f"| {shown} | {ratios(step, name)} |"
    yield f"one step over one of deepinv {peers['version']},"
    for shown, name in {
        "user has to write, one transform": "FBP, 1 transform",
        "the same, five transforms": "FBP, 5 transforms",
        "as shipped (conjugate gradients), one transform": "as shipped, 1 transform",
    }.items():
        yield f"{shown} | {ratios(peers, name)} |"
    yield f"on top of a bare loop | {result['loop']['microseconds']:.0f} µs a step |"
    (first,) = load("time_to_gain")["nothing set, one thread"]["epochs"]
    gain = f"{first['gain_dB']:.1f} dB by then"
    yield f"until the paper's gain of 6.7 dB over A†y ({gain})"
    yield f"| {first['processor_s']:.0f} s of processor time, the first of 20 epochs |"
    once = [result["predict"][n]["ratio"] for n in ("paper's U-Net", "default")]
    yield f"paper's U-Net / default | {once[0]:.2f} / {once[1]:.2f} |"
    large = result["size"]["default"]["512"]["per_pixel_over_128"]
    yield f"at 512² over that at 128², default | {large:.2f} |"
    busy = load("busy_machine")["beside busy processes"]
    chosen, both = (
        busy[f"{name}_over_one_thread"]["ratio"] for name in ("chosen", "all")
    )
    yield f"a short fit took {chosen:.2f} times as long as with one thread"
    yield f"and {both:.2f} times with two that sleep"
    ms = {name: row["ms"]["step"] for name, row in step.items()}
    words = {3: "three", 4: "four"}
    five = ms["paper's U-Net, 5 transforms, auto"] / ms["paper's U-Net, auto"]
    paper = ms["paper's U-Net, auto"] / ms["default, auto"]
    yield f"make a step {words[round(five)]} times as long"
    yield f"{words[round(paper)]} times as long a step as the default's"
    for name, row in result["memory"].items():
        sizes = ("predicted_GB", "measured_GB", "whole_process_GB")
        predicted, measured, whole = (row[size] for size in sizes)
        assert abs(predicted / measured - 1) < 0.1  # "within a tenth"
        yield f"| {name} | {predicted:.2f} GB | {measured:.2f} GB | {whole:.1f} GB |"


def training():
    def cells(row):
        return f"{row['psnr']:.2f} | {row['cpu_seconds']:.0f} |"

    rows = load("tune_defaults")["rows"]
    for shown, name in {
        "one network, depth 3, data consistency, 23 epochs": "depth 3, A† not refined",
        "two networks, 12 epochs": "two networks, half the epochs",
        "**three networks, 8 epochs** (default)": "three networks, a third",
        "four networks of width 8 and depth 2, 12 epochs": (
            "four networks of width 8 and depth 2"
        ),
        "one network of width 24, 23 epochs": "depth 3, width 24",
    }.items():
        yield f"| {shown} | {cells(rows[name])}"
    rows = load("tune_presets")["inpainting"]
    for shown, name in {
        "default: three networks of depth 3, batches of two": "default",
        "… batches of one": "batches of one",
        "… and twice the rate, as in all rows below": "batches of one, twice the rate",
        "four networks of depth 2": "four networks of depth 2",
        "six of depth 1": "six of depth 1",
        "**eight of depth 1**": "eight of depth 1",
        "ten of depth 1": "ten of depth 1",
        "without ground truth: EI, default": "EI, default",
        "without ground truth: EI, eight of depth 1": "EI, eight of depth 1",
    }.items():
        yield f"| {shown} | {cells(rows[name])}"
    rows = load("fast_ei")["rows"]

    def tried(name):
        row = rows.get(name)
        return f"{row['psnr']:.2f} dB in {row['cpu_seconds']:.0f} s" if row else "–"

    for shown, name in {
        "EI, eq. (6)": "EI",
        "without its denoiser)": "fast EI",
        "70 % of the views)": "equivariant splitting",
    }.items():
        each = (
            tried(f"{network}: {name}") for network in ("plain", "data consistency")
        )
        yield f"{shown} | {' | '.join(each)} |"
    ei, fast = (rows[f"data consistency: {name}"] for name in ("EI", "fast EI"))
    more = 100 * (fast["cpu_seconds"] / ei["cpu_seconds"] - 1)
    yield f"it gains {fast['psnr'] - ei['psnr']:.1f} dB for {more:.0f} % more time,"


def real_results():
    """What is beside the tables, which have a test of their own."""
    brain = load("real/brain-ei-seed0")["setup"]
    points = int(brain["points"].split(" of ")[1]) / np.prod(brain["image_shape"])
    yield f"a Poisson disc of {100 * points:.1f} % of the points"
    yield f"the middle, {brain['of k-space'].replace('%', ' %')} of k-space"
    volume = load("real/volume")
    test = volume["test"]
    yield f"All {volume['n_rows']} rows of DLS,"
    yield f"took {volume['cpu_seconds']:.0f} s of processor time with one thread,"
    yield f"{volume['wall_seconds']:.0f} s by the clock"
    yield (
        f"against all views {test['psnr']:.2f} dB, SSIM {test['ssim']:.3f}, "
        f"held-out error {test['held_out_error']:.4f} ("
    )


PAGES = {
    "CONTRIBUTING.md": contributing,
    "doc/baselines.md": baselines,
    "doc/real_results.md": real_results,
    "doc/speed.md": speed,
    "doc/training.md": training,
}
