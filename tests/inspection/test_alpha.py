"""AlphaCurveDisplay."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from sklearn.linear_model import Lasso
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from sklearn_ei import (
    AlphaCurveDisplay,
    EquivariantReconstructor,
    EquivariantReconstructorCV,
)
from sklearn_ei.groups import Rotations
from sklearn_ei.model_selection import held_out_score, round_trip_score
from sklearn_ei.networks import UNet

TINY = {"max_epochs": 1, "network": UNet(width=2, depth=2), "random_state": 0}
TINY |= {"noise": None}


@pytest.mark.filterwarnings("ignore:EquivariantReconstructorCV. .* cannot be told from")
@pytest.mark.filterwarnings("ignore:.*(at the edge|cannot be told):UserWarning")
def test_a_path_over_alpha(ct_problem):
    operator, _, Y = ct_problem
    path = EquivariantReconstructorCV(
        operator, Rotations(360), [0, 10, 1], cv=2, check_rank=False, **TINY
    ).fit(Y)
    display = AlphaCurveDisplay.from_estimator(path)
    line = display.lines_[""]
    np.testing.assert_array_equal(line.get_xdata(), [0, 1, 10])
    np.testing.assert_allclose(
        line.get_ydata(), path.cv_results_["mean_test_score"], rtol=1e-12
    )
    (band,) = [c for c in display.ax_.collections if hasattr(c, "get_paths")][:1]
    np.testing.assert_allclose(
        band.get_paths()[0].get_extents().intervaly[1],
        (path.scores_.mean(axis=1) + path.scores_.std(axis=1)).max(),
    )
    assert display.ax_.get_xscale() == "symlog"
    assert 0 in display.ax_.get_xticks()
    labels = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert labels[-1] == f"chosen: α = {path.alpha_:.4g}"
    display.figure_.canvas.draw()


def test_a_grid_with_other_parameters_within_a_pipeline(ct_problem):
    operator, _, Y = ct_problem
    ei = EquivariantReconstructor(operator, Rotations(360), check_rank=False, **TINY)
    pipeline = make_pipeline(FunctionTransformer(), ei)
    step = "equivariantreconstructor"
    search = GridSearchCV(
        pipeline,
        {
            f"{step}__alpha": [1, 10],
            f"{step}__network__width": [2, 3],
            f"{step}__network__depth": [2],
        },
        cv=2,
        scoring={"held_out": held_out_score, "round_trip": round_trip_score},
        refit="held_out",
    ).fit(Y)
    _, ax = plt.subplots()
    display = AlphaCurveDisplay.from_estimator(search, ax=ax)
    assert display.ax_ is ax
    assert list(display.lines_) == ["width=2", "width=3"]
    assert ax.get_xscale() == "log"
    assert ax.get_ylabel() == "held out"
    results = search.cv_results_
    wide = results[f"param_{step}__network__width"] == 3
    np.testing.assert_allclose(
        display.lines_["width=3"].get_ydata(), results["mean_test_held_out"][wide]
    )
    best = results["mean_test_held_out"].max()
    star = next(line for line in ax.lines if line.get_marker() == "*")
    np.testing.assert_allclose(star.get_ydata(), [best])
    other = AlphaCurveDisplay.from_estimator(search, metric="round_trip")
    assert other.ax_.get_ylabel() == "round trip"
    with pytest.raises(ValueError, match="'held_out', 'round_trip'"):
        AlphaCurveDisplay.from_estimator(search, metric="psnr")


def test_one_split_and_scores_that_are_missing():
    display = AlphaCurveDisplay([3, 1, 2], [1.0, np.nan, 2.0], alpha=2).plot()
    np.testing.assert_array_equal(display.lines_[""].get_xdata(), [2, 3])
    assert not display.ax_.collections
    assert AlphaCurveDisplay([0], [1.0]).plot().ax_.get_xscale() == "linear"


def test_bad_input():
    for alphas, scores in (
        ([-1, 1], [1, 2]),
        ([np.nan], [1]),
        ([1, 2], [1]),
        ("auto", [1]),
        ([], []),
        ([1], [[[1]]]),
    ):
        with pytest.raises(ValueError, match="expected finite α of zero or more"):
            AlphaCurveDisplay(alphas, scores).plot()
    with pytest.raises(TypeError, match="expected a fitted search"):
        AlphaCurveDisplay.from_estimator(Lasso())
    X, y = np.random.default_rng(0).random((6, 2)), np.arange(6)
    search = GridSearchCV(Lasso(), {"max_iter": [2000, 3000]}, cv=2).fit(X, y)
    with pytest.raises(ValueError, match=r"over \['max_iter'\], but .* over alpha"):
        AlphaCurveDisplay.from_estimator(search)
    search = GridSearchCV(Lasso(), [{"alpha": [1]}, {"max_iter": [2000]}], cv=2)
    with pytest.raises(ValueError, match="Got alpha=None among"):
        AlphaCurveDisplay.from_estimator(search.fit(X, y))
    search.cv_results_["params"] = [{"alpha": "auto"}, {"alpha": 1}]
    with pytest.raises(ValueError, match="Got alpha='auto' among"):
        AlphaCurveDisplay.from_estimator(search)
    with pytest.raises(ValueError, match="expected None or one matplotlib"):
        AlphaCurveDisplay([1], [1]).plot(ax=3)
