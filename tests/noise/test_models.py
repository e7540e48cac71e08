"""Moments of the noise models, and of the pairs made from noisy data."""

import numpy as np
import pytest
import torch
from sklearn.base import clone

from sklearn_ei.noise import GaussianNoise, PoissonGaussianNoise, PoissonNoise
from sklearn_ei.utils.random import make_generator

MODELS = [GaussianNoise(0.7), PoissonNoise(0.4), PoissonGaussianNoise(0.4, 0.7)]
each_model = pytest.mark.parametrize("noise", MODELS, ids=lambda n: type(n).__name__)
N = 200_000
DARK, BRIGHT = 0.3, 6.0


def true_variance(noise, clean):
    return getattr(noise, "sigma", 0) ** 2 + getattr(noise, "gain", 0) * clean


def clean_levels():
    return torch.tensor([DARK, BRIGHT]).reshape(2, 1, 1).expand(2, 1, N).contiguous()


def check_moments(samples, clean, variance):
    """Mean and variance within four standard errors, by the samples' own moments."""
    samples = samples.double()
    centred = samples - samples.mean()
    second, fourth = centred.square().mean(), centred.pow(4).mean()
    n = samples.numel()
    assert abs(samples.mean() - clean) < 4 * (second / n) ** 0.5
    assert abs(second - variance) < 4 * ((fourth - second**2) / n) ** 0.5


@each_model
def test_sample_has_the_mean_and_variance_of_the_model(noise):
    noisy = noise.sample(clean_levels(), make_generator(0))
    for samples, clean in zip(noisy, (DARK, BRIGHT), strict=True):
        check_moments(samples, clean, true_variance(noise, clean))


@each_model
def test_add_has_the_same_moments_and_leaves_its_input_alone(noise):
    Y = np.full((N,), BRIGHT, dtype=np.float32)
    noisy = noise.add(Y, random_state=0)
    check_moments(torch.from_numpy(noisy), BRIGHT, true_variance(noise, BRIGHT))
    assert noisy.dtype == np.float32
    assert (Y == BRIGHT).all()
    np.testing.assert_array_equal(noisy, noise.add(Y, random_state=0))
    assert (noisy != noise.add(Y, random_state=1)).any()


@each_model
def test_variance_is_unbiased_where_the_signal_is_positive(noise):
    noisy = noise.sample(clean_levels(), make_generator(1))[1]
    expected = true_variance(noise, BRIGHT)
    assert float(noise.variance(noisy).mean()) == pytest.approx(expected, rel=0.01)


@each_model
def test_a_change_of_units_commutes_with_the_noise(noise):
    clean = clean_levels()[:, :, :1000]
    noisy = noise.sample(clean, make_generator(0))
    scaled = noise.scaled(2.5)
    torch.testing.assert_close(
        scaled.sample(2.5 * clean, make_generator(0)), 2.5 * noisy
    )
    torch.testing.assert_close(
        scaled.variance(2.5 * noisy), 2.5**2 * noise.variance(noisy)
    )


def test_what_is_not_finite_stays_so_and_nothing_else_changes():
    clean = torch.tensor([[[BRIGHT, float("nan"), float("inf"), -1.0]]])
    noisy = PoissonNoise(0.4).sample(clean, make_generator(0))
    assert noisy[0, 0].isfinite().tolist() == [True, False, False, True]
    assert noisy[0, 0, 3] == -1
    counts = float(noisy[0, 0, 0]) / 0.4
    assert counts == pytest.approx(round(counts), abs=1e-4)


@pytest.mark.parametrize("noise", MODELS[:2], ids=lambda n: type(n).__name__)
@pytest.mark.parametrize("strength", [0.25, 0.5, 0.8])
def test_recorrupted_pairs_are_unbiased_with_uncorrelated_errors(noise, strength):
    generator = make_generator(2)
    clean = clean_levels()
    y1, y2 = noise.recorrupt(noise.sample(clean, generator), generator, strength)
    for a, b, level in zip(y1, y2, (DARK, BRIGHT), strict=True):
        variance = true_variance(noise, level)
        if isinstance(noise, GaussianNoise):
            factors = 1 + strength**2, 1 + strength**-2
        else:
            factors = 1 / (1 - strength), 1 / strength
        check_moments(a, level, factors[0] * variance)
        check_moments(b, level, factors[1] * variance)
        product = ((a - level) * (b - level)).double()
        assert abs(product.mean()) < 4 * product.std() / product.numel() ** 0.5
        # Not only uncorrelated: the size of one tells nothing of the other's.
        sizes = torch.stack([(a - level).abs(), (b - level).abs()]).double().flatten(1)
        assert abs(float(torch.corrcoef(sizes)[0, 1])) < 4 / N**0.5


def test_gradients_flow_through_samples_as_through_a_sum():
    clean = torch.tensor([[[-1.0, 0.0, 2.0]]], requires_grad=True)
    for noise in MODELS:
        (gradient,) = torch.autograd.grad(
            noise.sample(clean, make_generator(0)).sum(), clean
        )
        assert gradient.flatten().tolist() == [1, 1, 1]
    negative = PoissonNoise(0.5).sample(clean, make_generator(0))[..., 0]
    assert negative.item() == -1


