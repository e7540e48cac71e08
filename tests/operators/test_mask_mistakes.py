"""Mistakes with masks, axes and the order of k-space are told, right ones are not."""

import numpy as np
import pytest
import torch

from sklearn_ei.datasets import make_thorax_phantoms
from sklearn_ei.operators import MRI, Inpainting, ParallelBeamCT, check_consistency

SIDE = 32
SHAPE = (SIDE, SIDE)
RNG = np.random.default_rng(0)
POSITION = np.linspace(-1, 1, SIDE)
PHASE = np.exp(1j * (0.6 * POSITION[:, None] - 0.4 * POSITION))
IMAGES = make_thorax_phantoms(3, SHAPE, random_state=0) * PHASE
FRAMES = np.abs(IMAGES) + 0.05
COILS = np.exp(np.stack([POSITION[:, None] + 0 * POSITION, 0j * PHASE + 1j * POSITION]))
# Lines: the middle, and some others; points: a disc, and some others.
LINES = MRI(3, SHAPE).measured_entries()[0]
_RADIUS = np.hypot(*np.meshgrid(*[np.arange(SIDE) - SIDE // 2] * 2))
POINTS = (RNG.random(SHAPE) > 0.7) | (_RADIUS < 4)
PIXELS = RNG.random(SHAPE) > 0.3


def centred(images):
    """Return k-space with zero frequency in the middle, by NumPy."""
    axes = (-2, -1)
    images = np.fft.ifftshift(images, axes=axes)
    return np.fft.fftshift(np.fft.fft2(images, norm="ortho"), axes=axes)


def plain(images):
    """Return k-space with zero frequency in the corner."""
    return np.fft.fft2(images, norm="ortho")


def complex_noise(shape=IMAGES.shape):
    return RNG.standard_normal(shape) + 1j * RNG.standard_normal(shape)


@pytest.mark.parametrize("mask", [LINES, POINTS], ids=["lines", "points"])
@pytest.mark.parametrize("coils", [None, COILS, 2], ids=["one", "coils", "estimated"])
def test_zero_frequency_in_the_corner(coils, mask):
    images = IMAGES if coils is None else COILS * IMAGES[:, None]
    axes = (-2, -1) if mask.ndim == 2 else -1
    own = np.fft.ifftshift(mask, axes=axes)
    Y = plain(images) * own
    report = check_consistency(MRI(mask=own, sensitivities=coils), Y)
    assert not report.is_consistent
    at = (1, 2) if coils is None else (2, 3)
    assert f"pass np.fft.fftshift(Y, axes={at})" in report.sentence
    assert report.elsewhere == 0
    # The remedy that the sentence names is one.
    mended = np.fft.fftshift(Y, axes=at)
    report = check_consistency(MRI(mask=mask, sensitivities=coils), mended)
    assert report.is_consistent, report.sentence
    # Real channels and tensors have their axes elsewhere.
    pairs = np.stack([Y.real, Y.imag], axis=-3).reshape(len(Y), -1, *SHAPE)
    operator = MRI(mask=own, sensitivities=coils)
    for given, at in (
        (np.moveaxis(pairs, 1, -1), (1, 2)),
        (torch.from_numpy(pairs), (2, 3)),
    ):
        assert f"fftshift(Y, axes={at})" in check_consistency(operator, given).sentence


def test_zero_frequency_at_the_edge_of_one_axis_or_of_the_mask():
    one_axis = np.fft.fftshift(plain(IMAGES), axes=2)
    told = check_consistency(MRI(mask=LINES), one_axis * LINES)
    assert "pass np.fft.fftshift(Y, axes=(1,))" in told.sentence
    # The mask has it in the middle, the data has it in the corner.
    lines = np.fft.ifftshift(LINES)
    told = check_consistency(MRI(mask=LINES), np.fft.fftshift(plain(IMAGES), 1) * lines)
    assert "none of it once that is put right" in told.sentence
    assert "pass np.fft.fftshift(Y, axes=(2,))" in told.sentence


def test_both_axes_are_shifted_though_lines_fit_with_one():
    Y = plain(IMAGES) * np.fft.ifftshift(LINES)
    report = check_consistency(MRI(mask=LINES), Y)
    assert "pass np.fft.fftshift(Y, axes=(1, 2))" in report.sentence
    put_right = np.fft.fftshift(Y, axes=(1, 2))
    assert check_consistency(MRI(mask=LINES), put_right).is_consistent
    # Here the mask is at fault.
    mask = np.fft.ifftshift(LINES)
    report = check_consistency(MRI(mask=mask), centred(IMAGES) * LINES)
    assert "or shift the mask likewise" in report.sentence


@pytest.mark.parametrize("operator", [MRI(mask=LINES), MRI(mask=POINTS), MRI(1)])
def test_images_are_not_k_space(operator):
    for images in (IMAGES, FRAMES + 0j):
        report = check_consistency(operator, images)
        assert not report.is_consistent
        assert report.causes == ["Y are images rather than k-space"]
        lost = ~operator.resolve(SHAPE).measured_entries()
        expected = np.sum(np.abs(images[:, lost]) ** 2) / np.sum(np.abs(images) ** 2)
        assert report.elsewhere == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize(
    ("operator", "Y"),
    [
        (MRI(mask=LINES), centred(IMAGES) * LINES),
        (MRI(mask=POINTS), centred(IMAGES) * POINTS),
        (Inpainting(mask=PIXELS), FRAMES * PIXELS),
    ],
    ids=["lines", "points", "pixels"],
)
def test_exchanged_axes_and_inverted_masks(operator, Y):
    assert check_consistency(operator, Y).is_consistent
    report = check_consistency(operator, np.swapaxes(Y, 1, 2).copy())
    assert report.causes == ["the two axes of Y are exchanged"]
    assert "np.swapaxes(Y, 1, 2)" in report.sentence
    report = check_consistency(operator, Y[:, ::-1, ::-1].copy())
    assert not report.is_consistent
    inverted = type(operator)(mask=~operator.mask)
    assert check_consistency(inverted, Y).causes == ["the mask is inverted"]


def test_readings_like_their_neighbours_are_told_and_noise_is_not():
    for operator, whole in (
        (MRI(mask=LINES), centred(IMAGES)),
        (MRI(mask=LINES), centred(IMAGES) + 0.02 * complex_noise()),
        (MRI(mask=POINTS), centred(IMAGES)),
        (Inpainting(mask=PIXELS), FRAMES),
    ):
        report = check_consistency(operator, whole)
        assert not report.is_consistent
        assert "not like noise" in report.sentence
        assert "set them to 0" in report.sentence
        set_to_zero = whole * operator.mask
        assert check_consistency(operator, set_to_zero).is_consistent
    for operator, Y in (
        (MRI(mask=LINES), centred(IMAGES) * LINES + 0.2 * complex_noise()),
        (MRI(mask=POINTS), centred(IMAGES) * POINTS + 0.2 * complex_noise()),
        (
            Inpainting(mask=PIXELS),
            FRAMES * PIXELS + 0.1 * RNG.standard_normal(FRAMES.shape),
        ),
        # Hot pixels, which the mask knows.
        (
            Inpainting(mask=PIXELS),
            np.where(PIXELS, FRAMES, RNG.uniform(0, 5, FRAMES.shape)),
        ),
    ):
        report = check_consistency(operator, Y)
        assert report.elsewhere > 0.01
        assert report.is_consistent, report.sentence


@pytest.mark.parametrize("n", [1, 3])
def test_black_beside_hot_pixels_is_not_missing(n):
    places, rng = np.indices(SHAPE), np.random.default_rng(0)
    stars = FRAMES * (rng.random(FRAMES.shape) < 0.1)
    for images in (
        stars,
        np.pad(FRAMES[:, 4:-4, 4:-4], [(0, 0), (4, 4), (4, 4)]),
        rng.poisson(0.5, FRAMES.shape) * 1.0,
        np.where(rng.random(FRAMES.shape) < 0.3, np.nan, FRAMES),
        FRAMES * ((places.sum(0) % 3 > 0) if n == 1 else 1),
    ):
        for rubbish in (1.0, rng.uniform(0, 2, FRAMES.shape)):
            Y = np.where(PIXELS, images, rubbish)[:n]
            report = check_consistency(Inpainting(mask=PIXELS), Y)
            assert report.elsewhere > 0.002
            assert report.is_consistent, report.sentence


@pytest.mark.parametrize("n", [1, 3])
def test_tomographs_have_no_mask(n):
    rods = np.zeros((n, *SHAPE))
    rods[:, 8, 9] = rods[:, 20, 25] = 1
    scanner = ParallelBeamCT(20, SHAPE, n_bins=60)
    Y = scanner.measure(rods)
    noise = 0.02 * np.random.default_rng(0).standard_normal(Y.shape)
    report = check_consistency(scanner, np.maximum(Y + noise, 0))  # air is half zeros
    assert report.elsewhere > 0.002
    assert "mask" not in report.sentence


def zero_mean(images):
    return images - images.mean((1, 2), keepdims=True)


@pytest.mark.parametrize(
    ("operator", "images"),
    [
        (MRI(4), IMAGES),
        (MRI(1), IMAGES),
        (MRI(mask=~LINES), IMAGES),  # without the middle
        (MRI(mask=_RADIUS > 6), IMAGES),
        (MRI(4), zero_mean(IMAGES)),
        (MRI(4), zero_mean(complex_noise())),
        (MRI(2), IMAGES[:, :6, :6]),
        (MRI(2), complex_noise((20, 8, 8))),
        (MRI(4), np.ones((2, *SHAPE)) + 0j),
        (MRI(4), np.eye(SIDE)[None] * PHASE),
        (MRI(4), IMAGES * np.exp(1j * np.pi / 4 * np.arange(SIDE))),  # an echo aside
        (MRI(4, sensitivities=COILS), IMAGES),
    ],
)
@pytest.mark.parametrize("level", [0.0, 0.1])
def test_right_k_space_is_left_in_peace(operator, images, level):
    Y = operator.measure(images)
    noise = complex_noise(Y.shape) * (Y != 0)
    Y = Y + level * np.abs(Y).std() * noise
    report = check_consistency(operator, Y.astype(np.complex64))
    assert report.is_consistent, report.sentence
