"""Does ``check_consistency`` tell right set-ups from wrong ones?

    python benchmarks/geometry_check.py --real FOLDER

FOLDER holds the real sinograms (see ``_real_data.py``); without it they are left
out. Writes ``benchmarks/results/geometry_check.json``: false alarms, and what is
missed, by name.
"""

import argparse
import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import _real_data
import _record
import numpy as np
import torch
from sklearn.base import clone

from sklearn_ei.datasets import make_thorax_phantoms
from sklearn_ei.operators import (
    MRI,
    Blur,
    CompressedSensing,
    Downsampling,
    FanBeamCT,
    Inpainting,
    ParallelBeamCT,
    check_consistency,
    gaussian_kernel,
)

SMOKE = []
SMOKE_SLOW = True
SEED = 0
SHAPE = (64, 64)
# What no residual can tell, and why.
CANNOT_BE_TOLD = {
    "parallel, other sense of rotation": "a mirrored image has these measurements",
    "compressed sensing, other matrix": "A has full row rank: any y is explained",
    "clipped by two pixels": "as much as a drifting air value leaves",
    "both ends of 50 views": "less than the noise",
}


def noisy(Y, level):
    rng = np.random.default_rng(SEED)
    return (Y + level * Y.max() * rng.standard_normal(Y.shape)).astype(np.float32)


def photons(Y):
    """Return attenuations of up to 4 as 20000 photons give them, in some bins none."""
    mean = 2e4 * np.exp(-4 * np.maximum(Y, 0) / Y.max())
    counts = np.random.default_rng(SEED).poisson(mean)
    return -np.log(np.maximum(counts, 1) / 2e4)


def images(size=64):
    return make_thorax_phantoms(3, (size, size), random_state=SEED)


def parallel(n_views=50, **parameters):
    return ParallelBeamCT(n_views, SHAPE, **parameters)


def fan(**parameters):
    parameters = {"source_distance": 90.0, "detector_distance": 45.0, **parameters}
    return FanBeamCT(60, SHAPE, **parameters)


def mask(seed=0):
    return np.random.default_rng(seed).random(SHAPE) > 0.3


def complex_images():
    x = images()
    return np.stack([x, 0.3 * x], axis=-1)


def lines_of(operator):
    constants = operator.resolve()._constants.like(torch.empty(0))
    lines = constants.mask.numpy().astype(bool)
    return lines if lines.ndim == 1 else lines.any(axis=0)


def right():
    """Yield name, operator and measurements that belong to each other."""
    rng = np.random.default_rng(SEED)
    x = images()
    scans = {
        "parallel": parallel(),
        "parallel, 10 views": parallel(10),
        "parallel, 180 views": parallel(180),
        "random views": parallel(angles=rng.uniform(0, 180, 50)),
        "golden angle": parallel(angles=np.arange(50) * 111.246),
        "1° then 3°": parallel(angles=np.r_[np.arange(0, 90), np.arange(90, 180, 3)]),
        "views lost": parallel(angles=np.delete(np.arange(0, 180, 3.0), [7, 8, 30])),
        "limited angle": parallel(angles=np.arange(0, 100, 3.0)),
        "half acquisition": parallel(
            angles=np.arange(0, 360, 5.0), n_bins=50, detector_offset=20.3
        ),
        "detector aside": parallel(detector_offset=-3.2),
        "fan": fan(),
        "short fan": fan(scan="short"),
        "curved fan, aside": fan(detector="curved", detector_offset=4.0),
    }
    for name, operator in scans.items():
        Y = operator.measure(x)
        for level in (0.01, 0.05):
            yield f"{name}, {level:.0%} noise", operator, noisy(Y, level)
    yield "noise-free", parallel(), parallel().measure(x)
    for n_views in (12, 50):
        ends = parallel(angles=np.linspace(0, 180, n_views))
        yield f"both ends, {n_views} views", ends, noisy(ends.measure(x), 0.01)
    fine = ParallelBeamCT(50, (256, 256), pixel_size=0.25, bin_size=1.0, n_bins=93)
    yield "finer object", parallel(), noisy(fine.measure(images(256)), 0.01)
    yield "truncated views", parallel(n_bins=40), parallel(n_bins=40).measure(x)
    counts = rng.poisson(2e4 * np.exp(-parallel().measure(x) / 8))
    yield "photon noise", parallel(), -np.log(np.maximum(counts, 1) / 2e4) * 8
    yield "lost pixels", Inpainting(mask=mask()), noisy(x, 0.05) * mask()
    dark = 0.1 * x.max() * rng.standard_normal(x.shape)
    frames = np.where(mask(), noisy(x, 0.05), dark)
    yield "dark noise at lost pixels", Inpainting(mask=mask()), frames
    mri = MRI(4, SHAPE)
    k_space = mri.measure(complex_images())
    sampled = lines_of(mri)[None, None, :, None]
    yield "MRI", mri, (noisy(k_space, 0.01) * sampled).astype(np.float32)
    blur = Blur(gaussian_kernel(1.0), SHAPE)
    yield "blur, 2 % noise", blur, noisy(blur.measure(x), 0.02)
    small = Downsampling(2, SHAPE)
    yield "downsampling", small, noisy(small.measure(x), 0.05)


