"""What every group has to satisfy."""

import copy
import math
import pickle

import numpy as np
import pytest
import torch
from sklearn.base import clone

from tests.cases import each_device, each_group
from tests.groups.sampling import sampled


def smooth_images(case, n=2, channels=2):
    axes = torch.meshgrid(
        *(torch.linspace(-1, 1, size) for size in case.image_shape), indexing="ij"
    )
    bump = torch.exp(-6 * sum((axis - 0.2) ** 2 for axis in axes)).double()
    scale = torch.arange(1.0, n * channels + 1).double()
    return scale.reshape(n, channels, *[1] * len(axes)) * bump


def some_elements(group, n=2, seed=0):
    return group.sample(torch.Generator().manual_seed(seed), n)


def all_or_some_elements(group, seed=0):
    """Return every element but the identity, or sixty of them."""
    n_others = group.n_elements - 1
    if n_others <= 60:
        return torch.arange(1, n_others + 1)
    return group.sample(torch.Generator().manual_seed(seed), 1, 60)


def relative(actual, expected):
    return float(torch.linalg.norm(actual - expected) / torch.linalg.norm(expected))


@each_group
def test_element_zero_is_the_identity(case):
    x = smooth_images(case)
    torch.testing.assert_close(case.group.transform(x, 0), x, rtol=0, atol=1e-12)


@each_group
def test_inverse(case):
    group = case.group
    g = all_or_some_elements(group)
    x = smooth_images(case, n=1).expand(len(g), *[-1] * (1 + len(case.image_shape)))
    there, back = group.transform(x, g), group.inverse_transform(x, g)
    for twice in (group.inverse_transform(there, g), group.transform(back, g)):
        errors = [relative(a, b) for a, b in zip(twice, x, strict=True)]
        assert max(errors) <= case.inverse_error + 1e-12


@each_group
def test_composition(case):
    if case.compose is None:
        pytest.skip("the elements are a set that composition leaves")
    group = case.group
    g = all_or_some_elements(group, seed=1)
    h = g[torch.randperm(len(g), generator=torch.Generator().manual_seed(2))]
    x = smooth_images(case, n=1).expand(len(g), *[-1] * (1 + len(case.image_shape)))
    one_by_one = group.transform(group.transform(x, h), g)
    at_once = group.transform(x, case.compose(group, g, h))
    errors = [relative(a, b) for a, b in zip(one_by_one, at_once, strict=True)]
    assert max(errors) <= case.composition_error + 1e-12


@each_group
def test_elements_of_exact_groups_differ_and_come_from_the_generators(case):
    group = case.group
    if not group.is_exact:
        pytest.skip("interpolated")
    labels = torch.arange(math.prod(case.image_shape)).double()
    labels = labels.reshape(1, 1, *case.image_shape)

    def as_set(images):
        return {tuple(image) for image in images.flatten(1).tolist()}

    n = group.n_elements
    elements = as_set(
        group.transform(labels.expand(n, *labels.shape[1:]), torch.arange(n))
    )
    assert len(elements) == n
    generated, latest = as_set(labels), labels
    while len(latest):
        new = set().union(
            *(as_set(group.transform(latest, g)) for g in group.generators())
        )
        new -= generated
        generated |= new
        latest = torch.tensor(sorted(new), dtype=torch.float64)
        latest = latest.reshape(-1, 1, *case.image_shape)
    if case.compose is None:
        assert elements <= generated
    else:
        assert elements == generated


@each_group
def test_order_of_generators_divides_the_order_of_exact_groups(case):
    if not case.group.is_exact or case.compose is None:
        pytest.skip("interpolated, or not closed under composition")
    x = torch.arange(math.prod(case.image_shape)).double()
    x = x.reshape(1, 1, *case.image_shape)
    for g in case.group.generators():
        y, order = case.group.transform(x, g), 1
        while not torch.equal(y, x):
            y, order = case.group.transform(y, g), order + 1
            assert order <= case.group.n_elements
        assert order > 1
        assert case.group.n_elements % order == 0


