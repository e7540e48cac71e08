"""R2R against supervised training on the noisier measurements."""

import copy
import pickle

import pytest
import torch

from sklearn_ei.losses import R2R
from sklearn_ei.noise import GaussianNoise, PoissonGaussianNoise, PoissonNoise
from sklearn_ei.operators import MatrixOperator
from sklearn_ei.utils.random import make_generator

N = 8


def identity(y, A, start=None):
    return y


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
    term = R2R(strength).resolve(operator, noise, seed=1)
    variance = torch.as_tensor(noise.variance(clean))
    if isinstance(noise, GaussianNoise):
        first, second = (1 + strength**2) * variance, (1 + strength**-2) * variance
    else:
        first, second = variance / (1 - strength), variance / strength
    y = noise.sample(clean.expand(100_000, 1, N), generator)
    for scale in (0.5, 1.5):  # the constant is the same for both
        L = scale * torch.linalg.inv(A + torch.eye(N))
        pair = copy.deepcopy(term)
        y1, y2 = noise.recorrupt(y, pair.generator, strength)
        x1, value = term(lambda y, A, L=L: y @ L.T, y, term.operator)
        torch.testing.assert_close(x1, y1 @ L.T)
        H = A @ L
        risk = ((H @ clean - clean).square() + H.square() @ first).mean()
        samples = (y1 @ H.T - y2).square().mean(dim=(1, 2))
        standard_error = samples.std() / len(samples) ** 0.5
        assert abs(value - risk - second.mean()) < 3 * standard_error


def test_pairs_come_from_a_stream_that_pickles_with_its_position():
    operator = MatrixOperator(torch.eye(N).numpy(), (N,), (N,))
    term = R2R().resolve(operator, GaussianNoise(0.5), seed=1)
    y = torch.ones((2, 1, N))
    first, _ = term(identity, y, term.operator)
    again = pickle.loads(pickle.dumps(term))
    second, _ = term(identity, y, term.operator)
    assert not torch.equal(first, second)
    assert torch.equal(again(identity, y, again.operator)[0], second)


@pytest.mark.parametrize("noise", [PoissonGaussianNoise(0.1, 0.1), None])
def test_noise_without_independent_parts_is_refused(noise):
    with pytest.raises(ValueError, match=r"with data_term='r2r', but expected"):
        R2R().check(noise)


@pytest.mark.parametrize("strength", [0, -1, float("inf")])
def test_bad_strengths_are_refused(strength):
    with pytest.raises(ValueError, match="strength"):
        R2R(strength).check(GaussianNoise(0.5))
