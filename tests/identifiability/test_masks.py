"""Several operators: which measurements each sample has, against dense matrices."""

import numpy as np
import pytest
import torch

from sklearn_ei import check_group_rank
from sklearn_ei.groups import Reflections, Rotations, Shifts
from sklearn_ei.identifiability import cheap_failure
from sklearn_ei.operators import (
    MRI,
    CompressedSensing,
    Inpainting,
    MatrixOperator,
    ParallelBeamCT,
)

SHAPE = (8, 8)
ALL = Inpainting(mask=np.ones(SHAPE))
CT = ParallelBeamCT(9, SHAPE)
RNG = np.random.default_rng(0)


def dense(operator, masks, group, n_channels=1):
    """Return σ of all M_i A T_g, stacked; from images of all unknowns, as they are."""
    operator = operator.resolve(SHAPE)
    n = 64 * n_channels
    pixels = torch.eye(n, dtype=torch.float64).reshape(n, n_channels, *SHAPE)
    elements = [None] if group is None else range(group.resolve(SHAPE).n_elements)
    rows = []
    for g in elements:
        moved = pixels if g is None else group.transform(pixels, g)
        measured = operator.forward(moved).numpy()  # (n, channel, *shape)
        rows += [(measured * mask).reshape(n, -1).T for mask in masks]
    singular = np.linalg.svd(np.concatenate(rows), compute_uv=False)
    return np.concatenate([singular, np.zeros(n - len(singular))])


def rank(singular, tol):
    return int((singular >= tol * singular[0]).sum())


def pixel_masks(n_masks, share):
    return RNG.random((n_masks, *SHAPE)) < share


def view_masks(n_masks, n_kept):
    masks = np.zeros((n_masks, 9, 13), dtype=bool)
    for mask in masks:
        mask[RNG.choice(9, n_kept, replace=False)] = True
    return masks


def line_masks(n_masks, n_kept):
    masks = np.zeros((n_masks, *SHAPE), dtype=bool)
    for mask in masks:
        mask[:, RNG.choice(8, n_kept, replace=False)] = True
    return masks


