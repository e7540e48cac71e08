"""The check that runs before training."""

import numpy as np
import pytest

from sklearn_ei import EquivariantReconstructor, GroupRankWarning
from sklearn_ei.groups import Reflections, Rotations, Shifts
from sklearn_ei.networks import UNet
from sklearn_ei.operators import Blur, Inpainting, ParallelBeamCT, gaussian_kernel

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
    assert found[0].filename == __file__ or "callback" in found[0].filename
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
