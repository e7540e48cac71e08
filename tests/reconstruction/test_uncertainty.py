"""Error maps, intervals and the part that was not measured."""

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from sklearn_ei import ConformalReconstructor, EquivariantReconstructor
from sklearn_ei.groups import Reflections, Rotations, Shifts
from sklearn_ei.networks import UNet, Unrolled
from sklearn_ei.noise import GaussianNoise
from sklearn_ei.operators import Inpainting, MatrixOperator
from sklearn_ei.utils.random import draw_seed, make_generator

TINY = {"max_epochs": 2, "network": Unrolled(UNet(width=2, depth=2)), "random_state": 0}


@pytest.fixture(scope="module")
def trained(learning_problem):
    operator, Y, _, _, _ = learning_problem
    return EquivariantReconstructor(
        operator,
        Rotations(360),
        max_epochs=15,
        network=Unrolled(UNet(width=6, depth=3), n_stages=1),
        random_state=0,
    ).fit(Y)


def test_error_map_formula(learning_problem):
    """Against the bootstrap written out for the one element of a group of two."""
    operator, Y, _, Y_test, _ = learning_problem
    ei = EquivariantReconstructor(
        operator, Reflections(axes=-2), alpha=1, check_rank=False, **TINY
    ).fit(Y[:4])
    image, std = ei.predict(Y_test[:1], return_std=True, n_bootstrap=3)
    np.testing.assert_array_equal(image, ei.predict(Y_test[:1]))
    flipped = ei.operator_.measure(image[:, ::-1])
    with torch.no_grad():  # f alone, not averaged over symmetries
        x = ei.reconstruct_tensors(torch.from_numpy(flipped)[:, None])
    again = x[:, 0].numpy()[:, ::-1]
    np.testing.assert_allclose(std, np.abs(again - image), atol=1e-4)


def test_the_error_map_shows_where_images_are_wrong(trained, learning_problem):
    *_, Y_test, images = learning_problem
    predicted, std = trained.predict(Y_test, return_std=True)
    correlation = spearmanr(std.ravel(), np.abs(predicted - images).ravel())[0]
    assert correlation > 0.4
    again = trained.predict(Y_test, return_std=True)[1]
    np.testing.assert_array_equal(std, again)
    other = trained.predict(Y_test, return_std=True, random_state=1)[1]
    assert not np.array_equal(std, other)


def test_known_pixels_are_certain_without_noise_and_noisy_with_it():
    images = np.random.default_rng(0).random((3, 16, 16)).astype(np.float32)
    Y = Inpainting(0.3).measure(images)
    ei = EquivariantReconstructor(Inpainting(0.3), Shifts(), **TINY).fit(Y)
    known = Y != 0
    _, std = ei.predict(Y, return_std=True)
    assert std[known].max() < 1e-5 < std[~known].min()
    _, std = ei.predict(Y, return_std=True, noise=0.1, n_bootstrap=256)
    np.testing.assert_allclose(std[known].mean(), 0.1, rtol=0.03)

    model = GaussianNoise(0.1)
    np.testing.assert_array_equal(
        ei.predict(Y, True, noise=model, n_bootstrap=256)[1], std
    )
    # By default the noise of the estimator itself.
    ei.noise_ = model
    np.testing.assert_array_equal(ei.predict(Y, True, n_bootstrap=256)[1], std)


@pytest.mark.parametrize("why", ["no steps", "noise"])
def test_no_pixel_is_known_to_an_f_that_does_not_keep_to_it(why):
    """A determines the kept pixels, but images may differ from them: so may the map."""
    images = np.random.default_rng(0).random((3, 16, 16)).astype(np.float32)
    operator = Inpainting(0.3)
    Y = operator.measure(images)
    settings = {**TINY, "max_epochs": 3, "lr": 0.01}
    if why == "no steps":
        settings["network"] = Unrolled(UNet(width=2, depth=2), n_consistency=0)
    else:
        settings["noise"] = GaussianNoise(0.05)
    ei = EquivariantReconstructor(operator, Shifts(), **settings).fit(Y)
    assert not ei.function_.keeps_measurements
    known = Y != 0
    error = np.abs(ei.predict(Y) - images)
    assert error[known].mean() > 1e-3
    image, std = ei.predict(Y, return_std=True, noise=None)
    assert np.median(std[known]) > 0.2 * np.median(std[~known])
    # As the formula has it, for one transform: no pixel is treated apart.
    _, one = ei.predict(Y[:1], return_std=True, noise=None, n_bootstrap=1)
    g = ei.group_.sample(make_generator(draw_seed(0)), 1)
    x = torch.from_numpy(image[:1])[:, None]
    y = ei.operator_.forward(ei.group_.transform(x, g))
    again = ei.group_.inverse_transform(ei.reconstruct_tensors(y), g)
    np.testing.assert_allclose(one, (again - x).abs()[:, 0].detach(), atol=1e-5)


