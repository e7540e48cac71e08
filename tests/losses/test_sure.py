"""SURE against the true squared error on simulated noise."""

import pytest
import torch

from sklearn_ei.losses import SURE
from sklearn_ei.losses._sure import draw_probe
from sklearn_ei.noise import GaussianNoise, PoissonGaussianNoise, PoissonNoise
from sklearn_ei.operators import Blur, MatrixOperator
from sklearn_ei.utils.random import make_generator

N = 12
NOISES = [GaussianNoise(0.5), PoissonNoise(0.4), PoissonGaussianNoise(0.4, 0.5)]
each_noise = pytest.mark.parametrize("noise", NOISES, ids=lambda n: type(n).__name__)


def matrix_problem(seed=0):
    """A small A, x and noise-free measurements between 1 and 7."""
    generator = make_generator(seed)
    A = torch.rand((N, N + 3), generator=generator, dtype=torch.float64)
    x = torch.rand(N + 3, generator=generator, dtype=torch.float64)
    return MatrixOperator(A.numpy(), (N + 3,), (N,)), A, x.reshape(1, 1, -1)


def random_network(seed=1):
    """A smooth f that bends on the scale of the noise."""
    generator = make_generator(seed)
    W = torch.randn((40, N), generator=generator, dtype=torch.float64) / N**0.5
    V = torch.randn((N + 3, 40), generator=generator, dtype=torch.float64) / 40**0.5

    def f(y, A=None, start=None):
        return torch.tanh(0.7 * y @ W.T) @ V.T

    return f


def errors_of_sure(noise, f, n=4000, batches=60):
    """Return SURE − true error, for batches of independent noise."""
    operator, _, x = matrix_problem()
    clean = operator.forward(x).expand(n, -1, -1)
    generator = make_generator(3)
    term = SURE().resolve(operator, noise, seed=4)
    differences = []
    for _ in range(batches):
        y = noise.sample(clean, generator)
        x1, value = term(f, y, term.operator)
        torch.testing.assert_close(x1, f(y, operator))
        true = (operator.forward(x1) - clean).square().mean()
        differences.append(value - true)
    return torch.stack(differences)


@each_noise
def test_unbiased_for_a_nonlinear_function(noise):
    errors = errors_of_sure(noise, random_network())
    standard_error = errors.std() / len(errors) ** 0.5
    assert standard_error < 0.01  # of an error of order one
    assert abs(errors.mean()) < 3 * standard_error


@each_noise
def test_unbiased_for_a_linear_function(noise):
    generator = make_generator(2)
    L = torch.randn((N + 3, N), generator=generator, dtype=torch.float64) / N
    errors = errors_of_sure(noise, lambda y, A, start=None: y @ L.T)
    assert abs(errors.mean()) < 3 * errors.std() / len(errors) ** 0.5


def test_the_divergence_of_a_linear_function_is_its_trace():
    operator, A, x = matrix_problem()
    L = torch.randn((N + 3, N), generator=make_generator(2), dtype=torch.float64) / N
    y = operator.forward(x).expand(200_000, -1, -1)
    sigma = 0.5
    term = SURE().resolve(operator, GaussianNoise(sigma), seed=0)
    x1, value = term(lambda y, A, start=None: y @ L.T, y, term.operator)
    residual = (operator.forward(x1) - y).square().mean()
    divergence = (value - residual + sigma**2) / (2 * sigma**2)
    J = A @ L
    expected = J.trace() / N
    spread = (J + J.T).fill_diagonal_(0).square().sum() / 2  # of bᵀ J b, signs b
    assert abs(divergence - expected) < 4 * (spread / len(y)) ** 0.5 / N


