import numpy as np
import pytest
import torch
from scipy import ndimage
from skimage.transform import AffineTransform, warp
from sklearn.base import clone

from sklearn_ei.groups import RandomAffine, Reflections


def noise(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def content_maps(group):
    """Return A and t of r → A r + t, by which what is in images moves."""
    maps = group.affine_map(torch.arange(1, group.n_elements)).numpy()
    matrix = np.linalg.inv(maps[..., :-1])
    return matrix, -(matrix @ maps[..., -1:])[..., 0]


def only(shape, **params):
    """Return a group that varies nothing but what is given."""
    still = {"degrees": 0, "scale": (1, 1), "shear": 0, "translate": 0}
    return RandomAffine(300, **{**still, **params}).resolve(shape)


def test_tilts_fill_their_range_and_turn_counter_clockwise():
    matrix, shift = content_maps(only((20, 30), degrees=(5, 15)))
    # What is right of the centre, (0, 1) as (row, column), rises.
    angles = np.rad2deg(np.arctan2(-matrix[:, 0, 1], matrix[:, 1, 1]))
    np.testing.assert_allclose(np.linalg.det(matrix), 1)
    np.testing.assert_allclose(shift, 0, atol=1e-12)
    assert 5 <= angles.min() < 5.2
    assert 14.8 < angles.max() <= 15
    assert abs(angles.mean() - 10) < 0.5
    # A number is the end of a symmetric range.
    same = only((20, 30), degrees=(-12, 12)).affine_map(torch.arange(300))
    assert torch.equal(only((20, 30), degrees=12).affine_map(torch.arange(300)), same)


def test_zooms_fill_their_range_evenly():
    matrix, _ = content_maps(only((20, 30), scale=(0.7, 1.0)))
    scales = matrix[:, 0, 0]
    np.testing.assert_allclose(matrix, scales[:, None, None] * np.eye(2), atol=1e-12)
    counts, _ = np.histogram(scales, bins=3, range=(0.7, 1.0))
    assert counts.sum() == 299
    assert counts.min() > 75


def test_shears_move_rows():
    matrix, _ = content_maps(only((20, 30), shear=20))
    np.testing.assert_allclose(matrix[:, 0], [[1, 0]] * 299, atol=1e-12)
    np.testing.assert_allclose(matrix[:, 1, 1], 1)
    angles = np.rad2deg(np.arctan(-matrix[:, 1, 0]))
    assert -20 <= angles.min() < -19
    assert 19 < angles.max() <= 20


@pytest.mark.parametrize(
    ("shape", "translate", "most"),
    [((20, 40), 0.1, (2, 4)), ((20, 40), (0.1, 0.2), (2, 8)), ((50,), 0.2, (10,))],
)
def test_shifts_are_shares_of_each_axis(shape, translate, most):
    matrix, shift = content_maps(only(shape, translate=translate))
    np.testing.assert_allclose(matrix, [np.eye(len(shape))] * 299)
    largest = np.abs(shift).max(0)
    assert (largest <= most).all()
    assert (largest > 0.97 * np.array(most)).all()
    assert (np.abs(shift.mean(0)) < 0.1 * np.array(most)).all()


def test_what_is_shifted_out_is_lost():
    group = only((10,), translate=0.9)
    x = torch.ones(299, 1, 10, dtype=torch.float64)
    y = group.transform(x, torch.arange(1, 300))[:, 0]
    shift = content_maps(group)[1][:, 0]
    left = np.abs(shift) > 1
    kept = y[left].numpy().sum(1)
    np.testing.assert_allclose(kept, 10 - np.abs(shift[left]), atol=1)
    assert kept.min() < 1.5


@pytest.mark.parametrize("shape", [(16, 16), (9, 14), (12,)])
def test_half_of_the_elements_are_mirror_images(shape):
    matrix, _ = content_maps(only(shape, scale=(0.999999, 1), mirror=True))
    flipped = matrix[:, -1, -1] < 0
    assert 120 < flipped.sum() < 180
    group = RandomAffine(
        300, degrees=0, scale=(0.999999, 1), mirror=True, interpolation="bilinear"
    ).resolve(shape)
    x = noise(299, 1, *shape)
    y = group.transform(x, torch.arange(1, 300))
    mirrored = torch.from_numpy(flipped).long()
    torch.testing.assert_close(
        y, Reflections().transform(x, mirrored), atol=1e-3, rtol=0
    )


@pytest.mark.parametrize("shape", [(24, 24), (21, 30)])
def test_everything_at_once_agrees_with_skimage(shape):
    """A_g = s R H F, rebuilt from what is varied one by one."""
    ranges = {
        "degrees": (5, 40),
        "scale": (0.8, 1.3),
        "shear": (5, 20),
        "translate": (0.1, 0.2),
    }
    matrix = {
        name: content_maps(only(shape, **{name: value}))
        for name, value in ranges.items()
    }
    group = RandomAffine(300, **ranges, mirror=True, interpolation="bilinear")
    group = group.resolve(shape)
    whole, shift = content_maps(group)
    np.testing.assert_allclose(shift, matrix["translate"][1], atol=1e-12)
    centre = (np.array(shape[::-1]) - 1) / 2
    x = noise(1, 1, *shape)
    for g in (1, 2, 3, 17, 200):
        rotation = matrix["degrees"][0][g - 1]
        slope = -matrix["shear"][0][g - 1][1, 0]
        s = matrix["scale"][0][g - 1][0, 0]
        flipped = np.linalg.det(whole[g - 1]) < 0
        # skimage's axes are (x, y), so that its angles count clockwise.
        moved = (
            AffineTransform(translation=-centre)
            + AffineTransform(scale=(-1 if flipped else 1, 1))
            + AffineTransform(
                scale=(s, s),
                rotation=np.arctan2(rotation[0, 1], rotation[0, 0]),
                shear=(np.arctan(slope), 0),
            )
            + AffineTransform(translation=centre + matrix["translate"][1][g - 1][::-1])
        )
        for action, inverse_map in (
            ("transform", moved.inverse),
            ("inverse_transform", moved),
        ):
            expected = warp(x[0, 0].numpy(), inverse_map, order=1, cval=0)
            np.testing.assert_allclose(
                getattr(group, action)(x, g)[0, 0], expected, atol=1e-10
            )


def test_signals_agree_with_scipy():
    group = only((31,), scale=(0.7, 1.4), translate=0.1, interpolation="bilinear")
    x = noise(299, 2, 31)
    y = group.transform(x, torch.arange(1, 300))
    matrix, shift = content_maps(group)
    for g in range(0, 299, 13):
        s, t = matrix[g, 0, 0], shift[g, 0]
        for channel in range(2):
            expected = ndimage.affine_transform(
                x[g, channel].numpy(),
                [1 / s],
                15 - (15 + t) / s,
                order=1,
                mode="grid-constant",
            )
            np.testing.assert_allclose(y[g, channel], expected, atol=1e-10)


def test_element_k_is_the_same_map_whatever_else_there_is():
    g = torch.arange(10)
    maps = RandomAffine(10).resolve((16, 16)).affine_map(g)
    assert torch.equal(RandomAffine().resolve((16, 16)).affine_map(g), maps)
    assert torch.equal(RandomAffine(10).resolve((33, 20)).affine_map(g), maps)
    assert torch.equal(clone(RandomAffine(10)).resolve((16, 16)).affine_map(g), maps)
    other = RandomAffine(10, random_state=1).resolve((16, 16)).affine_map(g)
    assert not torch.isclose(other[1:], maps[1:]).all(dim=(1, 2)).any()
    shifted = RandomAffine(10, translate=0.1).resolve((16, 16)).affine_map(g)
    assert torch.equal(shifted[..., :2], maps[..., :2])
    assert (shifted[1:, :, 2].abs() > 0).all()


def test_defaults_are_the_recipe_for_slices():
    group = RandomAffine().resolve((64, 64))
    assert (group.n_elements, group.interpolation) == (4096, "bicubic")
    matrix, shift = content_maps(group)
    scales = np.sqrt(np.linalg.det(matrix))
    angles = np.rad2deg(np.arctan2(-matrix[:, 0, 1], matrix[:, 1, 1]))
    assert 0.7 <= scales.min() < 0.701
    assert 0.999 < scales.max() <= 1
    assert -12 <= angles.min() < -11.9
    assert 11.9 < angles.max() <= 12
    assert abs(np.corrcoef(scales, angles)[0, 1]) < 0.05
    assert not shift.any()


@pytest.mark.parametrize(
    ("params", "error", "match"),
    [
        ({"n_elements": 0}, ValueError, "n_elements == 0"),
        ({"degrees": "12"}, ValueError, r"degrees='12', but expected a number d"),
        ({"degrees": (5, -5)}, ValueError, "the lower one first"),
        ({"degrees": (1, 2, 3)}, ValueError, r"degrees=\(1, 2, 3\)"),
        ({"degrees": np.nan}, ValueError, "degrees=nan"),
        ({"scale": 0.7}, ValueError, "scale=0.7, but expected a pair of positive"),
        ({"scale": (0, 1)}, ValueError, "a pair of positive numbers"),
        ({"scale": (1, 0.7)}, ValueError, "the lower one first"),
        ({"shear": 90}, ValueError, "shear=90.* between -90 and 90"),
        ({"translate": 3}, ValueError, "translate=3, but expected a share"),
        ({"translate": -0.1}, ValueError, "translate=-0.1"),
        ({"translate": (0.1, 0.1, 0.1)}, ValueError, "or 2 of them"),
        ({"mirror": 1}, TypeError, "mirror"),
        ({"interpolation": "fft"}, ValueError, "interpolation='fft'"),
        ({"random_state": None}, TypeError, "random_state"),
        ({"degrees": 0, "scale": (1, 1)}, ValueError, "expected a range that is wider"),
    ],
)
def test_wrong_parameters_are_refused(params, error, match):
    with pytest.raises(error, match=match):
        RandomAffine(**params).resolve((8, 8))


def test_images_that_it_cannot_move_are_refused():
    with pytest.raises(ValueError, match=r"1-D signals and 2-D images.*\(4, 4, 4\)"):
        RandomAffine().resolve((4, 4, 4))
    # Signals are not turned, so that nothing would happen to them.
    with pytest.raises(ValueError, match="elements are the same on images of shape"):
        RandomAffine(scale=(1, 1)).resolve((9,))
