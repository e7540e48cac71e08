"""Conjugate gradients against LAPACK's least squares."""

import pytest
import torch

from sklearn_ei.utils.cgls import cgls, minimum_norm_solution

GENERATOR = torch.Generator().manual_seed(0)


def random(*shape):
    return torch.randn(shape, generator=GENERATOR, dtype=torch.float64)


@pytest.mark.parametrize("shape", [(12, 7), (7, 12)])
def test_solves_each_row_with_minimal_norm(shape):
    A, y = random(*shape), random(5, shape[0])
    y[2] = 0
    x, rest, made = cgls(lambda x: x @ A.T, lambda r: r @ A, y, 50, rtol=1e-12)
    torch.testing.assert_close(x, y @ torch.linalg.pinv(A).T)
    torch.testing.assert_close(rest, y - x @ A.T)
    assert made < 50


def test_samples_do_not_depend_on_each_other():
    A, y = (
        random(9, 9),
        random(2, 1, 3, 3) * torch.tensor([1.0, 1e6]).reshape(2, 1, 1, 1),
    )
    maps = (
        lambda x: (x.flatten(1) @ A.T).reshape(x.shape),
        lambda y: (y.flatten(1) @ A).reshape(y.shape),
    )
    together = minimum_norm_solution(*maps, y, 4)
    alone = [minimum_norm_solution(*maps, y[i : i + 1], 4) for i in range(2)]
    torch.testing.assert_close(together, torch.cat(alone))


def test_a_budget_stops_it():
    def too_late():
        raise TimeoutError

    with pytest.raises(TimeoutError):
        cgls(lambda x: x, lambda y: y, random(2, 3), 5, before_step=too_late)
