import numpy as np
import pytest
import torch
from skimage.transform import AffineTransform, warp
from sklearn.base import clone

from sklearn_ei import EquivariantReconstructor
from sklearn_ei.groups import (
    Permutations,
    ProductGroup,
    Reflections,
    Rotations,
    Scalings,
    Shifts,
)


def noise(*shape):
    generator = torch.Generator().manual_seed(0)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def test_second_factor_acts_first():
    x = noise(8, 2, 5, 5)
    y = (Rotations(4) * Reflections()).transform(x, torch.arange(8))
    for i, (image, turned) in enumerate(zip(x.numpy(), y, strict=True)):
        flipped = image[..., ::-1] if i % 2 else image
        np.testing.assert_array_equal(turned, np.rot90(flipped, i // 2, (-2, -1)))


def test_inverse_of_factors_that_do_not_commute():
    group = (Permutations(9) * Shifts() * Reflections()).resolve((4, 5))
    x = noise(50, 1, 4, 5)
    g = group.sample(torch.Generator().manual_seed(1), 1, 50)
    assert torch.equal(group.inverse_transform(group.transform(x, g), g), x)
    assert torch.equal(group.transform(group.inverse_transform(x, g), g), x)
    # Undoing the factors in the order in which they acted does not do it.
    y = group.transform(x, g)
    a, b = group.split(g)
    y = group.first.inverse_transform(group.second.inverse_transform(y, b), a)
    assert not torch.equal(y, x)


def test_brackets_do_not_matter():
    a, b, c = Rotations(4), Shifts(1), Reflections((0, 1))
    left, right = (a * b) * c, a * (b * c)
    assert repr(left) == repr(right)
    assert left.parts == (a, b, c)
    both = (a * b) * (b * c)
    assert both.parts == (a, b, b, c)
    x = noise(20, 1, 6, 6)
    nested = ProductGroup(a, ProductGroup(b, c)).resolve((6, 6))
    flat = left.resolve((6, 6))
    g = flat.sample(torch.Generator().manual_seed(1), 1, 20)
    assert nested.n_elements == flat.n_elements == 4 * 9 * 4
    for action in ("transform", "inverse_transform", "adjoint"):
        y = getattr(flat, action)(x, g)
        assert torch.equal(y, getattr(nested, action)(x, g))


@pytest.mark.parametrize(
    ("first", "second"), [("bicubic", "bilinear"), ("nearest",) * 2]
)
def test_neighbours_interpolate_once_and_as_the_finest(first, second, monkeypatch):
    modes = []
    grid_sample = torch.nn.functional.grid_sample

    def counted(*args, mode, **kwargs):
        modes.append(mode)
        return grid_sample(*args, mode=mode, **kwargs)

    monkeypatch.setattr(torch.nn.functional, "grid_sample", counted)
    group = (
        Rotations(360, interpolation=first)
        * Reflections()
        * Scalings(interpolation=second)
        * Rotations(4, interpolation="bicubic")
    ).resolve((9, 9))
    x = noise(2, 1, 9, 9)
    group.transform(x, 1000)
    group.inverse_transform(x, 1000)
    assert modes == [first, first]
    assert group.interpolation == first


@pytest.mark.parametrize("shape", [(20, 20), (17, 24)])
def test_turned_zooms_agree_with_skimage(shape):
    group = (Rotations(360) * Scalings([0.8])).resolve(shape)
    x = noise(1, 1, *shape)
    centre = (np.array(shape[::-1]) - 1) / 2
    for turn, zoom, s in ((20, 1, 0.8), (200, 2, 1.25), (7, 0, 1.0)):
        # Of axes (x, y), so that angles count clockwise.
        moved = (
            AffineTransform(translation=-centre)
            + AffineTransform(scale=(s, s), rotation=-np.deg2rad(turn))
            + AffineTransform(translation=centre)
        )
        g = 3 * turn + zoom
        for action, inverse_map in (
            ("transform", moved.inverse),
            ("inverse_transform", moved),
        ):
            expected = warp(x[0, 0].numpy(), inverse_map, order=1, cval=0)
            y = getattr(group, action)(x, g)[0, 0]
            np.testing.assert_allclose(y, expected, atol=1e-10)


def test_nothing_is_lost_in_between():
    group = (Scalings([0.5]) * Scalings([0.5])).resolve((8, 8))
    x = noise(1, 1, 8, 8)
    # Twice as large, then half as large: element (1, 2).
    torch.testing.assert_close(group.transform(x, 5), x)
    halves = Scalings([0.5]).resolve((8, 8))
    assert not torch.allclose(halves.transform(halves.transform(x, 2), 1), x)


def test_only_neighbours_interpolate_at_once():
    group = Rotations(8) * Scalings([0.8]) * Shifts(1) * Rotations(5) * Reflections()
    group = group.resolve((12, 12))
    left, right = Rotations(8) * Scalings([0.8]), Rotations(5) * Reflections()
    x = noise(20, 1, 12, 12)
    g = group.sample(torch.Generator().manual_seed(2), 1, 20)
    a, b, c = g // 90, g // 10 % 9, g % 10
    y = left.transform(Shifts(1).transform(right.transform(x, c), b), a)
    torch.testing.assert_close(group.transform(x, g), y)
    y = Shifts(1).inverse_transform(left.inverse_transform(x, a), b)
    y = right.inverse_transform(y, c)
    torch.testing.assert_close(group.inverse_transform(x, g), y)


def test_periodic_rotations_stay_as_they_are():
    turns, zooms = Rotations(8, interpolation="fft"), Scalings([0.8])
    group = (turns * zooms).resolve((12, 12))
    assert group.affine_map(torch.tensor([4])) is None
    x = noise(1, 1, 12, 12)
    expected = turns.transform(zooms.transform(x, 1), 1)
    assert torch.equal(group.transform(x, 4), expected)
    # Quarter turns are exact, whatever the interpolation: they join.
    quarters = Rotations(4, interpolation="fft") * zooms
    assert quarters.resolve((12, 12)).affine_map(torch.tensor([4])) is not None


def test_what_is_exact_permutes_pixels():
    group = (Rotations(4) * Reflections((0, 1)) * Rotations(2)).resolve((7, 7))
    x = noise(32, 1, 7, 7)
    y = group.transform(x, torch.arange(32))
    assert torch.equal(y.flatten(1).sort(1).values, x.flatten(1).sort(1).values)
    assert torch.equal(group.inverse_transform(y, torch.arange(32)), x)
    assert group.interpolation is None


def test_what_is_asked_of_groups_is_that_of_the_parts():
    group = (Rotations(8) * Reflections((0, 1)) * Shifts()).resolve((6, 6))
    assert group.quarter_turn_step == 2 * 4 * 36
    assert (Reflections() * Rotations(8)).quarter_turn_step is None
    assert not group.is_cyclic
    assert not group.is_all_shifts
    assert [part.is_all_shifts for part in group.parts] == [False, False, True]
    shifts = [g for g in group.representative_elements().tolist() if g < 36]
    assert shifts == group.parts[2].representative_elements().tolist()


def test_generators_are_those_of_the_factors():
    group = (Rotations(4) * Reflections((0, 1))).resolve((6, 6))
    assert group.generators().tolist() == [1, 2, 4]


def test_exactness_and_order():
    assert (Rotations(4) * Shifts()).n_elements is None
    assert (Rotations(4) * Shifts()).resolve((3, 3)).n_elements == 36
    assert (Rotations(4) * Shifts()).resolve((3, 3)).is_exact
    assert not (Rotations(4) * Scalings()).resolve((3, 3)).is_exact
    assert not (Rotations(4) * Shifts()).resolve((3, 4)).is_exact


def test_parameters_are_nested():
    group = Rotations(360) * Reflections() * Scalings(reciprocals=False)
    params = group.get_params(deep=True)
    assert params["first__first__n_elements"] == 360
    assert params["second__reciprocals"] is False
    twin = clone(group).set_params(first__first__n_elements=4)
    assert twin.parts[0].n_elements == 4
    assert group.parts[0].n_elements == 360


def test_training_and_scoring_with_a_product(ct_problem):
    operator, _, Y = ct_problem
    group = Rotations(36) * Reflections()
    from sklearn_ei.losses import EquivarianceTerm
    from sklearn_ei.networks import UNet, Unrolled

    ei = EquivariantReconstructor(
        operator,
        group,
        equivariance_term=EquivarianceTerm(n_transforms=3),
        network=Unrolled(UNet(width=2, depth=2)),
        max_epochs=1,
        random_state=0,
    )
    assert ei.get_params()["group__first__n_elements"] == 36
    ei = clone(ei).set_params(group__first__n_elements=8).fit(Y)
    assert ei.group_.n_elements == 16
    assert np.isfinite(ei.score(Y))


def test_factors_that_are_no_groups_are_refused():
    with pytest.raises(TypeError, match="unsupported operand"):
        Rotations(4) * 3
    with pytest.raises(TypeError, match="Got second=3, but expected a Group"):
        ProductGroup(Rotations(4), 3).resolve((4, 4))
    with pytest.raises(ValueError, match="2-D images"):
        (Shifts() * Rotations(4)).resolve((4,))
