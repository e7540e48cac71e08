"""Wrong parameters and data: what came, what was expected, and what to do."""

import re
from functools import partial

import numpy as np
import pytest
from sklearn.base import clone

from sklearn_ei import PseudoInverseReconstructor
from sklearn_ei.operators import (
    MRI,
    Blur,
    CompressedSensing,
    Downsampling,
    FanBeamCT,
    Inpainting,
    MatrixOperator,
    ParallelBeamCT,
)


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (np.full((4, 4), np.nan), "with NaN, but expected True .* np.isfinite"),
        (np.where(np.eye(4) > 0, np.nan, 1), "with NaN"),
        (np.full((4, 4), 0.01), "from 0.01 to 0.01, but expected True .* mask > 0"),
        (255 * np.eye(4, dtype=np.uint8), "from 0 to 255, .*: pass mask > 0 if"),
        (-np.eye(4, dtype=int), "from -1 to 0, "),
        (np.full((4, 4), np.inf), "from inf to inf, "),
        ([3, 7, 12], r"if these are indices, pass np.isin\(np.arange\(n\), mask\)"),
        (np.zeros((4, 4)), "False everywhere"),
        ("bayer", "mask='bayer', but expected True where"),
        ([[True], [True, False]], "but expected True where"),
        (np.ones((4, 4), complex), "but expected True where"),
        (np.zeros((0, 4)), "but expected True where"),
    ],
)
@pytest.mark.parametrize("kind", [Inpainting, MRI])
def test_what_is_no_mask_is_refused_by_all_that_take_masks(kind, mask, message):
    with pytest.raises(ValueError, match=message):
        kind(mask=mask).resolve(image_shape=(4, 4))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: Inpainting(np.eye(4)),
            r"rate of type ndarray and shape \(4, 4\)",
        ),
        (lambda: Inpainting([True, False]), "pass a mask as mask="),
        (lambda: MRI(np.ones(8)), "acceleration of type ndarray .* a mask as mask="),
        (lambda: ParallelBeamCT(np.arange(180.0)), "n_views .* view angles as angles="),
        (
            lambda: FanBeamCT(range(360), source_distance=9),
            r"n_views of type range and shape \(360,\).* angles as angles=",
        ),
        (lambda: CompressedSensing(np.eye(4)), "n_measurements .* MatrixOperator"),
        (lambda: Downsampling((64, 64)), "factor of type tuple .* as image_shape="),
        (lambda: Downsampling(np.array("2")), r"factor of type ndarray and shape \(\)"),
    ],
)
def test_an_array_in_the_place_of_a_number_says_what_it_may_be(make, message):
    with pytest.raises(TypeError, match=message):
        make().resolve(image_shape=(4, 4))


def test_a_width_in_the_place_of_a_kernel_says_what_makes_one():
    with pytest.raises(
        ValueError, match=r"kernel of shape \(\) .* gaussian_kernel\(1.5"
    ):
        Blur(1.5).resolve(image_shape=(9, 9))


@pytest.mark.parametrize(
    "operator",
    [
        ParallelBeamCT(12),
        ParallelBeamCT(12, (16, 16)),
        FanBeamCT(12, source_distance=99),
        Inpainting(0.3, (12, 30)),
        MatrixOperator(np.ones((360, 4)), measurement_shape=(12, 30)),
    ],
    ids=repr,
)
def test_transposed_measurements_are_recognised(operator):
    shape = operator.measurement_shape or (12, 30)
    with pytest.raises(
        ValueError, match=r"transposed they would fit.*swapaxes\(Y, 1, 2"
    ):
        operator.reconstruct(np.ones((2, *shape[::-1])))
    with pytest.raises(ValueError, match=r"\(7, 5\)") as refused:
        operator.reconstruct(np.ones((2, 7, 5)))
    assert "transposed" not in str(refused.value)


