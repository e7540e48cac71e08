"""Inpainting against plain multiplication by a mask."""

import numpy as np
import pytest
import torch

from sklearn_ei.operators import Inpainting, Layout
from tests.cases import bayer


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
    assert operator.refinement_steps(1) == operator.refinement_steps(3) == (1,)
    operator.mask = ~mask  # what was derived from the old mask is forgotten
    assert operator.forward(x)[0, 0].tolist() == [[0.0, 1.0, 0.0]]


@pytest.mark.parametrize(
    ("shape", "n_channels"), [((6, 8), 3), ((12,), 2), ((4, 5, 3), 2), ((5, 6), 1)]
)
def test_each_channel_can_have_its_own_mask(shape, n_channels):
    rng = np.random.default_rng(0)
    mask = rng.random((*shape, n_channels)) > 0.4
    images = rng.random((3, *shape, n_channels), dtype=np.float32)
    operator = Inpainting(mask=mask, image_shape=shape)
    measured = operator.measure(images)
    np.testing.assert_array_equal(measured, images * mask)
    np.testing.assert_array_equal(operator.reconstruct(measured), images * mask)
    assert operator.image_layout == Layout(shape, n_channels)
    assert operator.measurement_layout == operator.image_layout
    each = operator.measured_entries(each_channel=True)
    np.testing.assert_array_equal(np.moveaxis(each, 0, -1), mask)
    assert operator.n_measurements == mask.sum()
    assert operator.mean_squared_row_norm() == pytest.approx(mask.mean())
    with pytest.raises(ValueError, match="got images with no channel axis"):
        operator.measure(images[..., 0])


def test_colours_of_a_bayer_pattern_stay_apart():
    colours = np.broadcast_to([1.0, 2.0, 3.0], (1, 4, 4, 3))
    measured = Inpainting(mask=bayer(4, 4), image_shape=(4, 4)).measure(colours)
    assert measured[0].sum(axis=-1).tolist() == [[1, 2, 1, 2], [2, 3, 2, 3]] * 2


def test_a_mask_with_three_axes_is_a_volume_or_channels_as_image_shape_says():
    mask = np.random.default_rng(0).random((4, 5, 3)) > 0.5
    volume = Inpainting(mask=mask, image_shape=(4, 5, 3))
    assert volume.image_layout == Layout((4, 5, 3), "any")
    open_shape = Inpainting(mask=mask)
    assert open_shape.resolve(image_shape=(4, 5)).image_channels == 3
    assert open_shape.resolve(measurement_shape=(4, 5, 3)).image_channels == "any"
    for call in (open_shape.resolve, lambda: open_shape.measure(np.ones((2, 4, 5, 3)))):
        with pytest.raises(
            ValueError, match=r"pass image_shape=\(4, 5, 3\), or image_shape=\(4, 5\)"
        ):
            call()


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
        (
            {"mask": np.zeros((3, 3), bool)},
            "False everywhere, but expected",
        ),
        ({"mask": np.ones((3, 3)), "image_shape": (4, 4)}, "expected equal shapes"),
        ({"mask": np.ones((3, 4, 2)), "image_shape": (3, 3)}, "expected equal shapes"),
        ({"mask": np.ones((3, 3, 2, 2)), "image_shape": (3, 3)}, "equal shapes"),
        ({"rate": 1.0, "image_shape": (4, 4)}, "rate == 1.0"),
        ({"random_state": -1, "image_shape": (4, 4)}, "random_state"),
    ],
)
def test_bad_parameters_are_refused(parameters, message):
    with pytest.raises(ValueError, match=message):
        Inpainting(**parameters).resolve()
