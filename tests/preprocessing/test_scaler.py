"""One number for all measurements."""

import numpy as np
import pytest

from sklearn_ei.preprocessing import MeasurementScaler


@pytest.mark.parametrize(
    ("kind", "scale"), [("rms", np.sqrt(2.5)), ("max", 3), ("std", 1.5), (0.5, 0.5)]
)
def test_scales(kind, scale):
    Y = np.array([[[1.0, 1], [1, 1]], [[-2, -2], [-2, -2]]])
    Y[0, 0, 0] = 1.0
    if kind == "max":
        Y[1, 1, 1] = -3
    scaler = MeasurementScaler(kind)
    scaled = scaler.fit_transform(Y)
    assert scaler.scale_ == pytest.approx(scale)
    np.testing.assert_allclose(scaled, Y / scale, rtol=1e-6)
    np.testing.assert_allclose(scaler.inverse_transform(scaled), Y, rtol=1e-6)
    assert scaled.dtype == np.float32


def test_images_go_back_to_their_units(ct_problem):
    operator, _, Y = ct_problem
    scaler = MeasurementScaler()
    images = operator.reconstruct(scaler.fit_transform(Y))
    np.testing.assert_allclose(
        scaler.inverse_transform(images), operator.reconstruct(Y), atol=1e-5
    )


def test_zeros_and_bad_input():
    assert MeasurementScaler().fit(np.zeros((2, 3, 3))).scale_ == 1
    for scale in ("l2", 0, -1.0, np.nan, np.inf, None, True):
        scaler = MeasurementScaler(scale)
        with pytest.raises((TypeError, ValueError), match="scale"):
            scaler.fit(np.ones((2, 3)))
        assert not hasattr(scaler, "scale_")
    scaler = MeasurementScaler().fit(np.ones((2, 3, 3)))
    with pytest.raises(ValueError, match="fitted on measurements"):
        scaler.transform(np.ones((2, 3, 4)))
