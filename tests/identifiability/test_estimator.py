"""The check that runs before training."""

import numpy as np
import pytest
import torch
from torch.utils.data import TensorDataset

from sklearn_ei import EquivariantReconstructor, GroupRankWarning
from sklearn_ei.groups import Reflections, Rotations, Shifts
from sklearn_ei.networks import UNet
from sklearn_ei.operators import (
    MRI,
    Blur,
    Inpainting,
    ParallelBeamCT,
    gaussian_kernel,
)

TINY = {"max_epochs": 1, "network": UNet(width=2, depth=2), "random_state": 0}
TINY["noise"] = None
IMAGES = np.random.default_rng(0).random((3, 16, 16), dtype=np.float32)

FEW = Inpainting(0.7, (16, 16)), Reflections(), "FAIL_COUNT"
TURNED = ParallelBeamCT(8, (16, 16)), Rotations(4), "FAIL_INVARIANT"


def make_ei(operator, group, **parameters):
    return EquivariantReconstructor(operator, group, **{**TINY, **parameters})


@pytest.mark.parametrize(("operator", "group", "verdict"), [FEW, TURNED])
def test_warns_or_raises_before_training(operator, group, verdict):
    Y = operator.measure(IMAGES)
    with pytest.warns(GroupRankWarning, match=f"{verdict}.*check_rank=False") as found:
        make_ei(operator, group).fit(Y)
    assert found[0].filename == __file__
    ei = make_ei(operator, group, check_rank="raise")
    with pytest.raises(ValueError, match=verdict):
        ei.fit(Y)
    assert not hasattr(ei, "operator_")
    make_ei(operator, group, check_rank=False).fit(Y)


def test_is_silent_where_the_group_matters_not_or_may_help():
    operator, group, _ = FEW
    Y = operator.measure(IMAGES)
    make_ei(operator, group, alpha=0).fit(Y)
    make_ei(operator, group, data_term="supervised").fit(Y, IMAGES)
    make_ei(operator, Shifts()).fit(Y)
    ct = ParallelBeamCT(8, (16, 16))
    make_ei(ct, Rotations(360), check_rank="raise").fit(ct.measure(IMAGES))
    # A blur without lost frequencies has no null space to learn.
    blur = Blur(gaussian_kernel(1.0), (16, 16))
    make_ei(blur, Shifts(), check_rank="raise").fit(blur.measure(IMAGES))


def test_training_that_goes_on_is_not_checked_again(recwarn):
    operator, group, _ = FEW
    Y = operator.measure(IMAGES)
    ei = make_ei(operator, group, check_rank=False, warm_start=True).fit(Y)
    ei.set_params(check_rank="raise").partial_fit(Y)
    assert not recwarn.list
    # A new fit may have another operator, warm start or not.
    with pytest.raises(ValueError, match="FAIL_COUNT"):
        ei.fit(Y)


@pytest.mark.parametrize("value", ["always", True, None, 0.5])
def test_other_values_are_refused(value):
    operator, _, _ = FEW
    with pytest.raises(ValueError, match=r"'check_rank' parameter .*'warn'"):
        make_ei(operator, Shifts(), check_rank=value).fit(operator.measure(IMAGES))


@pytest.mark.parametrize("lazy", [False, True])
def test_holes_count_as_what_no_sample_has(lazy):
    """Mirrored frames say nothing of pixels that no frame has, here or mirrored."""
    frames = np.random.default_rng(1).random((3, 16, 16), dtype=np.float32)
    centre = slice(6, 10)  # mirrored onto itself
    dead, alternating = frames.copy(), frames.copy()
    dead[:, :, centre] = np.nan
    alternating[:2, :, centre] = np.nan
    everything = Inpainting(0.0, (16, 16))
    if lazy:
        dead = TensorDataset(torch.from_numpy(dead))
    for operator in (everything, Inpainting(0.0)):
        with pytest.warns(GroupRankWarning, match="for a Y with NaN.*FAIL_INVARIANT"):
            make_ei(operator, Reflections()).fit(dead)
    with pytest.raises(ValueError, match="FAIL_INVARIANT"):
        make_ei(everything, Reflections(), check_rank="raise").fit(dead)
    make_ei(everything, Reflections(), check_rank="raise").fit(alternating)
    make_ei(everything, Shifts(), check_rank="raise").fit(dead)


def test_holes_of_complex_measurements_of_coils():
    """Shifts leave lines of k-space where they are."""
    row, column = np.mgrid[-1:1:16j, -1:1:16j]
    scanner = MRI(1, sensitivities=np.exp(np.stack([row, column, -row * 1j])))
    scanner = scanner.resolve(image_shape=(16, 16))
    Y = scanner.measure(IMAGES * (1 + 1j))
    Y[..., 3] = np.nan
    # Coils that vary tell of lines beside their own: only the count is left, and it
    # is enough.
    make_ei(scanner, Shifts(), check_rank="raise").fit(Y)
    one = MRI(1)
    Y = one.measure(IMAGES * (1 + 1j))
    Y[..., 3] = np.nan
    with pytest.warns(GroupRankWarning, match="FAIL_INVARIANT"):
        make_ei(one, Shifts()).fit(Y)
    Y[0] = one.measure(IMAGES[:1] * (1 + 1j))[0]
    make_ei(one, Shifts(), check_rank="raise").fit(Y)
