"""What every group has to satisfy."""

import copy
import pickle

import pytest
import torch
from sklearn.base import clone

from tests.cases import each_device, each_group


def smooth_images(case, n=2, channels=2):
    axes = torch.meshgrid(
        *(torch.linspace(-1, 1, size) for size in case.image_shape), indexing="ij"
    )
    bump = torch.exp(-6 * sum((axis - 0.2) ** 2 for axis in axes)).double()
    scale = torch.arange(1.0, n * channels + 1).double()
    return scale.reshape(n, channels, *[1] * len(axes)) * bump


def some_elements(group, n=2, seed=0):
    return group.sample(torch.Generator().manual_seed(seed), n)


def relative(actual, expected):
    return float(torch.linalg.norm(actual - expected) / torch.linalg.norm(expected))


@each_group
def test_element_zero_is_the_identity(case):
    x = smooth_images(case)
    torch.testing.assert_close(case.group.transform(x, 0), x, rtol=0, atol=1e-12)


@each_group
def test_inverse(case):
    x = smooth_images(case)
    g = some_elements(case.group)
    back = case.group.transform(case.group.transform(x, g), case.group.inverse(g))
    assert relative(back, x) <= case.inverse_error + 1e-12


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
def test_exact_groups_are_unitary(case):
    x = smooth_images(case)
    g = some_elements(case.group)
    y = case.group.transform(x, g)
    if case.group.is_exact:
        torch.testing.assert_close(case.group.adjoint(y, g), x)
    else:
        assert relative(case.group.adjoint(y, g), x) > 1e-6


@each_group
@pytest.mark.parametrize("action", ["transform", "adjoint"])
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
