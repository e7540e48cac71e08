"""UncertaintyDisplay."""

import numpy as np
import pytest
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from sklearn_ei import (
    ConformalReconstructor,
    EquivariantReconstructor,
    UncertaintyDisplay,
)
from sklearn_ei.groups import Rotations, Shifts
from sklearn_ei.networks import UNet, Unrolled
from sklearn_ei.operators import Inpainting

TINY = {"max_epochs": 1, "network": Unrolled(UNet(width=2, depth=2)), "random_state": 0}


def test_from_estimator_shows_image_error_map_and_measured_part(ct_problem):
    operator, images, Y = ct_problem
    ei = EquivariantReconstructor(operator, Rotations(360), **TINY).fit(Y)
    display = UncertaintyDisplay.from_estimator(ei, Y, index=2, n_bootstrap=4)
    image, std = ei.predict(Y[2:3], return_std=True, n_bootstrap=4)
    shown = [ax.images[0].get_array() for ax in display.ax_]
    np.testing.assert_allclose(shown[0], image[0], atol=1e-5)
    np.testing.assert_allclose(shown[1], std[0], atol=1e-5)
    # The measured part is orthogonal to the rest, and measures the same.
    rest = display.image - display.measured
    assert abs((rest * display.measured).sum()) < 1e-2 * np.square(display.image).sum()
    np.testing.assert_allclose(
        ei.operator_.measure(display.measured[None]),
        ei.operator_.measure(display.image[None]),
        atol=0.02 * Y.max(),
    )
    assert [ax.get_title() for ax in display.ax_] == [
        "Image",
        "Error map",
        "Measured part",
    ]
    assert display.figure_ is display.ax_[0].figure

    pipeline = make_pipeline(FunctionTransformer(np.negative), ei).fit(-Y)
    other = UncertaintyDisplay.from_estimator(pipeline, -Y, index=-1, n_bootstrap=2)
    assert other.image.shape == (24, 24)
    conformal = ConformalReconstructor(ei, n_bootstrap=4).fit(Y, images)
    calibrated = UncertaintyDisplay.from_estimator(conformal, Y, index=2)
    ratio = calibrated.std / display.std
    np.testing.assert_allclose(ratio, ratio.mean(), rtol=1e-3)


def test_given_axes_colours_and_signals():
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 3)
    signal = np.sin(np.arange(12.0))
    display = UncertaintyDisplay.from_predictions(
        signal, 0.1 + 0 * signal, signal, ax=axes
    )
    assert display.figure_ is figure
    np.testing.assert_array_equal(axes[0].lines[0].get_ydata(), signal)

    Y = Inpainting(0.3).measure(np.random.default_rng(0).random((2, 12, 12, 3)))
    ei = EquivariantReconstructor(Inpainting(0.3), Shifts(), **TINY).fit(Y)
    display = UncertaintyDisplay.from_estimator(ei, Y, n_bootstrap=2)
    assert display.ax_[0].images[0].get_array().shape == (12, 12, 3)
    assert display.ax_[1].images[0].get_array().shape == (12, 12)


def test_bad_input():
    with pytest.raises(ValueError, match="of one shape"):
        UncertaintyDisplay(np.ones((4, 4)), np.ones((4, 4)), np.ones((4, 5))).plot()
    volume = np.ones((4, 4, 4))
    with pytest.raises(ValueError, match="expected a signal or a 2-D image"):
        UncertaintyDisplay.from_predictions(volume, volume, volume)
    image = np.ones((4, 4))
    with pytest.raises(ValueError, match="expected three"):
        UncertaintyDisplay(image, image, image).plot(ax=[None, None])
