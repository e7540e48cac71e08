"""R2R against supervised training on the noisier measurements."""

import pickle

import pytest
import torch

from sklearn_ei.losses import R2R
from sklearn_ei.noise import GaussianNoise, PoissonGaussianNoise, PoissonNoise
from sklearn_ei.operators import MatrixOperator
from sklearn_ei.utils.random import make_generator

N = 8


@pytest.mark.parametrize("strength", [0.3, 0.7])
@pytest.mark.parametrize(
    "noise", [GaussianNoise(0.5), PoissonNoise(0.4)], ids=lambda n: type(n).__name__
)
def test_the_expectation_is_the_supervised_risk_plus_a_constant(noise, strength):
    """Risk and constant of a linear f, from the moments of the pair."""
    generator = make_generator(0)
    A = torch.rand((N, N), generator=generator, dtype=torch.float64)
    clean = A @ torch.rand(N, generator=generator, dtype=torch.float64)
    operator = MatrixOperator(A.numpy(), (N,), (N,))
    term = R2R(operator, noise, seed=1, strength=strength)
    variance = torch.as_tensor(noise.variance(clean))
    if isinstance(noise, GaussianNoise):
        first, second = (1 + strength**2) * variance, (1 + strength**-2) * variance
    else:
        first, second = variance / (1 - strength), variance / strength
    y = noise.sample(clean.expand(100_000, 1, N), generator)
    for scale in (0.5, 1.5):  # the constant is the same for both
        L = scale * torch.linalg.inv(A + torch.eye(N))
        y1, y2 = term.split(y)
        value = term(lambda y, L=L: y @ L.T, y1 @ L.T, y1, y2, None)
        H = A @ L
        risk = ((H @ clean - clean).square() + H.square() @ first).mean()
        samples = (y1 @ H.T - y2).square().mean(dim=(1, 2))
        standard_error = samples.std() / len(samples) ** 0.5
        assert abs(value - risk - second.mean()) < 3 * standard_error


def test_pairs_come_from_a_stream_that_pickles_with_its_position():
    operator = MatrixOperator(torch.eye(N).numpy(), (N,), (N,))
    term = R2R(operator, GaussianNoise(0.5), seed=1)
    y = torch.ones((2, 1, N))
    first = term.split(y)[0]
    again = pickle.loads(pickle.dumps(term))
    second = term.split(y)[0]
    assert not torch.equal(first, second)
    assert torch.equal(again.split(y)[0], second)


def test_the_mixture_is_refused():
    operator = MatrixOperator(torch.eye(N).numpy(), (N,), (N,))
    term = R2R(operator, PoissonGaussianNoise(0.1, 0.1))
    with pytest.raises(ValueError, match="for re-corrupted pairs, but expected"):
        term.split(torch.ones((2, 1, N)))
