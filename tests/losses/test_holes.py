"""The objective where every sample lacks other measurements (NaN)."""

import numpy as np
import pytest
import torch
from torch import nn

from sklearn_ei.groups import Shifts
from sklearn_ei.losses import (
    R2R,
    SURE,
    UNSURE,
    EquivarianceTerm,
    EquivariantObjective,
    Masks,
    MeasurementConsistency,
)
from sklearn_ei.noise import GaussianNoise
from sklearn_ei.operators import MatrixOperator, RestrictedOperator, part_of
from sklearn_ei.utils.random import make_generator

M, N, BATCH = 9, 12, 4
MATRIX = np.random.default_rng(0).normal(size=(M, N))
OPERATOR = MatrixOperator(MATRIX)
KEPT = torch.from_numpy(np.random.default_rng(1).random((BATCH, 1, M)) > 0.3)


class Function(nn.Module):
    """sin(W Aᵀ y): depends on A, and has a gradient."""

    def __init__(self):
        super().__init__()
        weight = torch.randn((N, N), generator=make_generator(0), dtype=torch.float64)
        self.weight = nn.Parameter(weight / N)

    def forward(self, y, A, start=None):
        return torch.sin(A.adjoint(y) @ self.weight.T)


def measurements():
    x = torch.randn((BATCH, 1, N), generator=make_generator(1), dtype=torch.float64)
    return OPERATOR.forward(x), x


def objective(masks, term=None, noise=None, **kwargs):
    y, _ = measurements()
    term = (term or MeasurementConsistency()).resolve(OPERATOR, noise, seed=0)
    return EquivariantObjective(
        term,
        Shifts().resolve((N,)),
        0.7,
        equivariance_term=EquivarianceTerm(masks=masks, **kwargs),
        masks=Masks(y.masked_fill(~KEPT, torch.nan), masks),
        seed=5,
    )


def test_value_and_gradient_are_those_of_dense_matrices_of_each_sample():
    y, _ = measurements()
    f = Function()
    evaluated = objective("own", n_transforms=2)
    holed = y.masked_fill(~KEPT, torch.nan)
    elements = Shifts().resolve((N,)).sample(make_generator(5), BATCH, 2)
    loss = evaluated(f, holed, elements=elements).loss
    loss.backward()

    weight = f.weight.detach().clone().requires_grad_()
    first, second = [], []
    for i in range(BATCH):
        rows = torch.from_numpy(np.where(KEPT[i].T, MATRIX, 0))
        data = torch.where(KEPT[i, 0], y[i, 0], 0)
        x1 = torch.sin(weight @ (rows.T @ data))
        first.append((rows @ x1 - data).square())
        for element in elements[2 * i : 2 * i + 2]:
            x2 = Shifts().resolve((N,)).transform(x1[None, None], element[None])[0, 0]
            second.append((torch.sin(weight @ (rows.T @ (rows @ x2))) - x2).square())
    expected = torch.cat(first).mean() + 0.7 * torch.cat(second).mean()
    expected.backward()
    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(f.weight.grad, weight.grad)


def test_any_measures_transformed_images_with_masks_of_the_stack():
    y, _ = measurements()
    seen = []

    def f(y, A, start=None):
        seen.append(A.kept)
        return A.adjoint(y)

    holed = y.masked_fill(~KEPT, torch.nan)
    evaluated = objective("any")
    for _ in range(20):
        evaluated(f, holed)
    assert all(torch.equal(kept, KEPT) for kept in seen[::2])
    drawn = torch.cat(seen[1::2])
    which = (drawn[:, None] == KEPT[None]).flatten(2).all(-1)
    assert (which.sum(1) == 1).all()
    counts = which.sum(0)
    assert (counts > 5).all()  # 80 draws of four masks
    again = []

    def g(y, A, start=None):
        again.append(A.kept)
        return A.adjoint(y)

    objective("any")(g, holed)
    assert torch.equal(again[1], seen[1])


def test_a_batch_without_holes_is_measured_by_the_whole():
    y, _ = measurements()
    seen = []

    def f(y, A, start=None):
        seen.append(A)
        return A.adjoint(y)

    objective("own")(f, y)
    assert seen[0] is seen[1] is OPERATOR
    part, same = part_of(OPERATOR, y)
    assert part is OPERATOR
    assert same is y


@pytest.mark.parametrize("term", [SURE(), R2R()], ids=lambda t: type(t).__name__)
def test_estimates_are_unbiased_on_what_is_measured(term):
    """Of a linear function, for each of two samples with other holes."""
    sigma, n = 0.3, 20_000
    clean, _ = measurements()
    clean, kept = clean[:2].repeat(n, 1, 1), KEPT[:2].repeat(n, 1, 1)
    noisy = clean + sigma * torch.randn(
        clean.shape, generator=make_generator(3), dtype=torch.float64
    )
    A = RestrictedOperator(OPERATOR, kept)
    y = A.only_measured(noisy)

    def f(y, A, start=None):
        return 0.05 * A.adjoint(y)

    term = term.resolve(OPERATOR, GaussianNoise(sigma), seed=1)
    values = []
    for i in range(0, 2 * n, 2000):
        part = A.take(slice(i, i + 2000))
        x1, value = term(f, y[i : i + 2000], part)
        error = (part.forward(x1) - part.only_measured(clean[i : i + 2000])).square()
        constant = 0.0
        if isinstance(term, R2R):  # the variance of y2, with τ = 0.5
            share = part.kept.double().mean()
            constant = float(sigma**2 * (1 + 1 / term.strength**2) * share)
        values.append(float(value - error.mean()) - constant)
    values = np.array(values)
    assert abs(values.mean()) < 4 * values.std(ddof=1) / len(values) ** 0.5


def test_holes_make_no_difference_to_unsure():
    y, _ = measurements()
    A = RestrictedOperator(OPERATOR, KEPT)

    def f(y, A, start=None):
        return 0.05 * A.adjoint(y)

    one, other = (UNSURE().resolve(OPERATOR, None, seed=2) for _ in range(2))
    other.eta.fill_(0.04)
    one.eta.fill_(0.04)
    first = one(f, A.only_measured(y), A)[1]
    second = other(f, A.only_measured(y + 100 * ~KEPT), A)[1]
    assert torch.equal(first, second)
    remeasured, part = one.remeasure(y.new_ones(BATCH, 1, N), A, make_generator(0))
    assert part is A
    assert bool((remeasured[~KEPT] == 0).all())
    assert bool((remeasured[KEPT] != 0).all())
