"""`regularization="auto"` against the best λ of a fine grid, for both baselines.

    python benchmarks/baselines_auto.py DATA_FOLDER

DATA_FOLDER holds ct100_train_128.npz, urban100_train_256.npz and, in real/,
aps_tooth.h5, htc2022_ta_fan.npz and dls_rows.npz; what is not there is left out. With
--toy, small phantoms in their place. PSNR is that of all images, in dB: against the
truth, or for real measurements against A†y of all views with three refinements. The
best λ is that of the grid by ground truth, which nobody has in practice. What has been
run is kept in results/baselines_auto.json.
"""

import argparse
import time
import warnings
from pathlib import Path

import _record
import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning

from sklearn_ei import TikhonovReconstructor, TotalVariationReconstructor
from sklearn_ei.datasets import make_thorax_phantoms, read_hdf5
from sklearn_ei.metrics import psnr
from sklearn_ei.operators import FanBeamCT, Inpainting, ParallelBeamCT
from sklearn_ei.preprocessing import transmission_to_attenuation

SMOKE = ["--toy", "--images", "2", "--points", "3", "--seeds", "1"]
SMOKE_SLOW = True

ESTIMATORS = {
    "Tikhonov": (TikhonovReconstructor, {}),
    "Tikhonov, x ≥ 0": (TikhonovReconstructor, {"nonneg": True}),
    "total variation": (TotalVariationReconstructor, {}),
    "total variation, x ≥ 0": (TotalVariationReconstructor, {"nonneg": True}),
}


def binned(array, n):
    return array.reshape(*array.shape[:-1], -1, n).mean(-1)


def referenced(Y, operator, step, angles, **parameters):
    """Return a problem of every step-th view, its reference from all of them."""
    everything = operator(angles=angles, n_refinements=3, **parameters)
    some = operator(angles=angles[::step], **parameters)
    return some, Y[:, ::step], everything.reconstruct(Y)


def tooth(folder, options):
    """Two rows of a synchrotron scan, 31 of 181 views."""
    scan = read_hdf5(folder / "real" / "aps_tooth.h5")
    counts, flat, dark = (binned(scan[n], 4) for n in ("measurements", "flat", "dark"))
    Y = transmission_to_attenuation(counts, dark, flat)
    return referenced(
        Y,
        ParallelBeamCT,
        6,
        scan.angles,
        image_shape=(96, 96),
        n_bins=160,
        detector_offset=5.9,
    )


def htc(folder, options):
    """One slice of a laboratory scanner, fan beam, 30 of 720 views."""
    with np.load(folder / "real" / "htc2022_ta_fan.npz") as scan:
        return referenced(
            binned(scan["sinogram"], 2)[None],
            FanBeamCT,
            24,
            scan["angles"],
            image_shape=(96, 96),
            pixel_size=0.75,
            n_bins=140,
            bin_size=2 * float(scan["bin_size_mm"]),
            source_distance=float(scan["source_distance_mm"]),
            detector_distance=float(scan["detector_distance_mm"]),
        )


def dls(folder, options):
    """Rows of a synchrotron scan, 16 of 91 views."""
    with np.load(folder / "real" / "dls_rows.npz") as scan:
        rows = np.linspace(0, scan["transmission"].shape[1] - 1, options.images)
        transmission = scan["transmission"][:, rows.round().astype(int)]
        Y = -np.log(transmission.astype(np.float64) / 0.69).swapaxes(0, 1)
        return referenced(
            binned(Y, 2).astype(np.float32),
            ParallelBeamCT,
            6,
            scan["angles"],
            image_shape=(56, 56),
            n_bins=80,
            detector_offset=-3.2,
        )


def ct(level):
    def problem(folder, options):
        """50 views of chest slices; noise relative to the largest measurement."""
        if folder is None:
            images = make_thorax_phantoms(options.images, (32, 32), random_state=0)
            operator = ParallelBeamCT(n_views=20)
        else:
            with np.load(folder / "ct100_train_128.npz") as file:
                images = file["images"][80 : 80 + options.images] / np.float32(65535)
            operator = ParallelBeamCT(n_views=50)
        return operator, add_noise(operator.measure(images), level, options), images

    return problem


def add_noise(Y, level, options):
    rng = np.random.default_rng(options.seed)
    return Y + (level * Y.max() * rng.standard_normal(Y.shape)).astype(np.float32)


