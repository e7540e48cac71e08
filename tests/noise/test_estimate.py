"""Estimated levels against those that were put in."""

import pytest
import torch

from sklearn_ei.datasets import make_thorax_phantoms
from sklearn_ei.noise import GaussianNoise, PoissonGaussianNoise, PoissonNoise
from sklearn_ei.operators import (
    MRI,
    Blur,
    Downsampling,
    Inpainting,
    MatrixOperator,
    ParallelBeamCT,
    gaussian_kernel,
)
from sklearn_ei.utils.random import make_generator
from tests.cases import coils

SHAPE = (48, 48)


def images(n=8, shape=SHAPE):
    return torch.from_numpy(make_thorax_phantoms(n, shape, random_state=0))[:, None]


@pytest.fixture(scope="module")
def ct():
    operator = ParallelBeamCT(40, SHAPE)
    return operator, operator.forward(images())


@pytest.mark.parametrize("level", [0.005, 0.02, 0.2])
@pytest.mark.parametrize("n_samples", [1, 8])
def test_gaussian_level_of_sinograms(ct, level, n_samples):
    operator, y = ct
    sigma = level * float(y.max())
    noisy = GaussianNoise(sigma).sample(y, make_generator(0))[:n_samples]
    assert GaussianNoise().resolve(operator, noisy).sigma == pytest.approx(
        sigma, rel=0.1
    )


def test_gain_of_sinograms(ct):
    operator, y = ct
    gain = 1e-3 * float(y.max())
    noisy = PoissonNoise(gain).sample(y, make_generator(0))
    assert PoissonNoise().resolve(operator, noisy).gain == pytest.approx(gain, rel=0.1)


@pytest.mark.parametrize(
    "asked",
    [PoissonGaussianNoise(), "gain", "sigma"],
    ids=["both", "gain", "sigma"],
)
def test_both_levels_of_sinograms(ct, asked):
    operator, y = ct
    top = float(y.max())
    true = PoissonGaussianNoise(gain=2e-3 * top, sigma=0.02 * top)
    if isinstance(asked, str):
        asked = PoissonGaussianNoise(**{**true.get_params(), asked: "auto"})
    found = asked.resolve(operator, true.sample(y, make_generator(0)))
    assert found.sigma == pytest.approx(true.sigma, rel=0.1)
    assert found.gain == pytest.approx(true.gain, rel=0.2)


def test_gaussian_noise_is_not_taken_for_counts(ct):
    operator, y = ct
    top = float(y.max())
    noisy = GaussianNoise(0.02 * top).sample(y, make_generator(0))
    found = PoissonGaussianNoise().resolve(operator, noisy)
    assert found.sigma == pytest.approx(0.02 * top, rel=0.1)
    assert found.gain * float(y.mean()) < 0.1 * found.sigma**2


def test_estimates_follow_the_units(ct):
    operator, y = ct
    noisy = GaussianNoise(0.05).sample(y, make_generator(0))
    small, large = (
        GaussianNoise().resolve(operator, c * noisy).sigma for c in (1, 1e4)
    )
    assert large == pytest.approx(1e4 * small, rel=1e-3)


def test_a_shifted_detector_is_hardly_taken_for_noise(ct):
    operator, _ = ct
    y = ParallelBeamCT(40, SHAPE, detector_offset=0.5).forward(images())
    sigma = 0.02 * float(y.max())
    noisy = GaussianNoise(sigma).sample(y, make_generator(0))
    assert GaussianNoise().resolve(operator, noisy).sigma == pytest.approx(
        sigma, rel=0.1
    )


@pytest.mark.parametrize("boundary", ["circular", "valid"])
def test_blur_cannot_produce_high_frequencies(boundary):
    operator = Blur(gaussian_kernel(1.5), SHAPE, boundary=boundary)
    y = operator.forward(images())
    sigma = 0.01 * float(y.max())
    noisy = GaussianNoise(sigma).sample(y, make_generator(0))
    assert GaussianNoise().resolve(operator, noisy).sigma == pytest.approx(
        sigma, rel=0.1
    )


def test_dead_entries_do_not_dilute_the_noise_of_coils():
    operator = MRI(2, SHAPE, sensitivities=coils(6, *SHAPE), center_fraction=0.3)
    y = operator.forward(torch.cat([images(), 0.3 * images().flip(-1)], dim=1))
    sampled = (y != 0).any(dim=0)
    assert float(sampled.float().mean()) < 0.6
    sigma = 1e-3 * float(y.max())
    noisy = GaussianNoise(sigma).sample(y, make_generator(0)) * sampled
    assert GaussianNoise().resolve(operator, noisy).sigma == pytest.approx(
        sigma, rel=0.1
    )


@pytest.mark.parametrize(
    "operator",
    [
        Inpainting(0.3, SHAPE),
        Downsampling(2, SHAPE),
        MatrixOperator(torch.eye(48 * 48)[:700].numpy(), SHAPE),
    ],
    ids=lambda operator: type(operator).__name__,
)
@pytest.mark.parametrize("noise", [GaussianNoise(), PoissonNoise()])
def test_refused_where_noise_could_be_an_image(operator, noise):
    y = operator.forward(images())
    noisy = GaussianNoise(0.01).sample(y, make_generator(0)) * (y != 0).any(dim=0)
    with pytest.raises(ValueError, match="cannot be told from images, but expected"):
        noise.resolve(operator, noisy)


def test_the_estimate_neither_uses_nor_moves_global_randomness(ct):
    operator, y = ct
    noisy = GaussianNoise(0.05).sample(y, make_generator(0))
    torch.manual_seed(0)
    first = GaussianNoise().resolve(operator, noisy).sigma
    position = torch.random.get_rng_state()
    assert GaussianNoise().resolve(operator, noisy).sigma == first
    assert torch.equal(torch.random.get_rng_state(), position)
