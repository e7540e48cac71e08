"""ReconstructionDisplay."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from sklearn_ei import PseudoInverseReconstructor, ReconstructionDisplay
from sklearn_ei.metrics import psnr
from sklearn_ei.operators import MRI, CompressedSensing, Inpainting


def panel(axes):
    return np.asarray(axes.images[0].get_array())


def test_rows_are_samples_and_panels_share_one_scale(ct_problem):
    operator, images, Y = ct_problem
    fbp = PseudoInverseReconstructor(operator).fit(Y)
    display = ReconstructionDisplay.from_estimator(fbp, Y, images, samples=[2, -1])
    assert display.axes_.shape == (2, 5)
    predicted = fbp.predict(Y)
    for row, sample in enumerate([2, 5]):
        axes = display.axes_[row]
        np.testing.assert_array_equal(panel(axes[0]), Y[sample])
        np.testing.assert_allclose(panel(axes[1]), predicted[sample], atol=1e-6)
        np.testing.assert_allclose(panel(axes[2]), predicted[sample], atol=1e-6)
        np.testing.assert_array_equal(panel(axes[3]), images[sample])
        np.testing.assert_allclose(
            panel(axes[4]), predicted[sample] - images[sample], atol=1e-6
        )
        score = psnr(images[sample : sample + 1], predicted[sample : sample + 1])
        assert f"{score:.1f} dB" in axes[2].get_title()
    limits = {a.images[0].get_clim() for a in display.axes_[:, 1:4].ravel()}
    shown = images[[2, 5]]
    assert limits == {(shown.min(), shown.max())}
    low, high = display.axes_[0, 4].images[0].get_clim()
    assert low == -high
    assert display.axes_[1, 4].images[0].get_clim() == (low, high)
    titles = [axes.get_title().split("\n")[0] for axes in display.axes_[0]]
    assert titles == ["Measurement", "A†y", "Reconstruction", "Ground truth", "Error"]
    # One bar for the images, which FBP's artefacts leave, and one for the error.
    bars = [axes for axes in display.figure_.axes if axes not in display.axes_.ravel()]
    assert len(bars) == 2
    assert display.figure_ is display.axes_[0, 0].figure


def test_without_truth_the_last_panel_is_what_learning_changed(ct_problem):
    operator, _, Y = ct_problem
    images = operator.reconstruct(Y) + 0.1
    display = ReconstructionDisplay.from_predictions(operator, Y, images, samples=1)
    assert display.axes_.shape == (1, 4)
    assert display.axes_[0, 3].get_title() == "Reconstruction − A†y"
    np.testing.assert_allclose(panel(display.axes_[0, 3]), 0.1, atol=1e-6)
    assert display.axes_[0, 2].get_title() == "Reconstruction"
    given = ReconstructionDisplay.from_predictions(
        operator, list(torch.as_tensor(Y)), images, vmin=0, vmax=2, cmap="viridis"
    )
    assert given.axes_[0, 1].images[0].get_clim() == (0, 2)
    assert given.axes_[0, 2].images[0].get_cmap().name == "viridis"


def test_pipelines_show_what_their_other_steps_make(ct_problem):
    operator, images, Y = ct_problem
    fbp = PseudoInverseReconstructor(operator)
    pipeline = make_pipeline(FunctionTransformer(np.negative), fbp).fit(-Y)
    display = ReconstructionDisplay.from_estimator(pipeline, -Y, images)
    np.testing.assert_array_equal(panel(display.axes_[0, 0]), Y[0])


def test_signals_are_curves(tmp_path):
    operator = Inpainting(0.3, (20,))
    truth = np.random.default_rng(0).random((3, 20))
    Y = operator.measure(truth)
    display = ReconstructionDisplay.from_predictions(
        operator, Y, 0.5 * Y, truth, samples=[0, 2]
    )
    assert display.axes_.shape == (2, 3)
    lines = display.axes_[1, 1].lines
    for line, values in zip(lines, (Y[2], 0.5 * Y[2], truth[2]), strict=True):
        np.testing.assert_allclose(line.get_ydata(), values, rtol=1e-6)
    assert len({line.get_linestyle() for line in lines}) == 3
    error = display.axes_[1, 2].lines[-1].get_ydata()
    np.testing.assert_allclose(error, 0.5 * Y[2] - truth[2], atol=1e-6)
    low, high = display.axes_[0, 2].get_ylim()
    assert low == -high
    display.figure_.savefig(tmp_path / "signals.png")


@pytest.mark.parametrize("top", [1, 255])
def test_colour_images(top):
    truth = top * np.random.default_rng(0).random((2, 12, 12, 3))
    operator = Inpainting(0.3)
    Y = operator.measure(truth)
    display = ReconstructionDisplay.from_predictions(operator, Y, Y, truth)
    shown = panel(display.axes_[0, 3])
    assert shown.shape == (12, 12, 3)
    scale = truth[0].max() if top > 1 else 1
    np.testing.assert_allclose(shown, truth[0] / scale, atol=1e-5)
    error = (Y - truth)[0]
    np.testing.assert_allclose(
        panel(display.axes_[0, 4]), error.min(axis=-1), atol=1e-3
    )


def test_complex_images_and_measurements_that_are_no_images(tmp_path):
    truth = np.random.default_rng(0).random((2, 16, 16, 2))
    k_space = MRI(acceleration=2).measure(truth)
    display = ReconstructionDisplay.from_predictions(
        MRI(acceleration=2), k_space, truth, truth
    )
    np.testing.assert_allclose(
        panel(display.axes_[0, 3]), np.hypot(*np.moveaxis(truth[0], -1, 0)), rtol=1e-5
    )
    assert "exact" in display.axes_[0, 2].get_title()
    assert not panel(display.axes_[0, 4]).any()
    display.figure_.savefig(tmp_path / "complex.png")

    operator = CompressedSensing(30, image_shape=(8, 8))
    images = truth[:, :8, :8, 0]
    Y = operator.measure(images)
    figure, axes = plt.subplots(1, 5)
    display = ReconstructionDisplay.from_predictions(
        operator, Y, images, images, ax=axes
    )
    np.testing.assert_array_equal(axes[0].lines[0].get_ydata(), Y[0])
    assert display.figure_ is figure


def test_bad_input(ct_problem):
    operator, images, Y = ct_problem
    show = ReconstructionDisplay.from_predictions
    for samples in (6, -7, [], [0.5], "all", [True], [0, 6]):
        with pytest.raises(ValueError, match=r"Got samples=.* from -6 to 5\."):
            show(operator, Y, images, samples=samples)
    with pytest.raises(ValueError, match="expected None or 1 × 4"):
        show(operator, Y, images, ax=plt.subplots(1, 3)[1])
    with pytest.raises(ValueError, match="expected None or 1 × 4"):
        show(operator, Y, images, ax=[None] * 4)
    with pytest.raises(ValueError, match="of one shape"):
        show(operator, Y, images, images[:, 1:])
    with pytest.raises(ValueError, match="at least 5"):
        show(operator, Y, images[:2], samples=4)
    with pytest.raises(TypeError, match="samples along its first axis"):
        show(operator, 3, images)
    with pytest.raises(TypeError, match="Got operator=3, but expected a Forward"):
        show(3, Y, images)
    with pytest.raises(ValueError, match="NaN"):
        show(operator, Y, images * np.nan)
    with pytest.raises(TypeError, match="expected a reconstructor"):
        ReconstructionDisplay.from_estimator(FunctionTransformer().fit(Y), Y)
    volume = np.ones((1, 4, 4, 4))
    with pytest.raises(ValueError, match="one slice"):
        ReconstructionDisplay(volume, volume, volume).plot()


def test_what_was_not_measured_stays_blank(ct_problem):
    operator, _, Y = ct_problem
    holed = Y.copy()
    holed[:, 3] = np.nan
    fbp = PseudoInverseReconstructor(operator).fit(holed)
    images = fbp.predict(holed)
    for display in (
        ReconstructionDisplay.from_estimator(fbp, holed),
        ReconstructionDisplay.from_predictions(operator, holed, images),
    ):
        drawn = np.ma.filled(display.axes_[0, 0].images[0].get_array(), np.nan)
        np.testing.assert_array_equal(drawn, holed[0])
        np.testing.assert_allclose(panel(display.axes_[0, 1]), images[0], atol=1e-6)
        assert np.isfinite(display.axes_[0, 0].images[0].get_clim()).all()


@pytest.mark.parametrize("n_channels", [3, None], ids=["colours", "k-space"])
def test_what_was_not_measured_of_channels_is_shown_as_zero(n_channels):
    rng = np.random.default_rng(0)
    if n_channels is None:
        operator = MRI(1)
        Y = operator.measure(rng.normal(size=(2, 8, 8)) + 0j)
    else:
        operator, Y = Inpainting(0.0), rng.random((2, 8, 8, n_channels))
    lost = rng.random((2, 8, 8)) < 0.3
    zeroed, holed = Y.copy(), Y.copy()
    zeroed[lost], holed[lost] = 0, np.nan
    drawn = []
    for stack in (zeroed, holed):
        fitted = PseudoInverseReconstructor(operator).fit(stack)
        display = ReconstructionDisplay.from_estimator(fitted, stack)
        drawn.append(panel(display.axes_[0, 0]))
    np.testing.assert_array_equal(*drawn)