def test_value_and_gradient_equal_the_formula_in_plain_torch():
    operator = Blur([0.2, 0.5, 0.3], (10,)).resolve()
    network = torch.nn.Sequential(
        torch.nn.Conv1d(1, 4, 3, padding=1), torch.nn.Tanh(), torch.nn.Conv1d(4, 1, 1)
    ).double()
    y = 2 + torch.rand((3, 1, 10), generator=make_generator(0), dtype=torch.float64)
    sigma, gain = 0.3, 0.1
    term = SURE().resolve(operator, PoissonGaussianNoise(gain, sigma), seed=7)
    _, value = term(lambda y, A, start=None: network(y), y, term.operator)
    gradient = torch.autograd.grad(value, list(network.parameters()))

    variance = sigma**2 + gain * y
    tau = 0.1 * variance.mean().sqrt()
    skewness = -gain / tau * (gain * y + 2 * sigma**2) / (gain * y + sigma**2)
    b = draw_probe(skewness, make_generator(7))
    h, moved = (operator.forward(network(z)) for z in (y, y + tau * b))
    expected = ((h - y) ** 2 - variance + 2 * variance * b * (moved - h) / tau).mean()
    wanted = torch.autograd.grad(expected, list(network.parameters()))
    torch.testing.assert_close(value, expected)
    for actual, formula in zip(gradient, wanted, strict=True):
        torch.testing.assert_close(actual, formula)


@pytest.mark.parametrize("skewness", [-30.0, -1.0, 0.0, 0.5])
def test_probes_have_the_moments_asked_for(skewness):
    b = draw_probe(
        torch.full((1_000_000,), skewness, dtype=torch.float64), make_generator(0)
    )
    assert len(b.unique()) == 2
    for power, moment in ((1, 0), (2, 1), (3, skewness)):
        sample = b**power
        assert abs(sample.mean() - moment) <= 4 * sample.std() / len(b) ** 0.5


def test_no_noise_is_measurement_consistency_and_units_do_not_matter():
    operator, _, x = matrix_problem()
    y = operator.forward(x)
    f = random_network()
    _, quiet = SURE().resolve(operator, GaussianNoise(0.0), seed=0)(f, y, operator)
    torch.testing.assert_close(quiet, (operator.forward(f(y)) - y).square().mean())
    for noise in NOISES:
        _, value = SURE().resolve(operator, noise, seed=0)(f, y, operator)

        def scaled(y, A, start=None):
            return 8 * f(y / 8)

        term = SURE().resolve(operator, noise.scaled(8), seed=0)
        _, large = term(scaled, 8 * y, operator)
        torch.testing.assert_close(large, 64 * value)


def test_unbiased_under_batch_normalisation():
    """The samples of a batch are tied together, and the batch is the measurement."""
    operator, _, x = matrix_problem()
    clean = operator.forward(x).expand(4, -1, -1)
    norm = torch.nn.BatchNorm1d(1).double()
    W = torch.randn((N + 3, N), generator=make_generator(2), dtype=torch.float64)

    def f(y, A, start=None):
        return torch.relu(norm(y)) @ W.T / N

    noise, generator = GaussianNoise(0.5), make_generator(0)
    term = SURE().resolve(operator, noise, seed=0)
    errors = []
    with torch.no_grad():
        for _ in range(4000):
            y = noise.sample(clean, generator)
            x1, value = term(f, y, term.operator)
            true = (operator.forward(x1) - clean).square().mean()
            errors.append(value - true)
    errors = torch.stack(errors)
    assert abs(errors.mean()) < 3 * errors.std() / len(errors) ** 0.5


@pytest.mark.parametrize("noise", NOISES[1:], ids=lambda n: type(n).__name__)
def test_the_second_derivative_of_a_parabola_counts(noise):
    """A symmetric probe would be more than ten standard errors off."""
    operator = MatrixOperator(torch.eye(N).numpy(), (N,), (N,))
    clean = torch.linspace(1, 7, N, dtype=torch.float64).expand(400_000, 1, N)
    y = noise.sample(clean, make_generator(5))
    term = SURE().resolve(operator, noise, seed=6)

    def f(y, A=None, start=None):
        return y.square() / 10

    values = [float(term(f, y_, term.operator)[1]) for y_ in y.split(8000)]
    true = [
        float((f(y_) - c).square().mean())
        for y_, c in zip(y.split(8000), clean.split(8000), strict=True)
    ]
    errors = torch.tensor(values) - torch.tensor(true)
    standard_error = errors.std() / len(errors) ** 0.5
    assert abs(errors.mean()) < 3 * standard_error
    gain, sigma = noise.gain, getattr(noise, "sigma", 0.0)
    missed = ((gain**2 * clean[0] + 2 * gain * sigma**2) * 2 / 10).mean()
    assert missed > 10 * standard_error
