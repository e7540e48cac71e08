"""Phases and conjugation against complex arithmetic, and what they can teach."""

import numpy as np
import pytest
import torch
from sklearn.base import clone

from sklearn_ei import check_group_rank
from sklearn_ei.groups import Conjugation, Phases, Reflections, Rotations, Shifts
from sklearn_ei.operators import MRI, Inpainting
from tests.cases import coils


def images(n=5, channels=4):
    generator = torch.Generator().manual_seed(0)
    return torch.randn((n, channels, 6, 6), generator=generator, dtype=torch.float64)


def as_complex(x):
    return x[:, ::2].numpy() + 1j * x[:, 1::2].numpy()


def test_phases_multiply_complex_numbers():
    x, group = images(), Phases(5)
    g = torch.arange(5)
    expected = as_complex(x) * np.exp(2j * np.pi * g.numpy() / 5).reshape(-1, 1, 1, 1)
    np.testing.assert_allclose(as_complex(group.transform(x, g)), expected, atol=1e-14)
    back = group.inverse_transform(group.transform(x, g), g)
    torch.testing.assert_close(back, x, rtol=0, atol=1e-14)
    composed = group.transform(group.transform(x, g), torch.full((5,), 3))
    torch.testing.assert_close(
        composed, group.transform(x, (g + 3) % 5), rtol=0, atol=1e-14
    )
    assert group.is_cyclic
    assert group.transform(x.float(), g).dtype == torch.float32


def test_conjugation_is_its_own_inverse():
    x, group = images(), Conjugation()
    g = torch.tensor([0, 1, 1, 0, 1])
    z = as_complex(x)
    expected = np.where((g == 1).reshape(-1, 1, 1, 1), z.conj(), z)
    np.testing.assert_array_equal(as_complex(group.transform(x, g)), expected)
    assert group.inverse_transform(group.transform(x, g), g).equal(x)


@pytest.mark.parametrize(
    "group", [Phases(3), Conjugation(), Rotations(4) * Phases(3), Phases(3) * Shifts(1)]
)
def test_adjoint_is_the_transpose(group):
    group = group.resolve((6, 6))
    x, y = images(), images().flip(0)
    g = torch.arange(5) % group.n_elements
    left, right = (group.transform(x, g) * y).sum(), (x * group.adjoint(y, g)).sum()
    assert float(left - right) == pytest.approx(0, abs=1e-12)


def test_products_turn_images_and_their_phases():
    group = (Rotations(4) * Phases(4)).resolve((6, 6))
    assert group.n_elements == 16
    assert group.mixes_channels
    assert not (Rotations(4) * Reflections()).mixes_channels
    x = images(1, 2)
    turned = as_complex(group.transform(x, 1 * 4 + 1))
    expected = np.rot90(1j * as_complex(x), 1, (-2, -1))
    np.testing.assert_allclose(turned, expected, atol=1e-14)
    assert clone(group).get_params()["second__n_elements"] == 4


def test_what_has_no_pairs_of_channels_is_refused():
    for group in (Phases(), Conjugation()):
        with pytest.raises(ValueError, match=r"3 channel\(s\), but expected complex"):
            group.transform(images(1, 3), 1)
    with pytest.raises(ValueError, match="n_elements == 0"):
        Phases(0).resolve((6, 6))


_RNG = np.random.default_rng(0)
OPERATORS = {
    "lines": (MRI(2, (6, 6)), None),
    "points": (MRI(mask=_RNG.random((6, 6)) > 0.6), None),
    "coils": (MRI(3, (6, 6), sensitivities=coils(2, 6, 6)), None),
    "pixels": (Inpainting(0.5, (6, 6)), (6, 6, 2)),
    "pixels of each part": (
        Inpainting(mask=_RNG.random((6, 6, 2)) > 0.5, image_shape=(6, 6)),
        None,
    ),
}
GROUPS = [
    Phases(4),
    Conjugation(),
    Rotations(4) * Phases(3),
    Phases(3) * Reflections(),
    Shifts() * Phases(4),
    Conjugation() * Shifts(),
]


@pytest.mark.parametrize("name", OPERATORS)
@pytest.mark.parametrize("group", GROUPS, ids=str)
def test_rank_is_that_of_the_stacked_matrix(name, group):
    operator, image_shape = OPERATORS[name]
    report = check_group_rank(operator, group, image_shape=image_shape, random_state=0)
    resolved, T = operator.resolve(image_shape=(6, 6)), group.resolve((6, 6))
    identity = torch.eye(72, dtype=torch.float64).reshape(72, 2, 6, 6)
    stacked = np.concatenate(
        [
            resolved.forward(T.transform(identity, g)).flatten(1).numpy().T
            for g in range(T.n_elements)
        ]
    )
    singular = np.linalg.svd(stacked, compute_uv=False)
    assert report.rank == (singular > 1e-3 * singular[0]).sum()
    lost = (singular < 1e-6 * singular[0]).any() or len(singular) < 72
    assert report.verdict.startswith("FAIL") == lost


def test_phases_alone_teach_nothing_about_k_space():
    for sensitivities in (None, coils(2, 6, 6)):
        operator = MRI(4, (6, 6), sensitivities=sensitivities)
        report = check_group_rank(operator, Phases(), random_state=0)
        assert report.verdict == "FAIL_INVARIANT"