@pytest.mark.parametrize("n_coils", [None, 3])
@pytest.mark.parametrize("is_complex", [True, False])
def test_how_to_transpose_k_space_is_right(n_coils, is_complex):
    rng = np.random.default_rng(0)
    maps = None if n_coils is None else rng.standard_normal((n_coils, 16, 12)) + 0j
    operator = MRI(2, (16, 12), sensitivities=maps)
    shape = (2, 16, 12) if n_coils is None else (2, n_coils, 16, 12)
    Y = rng.standard_normal(shape) + 1j * rng.standard_normal(shape)
    if not is_complex:
        coils = Y.reshape(2, -1, 16, 12)
        parts = np.stack([coils.real, coils.imag], axis=-1)
        Y = np.moveaxis(parts, 1, 3).reshape(2, 16, 12, -1)
    wrong = np.swapaxes(Y, 2, 3) if n_coils and is_complex else np.swapaxes(Y, 1, 2)
    with pytest.raises(ValueError, match="transposed they would fit") as refused:
        operator.reconstruct(wrong)
    advised = re.findall(r"swapaxes\(Y, (\d), (\d)\)", str(refused.value))
    axes = advised[-1 if n_coils and not is_complex else 0]
    mended = np.swapaxes(wrong, *map(int, axes))
    np.testing.assert_array_equal(operator.reconstruct(mended), operator.reconstruct(Y))


@pytest.mark.parametrize("operator", [ParallelBeamCT(12), Inpainting(0.3, (12, 30))])
def test_a_single_sample_is_told_to_be_a_stack_of_one(operator):
    with pytest.raises(ValueError, match="has to be passed as a stack of one"):
        operator.reconstruct(np.ones((12, 30)))


@pytest.mark.parametrize(
    "kind", [ParallelBeamCT, partial(FanBeamCT, source_distance=99)]
)
def test_a_number_of_views_that_is_not_that_of_the_angles_is_refused(kind):
    angles = np.arange(30) * 6.0
    operator = kind(31, angles=angles)
    assert clone(operator).get_params()["n_views"] == 31  # not by the constructor
    for call in (
        lambda: operator.measurement_shape,
        lambda: operator.resolve(measurement_shape=(30, 40)),
        lambda: operator.reconstruct(np.ones((1, 31, 40))),
    ):
        with pytest.raises(
            ValueError, match="n_views=31 and 30 angles, but expected as"
        ):
            call()
    with pytest.raises(TypeError, match=r"n_views .* view angles as angles="):
        kind(angles, angles=angles).resolve(measurement_shape=(30, 40))
    for same in (
        kind(angles=angles),
        kind(30, angles=angles),
        kind(None, angles=angles),
    ):
        assert same.resolve(measurement_shape=(30, 40)).measurement_shape == (30, 40)
    changed = kind(30).set_params(angles=angles, n_views=30)
    assert changed.resolve(measurement_shape=(30, 40)).measurement_shape == (30, 40)


def test_views_before_rows_are_recognised():
    angles = np.arange(30) * 6.0
    rows = np.ones((12, 30, 55))
    first = np.moveaxis(rows, 1, 0)
    text = (
        r"\(12, 55\), but expected \(30, .*; if Y has views first, "
        r"\(n_views, n_rows, n_bins\), rows become samples by np\.moveaxis\(Y, 0, 1\)"
    )
    for operator in (
        ParallelBeamCT(30),
        ParallelBeamCT(angles=angles, n_bins=55),
        FanBeamCT(30, source_distance=99.0, n_bins=55),
        ParallelBeamCT(30, (38, 38)),
    ):
        with pytest.raises(ValueError, match=text):
            operator.reconstruct(first)
        with pytest.raises(ValueError, match=text):
            PseudoInverseReconstructor(operator).fit(first)
        assert len(operator.reconstruct(np.moveaxis(first, 0, 1))) == 12
    with pytest.raises(ValueError, match=r"expected \(30, 54\)\.$"):
        ParallelBeamCT(30, n_bins=54).reconstruct(first)
    with pytest.raises(
        ValueError, match=r"transposed they would fit.*Y, 1, 2\) does\.$"
    ):
        ParallelBeamCT(30).reconstruct(np.swapaxes(rows, 1, 2))
