"""Figures on choosing α, and on trusting what was reconstructed."""

import numpy as np

from .recorded import load, signed, span


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
    yield f"| score | {' | '.join(cases)} |"
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
    within, ahead, chosen = [], [], []
    for problem, seed in [*cases.values()][:3]:  # CT
        runs = [
            run["scores"]
            for key, run in result["runs"].items()
            if key.startswith(f"{problem} | {seed} | ")
        ]
        errors = sorted(-scores["round trip"] for scores in runs)
        within.append(100 * (errors[-1] / errors[0] - 1))
        errors = sorted(-scores[default] for scores in runs)
        ahead.append(100 * (errors[1] / errors[0] - 1))
        best = result["summary, psnr"][f"{problem} | round trip"][seed]
        chosen.append(f"{best['alpha']:g}")
    few, many = chosen[2], chosen[0]
    assert chosen[1] == many
    yield (
        f"against y lie within {np.ceil(max(within)):.0f} % on CT, and the smallest is "
        f"that of α = {many}, with 0.5 % noise of α = {few}; with the default the best "
        f"α is {span(ahead, to=' to ')} % ahead of the next."
    )


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


PAGES = {
    "doc/model_selection.md": lambda: [*model_selection(), *noisy_scores()],
    "doc/trust.md": trust,
}
