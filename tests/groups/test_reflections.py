import numpy as np
import pytest
import torch

from sklearn_ei.groups import Reflections


@pytest.mark.parametrize("shape", [(4, 5), (6, 6)])
def test_elements_are_flips_of_numpy(shape):
    x = torch.arange(2.0 * 4 * np.prod(shape)).reshape(4, 2, *shape)
    y = Reflections((-1, 0)).transform(x, [0, 1, 2, 3])
    for flipped, image, axes in zip(y, x, [(), (2,), (1,), (1, 2)], strict=True):
        np.testing.assert_array_equal(flipped, np.flip(image.numpy(), axes))


def test_default_swaps_left_and_right():
    x = torch.arange(6.0).reshape(1, 1, 2, 3)
    np.testing.assert_array_equal(
        Reflections().transform(x, 1)[0, 0], np.fliplr(x[0, 0])
    )
    assert Reflections().n_elements == 2
    signal = torch.arange(5.0).reshape(1, 1, 5)
    assert torch.equal(Reflections().transform(signal, 1), signal.flip(-1))


def test_generators_flip_one_axis_each():
    assert Reflections((0, 1)).generators().tolist() == [1, 2]


@pytest.mark.parametrize("axes", [2, -3, (0, 5), "horizontal", 1.0, None, True])
def test_axes_that_images_lack_are_refused(axes):
    with pytest.raises(ValueError, match="expected axes from -2 to 1"):
        Reflections(axes).resolve((4, 4))


@pytest.mark.parametrize("axes", [(), (0, 0), (1, -1)])
def test_axes_have_to_differ(axes):
    with pytest.raises(ValueError, match="one or more different axes"):
        Reflections(axes).resolve((4, 4))
