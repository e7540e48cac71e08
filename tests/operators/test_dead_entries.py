"""Zeros that stand for nothing measured are told; black, and sparse, are not."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from sklearn_ei.datasets import make_thorax_phantoms
from sklearn_ei.operators import MRI, Inpainting, check_consistency

SHAPE = (32, 32)
CAMERA = Inpainting(rate=0.0)
PHANTOMS = make_thorax_phantoms(12, SHAPE, random_state=0)  # on black
FRAMES = PHANTOMS + 0.05


def alive(rate, seed=0, shape=SHAPE):
    return np.random.default_rng(seed).random(shape) > rate


@pytest.mark.parametrize("rate", [0.02, 0.1, 0.3])
def test_dead_pixels_are_counted(rate):
    lives = alive(rate)
    n = (~lives).sum()
    colours = FRAMES[..., None] * [0.5, 1.0, 2.0]
    for Y in (
        FRAMES * lives,
        colours * lives[..., None],
        torch.from_numpy(FRAMES * lives)[:, None],
        list(FRAMES * lives),
    ):
        report = check_consistency(CAMERA, Y)
        assert not report.is_consistent
        told, said = report.sentence.split(" ", 1)
        assert 0.95 * n <= int(told) <= n  # solid ones may be background
        assert said.startswith("pixels are 0 in all frames while their neighbours")
        assert "Inpainting(mask=…) with True where measured, or NaN" in said


def test_others_than_those_of_the_mask_and_black_background():
    kept, lives = alive(0.3), alive(0.05, 1)
    report = check_consistency(Inpainting(mask=kept), FRAMES * kept * lives)
    assert report.sentence.startswith(f"{(kept & ~lives).sum()} pixels are 0")
    # On black, those of the background cannot be told, and its corners are like them.
    n = ((PHANTOMS > 0).any(0) & ~lives).sum()
    report = check_consistency(CAMERA, PHANTOMS * lives)
    assert abs(int(report.sentence.split()[0]) - n) <= 10
    column = FRAMES.copy()
    column[:, :, 7] = 0
    assert check_consistency(CAMERA, column).sentence.startswith("32 pixels are 0")
    signals = np.cumsum(np.random.default_rng(0).standard_normal((9, 200)), axis=1)
    assert check_consistency(CAMERA, signals).is_consistent
    lost = alive(0.1, 2, 200)
    assert not check_consistency(CAMERA, signals * lost).is_consistent


def test_holes_that_are_told_are_left_in_peace():
    lives = alive(0.3)
    for operator, Y in (
        (Inpainting(mask=lives), FRAMES * lives),
        (CAMERA, np.where(lives, FRAMES, np.nan)),
    ):
        assert check_consistency(operator, Y).is_consistent


@pytest.mark.parametrize("side", [16, 32, 64])
def test_images_with_black_parts_are_left_in_peace(side):
    images = make_thorax_phantoms(8, (side, side), random_state=1)
    for frames in (
        images,
        np.where(images > 0.3, images, 0),
        np.clip(images - 0.2, 0, None),
        (images > 0.3) * 1.0,
        np.round(images / images.max() * 15),
        np.pad(images + 0.1, [(0, 0), (5, 0), (3, 8)]),
    ):
        assert check_consistency(CAMERA, frames).is_consistent


def test_digits_checkerboards_and_photons_are_left_in_peace():
    digits = load_digits()
    rng = np.random.default_rng(0)
    for frames in (
        digits.images,
        digits.images[:4],
        digits.images[digits.target == 0][:6],
        np.broadcast_to(np.indices((16, 16)).sum(0) % 2, (6, 16, 16)) * 1.0,
        np.stack([rng.poisson(0.5 + image) for image in 3 * PHANTOMS]),
    ):
        assert check_consistency(CAMERA, frames).is_consistent


@pytest.mark.parametrize("n", [1, 2, 3, 4, 8])
def test_sparse_signals_are_left_in_peace(n):
    for share in (0.1, 0.3, 0.5, 2 / 3, 0.8, 0.95):
        rng = np.random.default_rng(n)
        values = rng.standard_normal((n, 40, 40)) * (rng.random((n, 40, 40)) < share)
        assert check_consistency(CAMERA, values).is_consistent


def test_all_frames_are_looked_at():
    # Zero in the four frames that are looked at first, alive in others.
    Y = np.repeat(FRAMES, 5, axis=0)
    first = np.unique(np.linspace(0, len(Y) - 1, 4).round().astype(int))
    Y[first] *= alive(0.3)
    assert check_consistency(CAMERA, Y).is_consistent


def test_repeated_samples_tell_no_more_than_one():
    frames = FRAMES[:1] * alive(0.1) * np.arange(1, 7)[:, None, None]
    assert check_consistency(CAMERA, frames).is_consistent
    box = np.zeros((3, *SHAPE), complex)
    box[:, 8:24, 8:24] = 1  # of which k-space is zero at each other frequency
    assert check_consistency(MRI(1), MRI(1).measure(box)).is_consistent


def test_hot_pixels_are_no_neighbours():
    kept, rng = alive(0.3), np.random.default_rng(0)
    stars = rng.random((6, *SHAPE)) * (rng.random((6, *SHAPE)) < 0.1)
    stars[:, 8:20] = 0
    Y = np.where(kept, stars, rng.uniform(0.5, 1, stars.shape))
    report = check_consistency(Inpainting(mask=kept), Y)
    assert report.is_consistent, report.sentence


def test_lines_of_k_space_that_were_not_measured():
    lines = alive(0.4, 3, 32) | (np.abs(np.arange(32) - 16) < 3)
    Y = MRI(1).measure(PHANTOMS + 0j)
    assert check_consistency(MRI(1), Y).is_consistent
    report = check_consistency(MRI(1), Y * lines)
    assert "points of k-space are 0 in all samples" in report.sentence
    assert int(report.sentence.split()[0]) <= 32 * (~lines).sum()
    mask = MRI.mask_of(Y * lines)[0]
    assert check_consistency(MRI(mask=mask), Y * lines).is_consistent
    # Rows that a scanner leaves empty at the edge of k-space are no mask.
    Y[:, :, :5] = 0
    assert check_consistency(MRI(1), Y).is_consistent
