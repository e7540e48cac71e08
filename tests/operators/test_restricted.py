"""A part of the measurements against the pseudo-inverse of the rows that are left."""

import numpy as np
import pytest
import torch

from sklearn_ei import PseudoInverseReconstructor
from sklearn_ei.operators import (
    MRI,
    CompressedSensing,
    Downsampling,
    Inpainting,
    Layout,
    MatrixOperator,
    ParallelBeamCT,
    RestrictedOperator,
)
from tests.cases import each_operator

RNG = np.random.default_rng(0)


def images(operator, n_channels=1, n_samples=2):
    shape = (n_samples, n_channels, *operator.image_layout.shape)
    return torch.from_numpy(RNG.normal(size=shape))


def some_of(shape):
    return torch.from_numpy(RNG.random(shape) > 0.4)


@each_operator
def test_forward_and_adjoint_are_those_of_the_rows_kept(case):
    operator = case.operator
    kept = some_of(operator.measurement_layout.shape)
    part = RestrictedOperator(operator, kept)
    x = images(operator, case.n_channels)
    y = operator.forward(x)
    assert torch.equal(part.forward(x), torch.where(kept, y, 0.0))
    lost = torch.where(kept, y, torch.nan)
    assert torch.equal(part.adjoint(lost), operator.adjoint(part.forward(x)))
    assert part.measurement_layout == operator.measurement_layout
    assert part.image_layout == operator.image_layout


@each_operator
def test_nothing_lost_changes_nothing(case):
    operator = case.operator
    part = RestrictedOperator(operator, torch.ones(operator.measurement_shape))
    x = images(operator, case.n_channels)
    y = operator.forward(x)
    torch.testing.assert_close(part.pinv(y), operator.pinv(y))
    zeros = torch.zeros_like(x)
    torch.testing.assert_close(part.refine(zeros, y), operator.refine(zeros, y))


@each_operator
def test_lost_measurements_make_no_difference(case):
    operator = case.operator
    kept = some_of(operator.measurement_layout.shape)
    part = RestrictedOperator(operator, kept)
    x = images(operator, case.n_channels)
    y = operator.forward(x)
    zeros = torch.zeros_like(x)
    for lost in (torch.nan, torch.inf, 1e6):
        spoiled = torch.where(kept, y, lost)
        assert torch.equal(part.pinv(spoiled), part.pinv(y))
        assert torch.equal(part.refine(zeros, spoiled), part.refine(zeros, y))


@pytest.mark.parametrize(
    "operator",
    [
        Inpainting(0.3, (6, 7)),
        Downsampling(2, (6, 8)),
        Downsampling(2, (8,), antialias=False),
        MRI(2, (6, 7)),
        CompressedSensing(14, (5, 6)),
        MatrixOperator(RNG.normal(size=(9, 16))),
    ],
    ids=lambda operator: type(operator).__name__,
)
def test_pinv_is_the_pseudo_inverse_of_the_rows_kept(operator):
    layout = operator.image_layout
    n = int(np.prod(layout.tensor_shape))
    eye = torch.eye(n, dtype=torch.float64).reshape(n, *layout.tensor_shape)
    kept = some_of(operator.measurement_layout.shape)
    part = RestrictedOperator(operator, kept)
    A = part.forward(eye).reshape(n, -1).T
    y = operator.forward(images(operator, layout.n_channels))
    expected = y.reshape(2, -1) @ torch.linalg.pinv(A, rtol=1e-6).T
    actual = part.pinv(y).reshape(2, -1)
    # Where rows are not orthogonal, 15 steps of conjugate gradients.
    exact = operator.has_orthogonal_rows
    torch.testing.assert_close(actual, expected, rtol=0, atol=1e-5 if exact else 1e-3)
    # A projection onto what explains the kept measurements.
    x = part.refine(images(operator, layout.n_channels), y)
    torch.testing.assert_close(
        part.forward(x), part.forward(part.pinv(y)), rtol=0, atol=1e-2
    )


def test_views_that_are_lost_leave_less_behind_than_zeros_would():
    operator = ParallelBeamCT(30, (24, 24))
    disk = np.hypot(*np.mgrid[-12:12, -12:12]) < 8
    y = operator.forward(torch.from_numpy(disk).float()[None, None])
    kept = torch.ones(operator.measurement_shape)
    kept[[3, 4, 11, 20, 21, 22]] = 0
    part = RestrictedOperator(operator, kept)

    def error(x):
        return float(np.linalg.norm(x[0, 0].numpy() - disk) / np.linalg.norm(disk))

    whole, completed = error(operator.pinv(y)), error(part.pinv(y))
    assert completed < 1.5 * whole < error(operator.pinv(kept * y))
    assert part.natural_axis == operator.natural_axis == 0
    assert part.refinement_steps(1) == operator.refinement_steps(1)
    assert part.squared_norm() == operator.squared_norm()


