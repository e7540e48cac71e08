"""What a group of one's own may say about itself, and what follows from it."""

import math

import pytest
import torch

from sklearn_ei import check_group_rank
from sklearn_ei.groups import AffineGroup, Group, RandomAffine, Reflections
from sklearn_ei.identifiability import _blocks
from sklearn_ei.identifiability._bounds import count_orbits
from sklearn_ei.identifiability._budget import Budget
from sklearn_ei.identifiability._system import System
from sklearn_ei.operators import CompressedSensing, Inpainting, ParallelBeamCT
from sklearn_ei.utils.random import make_generator

CT = ParallelBeamCT(6, (12, 12))
LOST = Inpainting(0.4, (20,))


class Rolls(Group):
    """Cyclic shifts of signals, to the left."""

    is_exact = True

    def __init__(self, says_so=True):
        self.says_so = says_so

    @property
    def n_elements(self):
        return None if self.image_shape is None else self.image_shape[0]

    @property
    def is_all_shifts(self):
        return self.says_so

    def generators(self):
        return torch.tensor([1])

    def representative_elements(self):
        return torch.tensor([1, 3])

    def _transform(self, x, g):
        rolled = [image.roll(-int(k), -1) for image, k in zip(x, g, strict=True)]
        return torch.stack(rolled)


class TensOfDegrees(AffineGroup):
    """Rotations by 10°, numbered so that k + 9 is a quarter turn further."""

    n_elements = 36
    quarter_turn_step = 9

    def affine_map(self, g):
        angle = g.double() * math.pi / 18
        cos, sin, zero = angle.cos(), angle.sin(), 0.0 * angle
        rows = [torch.stack([cos, sin, zero], -1), torch.stack([-sin, cos, zero], -1)]
        return torch.stack(rows, 1)


def check(operator, group, **options):
    return check_group_rank(operator, group, random_state=0, **options)


@pytest.mark.parametrize("group", [Rolls(), Rolls() * Reflections()], ids=repr)
@pytest.mark.parametrize("operator", [LOST, CompressedSensing(6, (20,))], ids=repr)
def test_all_shifts_are_taken_by_fourier(operator, group):
    report = check(operator, group)
    assert report.method.startswith("Fourier")
    reference = check(operator, group, method="dense")
    assert report.rank_interval == reference.rank_interval == (20, 20)
    if "probes" not in report.method:
        assert report.sigma_ratio == pytest.approx(reference.sigma_ratio, rel=1e-5)


def test_what_does_not_say_so_is_not():
    with pytest.raises(ValueError, match="expected all cyclic shifts"):
        check(LOST, Rolls(says_so=False), method="fourier")
    system = System(LOST, Rolls(says_so=False), None, make_generator(0))
    assert count_orbits(system, Budget()) == 1  # counted, by moving pixels


def test_cyclic_groups_have_a_ceiling():
    assert Rolls().resolve((20,)).is_cyclic
    # (m − 1 orbit − 1)/2
    report = check(LOST, Rolls())
    assert report.signal_dimension_ceiling == (report.m - 2) / 2
    assert check(LOST, Rolls() * Reflections()).signal_dimension_ceiling is None


def test_the_innovation_looks_at_representative_elements():
    assert list(check(LOST, Rolls()).innovation_elements) == [1, 3]
    product = Reflections() * Rolls()
    assert list(check(LOST, product).innovation_elements) == [20, 1, 3]


def test_quarter_turns_reduce_the_gram_matrix():
    system = System(CT, TensOfDegrees(), None, make_generator(0))
    assert _blocks.Blocks(system, Budget()).reduced
    report = check(CT, TensOfDegrees(), method="cholesky")
    reference = check(CT, TensOfDegrees(), method="dense")
    assert report.rank_interval == reference.rank_interval
    assert report.sigma_ratio == pytest.approx(reference.sigma_ratio, rel=1e-5)


def test_random_affine_maps_show_what_ct_hides():
    group = RandomAffine(60)
    report = check(CT, group)
    reference = check(CT, group, method="dense")
    assert report.rank_interval == reference.rank_interval
    assert report.sigma_ratio == pytest.approx(reference.sigma_ratio, rel=1e-5)
    alone = check(CT, RandomAffine(2, scale=(1, 1), degrees=1e-9), method="dense")
    assert report.rank_interval[1] > alone.rank_interval[1]
    assert "view spacing" in report.innovation_floor_kind
