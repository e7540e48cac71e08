"""Transforms and networks that the defaults were chosen among, on validation images.

    python benchmarks/tune_presets.py ct ct100_train_128.npz [--only NAME ...]
    python benchmarks/tune_presets.py inpainting urban100_train_256.npz

Trained on [:70], validated on [70:80]; the images that figures are reported on, [80:],
are never looked at. One seed: differences of 0.2 dB mean nothing.

CT asks which transformations teach most, and where the gap to supervised training comes
from: "ground truth" rows are supervised on A T_g x and T_g x, with another g for each
epoch, as if equivariant imaging had the true images to transform. What they lose
against plain supervised training is the price of the group, whatever is known of the
images.
Inpainting asks, with ground truth, which unrolled network suits lost pixels; images
there are the middle 128 × 128 pixels.

A row that has been run is kept in results/tune_presets.json unless --only names it.
Rows of f as it was by default before its steps were refined are under
"ct, earlier default".
"""

import argparse
import time

import _record
import numpy as np
import torch
from _transforms import NO_GRADIENT, TILTS_AND_ZOOMS
from sklearn.base import clone

from sklearn_ei import EquivariantReconstructor
from sklearn_ei.groups import RandomAffine, Rotations, Shifts
from sklearn_ei.metrics import psnr
from sklearn_ei.networks import UNet, Unrolled
from sklearn_ei.operators import Inpainting, ParallelBeamCT

SMOKE = ["ct", "{ct16}", "--epochs", "1", "--only", "EI, tilts and zooms"]
SMOKE += ["ground truth, tilts and zooms"]
SMOKE_SLOW = True
N_TRAIN, N_ALL = 70, 80
EPOCHS = {"ct": 8, "inpainting": 10}

TILTS, ZOOMS = TILTS_AND_ZOOMS.parts
ROTATIONS = {how: Rotations(360, interpolation=how) for how in ("bicubic", "fft")}
# name: (group, whether ground truth is transformed by it). Where images are shrunk, f
# learns from them rather than changes them.
CT = {
    "supervised": (None, True),
    "ground truth, rotations, fft": (ROTATIONS["fft"], True),
    "ground truth, tilts and zooms": (TILTS_AND_ZOOMS, True),
    "ground truth, any angle and zooms": (RandomAffine(degrees=180), True),
    "EI, rotations": (Rotations(360), False),
    "EI, rotations, bicubic": (ROTATIONS["bicubic"], False),
    "EI, rotations, fft": (ROTATIONS["fft"], False),
    "EI, rotations and zooms from 0.7": (
        ROTATIONS["bicubic"]
        * clone(ZOOMS).set_params(factors=(0.7, 0.75, 0.8, 0.85, 0.9, 0.95)),
        False,
    ),
    "EI, tilts and zooms": (TILTS_AND_ZOOMS, False),
    "EI, tilts, fft, and zooms": (
        clone(TILTS).set_params(interpolation="fft") * ZOOMS,
        False,
    ),
    "EI, any angle and zooms": (RandomAffine(degrees=180), False),
}
_DEEP = {"network": Unrolled(), "batch_size": 2, "lr": 2e-3}
_SMALL = {**_DEEP, "batch_size": 1, "lr": 4e-3}


def shallow(n_stages, depth=1):
    part = UNet(width=16, depth=depth)
    return {**_SMALL, "network": Unrolled(part, n_stages=n_stages, n_consistency=1)}


# name: (parameters, whether there is ground truth)
INPAINTING = {
    "default": (_DEEP, True),
    "batches of one": ({**_DEEP, "batch_size": 1}, True),
    "batches of one, twice the rate": (_SMALL, True),
    "four networks of depth 2": (shallow(4, depth=2), True),
    "six of depth 1": (shallow(6), True),
    "eight of depth 1": (shallow(8), True),
    "ten of depth 1": (shallow(10), True),
    "EI, default": (_DEEP, False),
    "EI, eight of depth 1": (shallow(8), False),
}


def transformed(group, images, n_epochs):
    """Return T_g x for a g of each image and epoch."""
    group = group.resolve(images.shape[1:])
    x = torch.from_numpy(np.concatenate([images] * n_epochs))[:, None]
    g = group.sample(torch.Generator().manual_seed(0), len(x))
    return group.transform(x, g)[:, 0].numpy()


def ct(name, images, n_epochs):
    group, has_truth = CT[name]
    operator = ParallelBeamCT(n_views=50, image_shape=images.shape[1:])
    train = images[:N_TRAIN]
    if group is not None and has_truth:  # as many steps, each image once
        train, n_epochs = transformed(group, train, n_epochs), 1
    estimator = EquivariantReconstructor(
        operator,
        None if has_truth else group,
        data_term="supervised" if has_truth else "auto",
        equivariance_term=NO_GRADIENT if "zooms" in name else "auto",
        max_epochs=n_epochs,
        random_state=0,
    )
    return estimator, operator, train


def inpainting(name, images, n_epochs):
    parameters, has_truth = INPAINTING[name]
    estimator = EquivariantReconstructor(
        Inpainting(0.3),
        None if has_truth else Shifts(),
        data_term="supervised" if has_truth else "auto",
        max_epochs=n_epochs,
        random_state=0,
        **parameters,
    )
    return estimator, Inpainting(0.3), images[:N_TRAIN]


def fine_energy(found, images):
    """Return the energy of fine detail, 48 to 64 cycles a side, over that of the truth.

    Least squares makes it too small where little is known of it.
    """
    cycles = np.fft.fftfreq(images.shape[1], 1 / images.shape[1])
    radius = np.hypot(cycles[:, None], cycles)
    fine = (radius >= 48) & (radius < 64)
    energy, of_truth = (
        np.square(np.abs(np.fft.fft2(x)))[:, fine].sum() for x in (found, images)
    )
    return float(energy / of_truth)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("problem", choices=("ct", "inpainting"))
    parser.add_argument("file")
    parser.add_argument("--only", nargs="*", choices=(*CT, *INPAINTING), default=None)
    parser.add_argument("--epochs", type=int, help="in place of 8 or 10")
    options = parser.parse_args()
    torch.set_num_threads(1)
    n_epochs = options.epochs or EPOCHS[options.problem]
    images = np.load(options.file)["images"][:N_ALL]
    images = images / np.float32(np.iinfo(images.dtype).max)
    make, names = ct, CT
    if options.problem == "inpainting":
        make, names, images = inpainting, INPAINTING, images[:, 64:192, 64:192]
    for name in names:
        result = {**_record.read("tune_presets"), "machine": _record.machine()}
        rows = result.setdefault(options.problem, {})
        if name in rows if options.only is None else name not in options.only:
            continue
        estimator, operator, train = make(name, images, n_epochs)
        start = time.process_time()
        truth = train if estimator.data_term == "supervised" else None
        estimator.fit(operator.measure(train), truth)
        seconds = time.process_time() - start
        held_out = images[N_TRAIN:]
        found = estimator.predict(operator.measure(held_out))
        rows[name] = {"psnr": psnr(held_out, found), "cpu_seconds": seconds}
        if options.problem == "ct":
            rows[name]["fine_energy"] = fine_energy(found, held_out)
        _record.write("tune_presets", result)
        print(name, rows[name], flush=True)


if __name__ == "__main__":
    main()
