"""Blur against scipy.ndimage and scipy.signal."""

import numpy as np
import pytest
import torch
from scipy import ndimage, signal

from sklearn_ei.operators import Blur, gaussian_kernel

RNG = np.random.default_rng(0)
KERNELS = [
    RNG.normal(size=shape) for shape in [(3,), (4,), (1,), (3, 5), (4, 2), (1, 3)]
]
each_kernel = pytest.mark.parametrize("kernel", KERNELS, ids=lambda k: str(k.shape))


@each_kernel
def test_circular_is_scipys_wrapped_convolution(kernel):
    images = RNG.normal(size=(2, *(11, 8)[: kernel.ndim]))
    expected = [ndimage.convolve(image, kernel, mode="wrap") for image in images]
    np.testing.assert_allclose(Blur(kernel).measure(images), expected, atol=1e-5)


@each_kernel
def test_valid_is_scipys_valid_convolution(kernel):
    images = RNG.normal(size=(2, *(11, 8)[: kernel.ndim]))
    expected = [signal.convolve(image, kernel, mode="valid") for image in images]
    actual = Blur(kernel, boundary="valid").measure(images)
    np.testing.assert_allclose(actual, expected, atol=1e-5)


@pytest.mark.parametrize("boundary", ["circular", "valid"])
@each_kernel
def test_shapes_follow_from_measurements(kernel, boundary):
    operator = Blur(kernel, boundary=boundary)
    Y = operator.measure(RNG.normal(size=(1, *(11, 8)[: kernel.ndim])))
    resolved = operator.resolve(measurement_shape=Y.shape[1:])
    assert resolved.image_shape == (11, 8)[: kernel.ndim]


def test_pinv_is_tikhonovs():
    kernel, epsilon = KERNELS[3], 0.1
    operator = Blur(kernel, (7, 6), regularization=epsilon)
    columns = torch.eye(42, dtype=torch.float64).reshape(42, 1, 7, 6)
    A = operator.forward(columns).reshape(42, 42).numpy().T
    scale = np.linalg.norm(A, 2) ** 2
    expected = np.linalg.solve(A.T @ A + epsilon * scale * np.eye(42), A.T)
    actual = operator.pinv(columns).reshape(42, 42).numpy().T
    np.testing.assert_allclose(actual, expected, atol=1e-10)


def test_lost_frequencies_stay_lost_without_regularization():
    # The mean of two neighbours loses the alternating signal.
    operator = Blur([0.5, 0.5], (8,), regularization=0)
    columns = torch.eye(8, dtype=torch.float64).reshape(8, 1, 8)
    A = operator.forward(columns).reshape(8, 8).numpy().T
    actual = operator.pinv(columns).reshape(8, 8).numpy().T
    np.testing.assert_allclose(actual, np.linalg.pinv(A), atol=1e-10)


def test_valid_pinv_restores_the_interior_in_place():
    # A displaced reconstruction would be off by the slope, 1 a pixel.
    ramp = np.add.outer(np.arange(24.0), 2 * np.arange(20.0))[None]
    for kernel in (gaussian_kernel(1.0), np.outer([0.1, 0.2, 0.6, 0.1], [0.3, 0.7])):
        operator = Blur(kernel, boundary="valid")
        Y = operator.measure(ramp)
        error = operator.resolve(measurement_shape=Y.shape[1:]).reconstruct(Y) - ramp
        assert np.abs(error[0, 10:14, 8:12]).max() < 0.75


def test_noise_gain_is_bounded_as_documented():
    kernel = gaussian_kernel(2.0)
    operator = Blur(kernel, (32, 32), regularization=0.01)
    columns = torch.randn((200, 1, 32, 32))
    gain = operator.pinv(columns).flatten(1).norm(dim=1) / columns.flatten(1).norm(
        dim=1
    )
    assert float(gain.max()) <= 1 / (2 * 0.01**0.5)


@pytest.mark.parametrize("sigma", [0.4, 1.0, 2.3])
def test_gaussian_kernel_is_scipys(sigma):
    for n_dims in (1, 2):
        kernel = gaussian_kernel(sigma, n_dims)
        delta = np.zeros([k + 2 for k in kernel.shape])
        delta[tuple(k // 2 for k in delta.shape)] = 1
        expected = ndimage.gaussian_filter(delta, sigma, mode="constant")
        np.testing.assert_allclose(np.pad(kernel, 1), expected, atol=1e-12)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"kernel": np.ones((2, 2, 2))}, "1-D or 2-D"),
        ({"kernel": 3.0}, "1-D or 2-D"),
        ({"kernel": np.zeros(3)}, "not all zero"),
        ({"kernel": [1.0, np.nan]}, "finite"),
        ({"kernel": np.ones(3) * 1j}, "complex128"),
        ({"kernel": np.ones(3), "image_shape": (2,)}, "no smaller than the kernel"),
        ({"kernel": np.ones(3), "image_shape": (8, 8)}, "1 positive integers"),
        ({"kernel": np.ones(3), "boundary": "zero"}, "boundary='zero'"),
        ({"kernel": np.ones(3), "regularization": -1.0}, "regularization == -1.0"),
    ],
)
def test_bad_parameters_are_refused(parameters, message):
    with pytest.raises(ValueError, match=message):
        Blur(**parameters).resolve()


def test_contradicting_shapes_are_refused():
    operator = Blur(np.ones(3), (8,), boundary="valid")
    with pytest.raises(ValueError, match=r"image_shape=\(8,\) with boundary='valid'"):
        operator.resolve(measurement_shape=(8,))


@pytest.mark.parametrize(
    ("arguments", "message"), [((0.0,), "sigma"), ((1.0, 0), "n_dims")]
)
def test_bad_gaussians_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        gaussian_kernel(*arguments)
