import numpy as np
import pytest
import torch
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
    ei = EquivariantReconstructor(
        operator, group, n_transforms=3, max_epochs=1, width=2, depth=2, random_state=0
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