def test_intervals_without_calibration(trained, learning_problem):
    *_, Y_test, _ = learning_problem
    image, std = trained.predict(Y_test, return_std=True)
    lower, upper = trained.predict_interval(Y_test, level=0.9)
    np.testing.assert_allclose((lower + upper) / 2, image, atol=1e-4)
    np.testing.assert_allclose(upper - lower, 2 * 1.6449 * std, rtol=1e-3, atol=1e-4)


def test_calibrated_intervals_cover_what_they_promise(trained, learning_problem):
    *_, Y_test, images = learning_problem
    before = vars(trained).copy()
    conformal = ConformalReconstructor(trained, level=0.8).fit(Y_test, images)
    assert vars(trained) == before
    lower, upper = conformal.predict_interval(Y_test)
    inside = (lower <= images) & (images <= upper)
    # On the calibration images themselves, exactly.
    assert conformal.coverage(Y_test, images).mean() == pytest.approx(0.8, abs=0.01)
    assert inside.mean() == pytest.approx(0.8, abs=0.02)
    raw_lower, raw_upper = trained.predict_interval(Y_test, level=0.8)
    raw = (raw_lower <= images) & (images <= raw_upper)
    assert conformal.uncalibrated_coverage_ == pytest.approx(raw.mean(), abs=0.02)
    assert conformal.n_calibration_ == 4
    np.testing.assert_array_equal(conformal.predict(Y_test), trained.predict(Y_test))
    image, std = conformal.predict(Y_test, return_std=True)
    np.testing.assert_allclose(upper - image, 1.2816 * std, rtol=1e-2, atol=1e-3)
    wider = ConformalReconstructor(trained, level=0.95).fit(Y_test, images)
    assert wider.factor_ > conformal.factor_


def test_calibrating_pipelines_and_frozen_estimators(trained, learning_problem):
    *_, Y_test, images = learning_problem
    pipeline = make_pipeline(
        FunctionTransformer(np.negative), FrozenEstimator(trained)
    ).fit(-Y_test)
    one = ConformalReconstructor(pipeline, n_bootstrap=4).fit(-Y_test, images)
    two = ConformalReconstructor(trained, n_bootstrap=4).fit(Y_test, images)
    assert one.factor_ == two.factor_
    np.testing.assert_array_equal(one.predict(-Y_test), two.predict(Y_test))


def test_null_space_fraction_against_a_dense_projection():
    rng = np.random.default_rng(0)
    matrix = rng.normal(size=(20, 36))
    operator = MatrixOperator(matrix, image_shape=(6, 6))
    Y = operator.measure(rng.random((4, 6, 6)))
    ei = EquivariantReconstructor(operator, Shifts(), **TINY).fit(Y)
    x = ei.predict(Y).reshape(4, -1).astype(np.float64)
    measured = x @ (np.linalg.pinv(matrix) @ matrix).T
    null = np.abs(x - measured)
    expected = (null / (null + np.abs(measured))).reshape(4, 6, 6)
    np.testing.assert_allclose(ei.null_space_fraction(Y), expected, atol=2e-3)


def test_null_space_fraction_of_lost_pixels_is_one():
    images = np.random.default_rng(0).random((3, 12, 12, 3)) + 0.5
    Y = Inpainting(0.3).measure(images)
    ei = EquivariantReconstructor(Inpainting(0.3), Shifts(), **TINY).fit(Y)
    fraction = ei.null_space_fraction(Y)
    assert fraction.shape == images.shape
    assert np.abs(fraction[Y != 0]).max() < 1e-4
    lost = fraction[(Y == 0) & (ei.predict(Y) != 0)]
    np.testing.assert_allclose(lost, 1)


def test_bad_input(trained, learning_problem):
    operator, Y, _, Y_test, images = learning_problem
    with pytest.raises(ValueError, match="level == 1"):
        trained.predict_interval(Y_test, level=1.0)
    with pytest.raises(ValueError, match="n_bootstrap == 0"):
        trained.predict(Y_test, True, n_bootstrap=0)
    with pytest.raises(ValueError, match="noise == -1"):
        trained.predict(Y_test, True, noise=-1)
    with pytest.raises(ValueError, match="n_iterations == 0"):
        trained.null_space_fraction(Y_test, n_iterations=0)
    no_group = EquivariantReconstructor(operator, None, alpha=0, **TINY).fit(Y[:2])
    with pytest.raises(ValueError, match="was fitted without a group"):
        no_group.predict(Y_test, return_std=True)
    with pytest.raises(ValueError, match="expected ground-truth images"):
        ConformalReconstructor(trained).fit(Y_test, None)
    with pytest.raises(ValueError, match="y has 3 images"):
        ConformalReconstructor(trained).fit(Y_test, images[:3])
    with pytest.raises(NotFittedError):
        ConformalReconstructor(trained).predict_interval(Y_test)