@pytest.mark.parametrize("noise", MODELS, ids=lambda n: type(n).__name__)
def test_levels_of_zero_mean_no_noise(noise):
    quiet = noise.scaled(0.0)
    y = clean_levels()[:, :, :5]
    assert torch.equal(quiet.sample(y, make_generator(0)), y)
    assert not quiet.variance(y).any()
    np.testing.assert_array_equal(quiet.add(y.numpy()), y.numpy())
    if not isinstance(noise, PoissonGaussianNoise):
        assert torch.equal(quiet.recorrupt(y, make_generator(0), 0.5)[0], y)


@pytest.mark.parametrize(
    ("noise", "message"),
    [
        (GaussianNoise(-1), "Got sigma=-1, but expected a finite number"),
        (GaussianNoise(None), "Got sigma=None"),
        (GaussianNoise("high"), "Got sigma='high'"),
        (PoissonNoise(float("nan")), "Got gain=nan"),
        (PoissonNoise(True), "Got gain=True"),
        (PoissonGaussianNoise(1.0, float("inf")), "Got sigma=inf"),
    ],
)
def test_bad_parameters_are_refused(noise, message):
    y = torch.ones((1, 1, 3))
    for call in (
        lambda: noise.resolve(None, y),
        lambda: noise.add(y.numpy()),
        lambda: noise.variance(y),
        lambda: noise.sample(y, make_generator(0)),
    ):
        with pytest.raises(ValueError, match=message):
            call()


def test_auto_has_to_be_resolved_first():
    for call in (
        lambda: GaussianNoise().add([0.0]),
        lambda: PoissonGaussianNoise(gain=1.0).scaled(2.0),
    ):
        with pytest.raises(ValueError, match="Got sigma='auto', but expected a number"):
            call()


@pytest.mark.parametrize("strength", [0, -1, "1"])
@pytest.mark.parametrize("noise", MODELS[:2], ids=lambda n: type(n).__name__)
def test_bad_strengths_are_refused(noise, strength):
    with pytest.raises((TypeError, ValueError), match="strength"):
        noise.recorrupt(torch.ones((1, 1, 3)), make_generator(0), strength)


def test_thinning_wants_a_share_below_one_and_the_mixture_has_no_pairs():
    y = torch.ones((1, 1, 3))
    with pytest.raises(ValueError, match="strength"):
        PoissonNoise(0.1).recorrupt(y, make_generator(0), 1.0)
    with pytest.raises(ValueError, match="but expected GaussianNoise or PoissonNoise"):
        PoissonGaussianNoise(0.1, 0.1).recorrupt(y, make_generator(0), 0.5)


@each_model
def test_models_are_cloned_and_resolved_as_copies(noise):
    resolved = noise.resolve(None, torch.ones((1, 1, 3)))
    assert resolved is not noise
    assert clone(noise).get_params() == resolved.get_params() == noise.get_params()


def test_complex_measurements_get_noise_in_both_parts():
    Y = np.full((2, 200, 200), 3 - 4j)
    noise = GaussianNoise(0.5).add(Y, random_state=0) - Y
    assert GaussianNoise(0.5).add(Y, random_state=0).dtype == np.complex64
    for part in (noise.real, noise.imag):
        assert part.mean() == pytest.approx(0, abs=0.01)
        assert part.std() == pytest.approx(0.5, rel=0.02)
    assert abs(np.corrcoef(noise.real.ravel(), noise.imag.ravel())[0, 1]) < 0.02
    with pytest.raises(ValueError, match="finite, real numbers"):
        PoissonNoise(0.5).add(Y)


@pytest.mark.parametrize("model", [GaussianNoise(0.5), PoissonGaussianNoise(0.5, 0.1)])
def test_what_is_not_measured_stays_so(model):
    Y = np.full((3, 50, 50), 4.0)
    holed = Y.copy()
    holed[1, 7] = np.nan
    noisy, masked = (
        model.add(given, random_state=0)
        for given in (holed, np.ma.masked_invalid(holed))
    )
    np.testing.assert_array_equal(np.isnan(noisy), np.isnan(holed))
    np.testing.assert_array_equal(noisy, masked)
    variance = model.levels[0] ** 2 + model.levels[1] * 4
    assert np.nanvar(noisy) == pytest.approx(variance, rel=0.06)
    holed[0, 0, 0] = np.inf
    with pytest.raises(ValueError, match="finite, real numbers"):
        model.add(holed)


def test_complex_measurements_that_are_not_there_stay_so():
    Y = np.full((2, 8, 8), 3 - 4j)
    Y[0, 3] = np.nan
    noisy = GaussianNoise(0.5).add(Y, random_state=0)
    np.testing.assert_array_equal(np.isnan(noisy), np.isnan(Y))
