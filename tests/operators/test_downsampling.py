"""Downsampling against NumPy and scikit-image."""

import numpy as np
import pytest
import torch

from sklearn_ei.operators import Downsampling


@pytest.mark.parametrize("shape", [(12,), (6, 9), (12, 3)])
def test_mean_over_blocks_is_scikit_images(shape):
    from skimage.transform import downscale_local_mean

    images = np.random.default_rng(0).normal(size=(2, *shape))
    expected = [downscale_local_mean(image, (3,) * len(shape)) for image in images]
    np.testing.assert_allclose(Downsampling(3).measure(images), expected, atol=1e-6)


def test_without_antialiasing_pixels_are_picked():
    images = np.random.default_rng(0).normal(size=(2, 6, 8)).astype(np.float32)
    operator = Downsampling(2, antialias=False)
    Y = operator.measure(images)
    np.testing.assert_array_equal(Y, images[:, ::2, ::2])
    filled = np.zeros_like(images)
    filled[:, ::2, ::2] = Y
    np.testing.assert_array_equal(operator.reconstruct(Y), filled)


def test_channels_are_treated_alike():
    images = np.random.default_rng(0).normal(size=(2, 6, 8, 3))
    Y = Downsampling(2).measure(images)
    assert Y.shape == (2, 3, 4, 3)
    np.testing.assert_allclose(
        Y[..., 1], Downsampling(2).measure(images[..., 1]), rtol=1e-6
    )


def test_pinv_repeats_the_means():
    Y = np.arange(6.0).reshape(1, 2, 3)
    expected = Y.repeat(2, axis=1).repeat(2, axis=2)
    np.testing.assert_allclose(Downsampling(2).reconstruct(Y), expected, rtol=1e-6)


@pytest.mark.parametrize("antialias", [True, False])
def test_pinv_is_numpys(antialias):
    operator = Downsampling(2, (6, 4), antialias=antialias)
    columns = torch.eye(24, dtype=torch.float64).reshape(24, 1, 6, 4)
    A = operator.forward(columns).reshape(24, 6).numpy().T
    y = torch.eye(6, dtype=torch.float64).reshape(6, 1, 3, 2)
    actual = operator.pinv(y).reshape(6, 24).numpy().T
    np.testing.assert_allclose(actual, np.linalg.pinv(A), atol=1e-12)


def test_image_shape_follows_from_measurements():
    resolved = Downsampling(3).resolve(measurement_shape=(4, 5))
    assert resolved.image_shape == (12, 15)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"factor": 3, "image_shape": (9, 10)}, "divisible by factor=3"),
        ({"factor": 0, "image_shape": (9, 9)}, "factor == 0"),
        ({"factor": 3, "image_shape": (9, -9)}, "positive integers"),
    ],
)
def test_bad_parameters_are_refused(parameters, message):
    with pytest.raises(ValueError, match=message):
        Downsampling(**parameters).resolve()


def test_wrong_types_are_refused():
    with pytest.raises(TypeError, match="factor"):
        Downsampling(1.5).resolve(image_shape=(3, 3))
    with pytest.raises(TypeError, match="antialias"):
        Downsampling(2, antialias="box").resolve(image_shape=(4, 4))


def test_contradicting_shapes_are_refused():
    with pytest.raises(ValueError, match=r"expected \(4, 4\)"):
        Downsampling(2, (8, 8)).resolve(measurement_shape=(8, 8))
