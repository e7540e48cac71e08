"""Cells: one method on one scan with one seed, run once and kept as JSON."""

import json
import time
import warnings

import numpy as np

from sklearn_ei.utils.files import write_atomically

from .. import _record
from ._methods import Missing

FORMAT = 1


def run_cell(scan, name, method, seed, out, *, log=None):
    """Run a cell, unless it is there already.

    Parameters
    ----------
    scan : Scan
    name : str
        Of the method.
    method : Method
    seed : int
    out : Path
        Folder of cells and images.
    log : callable, default=None
        What is told goes there; None: it is printed.

    Returns
    -------
    cell : dict
        With ``test`` (PSNR, SSIM, held-out error) and ``cpu_seconds``; or with
        ``skipped``, a reason, which is tried again the next time.
    """
    log = log or _print
    path = out / "cells" / f"{scan.name}-{name}-seed{seed}.json"
    digest = scan.digest()
    try:
        estimator = method.make(scan.operator, seed)
    except (Missing, ImportError) as reason:
        return _skipped(scan, name, method, seed, reason, log=log)
    identity = {"data": digest, "parameters": plain_parameters(estimator)}
    if path.exists():
        cell = json.loads(path.read_text("utf-8"))
        if cell["identity"] == identity and cell["format"] == FORMAT:
            return cell
    start, wall = time.process_time(), time.perf_counter()
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            if method.grid:
                images, extra = _best_of_grid(scan, estimator, method.grid)
            else:
                truth = [scan.truth] if method.supervised else []
                images = estimator.fit(scan.train, *truth).predict(scan.test)
                extra = fitted(estimator)
    except (ValueError, RuntimeError, MemoryError) as reason:
        # The others are run all the same.
        reason = f"{type(reason).__name__}: {reason}"
        return _skipped(scan, name, method, seed, reason, log=log)
    cell = {
        "format": FORMAT,
        "scan": scan.name,
        "method": name,
        "seed": seed,
        "title": method.title,
        "setup": scan.setup,
        "machine": _record.machine(),
        "identity": identity,
        "cpu_seconds": round(time.process_time() - start, 2),
        "wall_seconds": round(time.perf_counter() - wall, 2),
        "test": {key: round(v, 5) for key, v in scan.quality(images).items()},
        "warnings": sorted({_brief(entry) for entry in caught}),
        **extra,
    }
    for folder in ("cells", "images"):
        (out / folder).mkdir(parents=True, exist_ok=True)
    np.savez_compressed(out / "images" / f"{path.stem}.npz", images=images)
    write_json(path, cell)
    log(
        f"{scan.name:8} {method.title:24} seed {seed}: "
        f"PSNR {cell['test']['psnr']:.2f} dB, SSIM {cell['test']['ssim']:.3f}, "
        f"held out {cell['test']['held_out_error']:.4f}, {cell['cpu_seconds']:.0f} s"
    )
    return cell


def _best_of_grid(scan, estimator, grid):
    """Return the images of the λ that is closest to the reference."""
    best, scores = None, {}
    for value in grid:
        estimator.set_params(regularization=value)
        images = estimator.fit(scan.train).predict(scan.test)
        score = scan.quality(images)["psnr"]
        scores[f"{value:g}"] = round(score, 3)
        if best is None or score > best[0]:
            best = score, value, images
    _, value, images = best
    return images, {"regularization": value, "psnr_of_grid": scores}


def fitted(estimator):
    """Return what an estimator has found out by itself, as JSON."""
    found = {}
    for name in ("regularization_", "alpha_", "n_iter_", "noise_", "group_"):
        value = getattr(estimator, name, None)
        if value is not None:
            number = isinstance(value, int | float)
            found[name.rstrip("_")] = value if number else " ".join(repr(value).split())
    return found


def plain_parameters(estimator):
    """Return all parameters as JSON: a changed default is another cell."""
    return {
        name: value
        if isinstance(value, bool | int | float | str) or value is None
        else " ".join(repr(value).split())
        for name, value in sorted(estimator.get_params(deep=False).items())
    }


def _print(text):
    print(text, flush=True)  # runs take hours, and go to a log


def _skipped(scan, name, method, seed, reason, *, log):
    reason = " ".join(str(reason).split())
    log(f"{scan.name:8} {method.title:24} seed {seed}: skipped, {reason[:200]}")
    return {"scan": scan.name, "method": name, "seed": seed, "skipped": reason}


def _brief(entry):
    return f"{entry.category.__name__}: {' '.join(str(entry.message).split())[:300]}"


def write_json(path, document):
    """Write JSON, completely or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(document, indent=1, ensure_ascii=False) + "\n"
    write_atomically(path, [text.encode()])
