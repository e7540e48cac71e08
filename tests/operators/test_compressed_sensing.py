"""CompressedSensing against NumPy."""

import numpy as np
import pytest
import torch

from sklearn_ei.operators import CompressedSensing


def dense(operator):
    n = int(np.prod(operator.image_shape))
    columns = torch.eye(n, dtype=torch.float64).reshape(n, 1, *operator.image_shape)
    return operator.forward(columns)[:, 0].numpy().T


def test_entries_are_normal_with_variance_one_over_m():
    matrix = dense(CompressedSensing(50, (40, 40))) * np.sqrt(50)
    assert matrix.shape == (50, 1600)
    assert abs(matrix.mean()) < 0.02
    assert matrix.std() == pytest.approx(1, abs=0.02)
    assert (np.abs(matrix) > 1.96).mean() == pytest.approx(0.05, abs=0.005)
    assert np.abs(np.corrcoef(matrix) - np.eye(50)).max() < 0.15


@pytest.mark.parametrize("n_measurements", [1, 30, 60])
def test_pinv_is_numpys(n_measurements):
    operator = CompressedSensing(n_measurements, (10, 6))
    y = torch.randn((2, 1, n_measurements), dtype=torch.float64)
    expected = y[:, 0].numpy() @ np.linalg.pinv(dense(operator)).T
    np.testing.assert_allclose(operator.pinv(y).reshape(2, 60), expected, rtol=1e-6)


def test_the_seed_determines_the_matrix():
    first, again, other = (
        dense(CompressedSensing(5, (4, 4), random_state=seed)) for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, again)
    assert (first != other).all()


def test_copies_share_one_matrix():
    operators = [CompressedSensing(5, (4, 4), random_state=7) for _ in range(2)]
    first, second = (operator._constants for operator in operators)
    assert first is second


def test_images_shape_has_to_be_given():
    operator = CompressedSensing(5)
    with pytest.raises(ValueError, match="cannot infer the shape of the images"):
        operator.resolve(measurement_shape=(5,))
    with pytest.raises(ValueError, match="pass image_shape"):
        operator.reconstruct(np.ones((2, 5)))
    assert operator.measure(np.ones((2, 4, 4))).shape == (2, 5)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"n_measurements": 17, "image_shape": (4, 4)}, "at most the 16 pixels"),
        ({"n_measurements": 0, "image_shape": (4, 4)}, "n_measurements == 0"),
        ({"n_measurements": 3, "image_shape": (4, 0)}, "positive integers"),
        ({"n_measurements": 3, "image_shape": (4,), "random_state": -1}, "random_s"),
    ],
)
def test_bad_parameters_are_refused(parameters, message):
    with pytest.raises(ValueError, match=message):
        CompressedSensing(**parameters).resolve()


def test_other_measurement_shapes_are_refused():
    with pytest.raises(ValueError, match=r"expected \(5,\)"):
        CompressedSensing(5, (4, 4)).resolve(measurement_shape=(6,))
