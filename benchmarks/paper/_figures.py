"""Figures: image panels with their PSNR, and PSNR against the epoch."""

import numpy as np

from sklearn_ei.metrics import psnr

from ._recipes import Spec
from ._runs import ensure, write_json

# figure: (problem, columns, how many test images)
PANELS = {
    "figure4": ("ct", ("pinv", "ei", "supervised"), 3),
    "figure6": ("inpainting", ("pinv", "ei", "supervised"), 3),
    "figure9": ("ct", ("pinv", "mc", "ei", "supervised", "supervised-ei"), 5),
    "figure10": ("inpainting", ("pinv", "mc", "ei", "supervised", "supervised-ei"), 5),
}
CURVES = {"figure5": "ct", "figure8": "inpainting"}
DIP = {"figure11": "ct", "figure12": "inpainting"}
_TEASER = ("pinv", "mc", "ei", "supervised")
_SINGLE = ("dip-1", "dip-2", "ei-single")


def figure1(settings):
    """One image of each problem: A†y, MC, EI, supervised, truth."""
    specs = [Spec(p, s) for p in ("ct", "inpainting") for s in _TEASER]
    runs = ensure(specs, settings)
    rows = [_row(runs[:4], 0), _row(runs[4:], 0)]
    return _panels("figure1", rows, settings)


def panels(name, settings):
    problem, strategies, n_images = PANELS[name]
    runs = ensure([Spec(problem, strategy) for strategy in strategies], settings)
    rows = [_row(runs, i) for i in range(min(n_images, settings.n_test))]
    return _panels(name, rows, settings)


def dip(name, settings, n_images):
    """What one measurement alone gives, and EI that has seen others."""
    problem, numbers = DIP[name], range(min(n_images, settings.n_test))
    whole = ensure([Spec(problem, "pinv"), Spec(problem, "ei")], settings)
    specs = [Spec(problem, s, sample=i) for i in numbers for s in _SINGLE]
    single = ensure(specs, settings)
    rows = []
    for k, i in enumerate(numbers):
        of_image = _row([whole[0]], i)[:-1]
        for run in single[k * len(_SINGLE) : (k + 1) * len(_SINGLE)]:
            image, value = run.reconstructions()[0], run.result()["test"]["psnr"]
            of_image.append((run.spec.title, image, value))
        rows.append(of_image + _row([whole[1]], i))
    return _panels(name, rows, settings)


def _row(runs, i):
    """Return (title, image, PSNR) of test image ``i`` for every run, and the truth."""
    problem = runs[0].problem
    truth = problem.images[problem.n_train + i]
    row = []
    for run in runs:
        image = run.reconstructions()[i]
        row.append((run.spec.title, image, psnr(truth[None], image[None])))
    return [*row, ("truth", truth, None)]


def _panels(name, rows, settings):
    plt = _pyplot()
    n_columns = len(rows[0])
    figure, axes = plt.subplots(
        len(rows), n_columns, figsize=(2.4 * n_columns, 2.65 * len(rows)), squeeze=False
    )
    for axes_row, row in zip(axes, rows, strict=True):
        truth = row[-1][1]
        low, high = (0, 1) if truth.ndim == 3 else np.percentile(truth, [0.5, 99.8])
        for axis, (title, image, value) in zip(axes_row, row, strict=True):
            shown = np.clip((image - low) / (high - low), 0, 1)
            axis.imshow(shown, cmap="gray", vmin=0, vmax=1)
            axis.set(xticks=[], yticks=[])
            axis.set_title(title if axis in axes[0] else "", fontsize=8, wrap=True)
            axis.set_xlabel("" if value is None else f"{value:.2f} dB", fontsize=8)
    values = [
        {title: value for title, _, value in row if value is not None} for row in rows
    ]
    document = _finish(name, figure, {"psnr": values}, settings, dpi=80)
    _shrink(settings.out / f"{_stem(name, settings)}.png")
    return document


def _shrink(path):
    """Keep 128 colours: photographs are large as PNG."""
    from PIL import Image

    image = Image.open(path).convert("RGB")
    image.quantize(128, method=Image.Quantize.MEDIANCUT).save(path, optimize=True)


def curves(name, settings):
    """PSNR against the epoch, on training and on test images."""
    problem = CURVES[name]
    runs = ensure([Spec(problem, s) for s in ("mc", "ei", "supervised")], settings)
    plt = _pyplot()
    figure, axis = plt.subplots(figsize=(6, 4))
    lines = {}
    for colour, run in enumerate(runs):
        curve = run.result()["curve"]
        lines[run.spec.title] = curve
        for part, style in (("train", "--"), ("test", "-")):
            axis.plot(
                curve["epoch"],
                curve[part],
                style,
                color=f"C{colour}",
                label=f"{run.spec.title}, {part}",
            )
    axis.set(xlabel="epoch", ylabel="PSNR (dB)")
    axis.legend(fontsize=8)
    gaps = {title: c["train"][-1] - c["test"][-1] for title, c in lines.items()}
    return _finish(name, figure, {"curves": lines, "gap": gaps}, settings)


def _pyplot():
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    return plt


def _stem(name, settings):
    return f"{name}-{settings.preset}-seed{settings.seed}"


def _finish(name, figure, document, settings, dpi=110):
    stem = _stem(name, settings)
    settings.out.mkdir(parents=True, exist_ok=True)
    figure.tight_layout()
    figure.savefig(settings.out / f"{stem}.png", dpi=dpi)
    _pyplot().close(figure)
    write_json(settings.out / f"{stem}.json", {"preset": settings.preset, **document})
    print(f"{settings.out / stem}.png", flush=True)
    return document