@each_group
def test_generators_are_different_elements(case):
    g = case.group.generators()
    assert g.dtype == torch.int64
    assert len(set(g.tolist())) == len(g) > 0
    assert g.min() >= 1
    assert g.max() < case.group.n_elements


@each_group
@each_device
def test_adjoint_is_the_transpose(case, device):
    generator = torch.Generator().manual_seed(2)
    shape = (3, 2, *case.image_shape)
    x = torch.randn(shape, generator=generator, dtype=torch.float64).to(device)
    y = torch.randn(shape, generator=generator, dtype=torch.float64).to(device)
    g = some_elements(case.group, 3)
    left = (case.group.transform(x, g) * y).sum()
    right = (x * case.group.adjoint(y, g)).sum()
    assert abs(left - right) <= 1e-10 * torch.linalg.norm(x) * torch.linalg.norm(y)


@each_group
def test_affine_maps_say_where_values_come_from(case):
    group = case.group
    if group.affine_map(torch.tensor([0])) is None:
        pytest.skip("no affine map of coordinates")
    if group.interpolation == "nearest":
        pytest.skip("a position between two pixels may fall to either")
    g = some_elements(group, 4, seed=3)
    shape = (4, 1, *case.image_shape)
    generator = torch.Generator().manual_seed(4)
    x = torch.randn(shape, generator=generator, dtype=torch.float64)
    maps = group.affine_map(g).numpy()
    inverse = np.linalg.inv(maps[..., :-1])
    inverse = np.concatenate([inverse, -inverse @ maps[..., -1:]], axis=-1)
    for action, expected in (("transform", maps), ("inverse_transform", inverse)):
        actual = getattr(group, action)(x, g)[:, 0].numpy()
        for image, y, m in zip(x[:, 0].numpy(), actual, expected, strict=True):
            np.testing.assert_allclose(
                y, sampled(image, m, group.interpolation), atol=1e-10
            )


@each_group
def test_representative_elements_are_few_and_move_something(case):
    g = case.group.representative_elements()
    assert g.dtype == torch.int64
    assert len(set(g.tolist())) == len(g)
    assert 0 < len(g) <= 11 * len(case.group.parts)
    assert g.min() >= 1
    assert g.max() < case.group.n_elements


