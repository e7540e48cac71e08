import pytest
import torch

from sklearn_ei.groups import Permutations


@pytest.mark.parametrize("n_elements", [6, 7])
@pytest.mark.parametrize("shape", [(12,), (5, 4), (3, 5)])
def test_elements_come_in_inverse_pairs(n_elements, shape):
    group = Permutations(n_elements).resolve(shape)
    x = torch.randn(n_elements, 2, *shape, generator=torch.Generator().manual_seed(0))
    g = torch.arange(n_elements)
    partner = torch.tensor(
        [0, 2, 1, 4, 3, 6, 5] if n_elements == 7 else [0, 2, 1, 4, 3, 5]
    )
    there = group.transform(x, g)
    assert torch.equal(group.transform(there, partner), x)
    assert torch.equal(group.inverse_transform(there, g), x)
    assert torch.equal(there.flatten(2).sort().values, x.flatten(2).sort().values)


def test_the_seed_decides():
    x = torch.arange(30.0).reshape(1, 1, 30)
    first, again, other = (
        Permutations(5, random_state=seed).transform(x, 1) for seed in (1, 1, 2)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_permutations_mix_the_whole_image():
    group = Permutations(201).resolve((8, 8))
    x = torch.zeros(200, 1, 8, 8)
    x[:, :, 0, 0] = 1
    landed = group.transform(x, torch.arange(1, 201)).sum(dim=(0, 1))
    assert (landed > 0).sum() > 50


@pytest.mark.parametrize(
    ("params", "error", "match"),
    [
        ({"n_elements": 0}, ValueError, "n_elements == 0"),
        ({"n_elements": 2.5}, TypeError, "n_elements"),
        ({"random_state": None}, TypeError, "random_state"),
        ({"random_state": -1}, ValueError, "random_state == -1"),
    ],
)
def test_wrong_parameters_are_refused(params, error, match):
    with pytest.raises(error, match=match):
        Permutations(**params).resolve((8, 8))


def test_images_with_too_few_pixels_are_refused():
    with pytest.raises(ValueError, match=r"equal on images of shape \(2, 2\)"):
        Permutations(30).resolve((2, 2))
