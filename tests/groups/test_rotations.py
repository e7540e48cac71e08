import numpy as np
import pytest
import torch
from skimage.transform import rotate

from sklearn_ei.groups import Rotations


def noise(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic", "nearest", "fft"])
@pytest.mark.parametrize("size", [8, 9])
def test_quarter_turns_are_those_of_numpy(interpolation, size):
    x = noise(5, 2, size, size)
    g = torch.tensor([0, 1, 2, 3, 1])
    y = Rotations(4, interpolation=interpolation).transform(x, g)
    for turned, image, k in zip(y, x, g, strict=True):
        np.testing.assert_array_equal(turned, np.rot90(image, int(k), (-2, -1)))


@pytest.mark.parametrize("size", [8, 9])
def test_quarter_turns_among_sheared_rotations(size):
    x = noise(3, 1, size, size)
    y = Rotations(12, interpolation="fft").transform(x, [3, 6, 9])
    for turned, image, k in zip(y, x, (1, 2, 3), strict=True):
        np.testing.assert_allclose(turned, np.rot90(image, k, (-2, -1)), atol=1e-12)


@pytest.mark.parametrize("shape", [(4, 7), (5, 5)])
def test_half_turns_are_exact_on_any_shape(shape):
    x = noise(1, 1, *shape)
    group = Rotations(2).resolve(shape)
    assert group.is_exact
    assert torch.equal(group.transform(x, 1), x.flip((-2, -1)))


def test_quarter_turns_of_oblongs_are_interpolated():
    assert not Rotations(4).resolve((4, 7)).is_exact
    assert Rotations(angles=[90, -180, 270]).resolve((7, 7)).is_exact
    assert not Rotations(angles=[90, 91]).resolve((7, 7)).is_exact


@pytest.mark.parametrize("shape", [(24, 24), (25, 25), (24, 31)])
@pytest.mark.parametrize("degrees", [1, 30, 137, 300])
def test_bilinear_agrees_with_skimage(shape, degrees):
    x = noise(1, 1, *shape)
    expected = rotate(x[0, 0].numpy(), degrees, order=1, mode="constant", cval=0)
    y = Rotations(360).transform(x, degrees)[0, 0]
    np.testing.assert_allclose(y, expected, atol=1e-10)


@pytest.mark.parametrize("size", [32, 33])
@pytest.mark.parametrize("degrees", [10, 44, 46, 100, 170, 190, 300])
def test_shears_turn_a_smooth_bump_to_where_it_belongs(size, degrees):
    axis = torch.linspace(-1, 1, size, dtype=torch.float64)

    def bump(right, up):
        return (-30 * ((-axis[:, None] - up) ** 2 + (axis - right) ** 2)).exp()

    right, up = 0.3, 0.1
    cos, sin = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    group = Rotations(360, interpolation="fft")
    y = group.transform(bump(right, up)[None, None], degrees)[0, 0]
    expected = bump(cos * right - sin * up, sin * right + cos * up)
    np.testing.assert_allclose(y, expected, atol=1e-4)


@pytest.mark.parametrize("size", [16, 17])
def test_shears_are_orthogonal_and_have_an_exact_inverse(size):
    group = Rotations(interpolation="fft").resolve((size, size))
    g = torch.arange(360)
    x = noise(360, 1, size, size)
    y = group.transform(x, g)
    for back in (
        group.inverse_transform(y, g),
        group.adjoint(y, g),
        group.transform(y, -g % 360),
        group.transform(group.inverse_transform(x, g), g),
    ):
        error = (back - x).flatten(1).norm(dim=1) / x.flatten(1).norm(dim=1)
        assert float(error.max()) <= 1e-12


@pytest.mark.parametrize("interpolation", ["bilinear", "fft"])
def test_given_angles_are_those_of_evenly_spread_elements(interpolation):
    x = noise(3, 2, 12, 12)
    some = Rotations(angles=np.array([10.0, -35, 500]), interpolation=interpolation)
    even = Rotations(360, interpolation=interpolation)
    same = torch.tensor([10, 325, 140])
    g = torch.tensor([1, 2, 3])
    assert some.degrees(g).tolist() == [10.0, -35.0, 500.0]
    for action in ("transform", "inverse_transform", "adjoint"):
        torch.testing.assert_close(
            getattr(some, action)(x, g), getattr(even, action)(x, same)
        )
    assert torch.equal(some.transform(x, 0), even.transform(x, 0))


def test_order_is_filled_in_with_the_shape():
    assert Rotations().n_elements is None
    assert Rotations().resolve((8, 8)).n_elements == 360
    group = Rotations(angles=[10, 20]).resolve((8, 8))
    assert group.n_elements == 3
    assert group.generators().tolist() == [1, 2]
    assert group.resolve((9, 9)).n_elements == 3


@pytest.mark.parametrize(
    ("params", "error", "match"),
    [
        ({"n_elements": 0}, ValueError, "n_elements == 0"),
        ({"n_elements": 4.0}, TypeError, "n_elements"),
        ({"interpolation": "cubic"}, ValueError, "interpolation='cubic'.*'fft'"),
        ({"angles": []}, ValueError, "expected a list of angles"),
        ({"angles": 30}, ValueError, "angles=30, but expected a list"),
        ({"angles": ["a"]}, ValueError, "expected a list of angles"),
        ({"angles": [[1.0, 2.0]]}, ValueError, "expected a list of angles"),
        ({"angles": [1, np.nan]}, ValueError, "finite angles"),
        ({"angles": [10, 360]}, ValueError, "Got 360 among the angles"),
        ({"angles": [10, -350]}, ValueError, "differ by more than full turns"),
        ({"angles": [10], "n_elements": 360}, ValueError, "expected None, or 2"),
    ],
)
def test_wrong_parameters_are_refused(params, error, match):
    with pytest.raises(error, match=match):
        Rotations(**params).resolve((8, 8))


def test_images_of_the_wrong_shape_are_refused():
    with pytest.raises(ValueError, match=r"2-D images, but got .* \(9,\)"):
        Rotations().resolve((9,))
    with pytest.raises(ValueError, match=r"\(8, 9\), but expected square"):
        Rotations(interpolation="fft").resolve((8, 9))
    with pytest.raises(ValueError, match="expected square"):
        Rotations(interpolation="fft").transform(noise(1, 1, 8, 9), 1)
