"""Groups of one's own that act by affine maps of coordinates."""

import numpy as np
import pytest
import torch

from sklearn_ei.groups import AffineGroup, RandomAffine, Reflections, Shifts
from tests.groups.sampling import sampled


class Slants(AffineGroup):
    """Volumes or images whose first axis leans: rows move by their distance."""

    n_elements = 3

    def __init__(self, interpolation="bilinear"):
        self.interpolation = interpolation

    def affine_map(self, g):
        n_dims = len(self.image_shape)
        maps = torch.eye(n_dims, n_dims + 1, dtype=torch.float64, device=g.device)
        maps = maps.repeat(len(g), 1, 1)
        maps[:, -1, 0] = 0.3 * ((g + 1) % 3 - 1)
        maps[:, 0, -1] = 0.7 * (g == 2)
        return maps


@pytest.mark.parametrize("shape", [(7, 9), (5, 4, 6)])
def test_a_map_makes_a_group(shape):
    group = Slants().resolve(shape)
    g = torch.tensor([0, 1, 2])
    x = torch.randn(3, 2, *shape, dtype=torch.float64)
    y, back = group.transform(x, g), group.inverse_transform(x, g)
    for k, maps in enumerate(group.affine_map(g).numpy()):
        inverse = np.linalg.inv(maps[:, :-1])
        inverse = np.concatenate([inverse, -inverse @ maps[:, -1:]], axis=1)
        for channel in range(2):
            image = x[k, channel].numpy()
            np.testing.assert_allclose(y[k, channel], sampled(image, maps), atol=1e-12)
            np.testing.assert_allclose(
                back[k, channel], sampled(image, inverse), atol=1e-12
            )


def test_it_multiplies_with_others():
    group = (Slants("bicubic") * Reflections(0) * Slants()).resolve((8, 9))
    assert group.interpolation == "bicubic"
    g = torch.tensor([2 * 6 + 1 * 3 + 1])
    x = torch.randn(1, 1, 8, 9, dtype=torch.float64)

    def whole(k):
        maps = Slants().resolve((8, 9)).affine_map(torch.tensor([k]))[0].numpy()
        return np.vstack([maps, [0, 0, 1]])

    # T_a F T_b: coordinates pass the map of a first.
    maps = whole(1) @ np.diag([-1, 1, 1]) @ whole(2)
    expected = sampled(x[0, 0].numpy(), maps[:2], "bicubic")
    np.testing.assert_allclose(group.transform(x, g)[0, 0], expected, atol=1e-12)
    y = torch.randn(1, 1, 8, 9, dtype=torch.float64)
    left, right = (group.transform(x, g) * y).sum(), (x * group.adjoint(y, g)).sum()
    assert torch.isclose(left, right)


def test_groups_without_a_map_say_so():
    assert Shifts().resolve((5,)).affine_map(torch.tensor([1])) is None
    assert (Shifts() * Reflections()).resolve((5,)).affine_map(
        torch.tensor([1])
    ) is None


@pytest.mark.parametrize("group", [Reflections(), RandomAffine()], ids=repr)
def test_maps_wait_for_the_shape(group):
    with pytest.raises(ValueError, match="does not know the shape of the images yet"):
        group.affine_map(torch.tensor([1]))


def test_an_interpolation_that_does_not_exist_is_refused():
    with pytest.raises(ValueError, match="interpolation='spline'"):
        Slants("spline").resolve((5, 5))
    with pytest.raises(ValueError, match="expected at most 2 axes"):
        Slants("bicubic").resolve((5, 5, 5))


def test_a_group_without_a_map_cannot_be_made():
    class Nothing(AffineGroup):
        n_elements = 1

    with pytest.raises(TypeError, match="affine_map"):
        Nothing()
