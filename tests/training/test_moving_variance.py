import numpy as np
import pytest
import torch

from sklearn_ei.training._moving_variance import MovingVariance
from sklearn_ei.utils.random import make_generator


def walk(n_steps, size=20, offset=100.0):
    """A path far from zero, on which naive float32 sums would lose everything."""
    steps = 0.01 * torch.randn((n_steps, size), generator=make_generator(0))
    return offset + steps.cumsum(0)


def test_is_the_variance_of_the_last_iterates():
    path, moving = walk(40), MovingVariance(window=7, patience=100)
    for number, x in enumerate(path, start=1):
        variance = moving.update(x.reshape(1, 1, 4, 5))
        if number < 7:
            assert np.isnan(variance)
            continue
        window = path[number - 7 : number].double()
        expected = float((window - window.mean(0)).square().mean())
        assert variance == pytest.approx(expected, rel=1e-6)


def test_best_is_the_iterate_of_the_least_variance():
    path = walk(60)
    moving = MovingVariance(window=5, patience=1000)
    variances = [moving.update(x) for x in path]
    best = int(np.nanargmin(variances))
    assert moving.best_iteration == best + 1
    assert torch.equal(moving.best, path[best])
    assert not moving.should_stop


def test_stops_when_the_minimum_is_as_old_as_the_patience():
    moving = MovingVariance(window=4, patience=6)
    generator = make_generator(0)
    # Steps that grow: the first full window has the least variance.
    for number in range(1, 30):
        moving.update(number**2 * torch.randn(50, generator=generator))
        if moving.should_stop:
            break
    assert moving.best_iteration == 4
    assert number == 4 + 6


def test_before_the_window_is_full_the_last_iterate_is_kept():
    moving = MovingVariance(window=10, patience=1)
    path = walk(3)
    for x in path:
        moving.update(x)
    assert torch.equal(moving.best, path[-1])
    assert not moving.should_stop


def test_iterates_that_are_changed_later_are_copied():
    moving = MovingVariance(window=2, patience=1)
    x = torch.ones(3)
    moving.update(x)
    moving.update(x)
    x.fill_(7)
    assert torch.equal(moving.best, torch.ones(3))
