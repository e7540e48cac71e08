"""Complex k-space and images, beside real and imaginary parts as channels."""

import numpy as np
import pytest
import torch

from sklearn_ei.operators import MRI, Inpainting, Layout, estimate_sensitivities
from tests.cases import coils

RNG = np.random.default_rng(0)


def random_complex(*shape):
    return RNG.normal(size=shape) + 1j * RNG.normal(size=shape)


def k_space(z):
    z = np.fft.ifftshift(z, axes=(-2, -1))
    return np.fft.fftshift(np.fft.fft2(z, norm="ortho"), axes=(-2, -1))


@pytest.mark.parametrize("n_coils", [None, 3])
def test_complex_k_space_is_numpys(n_coils):
    images = random_complex(2, 8, 7)
    mask = RNG.random(7) > 0.4
    sensitivities = None if n_coils is None else coils(n_coils, 8, 7)
    operator = MRI(mask=mask, sensitivities=sensitivities)
    Y = operator.measure(images)
    expected = images if n_coils is None else images[:, None] * sensitivities
    np.testing.assert_allclose(Y, k_space(expected) * mask, atol=1e-5)
    assert Y.dtype == np.complex64
    returned = operator.reconstruct(Y)
    assert returned.dtype == np.complex64
    assert returned.shape == images.shape
    # The same numbers as with channels, bit by bit.
    channels = np.stack([images.real, images.imag], axis=-1)
    as_channels = operator.reconstruct(operator.measure(channels))
    np.testing.assert_array_equal(returned.real, as_channels[..., 0])
    np.testing.assert_array_equal(returned.imag, as_channels[..., 1])


@pytest.mark.parametrize("array_type", [list, torch.from_numpy])
def test_lists_and_tensors_may_be_complex(array_type):
    images = random_complex(2, 6, 5)
    operator = MRI(2)
    np.testing.assert_array_equal(
        operator.measure(array_type(images)), operator.measure(images)
    )


@pytest.mark.parametrize(
    ("layout", "array_shape", "tensor_shape"),
    [
        (Layout((4, 5), 2, is_complex=True), (4, 5), (2, 4, 5)),
        (Layout((4, 5), 6, is_complex=True), (3, 4, 5), (6, 4, 5)),
        (Layout((7,), 4, is_complex=True), (2, 7), (4, 7)),
    ],
)
def test_layout_there_and_back(layout, array_shape, tensor_shape):
    stack = random_complex(3, *array_shape).astype(np.complex64)
    tensor = layout.to_tensor(stack)
    assert layout.array_shape == array_shape
    assert layout.tensor_shape == tuple(tensor.shape[1:]) == tensor_shape
    numbers = stack if layout.has_channel_axis else stack[:, None]
    np.testing.assert_array_equal(tensor[:, ::2].numpy(), numbers.real)
    np.testing.assert_array_equal(tensor[:, 1::2].numpy(), numbers.imag)
    np.testing.assert_array_equal(layout.to_array(tensor), stack)
    assert layout.spatial(array_shape) == layout.shape


def test_half_of_a_number_that_is_nan_is_all_of_it():
    stack = random_complex(1, 2, 3)
    stack[0, 0, 1] = complex(np.nan, 1)
    stack[0, 1, 2] = complex(1, np.nan)
    tensor = Layout((2, 3), 2, is_complex=True).to_tensor(stack)
    lost = torch.zeros((2, 3), dtype=torch.bool)
    lost[0, 1] = lost[1, 2] = True
    np.testing.assert_array_equal(tensor[0].isnan(), lost.expand(2, -1, -1))


def test_channels_that_are_no_pairs_are_refused():
    for channels in ("any", "none", 3):
        with pytest.raises(ValueError, match="expected an even number"):
            Layout((4, 4), channels, is_complex=True)


@pytest.mark.parametrize(
    ("operator", "Y", "message"),
    [
        (
            MRI(2),
            np.ones((2, 3, 8, 8)) + 0j,
            r"\(3, 8, 8\) each, but .* \(n_samples, H, W",
        ),
        (
            MRI(2, sensitivities=coils(3, 8, 8)),
            np.ones((2, 8, 8)) + 0j,
            r"complex measurements of shape \(8, 8\) each, but .*samples, 3, H, W\)",
        ),
        (
            MRI(2, sensitivities=coils(3, 8, 8)),
            np.ones((2, 8, 8, 3)) + 0j,
            r"expected a stack \(n_samples, 3, H, W\)",
        ),
        (MRI(2), np.full((2, 8, 8), complex(0, np.inf)), "infinity"),
        (MRI(2), np.full((2, 8, 8), complex(0, 1e20)), "1e.20, but expected a largest"),
        (MRI(2), np.ones((2, 8, 8)), "expected 2 channels .*, or complex meas"),
        (Inpainting(0.3), np.ones((2, 8, 8)) + 0j, "Complex data not supported"),
    ],
)
def test_what_does_not_fit_is_refused(operator, Y, message):
    with pytest.raises(ValueError, match=message):
        operator.reconstruct(Y)


def test_an_operator_of_ones_own_declares_it():
    class Twice(Inpainting):
        image_channels = measurement_channels = 2
        has_complex_channels = True

        def _forward(self, x, constants):
            return 2 * x

    images = random_complex(2, 4, 4)
    np.testing.assert_allclose(Twice(0.3).measure(images), 2 * images, rtol=1e-6)


def test_masked_k_space_is_not_measured():
    """What lies under a mask is not read, whatever it is."""
    maps = coils(3, 24, 24)
    k_space = MRI(2, sensitivities=maps, center_fraction=0.4).measure(
        np.random.default_rng(0).normal(size=(2, 24, 24)) + 0j
    )
    lost = k_space == 0
    holed = np.where(lost, np.nan, k_space)
    masked = np.ma.masked_array(np.where(lost, 7 + 7j, k_space), lost)
    np.testing.assert_array_equal(MRI.mask_of(masked), MRI.mask_of(holed))
    np.testing.assert_array_equal(MRI.mask_of(list(masked)), ~lost.all(axis=1))
    np.testing.assert_array_equal(
        estimate_sensitivities(masked), estimate_sensitivities(holed)
    )