def test_each_sample_can_lose_its_own():
    operator = ParallelBeamCT(12, (10, 10))
    x = images(operator, 2, n_samples=3)
    y = operator.forward(x)
    kept = some_of((3, 1, *operator.measurement_shape))
    together = RestrictedOperator(operator, kept)
    for index in range(3):
        alone = RestrictedOperator(operator, kept[index, 0])
        one = slice(index, index + 1)
        torch.testing.assert_close(together.forward(x)[one], alone.forward(x[one]))
        torch.testing.assert_close(together.pinv(y)[one], alone.pinv(y[one]))
        torch.testing.assert_close(
            together.refine(x, y)[one], alone.refine(x[one], y[one])
        )


@pytest.mark.parametrize(
    "operator", [Inpainting(0.3, (6,)), CompressedSensing(5, (6,))]
)
def test_gradients_reach_images_and_measurements(operator):
    kept = torch.ones(operator.measurement_shape)
    kept[1] = 0
    part = RestrictedOperator(operator, kept)
    x = images(operator).requires_grad_()
    y = operator.forward(images(operator)).requires_grad_()
    assert torch.autograd.gradcheck(part.pinv, y)
    assert torch.autograd.gradcheck(part.refine, (x, y))


def test_parts_of_parts():
    operator = CompressedSensing(14, (5, 6))
    first, second = (some_of(operator.measurement_layout.shape) for _ in range(2))
    nested = RestrictedOperator(RestrictedOperator(operator, first), second)
    both = RestrictedOperator(operator, first & second)
    x = images(operator)
    y = operator.forward(x)
    torch.testing.assert_close(nested.forward(x), both.forward(x))
    torch.testing.assert_close(nested.pinv(y), both.pinv(y), rtol=0, atol=1e-3)


def test_wrong_shapes_are_refused():
    operator = Downsampling(2, (6, 8))
    with pytest.raises(ValueError, match=r"shape \(6, 8\), but expected \(3, 4"):
        RestrictedOperator(operator, torch.ones(6, 8))
    with pytest.raises(ValueError, match="still open, but expected an operator that"):
        RestrictedOperator(Downsampling(2), torch.ones(3, 4))
    part = RestrictedOperator(operator, np.ones((5, 1, 3, 4)))
    assert part.measurement_layout == Layout((3, 4))
    assert "kept=100%" in repr(part)


# ------------------------------------------------------------------- NumPy's side
def test_reconstruct_takes_holes_as_not_measured():
    matrix = np.random.default_rng(0).normal(size=(12, 8))
    operator = MatrixOperator(matrix)
    Y = operator.measure(np.random.default_rng(1).normal(size=(3, 8)))
    holed = Y.copy()
    holed[1, 2:5] = holed[2, 7] = np.nan
    for given in (holed, np.ma.masked_invalid(holed)):
        for y, x in zip(holed, operator.reconstruct(given), strict=True):
            kept = ~np.isnan(y)
            expected = np.linalg.pinv(matrix[kept]) @ y[kept]
            np.testing.assert_allclose(x, expected, rtol=1e-3, atol=1e-4)
    holed[0] = np.nan
    with pytest.raises(ValueError, match="nothing but NaN in sample 0"):
        operator.reconstruct(holed)
    with pytest.raises(ValueError, match="NaN in sample 0"):
        operator.measure(np.full((1, 8), np.nan))


def test_reconstruct_of_holes_is_that_of_the_estimator():
    row, column = np.mgrid[-1:1:16j, -1:1:16j]
    images = np.random.default_rng(0).random((2, 16, 16)) * np.exp(1j * row)
    coils = np.exp(np.stack([row, 1j * column]))
    for operator, x in [
        (ParallelBeamCT(20, (16, 16)), abs(images)),
        (MRI(2, sensitivities=coils), images),
        (MRI(1, sensitivities=2), None),
    ]:
        Y = MRI(1, sensitivities=coils).measure(images)
        Y = Y if x is None else operator.measure(x)
        Y[0, ..., 3] = np.nan
        expected = PseudoInverseReconstructor(operator).fit(Y).predict(Y)
        np.testing.assert_array_equal(operator.reconstruct(Y), expected)
