"""Fits say where the operator does not explain the measurements."""

import warnings

import numpy as np
import pytest

from sklearn_ei import EquivariantReconstructor, PseudoInverseReconstructor
from sklearn_ei.datasets import make_thorax_phantoms
from sklearn_ei.groups import Rotations
from sklearn_ei.networks import UNet
from sklearn_ei.operators import (
    MRI,
    FanBeamCT,
    Inpainting,
    MatrixOperator,
    ModelMismatchWarning,
    ParallelBeamCT,
)

IMAGES = make_thorax_phantoms(3, (32, 32), random_state=0)
SCANNER = ParallelBeamCT(30, (32, 32))
Y = SCANNER.measure(IMAGES)
ANGLES = np.arange(30) * 6.0
WRONG = {
    "offset": (
        SCANNER,
        ParallelBeamCT(30, (32, 32), detector_offset=3.0).measure(IMAGES),
    ),
    "radians": (ParallelBeamCT(angles=np.deg2rad(ANGLES), image_shape=(32, 32)), Y),
    "half as far": (
        SCANNER,
        ParallelBeamCT(angles=2 * ANGLES, image_shape=(32, 32)).measure(IMAGES),
    ),
    "shuffled": (SCANNER, Y[:, np.random.default_rng(0).permutation(30)]),
    "intensities": (SCANNER, np.exp(-Y / Y.max())),
    "fan": (
        SCANNER,
        FanBeamCT(30, (32, 32), source_distance=40.0, n_bins=47).measure(IMAGES),
    ),
}


def fit(kind, operator, Y):
    if kind == "linear":
        return PseudoInverseReconstructor(operator).fit(Y)
    return EquivariantReconstructor(
        operator,
        Rotations(360),
        network=UNet(2, 2),
        max_epochs=1,
        check_rank=False,
        random_state=0,
    ).fit(Y)


@pytest.mark.parametrize("name", WRONG)
def test_wrong_geometries_are_told(name):
    with pytest.warns(ModelMismatchWarning, match="No image has such measurements"):
        fit("linear", *WRONG[name])


def test_learning_fits_name_the_likely_cause():
    with pytest.warns(ModelMismatchWarning, match="detector_offset is about [23]"):
        fit("learned", *WRONG["offset"])


def test_inverted_masks_are_told():
    mask = np.random.default_rng(0).random((32, 32)) > 0.4
    lines = np.random.default_rng(0).random(32) > 0.5
    channels = np.stack([IMAGES, 0.5 * IMAGES], axis=-1)
    for operator, other, images in (
        (Inpainting(mask=mask), Inpainting(mask=~mask), IMAGES),
        (MRI(mask=lines), MRI(mask=~lines), channels),
    ):
        with pytest.warns(ModelMismatchWarning, match="the mask is inverted"):
            fit("linear", operator, other.measure(images))


PHASE = np.exp(1j * np.linspace(-0.5, 0.5, 32))
LINES = MRI(3, (32, 32)).measured_entries()[0]
FROM_CORNER = np.fft.ifftshift(LINES)
K_SPACE = MRI(mask=LINES).measure(IMAGES * PHASE)
LIVE = np.random.default_rng(0).random((32, 32)) > 0.3
MASKS = {
    "corner": (
        MRI(mask=FROM_CORNER),
        np.fft.fft2(IMAGES * PHASE) * FROM_CORNER,
        r"around index 0.* pass np.fft.fftshift\(Y, axes=\(1, 2\)\)",
    ),
    "images": (MRI(mask=LINES), IMAGES * PHASE, "Likely: Y are images rather than k-s"),
    "exchanged": (
        MRI(mask=LINES),
        np.swapaxes(K_SPACE, 1, 2),
        r"never measures.* pass np.swapaxes\(Y, 1, 2\)",
    ),
    "dead": (
        Inpainting(rate=0.0),
        (IMAGES + 0.05) * LIVE,
        "pixels are 0 in all frames while their neighbours are not",
    ),
}


@pytest.mark.parametrize("name", MASKS)
@pytest.mark.parametrize("kind", ["linear", "learned"])
def test_mistakes_with_masks_are_told(kind, name):
    operator, Y, said = MASKS[name]
    with pytest.warns(ModelMismatchWarning, match=said):
        fit(kind, operator, Y)


@pytest.mark.parametrize("level", [0.0, 0.05])
def test_right_data_is_not_warned_of(level):
    rng = np.random.default_rng(0)
    uneven = ParallelBeamCT(angles=rng.uniform(0, 180, 40), image_shape=(32, 32))
    # Twelve steps do not explain all that an ill-conditioned A can.
    size = np.geomspace(1, 0.05, 60)
    left, right = (np.linalg.qr(rng.standard_normal((n, 60)))[0] for n in (80, 60))
    hard = MatrixOperator((left * size) @ right.T)
    for operator, images in (
        (SCANNER, IMAGES),
        (uneven, IMAGES),
        (Inpainting(0.3), IMAGES),
        (Inpainting(mask=LIVE), IMAGES),
        (MRI(mask=LINES), IMAGES * PHASE),
        (hard, (rng.standard_normal((3, 60)) / size) @ right.T),
    ):
        clean = operator.measure(images)
        noise = rng.standard_normal(clean.shape) * (clean != 0)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            fit("linear", operator, clean + level * clean.max() * noise)


def test_the_fit_goes_on():
    with pytest.warns(ModelMismatchWarning):
        fitted = fit("learned", *WRONG["offset"])
    assert fitted.predict(Y).shape == IMAGES.shape
