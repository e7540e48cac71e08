"""GroupRankDisplay."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from sklearn_ei import (
    EquivariantReconstructor,
    GroupRankDisplay,
    PseudoInverseReconstructor,
    check_group_rank,
)
from sklearn_ei.groups import Reflections, Rotations, Shifts
from sklearn_ei.networks import UNet
from sklearn_ei.operators import Inpainting, ParallelBeamCT


def test_a_spectrum_with_a_null_space():
    report = check_group_rank(ParallelBeamCT(4, image_shape=(12, 12)), Rotations(4))
    display = GroupRankDisplay.from_report(report)
    ax = display.ax_
    measured, below, tolerance = ax.lines
    values = report.spectrum[::-1]
    assert (values < report.tol).any()
    np.testing.assert_allclose(measured.get_ydata(), values[values >= report.tol])
    assert len(below.get_xdata()) == (values < report.tol).sum()
    assert below.get_xdata()[0] == measured.get_xdata()[-1] + 1
    assert measured.get_marker() != below.get_marker()
    assert set(tolerance.get_ydata()) == {report.tol}
    assert ax.get_title() == f"FAIL_INVARIANT: rank {report.rank} of 144"
    assert ax.get_yscale() == "log"
    display.figure_.canvas.draw()


def test_bounds_where_there_is_no_spectrum():
    _, ax = plt.subplots()
    report = check_group_rank(Inpainting(0.7, (8, 8)), Reflections())
    display = GroupRankDisplay(report).plot(ax=ax)
    assert display.ax_ is ax
    low, high = report.rank_interval
    assert [bar.get_width() for bar in ax.patches] == [
        low,
        high,
        report.count_bound,
        report.m,
    ]
    assert ax.get_title() == f"FAIL_COUNT: rank {low} to {high} of 64"
    assert list(ax.lines[0].get_xdata()) == [64, 64]

    operator = ParallelBeamCT(10, image_shape=(8, 8))
    report = check_group_rank(operator, Rotations(360), method="lanczos")
    ax = GroupRankDisplay.from_report(report).ax_
    assert report.sigma_kind in ax.get_xlabel()
    assert ax.get_xlim()[1] > report.count_bound


def test_from_a_fitted_estimator():
    Y = Inpainting(0.3).measure(np.random.default_rng(0).random((2, 12, 12)))
    ei = EquivariantReconstructor(
        Inpainting(0.3), Shifts(), max_epochs=1, network=UNet(2, 2)
    ).fit(Y)
    display = GroupRankDisplay.from_estimator(ei, method="count")
    assert display.report.method == "counting"
    assert display.report.n == 144
    fbp = PseudoInverseReconstructor(Inpainting(0.3)).fit(Y)
    with pytest.raises(TypeError, match="an operator and a group"):
        GroupRankDisplay.from_estimator(fbp)
    with pytest.raises(TypeError, match="expected a GroupRankReport"):
        GroupRankDisplay("PASS").plot()
