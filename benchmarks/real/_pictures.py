"""Pictures: one slice by every method beside the reference, and the differences."""

import numpy as np

from ._scan import magnitude


def draw(scan, cells, out):
    """Write ``OUT/pictures/NAME.png`` of the first seed of every method.

    Parameters
    ----------
    scan : Scan
    cells : list of dict
        Of this scan; those that were skipped are left out.
    out : Path

    Returns
    -------
    path : Path
    """
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    shown = {}
    for cell in cells:
        if "skipped" not in cell and cell["title"] not in shown:
            name = f"{cell['scan']}-{cell['method']}-seed{cell['seed']}"
            with np.load(out / "images" / f"{name}.npz") as file:
                shown[cell["title"]] = cell, magnitude(file["images"], scan)
    middle = len(scan.reference) // 2
    truth = magnitude(scan.reference, scan)[middle]
    low, high = (float(v) for v in np.quantile(truth, (0.01, 0.999)))
    limit = 0.25 * (high - low)
    figure, axes = plt.subplots(
        2, len(shown) + 1, figsize=(2.2 * (len(shown) + 1), 4.9), layout="compressed"
    )
    axes[0, 0].imshow(truth, cmap="gray", vmin=low, vmax=high)
    axes[0, 0].set_title("all measurements", fontsize=8)
    for column, (title, (cell, images)) in enumerate(shown.items(), start=1):
        test = cell["test"]
        axes[0, column].imshow(images[middle], cmap="gray", vmin=low, vmax=high)
        axes[0, column].set_title(
            f"{title}\n{test['psnr']:.1f} dB, held out {test['held_out_error']:.4f}",
            fontsize=8,
        )
        axes[1, column].imshow(
            images[middle] - truth, cmap="RdBu_r", vmin=-limit, vmax=limit
        )
    for axis in axes.flat:
        axis.axis("off")
    figure.suptitle(scan.title, fontsize=10)
    path = out / "pictures" / f"{scan.name}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    plt.close(figure)
    return path
