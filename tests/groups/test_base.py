"""What groups have in common, on groups made up for the purpose."""

import pytest
import torch

from sklearn_ei.groups import Group, Shifts


class Doubling(Group):
    """Not unitary, and without a word on its inverse."""

    n_elements = 3

    def _transform(self, x, g):
        return x * (2.0 ** g.reshape(-1, 1, 1))


class Negation(Group):
    """The least that a group has to say."""

    n_elements = 2
    is_exact = True

    def _transform(self, x, g):
        return x * (1 - 2 * g.reshape(-1, 1, 1))


def test_two_attributes_and_an_action_make_a_group():
    group = Negation().resolve((5,))
    x = torch.randn(3, 1, 5, generator=torch.Generator().manual_seed(0))
    g = torch.tensor([1, 0, 1])
    assert torch.equal(group.transform(x, g)[:, 0, 0], x[:, 0, 0] * (1 - 2 * g))
    assert torch.equal(group.inverse_transform(group.transform(x, g), g), x)
    assert group.generators().tolist() == [1]
    product = (Negation() * Shifts()).resolve((5,))
    assert product.n_elements == 10
    assert torch.equal(product.transform(x, 6), -x.roll(1, -1))


def test_inverses_that_are_no_transposes_have_to_be_supplied():
    x = torch.ones(1, 1, 4)
    assert torch.equal(Doubling().adjoint(x, 1), 2 * x)
    assert Doubling().generators().tolist() == [1, 2]
    with pytest.raises(NotImplementedError, match="Doubling does not say how to undo"):
        Doubling().inverse_transform(x, 1)


def test_sampling_waits_for_the_number_of_elements():
    with pytest.raises(ValueError, match="number of elements yet"):
        Shifts().sample(torch.Generator(), 1)


def test_a_group_without_an_action_cannot_be_made():
    class Nothing(Group):
        n_elements = 1

    with pytest.raises(TypeError, match="_transform"):
        Nothing()
