"""The default group, and groups with too many elements to look at all of them."""

import numpy as np
import pytest
import torch

from sklearn_ei import (
    EquivariantReconstructor,
    check_group_rank,
    check_range_invariance,
)
from sklearn_ei.groups import RandomAffine, recommended_group
from sklearn_ei.networks import UNet
from sklearn_ei.operators import MRI, Blur, Inpainting, ParallelBeamCT, gaussian_kernel

CT = ParallelBeamCT(7, (12, 12))
LOST = Inpainting(0.9, (60,))


def singular_values(operator, group, elements):
    """Return those of [A T_g; …] over some elements, by a dense decomposition."""
    shape = operator.image_shape
    pixels = torch.eye(int(np.prod(shape)), dtype=torch.float64)
    images, group = pixels.reshape(-1, 1, *shape), group.resolve(shape)
    rows = [
        operator.forward(group.transform(images, torch.full((len(images),), g)))
        for g in elements
    ]
    stacked = torch.cat([block.flatten(1) for block in rows], dim=1).numpy()
    return np.linalg.svd(stacked, compute_uv=False)


@pytest.mark.parametrize(
    ("operator", "group", "enough"),
    [
        (CT, RandomAffine(600, degrees=180), 16),
        # Six of 60 samples: 16 elements do not show all.
        (LOST, RandomAffine(600, translate=0.9, interpolation="nearest"), 256),
    ],
    ids=["ct", "lost"],
)
def test_a_subset_with_full_rank_answers_for_a_large_group(operator, group, enough):
    report = check_group_rank(operator, group, random_state=0)
    assert len(report.elements) == enough
    sigma = singular_values(operator, group, report.elements)
    assert report.rank == len(sigma) == np.linalg.matrix_rank(np.diag(sigma))
    assert report.sigma_ratio == pytest.approx(sigma[-1] / sigma[0], rel=1e-5)
    assert report.verdict in ("PASS_NECESSARY", "WEAK")
    # A quarter of the elements does not do where it was not enough.
    if enough > 16:
        fewer = singular_values(operator, group, report.elements[: enough // 4])
        assert fewer[-1] < 1e-3 * fewer[0]


def test_what_no_element_shows_is_not_called_full_rank():
    # Zooms about the middle never bring the ends to what is measured there.
    mask = np.abs(np.arange(12) - 5.5) < 3
    group = RandomAffine(600, scale=(1.0, 1.5))
    report = check_group_rank(Inpainting(mask=mask), group, random_state=0)
    assert report.verdict == "INCONCLUSIVE"
    assert len(report.elements) == 512
    assert report.rank is None


@pytest.mark.parametrize(
    "operator",
    [CT, LOST, MRI(3, (12, 12)), Blur(gaussian_kernel(1.0), (12, 12))],
    ids=lambda operator: type(operator).__name__,
)
def test_auto_is_the_group_that_estimators_take(operator):
    own = recommended_group(operator.loses, len(operator.image_shape))
    images = np.random.default_rng(0).random((2, *operator.image_shape))
    if isinstance(operator, MRI):
        images = images + 0j
    ei = EquivariantReconstructor(
        operator, network=UNet(1, 1), max_epochs=1, noise=None, check_rank=False
    ).fit(operator.measure(images))
    assert type(ei.group_) is type(own)
    assert ei.group_.get_params() == own.resolve(operator.image_shape).get_params()
    auto, named = (check_group_rank(operator, g, random_state=0) for g in ("auto", own))
    auto.seconds = named.seconds = 0
    assert auto.to_dict() == named.to_dict()
    auto, named = (
        check_range_invariance(operator, g, random_state=0) for g in ("auto", own)
    )
    assert auto == named
