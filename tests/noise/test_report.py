"""What is said of noise in measurements of which nothing is known."""

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter1d

from sklearn_ei.datasets import make_thorax_phantoms
from sklearn_ei.noise import (
    GaussianNoise,
    PoissonGaussianNoise,
    PoissonNoise,
    UnknownNoiseError,
    estimate_noise,
)
from sklearn_ei.noise._input import as_tensor
from sklearn_ei.operators import (
    MRI,
    Blur,
    FanBeamCT,
    Inpainting,
    ParallelBeamCT,
    gaussian_kernel,
    part_of,
)
from sklearn_ei.utils.layout import Layout
from sklearn_ei.utils.random import make_generator
from sklearn_ei.utils.stack import LazyStack, LazyTensor
from tests.cases import coils

SHAPE = (64, 64)
N_VIEWS = 40


def images(n=8):
    return torch.from_numpy(make_thorax_phantoms(n, SHAPE, random_state=0))[:, None]


@pytest.fixture(scope="module")
def ct():
    operator = ParallelBeamCT(N_VIEWS, SHAPE)
    return operator, operator.forward(images())


def white(y, sigma, seed=0):
    return sigma * torch.randn(y.shape, generator=make_generator(seed))


@pytest.mark.parametrize("n_samples", [1, 8])
def test_gaussian_noise_is_found_and_said(ct, n_samples):
    operator, y = ct
    sigma = 0.01 * float(y.max())
    found = estimate_noise(operator, (y + white(y, sigma))[:n_samples])
    assert isinstance(found.noise, GaussianNoise)
    assert found.noise.sigma == pytest.approx(sigma, rel=0.1)
    assert found.level == pytest.approx(sigma, rel=0.1)
    assert found.correlation == 0
    assert found.correlated_axis is None
    assert found.model_error < 0.5 * sigma
    plural = "s" if n_samples > 1 else ""
    assert found.statement == (
        f"Gaussian noise with a standard deviation of {found.noise.sigma:.3g} was "
        f"found in {n_samples} measurement{plural}; it is taken as independent."
    )


def test_counted_quanta_are_told_from_gaussian_noise(ct):
    operator, y = ct
    gain = 2e-3 * float(y.max())
    found = estimate_noise(operator, PoissonNoise(gain).sample(y, make_generator(0)))
    assert isinstance(found.noise, PoissonGaussianNoise)
    assert found.noise.gain == pytest.approx(gain, rel=0.15)
    assert found.noise.sigma**2 < 0.1 * gain * float(y.mean())
    assert "variance follows the signal" in found.statement


WRONG = {
    # name: (operator that measured, what was added, most that σ may be off)
    "centre by half a bin": ({"detector_offset": 0.5}, None, 1.15),
    "centre by two bins": ({"detector_offset": 2.0}, None, 1.3),
    "air": ({}, "air", 1.1),
    "rings": ({}, "rings", 1.15),
}


@pytest.mark.parametrize("case", WRONG)
@pytest.mark.parametrize("n_samples", [1, 8])
def test_a_wrong_model_is_hardly_taken_for_noise(ct, case, n_samples):
    operator, right = ct
    parameters, added, factor = WRONG[case]
    y = ParallelBeamCT(N_VIEWS, SHAPE, **parameters).forward(images())
    sigma = 0.01 * float(right.max())
    if added == "air":
        y = y + 0.03 * float(right.max())
    if added == "rings":
        y = y + white(y[:1, :, :1], 1.5 * sigma, seed=3)
    noisy = (y + white(y, sigma))[:n_samples]
    found = estimate_noise(operator, noisy)
    assert isinstance(found.noise, GaussianNoise)
    slack = 0.1 if n_samples > 1 else 0.15
    assert (1 - slack) * sigma < found.noise.sigma < (factor + slack - 0.1) * sigma
    # What A, at its best, leaves of the noise-free measurements.
    x = torch.zeros_like(operator.pinv(y[:n_samples]))
    for _ in range(64):
        x = operator.refine(x, y[:n_samples])
    left = float((y[:n_samples] - operator.forward(x)).square().mean()) ** 0.5
    assert found.model_error > left
    if left > 1.5 * sigma:
        assert "the operator does not quite fit" in found.statement


def test_a_clipped_object_is_hardly_taken_for_noise(ct):
    _, y = ct
    clipping = ParallelBeamCT(N_VIEWS, (40, 40), n_bins=y.shape[-1])
    sigma = 0.01 * float(y.max())
    found = estimate_noise(clipping, y + white(y, sigma))
    assert 0.9 * sigma < found.level < 1.5 * sigma
    assert found.model_error > 5 * sigma
    assert "a clipped object" in found.statement


