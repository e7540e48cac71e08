"""TrainingCurveDisplay."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from sklearn_ei import (
    EquivariantReconstructor,
    PseudoInverseReconstructor,
    TrainingCurveDisplay,
)
from sklearn_ei.groups import Rotations
from sklearn_ei.networks import UNet

TINY = {"max_epochs": 3, "network": UNet(width=2, depth=2), "random_state": 0}


def test_terms_score_and_learning_rate_of_a_training(ct_problem):
    operator, _, Y = ct_problem
    ei = EquivariantReconstructor(
        operator, Rotations(360), early_stopping=True, beta=1e-3, **TINY
    )
    ei = make_pipeline(FunctionTransformer(), ei).fit(Y)
    display = TrainingCurveDisplay.from_estimator(ei, show_lr=True)
    history = ei[-1].history_
    losses, scores, rates = display.axes_
    assert [line.get_label() for line in losses.lines] == [
        "objective",
        "measurement consistency",
        "equivariance",
        "adversarial",
    ]
    names = ["train_loss", "measurement_consistency", "equivariance_error"]
    for line, name in zip(losses.lines, names, strict=False):
        np.testing.assert_array_equal(line.get_ydata(), history[:, name])
        np.testing.assert_array_equal(line.get_xdata(), [1, 2, 3])
    assert losses.get_yscale() == "log"
    # Told apart without colour.
    looks = {(line.get_linestyle(), line.get_marker()) for line in losses.lines}
    assert len(looks) == 4
    np.testing.assert_array_equal(
        scores.lines[0].get_ydata(), history[:, "valid_score"]
    )
    assert scores.lines[1].get_xdata() == [1 + np.argmax(history[:, "valid_score"])]
    np.testing.assert_array_equal(rates.lines[0].get_ydata(), history[:, "lr"])
    assert len(TrainingCurveDisplay.from_estimator(ei).axes_) == 2


def test_losses_below_zero_and_gaps():
    history = [{"train_loss": v, "sure": v - 1, "valid_score": np.nan} for v in (2, 1)]
    history.append({"train_loss": 0.5, "note": "text", "event_saved": True})
    figure, axes = plt.subplots(2)
    display = TrainingCurveDisplay.from_history(history, ax=axes, alpha=0.5)
    assert display.figure_ is figure
    assert axes[0].get_yscale() == "symlog"
    assert [line.get_label() for line in axes[0].lines] == ["objective", "sure"]
    np.testing.assert_array_equal(axes[0].lines[1].get_ydata(), [1, 0, np.nan])
    assert axes[0].lines[0].get_alpha() == 0.5
    figure.canvas.draw()


def test_bad_input(ct_problem):
    operator, _, Y = ct_problem
    with pytest.raises(TypeError, match="without history_"):
        TrainingCurveDisplay.from_estimator(PseudoInverseReconstructor(operator).fit(Y))
    for history in ([], 3, [{"loss": 1}], [1.0], None):
        with pytest.raises(TypeError, match=r"Got history=.*'train_loss'"):
            TrainingCurveDisplay.from_history(history)
    with pytest.raises(ValueError, match="one value an epoch"):
        TrainingCurveDisplay({"train_loss": [1, 2]}, scores=[1]).plot()
    with pytest.raises(ValueError, match="at least one loss"):
        TrainingCurveDisplay({}).plot()
