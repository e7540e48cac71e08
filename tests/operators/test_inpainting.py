"""Inpainting against plain multiplication by a mask."""

import numpy as np
import pytest
import torch

from sklearn_ei.operators import Inpainting


@pytest.mark.parametrize("shape", [(30,), (6, 7), (6, 7, 3), (30, 3)])
def test_a_fixed_mask_blanks_the_same_pixels_in_every_channel(shape):
    rng = np.random.default_rng(0)
    spatial = shape[:1] if shape[0] == 30 else shape[:2]
    mask = rng.random(spatial) > 0.4
    images = rng.random((3, *shape), dtype=np.float32)
    expected = images * mask.reshape(spatial + (1,) * (len(shape) - len(spatial)))
    operator = Inpainting(mask=mask)
    measured = operator.measure(images)
    np.testing.assert_array_equal(measured, expected)
    np.testing.assert_array_equal(operator.reconstruct(measured), expected)


def test_a_fixed_mask_needs_no_image_shape_for_tensors():
    mask = np.array([[True, False, True]])
    operator = Inpainting(mask=mask)
    x = torch.ones((2, 1, 1, 3))
    for function in (operator.forward, operator.adjoint, operator.pinv):
        assert function(x)[0, 0].tolist() == [[1.0, 0.0, 1.0]]
    assert operator.mean_squared_row_norm() == pytest.approx(2 / 3)
    assert operator.refinement_step == 1
    operator.mask = ~mask  # what was derived from the old mask is forgotten
    assert operator.forward(x)[0, 0].tolist() == [[0.0, 1.0, 0.0]]


@pytest.mark.parametrize("shape", [(50,), (12, 11)])
def test_drawn_masks_follow_rate_and_seed(shape):
    ones = np.ones((1, *shape))
    first, again, other = (
        Inpainting(0.3, random_state=seed).measure(ones) for seed in (1, 1, 2)
    )
    assert (first == 0).sum() == round(0.3 * ones.size)
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"mask": np.zeros((3, 3), bool)}, "keeps no pixel"),
        ({"mask": np.ones((3, 3)), "image_shape": (4, 4)}, "expected equal shapes"),
        ({"rate": 1.0, "image_shape": (4, 4)}, "rate == 1.0"),
        ({"random_state": -1, "image_shape": (4, 4)}, "random_state"),
    ],
)
def test_bad_parameters_are_refused(parameters, message):
    with pytest.raises(ValueError, match=message):
        Inpainting(**parameters).resolve()