CT_MASKS = view_masks(3, 6)
CASES = {
    "pixels": (ALL, pixel_masks(20, 0.3), None),
    "too few pixels": (ALL, pixel_masks(3, 0.3), None),
    "pixels, mirrored": (ALL, pixel_masks(3, 0.3), Reflections()),
    "pixels, shifted": (ALL, pixel_masks(2, 0.05), Shifts()),
    "views": (CT, CT_MASKS, None),
    "views, turned": (CT, CT_MASKS, Rotations(5)),
    "views, mirrored": (CT, CT_MASKS, Reflections()),
    "bins": (CT, RNG.random((4, 9, 13)) < 0.2, Rotations(4)),
    "lines": (MRI(1), line_masks(3, 2), None),
    "lines, turned": (MRI(1), line_masks(3, 2), Rotations(4)),
    "lines, shifted": (MRI(1), line_masks(2, 2), Shifts()),
    "a matrix": (
        MatrixOperator(RNG.normal(size=(40, 64)), image_shape=SHAPE),
        RNG.random((5, 40)) < 0.5,
        Rotations(4),
    ),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("method", ["auto", "dense"])
def test_rank_and_weakest_direction_are_those_of_the_stack(name, method):
    operator, masks, group = CASES[name]
    report = check_group_rank(
        operator, group, masks=masks, method=method, random_state=0
    )
    channels = 2 if isinstance(operator, MRI) else 1
    singular = dense(operator, masks[:, None], group, channels)
    assert report.n == 64 * channels
    assert report.n_masks == len(masks)
    low, high = report.rank_interval
    assert low <= rank(singular, 1e-3) <= high
    if report.sigma_ratio is None:  # counting, or Corollary 1, said it all
        assert report.failed
        assert rank(singular, 1e-6) < report.n
        return
    assert report.rank == rank(singular, 1e-3)
    assert report.nullity == 64 * channels - rank(singular, 1e-6)
    ratio = singular[-1] / singular[0]
    assert report.sigma_ratio == pytest.approx(ratio, rel=1e-4, abs=1e-6)
    passed = report.verdict in ("PASS_NECESSARY", "WEAK")
    assert passed == (report.nullity == 0)


@pytest.mark.parametrize("name", ["pixels", "views", "lines", "views, turned"])
def test_holes_of_measurements_are_their_masks(name):
    operator, masks, group = CASES[name]
    shape = (*masks.shape, 2) if isinstance(operator, MRI) else masks.shape
    Y = RNG.normal(size=shape).astype(np.float32)
    Y[~masks] = np.nan
    told = [
        check_group_rank(operator, group, masks=m, random_state=0) for m in (masks, Y)
    ]
    for report in told:
        report.seconds = 0
    assert told[0].to_dict() == told[1].to_dict()


def test_complex_measurements_of_coils_and_of_one():
    """k-space as physicists have it, with coils before rows and columns."""
    draws = np.random.default_rng(1)
    coils = draws.normal(size=(3, *SHAPE)) + 1j * draws.normal(size=(3, *SHAPE))
    masks = line_masks(4, 2)
    Y = np.where(masks[:, None], 1 + 1j, np.nan) * np.ones((1, 3, 1, 1))
    for operator, stack in [(MRI(1), Y[:, 0]), (MRI(1, sensitivities=coils), Y)]:
        told = [
            check_group_rank(operator, masks=m, method="dense") for m in (stack, masks)
        ]
        singular = dense(operator, masks[:, None], None, 2)
        assert told[0].rank == told[1].rank == rank(singular, 1e-3)
        assert told[0].sigma_ratio == pytest.approx(told[1].sigma_ratio, abs=1e-9)
    one_coil = Y.copy()
    one_coil[:, 1:] = np.nan
    report = check_group_rank(MRI(1, sensitivities=coils), masks=one_coil)
    assert report.m == told[1].m / 3
    channels = np.stack([Y[:, 0].real, Y[:, 0].imag], axis=-1)
    channels[..., 1] = np.nan_to_num(channels[..., 1])
    assert check_group_rank(MRI(1), masks=channels).m == 2 * masks.any(0).sum()


def test_rank_goes_by_what_any_keeps_and_sigma_by_how_many():
    masks = np.ones((50, *SHAPE), dtype=bool)
    masks[1:, 3, 4] = False
    report = check_group_rank(ALL, masks=masks)
    assert report.rank == 64
    assert report.sigma_ratio == pytest.approx(np.sqrt(1 / 50))
    masks[0, 3, 4] = False
    report = check_group_rank(ALL, masks=masks, method="dense")
    assert (report.rank, report.nullity) == (63, 1)
    null = np.abs(report.null_space[0])
    assert np.unravel_index(null.argmax(), SHAPE) == (3, 4)


def test_one_mask_for_all_is_the_operator_with_that_mask():
    mask = pixel_masks(1, 0.5)
    own = Inpainting(mask=mask[0].astype(float))
    for group in (Shifts(), Reflections()):
        one = check_group_rank(own, group, random_state=0)
        many = check_group_rank(ALL, group, masks=mask.repeat(7, 0), random_state=0)
        assert many.verdict == one.verdict
        assert (many.m, many.rank) == (one.m, one.rank)
        assert many.sigma_ratio == pytest.approx(one.sigma_ratio, abs=1e-7)


def test_operators_do_what_a_group_cannot():
    """Shifts leave lines of k-space where they are; other lines do not."""
    masks = line_masks(12, 3)
    assert masks.any(0).all()
    one = check_group_rank(MRI(1), Shifts(), masks=masks[:1])
    assert one.verdict == "FAIL_INVARIANT"
    many = check_group_rank(MRI(1), masks=masks)
    assert many.verdict == "PASS_NECESSARY"
    assert "the masks see every direction" in many.sentence
    both = check_group_rank(MRI(1), Shifts(), masks=masks)
    assert both.verdict == "PASS_NECESSARY"
    assert "the masks and the elements of the group see" in both.sentence
    assert cheap_failure(MRI(1, SHAPE), Shifts(), masks=masks) is None
    assert "FAIL_INVARIANT" in cheap_failure(MRI(1, SHAPE), Shifts(), masks=masks[:1])


def test_lines_without_a_group_have_a_closed_form():
    masks = line_masks(12, 3)
    report = check_group_rank(MRI(1), masks=masks)
    assert report.method.startswith("Fourier, closed form")
    assert report.certificate == "exact"
    # A line that k of N masks keep has σ² = k/N.
    share = masks[:, 0].mean(0)
    assert report.sigma_max == pytest.approx(np.sqrt(share.max()), rel=1e-5)
    assert report.sigma_min == pytest.approx(np.sqrt(share.min()), rel=1e-5)
    coils = np.ones((2, *SHAPE)) * (1 + np.arange(8) / 8)  # not shift-invariant
    several = check_group_rank(MRI(1, sensitivities=coils), masks=masks)
    assert not several.method.startswith("Fourier")


def test_too_few_measurements_in_all_masks_together():
    report = check_group_rank(CompressedSensing(30, SHAPE), masks=np.ones((9, 30)) > 0)
    assert report.verdict == "FAIL_COUNT"
    assert (
        "30 different measurements between them, fewer than the 64" in report.sentence
    )
    assert report.irreducible_bound is None
    assert str(report).count("masks") == 2


def test_channels_with_masks_of_their_own():
    """Band 0 keeps all pixels, band 1 half of them."""
    masks = np.ones((2, *SHAPE, 2), dtype=bool)
    masks[..., ::2, 1] = False
    report = check_group_rank(ALL, masks=masks, method="dense")
    assert (report.n, report.m, report.rank) == (128, 96, 96)
    assert report.null_space.shape[1:] == (*SHAPE, 2)
    singular = dense(ALL, np.moveaxis(masks, -1, 1), Reflections(), 2)
    mirrored = check_group_rank(ALL, Reflections(), masks=masks)
    assert mirrored.rank == rank(singular, 1e-3) == 128
    assert check_group_rank(CT, masks=np.ones((3, 9, 13, 3)) > 0).n == 64 * 3


def test_open_shapes_follow_from_the_masks():
    assert check_group_rank(Inpainting(0.0), masks=pixel_masks(9, 0.5)).n == 64
    assert check_group_rank(MRI(1), masks=line_masks(9, 4)).n == 128


@pytest.mark.parametrize(
    ("masks", "error", "message"),
    [
        (None, TypeError, "group=None without masks, but expected a Group such as"),
        (np.ones(8) > 0, ValueError, r"masks of shape \(8,\), but expected \(n_masks"),
        (np.ones((2, 9, 9)) > 0, ValueError, r"\(2, 9, 9\), but expected \(n_masks, 8"),
        (np.ones((2, 8, 8), int), TypeError, "of dtype int64, but expected bools"),
        (np.ones((2, 8, 8)), ValueError, "zeros and ones that are no bools"),
        (np.zeros((2, 8, 8)) > 0, ValueError, "Mask 0 keeps no measurement"),
        (np.full((2, 8, 8), np.nan), ValueError, "Mask 0 keeps no measurement"),
    ],
)
def test_refusals(masks, error, message):
    with pytest.raises(error, match=message):
        check_group_rank(ALL, masks=masks)


def test_masked_arrays_are_masks():
    operator, masks, group = CASES["views, turned"]
    readings = np.ma.masked_array(RNG.normal(size=masks.shape), ~masks)
    bools = np.ma.masked_array(np.ones_like(masks), ~masks)
    told = [
        check_group_rank(operator, group, masks=m, random_state=0)
        for m in (masks, readings, bools, list(readings))
    ]
    for report in told:
        report.seconds = 0
        assert report.to_dict() == told[0].to_dict()


@pytest.mark.parametrize("shape", [(230, 180), (512, 512)])
def test_positions_in_large_images_are_rounded(shape):
    """Which is not taken for an element 0 that moves images."""
    assert cheap_failure(MRI(4, shape), Rotations(360), max_seconds=0.1) is None
