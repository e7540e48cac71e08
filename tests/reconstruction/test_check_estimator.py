"""scikit-learn's own battery, on lazily shaped estimators."""

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from sklearn_ei import (
    DeepImagePriorReconstructor,
    EquivariantReconstructor,
    EquivariantReconstructorCV,
    PseudoInverseReconstructor,
    TikhonovReconstructor,
    TotalVariationReconstructor,
)
from sklearn_ei.groups import Shifts
from sklearn_ei.networks import UNet, Unrolled
from sklearn_ei.operators import Inpainting

# One network: float32 rounding in several is just beyond the 1e-7 of a check that
# predicts in another order.
TINY = {"max_epochs": 1, "network": Unrolled(UNet(width=2, depth=2), n_stages=1)}
TINY |= {"batch_size": 16, "random_state": 0}


SKIPPED = "ignore::sklearn.exceptions.SkipTestWarning"
# So few steps of Adam are the same for any α.
ALIKE = "ignore:EquivariantReconstructorCV. .* scores as others do"


@pytest.mark.filterwarnings(SKIPPED)
@parametrize_with_checks(
    [
        EquivariantReconstructor(Inpainting(0.3), Shifts(), **TINY),
        PseudoInverseReconstructor(Inpainting(0.3)),
        TikhonovReconstructor(Inpainting(0.3)),
        TotalVariationReconstructor(Inpainting(0.3)),
    ]
)
def test_scikit_learn_s_checks(estimator, check):
    check(estimator)


@pytest.mark.slow  # they train several times, or for each sample
@pytest.mark.filterwarnings(SKIPPED, ALIKE)
@parametrize_with_checks(
    [
        EquivariantReconstructorCV(Inpainting(0.3), Shifts(), [1.0], **TINY),
        DeepImagePriorReconstructor(
            Inpainting(0.3), width=2, depth=2, n_iterations=2, window=2, random_state=0
        ),
    ]
)
def test_scikit_learn_s_checks_of_those_that_train_more(estimator, check):
    check(estimator)