def test_rows_of_a_volume_tell_noise_where_the_model_is_far_off():
    # Rows that hardly differ, of a fan beam taken as parallel.
    rows = images(1) * torch.linspace(0.97, 1.03, 8).reshape(-1, 1, 1, 1)
    fan = FanBeamCT(N_VIEWS, SHAPE, source_distance=150, n_bins=91)
    y = fan.forward(rows)
    sigma = 0.005 * float(y.max())
    found = estimate_noise(
        ParallelBeamCT(N_VIEWS, SHAPE, n_bins=91), y + white(y, sigma)
    )
    assert found.level == pytest.approx(sigma, rel=0.15)
    assert found.model_error > 5 * sigma


@pytest.mark.parametrize("width", [0.7, 1.5])
def test_a_blurred_detector_is_recognised(ct, width):
    operator, y = ct
    sigma = 0.01 * float(y.max())
    noise = np.random.default_rng(0).standard_normal(y.shape)
    noise = gaussian_filter1d(noise, width, axis=3)
    noise *= sigma / noise.std()
    true = np.mean(noise[..., 1:] * noise[..., :-1]) / np.mean(noise**2)
    noisy = y + torch.from_numpy(noise.astype(np.float32))
    found = estimate_noise(operator, noisy)
    assert found.correlated_axis == 1
    assert found.correlation == pytest.approx(true, abs=0.2)
    assert found.noise.sigma == pytest.approx(sigma, rel=0.25)
    assert "neighbours along axis 1 correlate" in found.statement
    with pytest.warns(UserWarning, match="whose noise correlates by .* axis 1"):
        resolved = GaussianNoise().resolve(operator, noisy)
    assert resolved.sigma == found.noise.sigma


@pytest.mark.parametrize("n_samples", [1, 8])
@pytest.mark.parametrize("scale", [1.0, 1e4])
def test_noise_free_measurements_are_found_so(ct, n_samples, scale):
    operator, y = ct
    found = estimate_noise(operator, scale * y[:n_samples])
    assert found.noise.sigma == 0
    assert found.level == 0
    assert found.statement.startswith("No noise was found")
    mixture = PoissonGaussianNoise().resolve(operator, scale * y[:n_samples])
    assert mixture.levels == (0, 0)


@pytest.mark.parametrize(
    "operator",
    [
        ParallelBeamCT(10, SHAPE),
        ParallelBeamCT(image_shape=SHAPE, angles=np.arange(0, 120, 3.0)),
        FanBeamCT(N_VIEWS, SHAPE, source_distance=150),
        Blur(gaussian_kernel(1.5), SHAPE),
    ],
    ids=["few views", "limited angle", "fan beam", "blur"],
)
def test_images_that_are_slow_to_vanish_are_no_noise(operator):
    assert estimate_noise(operator, operator.forward(images())).noise.sigma == 0


def test_little_noise_is_not_called_none(ct):
    operator, y = ct
    sigma = 5e-3 * float(y.square().mean()) ** 0.5
    found = estimate_noise(operator, y + white(y, sigma))
    assert found.noise.sigma == pytest.approx(sigma, rel=0.15)


def test_where_noise_could_be_an_image_it_is_said():
    operator = Inpainting(0.3, SHAPE)
    y = operator.forward(images() + white(images(), 0.05))
    found = estimate_noise(operator, y)
    assert found.noise is None
    assert np.isnan(found.level)
    assert "noise cannot be told from images, and none is assumed" in found.statement
    with pytest.raises(UnknownNoiseError, match="cannot be told from images"):
        GaussianNoise().resolve(operator, y)


def test_readings_where_nothing_is_measured_change_nothing():
    operator = MRI(2, SHAPE, sensitivities=coils(6, *SHAPE), center_fraction=0.3)
    y = operator.forward(torch.cat([images(), 0.3 * images().flip(-1)], dim=1))
    measured = (y != 0).any(dim=0)
    noisy = y + white(y, 1e-3 * float(y.max())) * measured
    junk = noisy + white(y, float(y.max()), seed=5) * ~measured
    clean, dirty = (estimate_noise(operator, t) for t in (noisy, junk))
    assert not torch.equal(noisy, junk)
    assert str(dirty) == str(clean)
    infinite = torch.where(measured, noisy, torch.nan)
    assert str(estimate_noise(operator, infinite)) == str(clean)


def test_lazy_measurements_are_read_as_others(ct, tmp_path):
    operator, y = ct
    noisy = y + white(y, 0.01 * float(y.max()))
    file = tmp_path / "Y.npy"
    np.save(file, noisy[:, 0].numpy())
    stack = LazyStack(np.load(file, mmap_mode="r"), "Y")
    lazy = estimate_noise(operator, LazyTensor(stack, Layout(channels="none")))
    assert str(lazy) == str(estimate_noise(operator, noisy))


