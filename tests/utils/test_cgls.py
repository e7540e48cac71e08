"""Conjugate gradients against LAPACK's least squares."""

import pytest
import torch

from sklearn_ei.utils.cgls import cgls

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
    # After 4 steps, and where each is done after another number of them.
    for n_iterations, rtol in ((4, 1e-6), (99, 1e-2)):
        together, *_ = cgls(*maps, y, n_iterations, rtol=rtol)
        alone = [cgls(*maps, y[i : i + 1], n_iterations, rtol=rtol)[0] for i in (0, 1)]
        torch.testing.assert_close(together, torch.cat(alone))


def test_the_same_steps_for_others_are_a_linear_filter():
    A, y, others = random(9, 6), random(2, 9), random(4, 9)
    maps = (lambda x: x @ A.T, lambda r: r @ A)

    def left(alongside):
        return cgls(*maps, y, 3, alongside=alongside)[1]

    both = left(others)
    torch.testing.assert_close(both[:2], cgls(*maps, y, 3)[1])
    torch.testing.assert_close(left(y)[2:], both[:2])  # of y itself, what y leaves
    torch.testing.assert_close(
        left(2 * others + 1)[2:], 2 * both[2:] + left(torch.ones_like(others))[2:]
    )


def test_a_budget_stops_it():
    def too_late():
        raise TimeoutError

    with pytest.raises(TimeoutError):
        cgls(lambda x: x, lambda y: y, random(2, 3), 5, before_step=too_late)
