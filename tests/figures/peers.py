"""Figures of other libraries, beside ours."""

from .recorded import load


def rival():
    """deepinv, of which doc/results.md has a section."""
    result = load("rival")
    cells = {k.removesuffix(" | 0"): v for k, v in result["tune, 64 pixels"].items()}

    def db(name):
        return f"{cells[name]['psnr']:.2f}"

    def first(name):
        return f"{cells[name]['n_steps']} | {db(name)}"

    yield f"| A†y | – | {cells['A†']['curve'][0][1]:.2f} |"
    yield f"have {cells['A†']['cpu_seconds']:.0f} s of one thread"
    yield f"ours has {cells['ours']['cpu_seconds']:.0f} s"
    yield (
        f"A† | {first('A†')} | rate 10⁻³ {db('A†, lr 1e-3')}, 10⁻² "
        f"{db('A†, lr 1e-2')}; rotations with a gradient through x₂, as in the paper "
        f"{db('A†, as the paper')} |"
    )
    yield f"rate 10⁻³ | {first('gradient, lr 1e-3')} | rate 4·10⁻³ {db('gradient')} |"
    yield (
        f"five conjugate gradients | {first('CG, 5 iterations')} | ten {db('CG')}: "
        f"rate 10⁻³ {db('CG, lr 1e-3')}, 10⁻² {db('CG, lr 1e-2')}; α = 1000 "
        f"{db('CG, alpha 1000')} |"
    )
    yield (
        f"filtered | {first('filtered')} | rate 10⁻² {db('filtered, lr 1e-2')}; five "
        f"networks {db('filtered, five networks')}; rotations "
        f"{db('filtered, rotations')} |"
    )
    yield f"equivariant splitting | {first('filtered, splitting')} |"
    yield f"**ours**, six epochs, else nothing set | {first('ours')} |"
    ours, level, own, single = (
        cells[name]["psnr"] for name in ("ours", "filtered", "CG, 5 iterations", "A†")
    )
    yield f"{level - ours:.2f} dB on one seed"
    other, theirs, averaged = (
        f"{result['tune, 64 pixels'][f'{name} | 1']['psnr']:.2f}"
        for name in ("ours", "filtered", "filtered, averaged")
    )
    yield f"it has {theirs} dB and ours {other};"
    yield f"gain it nothing ({averaged})."
    yield f"it is {ours - own:.1f} dB behind with conjugate gradients"
    steps = [cells[name]["n_steps"] for name in ("CG, 5 iterations", "filtered")]
    assert 0.6 < steps[0] / steps[1] < 0.73  # "two thirds of the steps"
    yield f"and {ours - single:.1f} dB with one network"
    for name, shown in {
        "filtered": "deepinv, filtered",
        "A†": "deepinv, A†",
        "ours": "**ours**, nothing set",
    }.items():
        run = result["runs"][f"{name} | 0"]
        yield (
            f"| {shown} | {run['n_steps']} | {run['cpu_seconds']:.0f} | "
            f"{run['psnr']:.2f} |"
        )