def inpainting(level):
    def problem(folder, options):
        """The middle 128² of colour photographs, 30 % of the pixels lost."""
        if folder is None:
            images = make_thorax_phantoms(options.images, (32, 32), random_state=0)
        else:
            with np.load(folder / "urban100_train_256.npz") as file:
                images = file["images"][80 : 80 + options.images, 64:192, 64:192]
            images = images / np.float32(255)
        operator = Inpainting(0.3, random_state=options.seed)
        return operator, add_noise(operator.measure(images), level, options), images

    return problem


PROBLEMS = {
    "ct": ct(0),
    "ct, 0.5 % noise": ct(0.005),
    "ct, 2 % noise": ct(0.02),
    "inpainting": inpainting(0),
    "inpainting, 5 % noise": inpainting(0.05),
    "tooth": tooth,
    "htc": htc,
    "dls": dls,
}


def grid(options):
    """λ from 0.1 down to 1e-6."""
    return 10.0 ** -np.linspace(1, 6, options.points)


def measure(estimator, Y, images):
    """Return PSNR, seconds and whether all images met the tolerance."""
    start = time.process_time()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ConvergenceWarning)
        found = estimator.predict(Y)
    missed = any(issubclass(w.category, ConvergenceWarning) for w in caught)
    return psnr(images, found), time.process_time() - start, not missed


def run(problem, name, folder, options):
    operator, Y, images = PROBLEMS[problem](folder, options)
    Estimator, parameters = ESTIMATORS[name]
    estimator = Estimator(operator, **parameters)
    start = time.process_time()
    estimator.fit(Y)
    fit_seconds = time.process_time() - start
    auto = estimator.regularization_
    auto_psnr, seconds, converged = measure(estimator, Y, images)
    curve = []
    for weight in sorted([*grid(options), auto]):
        estimator.regularization_ = weight
        curve.append([weight, *measure(estimator, Y, images)])
    # As predict says it: an image that did not converge is no minimiser.
    best = max((row for row in curve if row[3]), key=lambda row: row[1], default=None)
    return {
        "auto": {"regularization": auto, "psnr": auto_psnr, "converged": converged},
        "best": best and {"regularization": best[0], "psnr": best[1]},
        "loss": best and best[1] - auto_psnr,
        "fit_seconds": fit_seconds,
        "predict_seconds": seconds,
        "n_samples": len(Y),
        "curve": curve,
    }


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--toy", action="store_true", help="phantoms of 32²")
    parser.add_argument("--problems", nargs="*", default=list(PROBLEMS))
    parser.add_argument("--estimators", nargs="*", default=list(ESTIMATORS))
    parser.add_argument("--images", type=int, default=10)
    parser.add_argument("--points", type=int, default=11, help="of the grid of λ")
    parser.add_argument("--seeds", type=int, default=3, help="where noise is drawn")
    parser.add_argument("--result", default="baselines_auto", help="name of the file")
    options = parser.parse_args(arguments)
    if options.toy == (options.folder is not None):
        parser.error("give either a folder or --toy")
    torch.set_num_threads(1)
    settings = {"images": options.images, "points": options.points, "toy": options.toy}
    for problem in options.problems:
        real = problem in ("tooth", "htc", "dls")
        if real and (options.toy or not (options.folder / "real").is_dir()):
            continue
        for name in options.estimators:
            for seed in range(1 if real or problem == "ct" else options.seeds):
                result = _record.read(options.result)
                if result.get("settings", settings) != settings:
                    parser.error(f"{options.result} was run with other settings")
                rows = result.setdefault("problems", {}).setdefault(problem, {})
                if str(seed) in rows.setdefault(name, {}):
                    continue
                options.seed = seed
                row = run(problem, name, options.folder, options)
                rows[name][str(seed)] = row
                result |= {"settings": settings, "machine": _record.machine()}
                _record.write(options.result, result)
                best = row["best"] or {"regularization": np.nan, "psnr": np.nan}
                print(
                    f"{problem:22} {name:24} {seed} "
                    f"λ {row['auto']['regularization']:.1e} "
                    f"({best['regularization']:.1e}) "
                    f"PSNR {row['auto']['psnr']:.2f} ({best['psnr']:.2f}), "
                    f"fit {row['fit_seconds']:.1f} s, "
                    f"predict {row['predict_seconds']:.1f} s",
                    flush=True,
                )


if __name__ == "__main__":
    main()