def test_copies_of_a_measurement_are_no_evidence_of_silence(ct):
    operator, y = ct
    sigma = 0.01 * float(y.max())
    noisy = (y + white(y, sigma))[:1]
    found = estimate_noise(operator, noisy.expand(4, -1, -1, -1))
    assert str(found) == str(estimate_noise(operator, noisy))
    assert found.noise.sigma == pytest.approx(sigma, rel=0.15)


def test_nothing_is_told_from_zeros(ct):
    operator, y = ct
    with pytest.raises(ValueError, match="Got measurements that are zero, or not fin"):
        estimate_noise(operator, torch.zeros_like(y))


@pytest.mark.parametrize(
    ("y", "said"),
    [
        (None, "y has shape .*expected a stack of measurements"),
        (np.ones((40, 91)), "a single sample has to be passed as a stack of one"),
        (np.ones((0, 40, 91)), "with 0 sample"),
        (torch.ones((0, 1, 40, 91)), "expected at least one measurement"),
        (torch.ones((2, 40, 91)), "n_samples, n_channels"),
        (torch.ones((2, 1, 40, 91)) * 1j, "complex64 .* of real numbers"),
        (np.ones((2, 39, 91)), "got measurements of shape"),
        (np.array([["a", "b"]]), "expected real numbers"),
    ],
)
def test_what_are_no_measurements_is_refused(ct, y, said):
    for judge in (GaussianNoise().resolve, estimate_noise):
        with pytest.raises((TypeError, ValueError), match=said):
            judge(ct[0], y)


def test_arrays_are_taken_as_other_steps_take_them(ct):
    operator, y = ct
    noisy = y + white(y, 0.02 * float(y.max()))
    rows = noisy.reshape(2, 4, *noisy.shape[2:]).movedim(1, -1).contiguous()
    k_space = MRI(1, sensitivities=coils(3, 8, 8)).measure(images()[:, 0, :8, :8] + 1j)
    pairs = np.stack([k_space.real, k_space.imag], axis=2).reshape(8, 6, 8, 8)
    scanner = MRI(1, sensitivities=coils(3, 8, 8))
    for A, tensor, array in (
        (operator, noisy, noisy[:, 0].tolist()),
        (ParallelBeamCT(N_VIEWS), noisy, noisy[:, 0].numpy()),  # its shapes are open
        (operator, rows.movedim(-1, 1), rows.numpy()),
        (operator, noisy, LazyStack(noisy[:, 0].numpy(), "y")),
        (scanner, torch.from_numpy(pairs), k_space),
        (scanner, torch.from_numpy(pairs), np.moveaxis(pairs, 1, -1)),
    ):
        resolved, y = as_tensor(A, array)
        assert resolved.measurement_shape == tuple(tensor.shape[2:])
        assert torch.equal(y[: len(y)], tensor)
    told = estimate_noise(operator, noisy)
    assert str(estimate_noise(operator, noisy[:, 0].numpy())) == str(told)
    level = GaussianNoise().resolve(operator, noisy).sigma
    assert GaussianNoise().resolve(operator, noisy[:, 0].numpy()).sigma == level
    part, one = part_of(operator, noisy[:1].masked_fill(noisy[:1] < 0.5, torch.nan))
    told = str(estimate_noise(part, one))
    assert str(estimate_noise(part, one[:, 0].numpy())) == told


def test_holes_are_judged_by_the_part_that_measured(ct):
    operator, y = ct
    sigma = 0.02 * float(y.max())
    noisy = y + white(y, sigma)
    noisy[:, :, 3] = torch.nan
    for judge in (GaussianNoise().resolve, estimate_noise):
        with pytest.raises(ValueError, match=r"Got y with NaN .* part_of\(operator, y"):
            judge(operator, noisy)
    found = estimate_noise(*part_of(operator, noisy[:1]))
    assert found.noise.sigma == pytest.approx(sigma, rel=0.1)
    camera = Inpainting(0.0, SHAPE).resolve()
    frames = images()
    frames[:, :, 5] = torch.nan
    said = estimate_noise(*part_of(camera, frames[:1])).statement
    assert said.startswith("Inpainting could have produced any")
    with pytest.raises(ValueError, match=r"measured 8 samples, .* y\[:1\]"):
        estimate_noise(*part_of(camera, frames))


def test_blank_measurements_beside_others_say_nothing(ct):
    operator, y = ct
    noisy = y + white(y, 0.02 * float(y.max()))
    with_blank = torch.cat([noisy[:1], torch.zeros_like(noisy[:2]), noisy[1:]])
    told = [str(estimate_noise(operator, t)) for t in (noisy, with_blank)]
    assert told[0] == told[1]