def wrong():
    """Yield name, operator and measurements that do not belong to each other."""
    yield from wrong_scans()
    yield from wrong_readings()
    yield from other_wrong()


def wrong_scans():
    rng = np.random.default_rng(SEED)
    x = images()
    Y = noisy(parallel().measure(x), 0.01)
    of_fan = noisy(fan().measure(x), 0.01)
    n_bins = of_fan.shape[2]
    all_around = np.arange(50) * 7.2
    yield "counts", parallel(), 1e4 * np.exp(-3 * Y / Y.max())
    yield "transmission", parallel(), np.exp(-Y / Y.max())
    yield "radians", parallel(angles=np.deg2rad(np.arange(50) * 3.6)), Y
    square = ParallelBeamCT(93, SHAPE)
    yield "transposed", square, noisy(square.measure(x), 0.01).transpose(0, 2, 1)
    full = noisy(parallel(angles=all_around).measure(x), 0.01)
    yield "360° as 180°", parallel(), full
    yield "steps of 3° for 3.6°", parallel(angles=np.arange(50) * 3.0), Y
    few = parallel(12)
    both_ends = parallel(angles=np.linspace(0, 180, 12))
    yield "both ends of 12 views", both_ends, noisy(few.measure(x), 0.01)
    yield "both ends of 50 views", parallel(angles=np.linspace(0, 180, 50)), Y
    yield "no minus sign", parallel(), -Y
    yield "180° as 360°", parallel(angles=all_around), Y
    yield "shuffled views", parallel(), Y[:, rng.permutation(50)]
    yield "shuffled fan views", fan(), of_fan[:, rng.permutation(60)]
    for offset in (1.5, -2.5, 5.0):
        data = noisy(parallel(detector_offset=offset).measure(x), 0.01)
        yield f"offset {offset} left out", parallel(), data
    data = noisy(parallel(detector_offset=3.0).measure(x), 0.01)
    yield "offset of the wrong sign", parallel(detector_offset=-3.0), data
    data = noisy(fan(detector_offset=3.0).measure(x), 0.01)
    yield "fan, offset left out", fan(), data
    yield "fan as parallel", ParallelBeamCT(60, SHAPE, n_bins=n_bins), of_fan
    around = ParallelBeamCT(angles=np.arange(60) * 6, image_shape=SHAPE, n_bins=n_bins)
    yield "fan as parallel, all around", around, of_fan
    far = FanBeamCT(60, SHAPE, source_distance=250.0, n_bins=93)
    yield (
        "far source as parallel",
        parallel(angles=np.arange(60) * 6),
        noisy(far.measure(x), 0.01),
    )
    data = noisy(ParallelBeamCT(angles=np.arange(60) * 6, image_shape=SHAPE).measure(x), 0.01)  # fmt: skip  # noqa: E501
    yield "parallel as fan", fan(n_bins=93), data
    yield "fan turns the other way", fan(angles=np.arange(60) * -6.0), of_fan
    distance = fan(detector_distance=135.0, bin_size=1.5, pixel_size=1.0, n_bins=n_bins)
    yield "distance from the source", distance, of_fan
    yield "full fan as short", fan(scan="short", n_bins=n_bins), of_fan
    yield "clipped object", ParallelBeamCT(50, (40, 40), n_bins=93), Y
    yield "clipped by two pixels", ParallelBeamCT(50, (52, 52), n_bins=93), Y
    yield "pixels too small", parallel(pixel_size=0.6, bin_size=1.0, n_bins=93), Y
    yield "air value 20 % off", parallel(), Y + 0.2 * Y.max() / 3
    yield "parallel, other sense of rotation", parallel(), Y[:, ::-1].copy()