@each_group
def test_quarter_turn_step(case):
    group, step = case.group, case.group.quarter_turn_step
    if step is None or len(set(case.image_shape)) > 1 or "nearest" in case.name:
        pytest.skip("no quarter turns among the elements")
    g = torch.arange(group.n_elements - step)[:: max(1, group.n_elements // 50)]
    x = smooth_images(case, n=1, channels=1)
    x = x.expand(len(g), *[-1] * (1 + len(case.image_shape)))
    expected = torch.rot90(group.transform(x, g), 1, (-2, -1))
    torch.testing.assert_close(
        group.transform(x, g + step), expected, atol=1e-9, rtol=0
    )


@each_group
def test_the_image_shape_is_public(case):
    assert case.group.image_shape == case.image_shape
    twin = clone(case.group)
    assert twin.image_shape is None
    twin.image_shape = list(case.image_shape)
    assert twin.image_shape == case.image_shape


@each_group
def test_exact_groups_and_no_others_are_unitary(case):
    x = smooth_images(case)
    g = some_elements(case.group)
    y = case.group.transform(x, g)
    if case.group.is_exact or case.is_orthogonal:
        torch.testing.assert_close(case.group.adjoint(y, g), x)
    else:
        assert relative(case.group.adjoint(y, g), x) > 1e-6


@each_group
@pytest.mark.parametrize("action", ["transform", "inverse_transform", "adjoint"])
def test_derivatives(case, action):
    x = smooth_images(case, n=1, channels=1).requires_grad_()
    g = some_elements(case.group, 1)
    function = getattr(case.group, action)
    assert torch.autograd.gradcheck(lambda x: function(x, g), x, fast_mode=True)


@each_group
def test_sampling_skips_the_identity_and_repeats_itself(case):
    group = case.group
    n = min(3, group.n_elements - 1)
    g = group.sample(torch.Generator().manual_seed(5), 50, n)
    assert torch.equal(g, group.sample(torch.Generator().manual_seed(5), 50, n))
    assert g.min() >= 1
    assert g.max() < group.n_elements
    assert all(len(set(row)) == n for row in g.reshape(50, n).tolist())
    with pytest.raises(ValueError, match="n_transforms"):
        group.sample(torch.Generator(), 1, group.n_elements)


@each_group
def test_sampling_reaches_every_element_evenly(case):
    n_others = case.group.n_elements - 1
    if n_others > 100:
        pytest.skip("too many elements to count")
    draws = 400 * n_others
    g = case.group.sample(torch.Generator().manual_seed(6), draws)
    counts = torch.bincount(g, minlength=case.group.n_elements)
    assert counts[0] == 0
    assert counts[1:].min() > 300
    assert counts[1:].max() < 500


@each_group
def test_one_element_for_all_samples_or_one_for_each(case):
    x = smooth_images(case, n=3)
    g = some_elements(case.group, 3)
    each = case.group.transform(x, g)
    for i in range(3):
        alone = case.group.transform(x[i : i + 1], g[i])
        torch.testing.assert_close(each[i : i + 1], alone)
    with pytest.raises(ValueError, match="2 elements for 3 samples"):
        case.group.transform(x, g[:2])


@each_group
def test_clone_and_pickle(case):
    x = smooth_images(case)
    g = some_elements(case.group)
    expected = case.group.transform(x, g)
    stored = pickle.dumps(case.group)
    assert len(stored) <= 100_000
    fresh = clone(case.group).resolve(case.image_shape)
    for twin in (fresh, pickle.loads(stored), copy.deepcopy(case.group)):
        assert torch.equal(twin.transform(x, g), expected)
        assert twin.n_elements == case.group.n_elements


@each_group
def test_other_shapes_are_refused(case):
    with pytest.raises(ValueError, match="got images of shape"):
        case.group.transform(torch.zeros((1, 1, *(n + 1 for n in case.image_shape))), 0)


@each_group
@pytest.mark.parametrize("action", ["transform", "inverse_transform", "adjoint"])
def test_elements_outside_the_group_are_refused(case, action):
    x = smooth_images(case, n=1)
    for g in (-1, case.group.n_elements):
        with pytest.raises(ValueError, match=f"element {g}, but expected numbers"):
            getattr(case.group, action)(x, g)


@each_group
@each_device
@pytest.mark.parametrize("action", ["transform", "inverse_transform", "adjoint"])
def test_results_follow_the_images(case, device, action):
    function = getattr(case.group, action)
    x = smooth_images(case, n=3, channels=3)
    g = some_elements(case.group, 3)
    expected = function(x, g)
    assert torch.equal(function(x, g), expected)
    for dtype, tolerance in (
        (torch.float64, 1e-10),
        (torch.float32, 1e-4),
        (torch.bfloat16, 0.05),
    ):
        if dtype != torch.float64 and "nearest" in case.name:
            continue  # a position between two pixels may fall to either
        y = function(x.to(device, dtype), g.to(device))
        assert y.device.type == device
        assert y.dtype == dtype
        assert y.shape == x.shape
        assert relative(y.cpu().double(), expected) <= tolerance


@each_group
def test_channels_move_together(case):
    x = smooth_images(case, n=2, channels=3)
    g = some_elements(case.group, 2)
    y = case.group.transform(x, g)
    for channel in range(3):
        alone = case.group.transform(x[:, channel : channel + 1], g)
        torch.testing.assert_close(y[:, channel : channel + 1], alone)


@each_group
def test_groups_without_a_shape_take_that_of_the_images(case):
    x = smooth_images(case)
    g = some_elements(case.group)
    unresolved = clone(case.group)
    assert torch.equal(unresolved.transform(x, g), case.group.transform(x, g))
    assert unresolved.image_shape is None


@each_group
def test_parameters_reach_every_level(case):
    params = case.group.get_params(deep=True)
    twin = clone(case.group).set_params(
        **{name: value for name, value in params.items() if "__" in name}
    )
    assert repr(twin) == repr(clone(case.group))
