"""Figures on the pages about training, baselines, scores and speed."""

import numpy as np

from .recorded import load, signed, span


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


def model_selection():
    result = load("alpha_study")
    chosen = result["summary"]
    cases = [
        f"{problem} | {noise}"
        for problem in ("ct", "inpainting", "mri", "compressed_sensing")
        for noise in ("clean", "noisy")
    ]

    def loss(case, name):
        value = max(
            seed["dB_below_best"] for seed in chosen[f"{case} | {name}"].values()
        )
        return f"{value:.2f}" if value < 10 else f"{value:.1f}"

    def rank(case, name):
        seeds = chosen[f"{case} | {name}"].values()
        return f"{np.mean([seed['spearman'] for seed in seeds]):.2f}"

    shown = {
        "**round trip, unseen part**": "round trip, unseen part",
        "round trip, all of it": "round trip, all",
        "held out, second pass": "held out, round trip",
        "held out": "held out",
        "equivariance": "equivariance",
        "measurement error": "measurement error",
        "PSNR of the 10 others": "PSNR of [70:80]",
    }
    ranked = "round trip, unseen part", "held out, round trip", "PSNR of [70:80]"
    for beside, name in shown.items():
        yield f"| {beside} | {' | '.join(loss(case, name) for case in cases)} |"
        if name in ranked:
            yield f"| {beside} | {' | '.join(rank(case, name) for case in cases)} |"
    psnrs = {}
    for key, run in result["runs"].items():
        problem, noise, seed, alpha = key.split(" | ")
        if problem != "ct" and float(alpha):
            psnrs.setdefault((problem, noise, seed), []).append(run["psnr"])
    most = np.ceil(10 * max(map(np.ptp, psnrs.values()))) / 10
    yield f"every α above 0 is within {most} dB of the best"
    told = {
        name: chosen[f"ct | told | {name}"]["0"]["dB_below_best"]
        for name in ("round trip, unseen part", "held out, round trip")
    }
    yield f"α = 0, {told['round trip, unseen part']:.2f} dB below, and"
    yield f"`held_out_score` {told['held out, round trip']:.2f} dB below."
    held_out = chosen["ct | told | held out"]["0"]
    assert held_out["alpha"] == 10**4
    yield f"chose α = 10⁴, {held_out['dB_below_best']:.2f} dB below the best."
    ct, lost = (run["cost_in_fits"] for run in load("alpha_path")["runs"].values())
    yield f"{ct:.2f} times its processor time in all for CT ("
    yield f"and {lost:.2f} times for lost pixels,"


def noisy_scores():
    """Yield the lines on scores where the noise is known."""
    exact, result = load("alpha_linear")["summary"], load("alpha_noise")
    corrected = {  # errors against A x
        "A†A f(y) alone, against A x": "seen",
        "unseen part, against A x": "corrected",
        "…, second measurement noisy": "corrected, noisy again",
        "all of it, against A x, second measurement noisy": "all, corrected, "
        "noisy again",
        "A†A f(y) and the unseen part, against A x": "seen, and corrected",
    }
    both = {"round trip, all of it, against y": "round trip, all", **corrected}
    default = "seen, and corrected, noisy again"
    linear = {"round trip, unseen part, against y": "round trip", **both}
    for beside, name in {**linear, "**…, second measurement noisy**": default}.items():
        yield f"| {beside} | {np.mean(exact[name]):.2f} | {max(exact[name]):.2f} |"
    cases = {
        "CT, 2 %, seed 0": ("ct, 2 %", "0"),
        "CT, 2 %, seed 1": ("ct, 2 %", "1"),
        "CT, 0.5 %": ("ct, 0.5 %", "0"),
        "lost pixels": ("lost pixels, 5 %", "0"),
    }
    for beside, (problem, seed) in cases.items():
        runs = (
            result["runs"].get(f"{problem} | {seed} | {alpha}")
            for alpha in (0, 1, 10, 100, 1000, 10000)
        )
        cells = (f"{run['psnr']:.2f}" if run else "–" for run in runs)
        yield f"| {beside} | {' | '.join(cells)} |"
    networks = {
        "round trip, unseen part, against y (the one above)": "round trip",
        **both,
        "… of y + τn, against y − n/τ (R2R)": "recorrupted",
        "**…, second measurement noisy: `score(Y)`**": default,
        "held out": "held out",
        "held out, second pass": "held out, round trip",
        "equivariance": "equivariance",
    }
    for beside, name in networks.items():
        rows = (
            result["summary, psnr"][f"{problem} | {name}"][seed]
            for problem, seed in cases.values()
        )
        cells = (
            f"{row['alpha']:g}: {row['dB_below_best']:.2f} "
            f"({signed(row['spearman'], 2)})"
            for row in rows
        )
        yield f"| {beside} | {' | '.join(cells)} |"


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


def trust():
    rows = load("trust_study")["rows"]

    def over_seeds(case):
        return [row for key, row in rows.items() if key.startswith(f"{case} | ")]

    lost = " of the lost ones"
    for shown, case, of in (
        ("CT, 25 views", "ct | clean", ""),
        ("CT, 25 views, 2 % noise", "ct | noisy", ""),
        ("lost pixels, 30 %", "inpainting | clean", lost),
        ("lost pixels, 10 % noise", "inpainting | noisy", ""),
        ("MRI ×4", "mri | clean", ""),
        ("MRI ×4, 10 % noise", "mri | noisy", ""),
        ("8 × 8 digits, 32 random projections", "compressed_sensing | clean", ""),
        ("… with noise", "compressed_sensing | noisy", ""),
    ):
        seeds = over_seeds(case)
        cells = [
            f"{span([100 * row[kind]['mean'] for row in seeds])} %{of}"
            for kind in ("uncalibrated", "calibrated")
        ]
        cells.append(span([row["rank_correlation"] for row in seeds], 2))
        if of:
            among = span([row["rank_correlation_unmeasured"] for row in seeds], 2)
            cells[-1] += f"; {among} among the lost"
        yield f"| {shown} | {' | '.join(cells)} |"
    followed = {
        case: [row["null_space_fraction_correlation"] for row in over_seeds(case)]
        for case in {key.rpartition(" | ")[0] for key in rows}
    }
    frames = followed.pop("inpainting | clean")
    others = [value for values in followed.values() for value in values]
    yield f"lost pixels (rank correlation {span(frames, 2)}), and"
    yield f"nowhere else ({span(others, 2, ' to ')})."


def real_results():
    """What is beside the tables, which have a test of their own."""
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
    "doc/model_selection.md": lambda: [*model_selection(), *noisy_scores()],
    "doc/real_results.md": real_results,
    "doc/speed.md": speed,
    "doc/training.md": training,
    "doc/trust.md": trust,
}
