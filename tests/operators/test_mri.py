"""MRI against numpy.fft."""

import numpy as np
import pytest

from sklearn_ei.operators import MRI, Layout
from tests.cases import coils

RNG = np.random.default_rng(0)


def to_channels(z):
    """Stack (n_samples, c, H, W) complex as (n_samples, H, W, 2c) real."""
    pairs = np.stack([z.real, z.imag], axis=2)
    return np.moveaxis(pairs.reshape(len(z), -1, *z.shape[2:]), 1, -1)


def k_space(z):
    z = np.fft.ifftshift(z, axes=(-2, -1))
    return np.fft.fftshift(np.fft.fft2(z, norm="ortho"), axes=(-2, -1))


def random_image(*shape):
    return RNG.normal(size=shape) + 1j * RNG.normal(size=shape)


@pytest.mark.parametrize("shape", [(8, 8), (7, 9), (6, 5)])
@pytest.mark.parametrize("lines", [True, False])
def test_single_coil_is_masked_centred_fft(shape, lines):
    mask = RNG.random(shape[1:] if lines else shape) > 0.5
    image = random_image(3, 1, *shape)
    expected = to_channels(k_space(image) * mask)
    operator = MRI(mask=mask)
    Y = operator.measure(to_channels(image))
    np.testing.assert_allclose(Y, expected, atol=1e-5)
    # The exact pseudo-inverse: unsampled frequencies zero, the others as they were.
    returned = operator.measure(operator.reconstruct(Y))
    np.testing.assert_allclose(returned, Y, atol=1e-5)


def test_zero_frequency_is_in_the_middle():
    ones = np.ones((1, 1, 7, 8), dtype=complex)
    Y = MRI(acceleration=1).measure(to_channels(ones))
    assert Y[0, 3, 4, 0] == pytest.approx(np.sqrt(56))
    assert np.abs(Y).sum() == pytest.approx(np.sqrt(56), rel=1e-5)


@pytest.mark.parametrize("n_lines", [31, 32, 33, 128])
@pytest.mark.parametrize("center_fraction", [0.0, 0.08, 0.25])
def test_drawn_masks_hold_the_centre_and_random_lines(n_lines, center_fraction):
    operator = MRI(4, (5, n_lines), center_fraction=center_fraction)
    mask = operator._draw_mask(n_lines)
    n_center = round(center_fraction * n_lines)
    assert mask.sum() == max(round(n_lines / 4), n_center)
    start = n_lines // 2 - n_center // 2
    assert mask[start : start + n_center].all()
    assert center_fraction == 0 or mask[n_lines // 2]  # the zero frequency
    Y = operator.measure(to_channels(random_image(2, 1, 5, n_lines)))
    np.testing.assert_array_equal((Y != 0).all(axis=(0, 1, 3)), mask)
    np.testing.assert_array_equal((Y != 0).any(axis=(0, 1, 3)), mask)


def test_the_seed_determines_the_lines():
    first, again, other = (MRI(random_state=s)._draw_mask(64) for s in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


@pytest.mark.parametrize(
    ("mask", "expected"),
    [
        ([1, 0, 1, 1, 1, 1, 0, 1], [2, 3, 4, 5]),
        ([1, 1, 1, 1, 0, 1, 1, 1], []),
        ([1, 0, 0, 0, 1, 0, 0, 0], [4]),
        ([1] * 7, list(range(7))),
        (np.ones((5, 8)), []),
    ],
)
def test_calibration_lines_surround_the_centre(mask, expected):
    for sensitivities in (None, coils(2, 5, np.shape(mask)[-1])):
        operator = MRI(
            mask=mask, image_shape=(5, np.shape(mask)[-1]), sensitivities=sensitivities
        )
        assert operator.calibration_lines().tolist() == expected
        assert operator.natural_axis == (1 if np.ndim(mask) == 1 else None)


def test_coils_are_pairs_of_channels():
    sensitivities = coils(3, 8, 7)
    mask = RNG.random(7) > 0.4
    image = random_image(2, 1, 8, 7)
    expected = to_channels(k_space(sensitivities * image) * mask)
    assert expected.shape == (2, 8, 7, 6)
    operator = MRI(mask=mask, sensitivities=sensitivities)
    np.testing.assert_allclose(
        operator.measure(to_channels(image)), expected, atol=1e-5
    )


def test_fully_sampled_coils_return_the_image():
    operator = MRI(acceleration=1, sensitivities=coils(3, 8, 7))
    image = to_channels(random_image(2, 1, 8, 7))
    np.testing.assert_allclose(
        operator.reconstruct(operator.measure(image)), image, atol=1e-5
    )


def test_pixels_that_no_coil_sees_are_zero():
    sensitivities = coils(2, 6, 6)
    sensitivities[:, 0] = 0
    operator = MRI(acceleration=1, sensitivities=sensitivities)
    image = to_channels(random_image(1, 1, 6, 6))
    reconstructed = operator.reconstruct(operator.measure(image))
    assert np.abs(reconstructed[:, 0]).max() < 1e-6
    np.testing.assert_allclose(reconstructed[:, 1:], image[:, 1:], atol=1e-5)


def test_refining_solves_what_several_coils_determine():
    image = to_channels(random_image(1, 1, 12, 12))
    errors = []
    for n_refinements in (0, 10, 100):
        operator = MRI(
            2,
            sensitivities=coils(6, 12, 12),
            center_fraction=0.3,
            n_refinements=n_refinements,
        )
        reconstructed = operator.reconstruct(operator.measure(image))
        errors.append(np.linalg.norm(reconstructed - image) / np.linalg.norm(image))
    assert errors[0] > 1.2 * errors[1] > 1.2 * errors[2]


def test_channels_are_declared():
    operator = MRI(sensitivities=coils(3, 8, 8))
    image, measurement = operator.layouts(measurement=(8, 8, 6))
    assert image == operator.image_layout == Layout((8, 8), 2)
    assert measurement == operator.measurement_layout == Layout((8, 8), 6)
    with pytest.raises(ValueError, match="got images with no channel axis"):
        operator.measure(np.ones((2, 8, 8)))
    with pytest.raises(ValueError, match=r"measurements with 2 channels.*expected 6"):
        operator.reconstruct(np.ones((2, 8, 8, 2)))


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"acceleration": 0.5}, "acceleration == 0.5"),
        ({"center_fraction": 1.5}, "center_fraction == 1.5"),
        ({"mask": np.zeros(8)}, "False everywhere, but expected True where k-space"),
        ({"mask": np.ones((8, 8, 8))}, r"shape \(8, 8, 8\)"),
        ({"mask": np.ones(7), "image_shape": (8, 8)}, "mask of 7 lines"),
        ({"mask": np.ones((8, 7)), "image_shape": (8, 8)}, "expected equal shapes"),
        ({"sensitivities": np.ones((8, 8))}, r"shape \(n_coils, H, W\)"),
        ({"sensitivities": np.zeros((2, 8, 8))}, "not all zero"),
        ({"sensitivities": np.full((2, 8, 8), np.nan)}, "finite"),
        ({"sensitivities": 3.0}, r"shape \(n_coils, H, W\)"),
        ({"image_shape": (8,)}, "2 positive integers"),
        ({"n_refinements": -1}, "n_refinements == -1"),
        ({"random_state": -1}, "random_state == -1"),
    ],
)
def test_bad_parameters_are_refused(parameters, message):
    with pytest.raises(ValueError, match=message):
        MRI(**parameters).resolve()