def wrong_readings():
    Y = noisy(parallel().measure(images()), 0.01)
    for what, reading in {"dead": 8.0, "stuck": 2.0}.items():
        data = photons(Y)
        data[:, :, 40] = reading
        yield f"{what} bin", parallel(), data
    for what, reading in {"dark": 8.0, "at 0": 0.0}.items():
        data = photons(Y)
        data[:, [7, 31]] = reading
        yield f"lost views, {what}", parallel(), data


def other_wrong():
    x = images()
    yield "zeros for lost pixels", Inpainting(mask=mask(1) | mask()), x * mask()
    yield "whole frames", Inpainting(mask=mask()), noisy(x, 0.05)
    yield "inverted mask", Inpainting(mask=~mask()), x * mask()
    yield "mask of other frames", Inpainting(mask=mask(1)), x * mask()
    mri = MRI(4, SHAPE)
    k_space = mri.measure(complex_images())
    yield "MRI, zero frequency in the corner", mri, np.fft.ifftshift(k_space, (1, 2))
    yield "MRI, images in place of k-space", mri, complex_images()
    yield "MRI, inverted mask", MRI(mask=~lines_of(mri)), k_space
    yield "MRI, other lines", MRI(4, SHAPE, random_state=1), k_space
    cs = CompressedSensing(1000, SHAPE, random_state=1)
    data = cs.measure(x)
    yield (
        "compressed sensing, other matrix",
        CompressedSensing(1000, SHAPE, random_state=2),
        data,
    )


def right_on_real_data(folder):
    for name in _real_data.available(folder)[0]:
        yield name, *_real_data.load(folder, name)


def wrong_on_real_data(folder):
    for name in _real_data.available(folder)[0]:
        operator, Y = _real_data.load(folder, name)
        width = _real_data.OFFSETS[name][1]
        moved = clone(operator)
        moved.detector_offset = operator.detector_offset - 3 * width
        yield f"{name}, 3 bins off", moved, Y
        if operator.detector_offset:
            flipped = clone(operator)
            flipped.detector_offset = -operator.detector_offset
            yield f"{name}, offset of the wrong sign", flipped, Y
        if isinstance(operator, FanBeamCT):
            backwards = clone(operator)
            backwards.angles = -np.asarray(operator.angles)
            yield f"{name}, turned the other way", backwards, Y
        order = np.random.default_rng(SEED).permutation(Y.shape[1])
        yield f"{name}, shuffled", operator, Y[:, order]


def table(cases):
    rows = {}
    for name, operator, Y in cases:
        report = check_consistency(operator, np.asarray(Y, dtype=np.float32))
        rows[name] = report.to_dict()
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--real", default=None)
    folder = parser.parse_args().real
    torch.set_num_threads(1)
    found, missing = _real_data.available(folder)
    rights = table([*right(), *right_on_real_data(folder)])
    wrongs = table([*wrong(), *wrong_on_real_data(folder)])
    false = [name for name, row in rights.items() if not row["is_consistent"]]
    missed = [name for name, row in wrongs.items() if row["is_consistent"]]
    unnamed = [
        name
        for name, row in wrongs.items()
        if not row["is_consistent"] and not row["causes"]
    ]
    results = {
        "machine": _record.machine(),
        "load_before": os.getloadavg()[0],
        "seed": SEED,
        "real_data": {"found": found, "missing": missing},
        "n_right": len(rights),
        "n_wrong": len(wrongs),
        "false_alarms": false,
        "missed": {name: CANNOT_BE_TOLD.get(name, "") for name in missed},
        "warned_of_without_a_cause": unnamed,
        "required": "no false alarm; missed ones are named",
        "largest_unexplained_of_right": max(r["unexplained"] for r in rights.values()),
        "right": rights,
        "wrong": wrongs,
    }
    path = _record.write("geometry_check", results)
    print(f"{path}: {len(false)} false of {len(rights)}, {len(missed)} missed of")
    print(f"{len(wrongs)}: {missed}; false: {false}; no cause: {unnamed}")


if __name__ == "__main__":
    main()
