"""Tikhonov and total variation against what they are to minimise."""

import numpy as np
import pytest
from scipy import optimize
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, NotFittedError

from sklearn_ei import (
    PseudoInverseReconstructor,
    TikhonovReconstructor,
    TotalVariationReconstructor,
)
from sklearn_ei.metrics import psnr
from sklearn_ei.operators import (
    MRI,
    Blur,
    Inpainting,
    MatrixOperator,
    ODLOperator,
    ParallelBeamCT,
    gaussian_kernel,
)
from sklearn_ei.utils.odl import import_odl
from tests.classical import ESTIMATORS, dense, each_estimator, quick, squares


def total_variation(image, channel_axis=None):
    """Σ |∇u| with forward differences, written down differently."""
    total = np.zeros(())
    axes = [axis for axis in range(image.ndim) if axis != channel_axis]
    for axis in axes:
        last = np.take(image, [-1], axis=axis)
        total = total + np.diff(image, axis=axis, append=last) ** 2
    if channel_axis is not None:
        total = total.sum(channel_axis)
    return np.sqrt(total).sum()


def tv_objective(tv, y, image, channel_axis=None):
    u = image / tv.scale_
    residual = tv.operator_.measure(u[None])[0] - y / tv.scale_
    data_term = 0.5 * (residual**2).sum() / tv.operator_norm_**2
    return data_term + tv.regularization_ * total_variation(u, channel_axis)


# ------------------------------------------------------------------- Tikhonov
@pytest.mark.parametrize("regularization", [1e-2, 1e-4])
def test_tikhonov_is_the_closed_form(regularization):
    operator = ParallelBeamCT(8, (12, 12))
    Y = operator.measure(squares(2, (12, 12)))
    A = dense(operator, 144, (12, 12))
    tikhonov = TikhonovReconstructor(operator, regularization=regularization, tol=1e-8)
    tikhonov.fit(Y)
    assert tikhonov.operator_norm_ == pytest.approx(np.linalg.norm(A, 2), rel=0.06)
    normal = A.T @ A + regularization * tikhonov.operator_norm_**2 * np.eye(144)
    expected = np.linalg.solve(normal, A.T @ Y.reshape(2, -1).T).T.reshape(2, 12, 12)
    error = np.abs(tikhonov.predict(Y) - expected).max() / np.abs(expected).max()
    assert error < 1e-3


def test_tikhonov_without_regularization_is_the_pseudo_inverse():
    matrix = np.random.default_rng(0).normal(size=(6, 20))
    operator = MatrixOperator(matrix, (5, 4), (6,))
    Y = operator.measure(squares(3, (5, 4)))
    images = TikhonovReconstructor(operator, regularization=0).fit(Y).predict(Y)
    expected = (np.linalg.pinv(matrix) @ Y.T).T.reshape(3, 5, 4)
    np.testing.assert_allclose(images, expected, atol=1e-3)


def test_tikhonov_is_linear():
    operator = Blur(gaussian_kernel(1.0), (10, 10))
    Y = operator.measure(squares(2, (10, 10)))
    tikhonov = TikhonovReconstructor(operator, regularization=1e-4, tol=1e-7).fit(Y)
    combined = tikhonov.predict(2 * Y[:1] - 3 * Y[1:])
    images = tikhonov.predict(Y)
    np.testing.assert_allclose(combined, 2 * images[:1] - 3 * images[1:], atol=1e-2)


def test_tikhonov_warns_if_it_was_cut_short():
    operator = ParallelBeamCT(8, (12, 12))
    Y = operator.measure(squares(1, (12, 12)))
    for nonneg in (False, True):
        tikhonov = TikhonovReconstructor(
            operator, regularization=1e-4, n_iterations=2, nonneg=nonneg
        )
        with pytest.warns(ConvergenceWarning, match="n_iterations=2, .* 1 of 1 did"):
            tikhonov.fit(Y).predict(Y)


# ------------------------------------------------------------- total variation
def smoothed_minimum(K, data, weight, shape, *, nonneg, smoothing=1e-4):
    """SciPy's minimum of ½ ‖K u − d‖² + λ Σ √(|∇u|² + ε²), an upper bound on TV's.

    It is at most λ ε for each pixel above the minimum with ε = 0.
    """

    def value_and_slope(u):
        image, residual = u.reshape(shape), K @ u - data
        steps = [
            np.diff(image, axis=axis, append=np.take(image, [-1], axis=axis))
            for axis in range(len(shape))
        ]
        lengths = np.sqrt(sum(step**2 for step in steps) + smoothing**2)
        slope = np.zeros(shape)
        for axis, step in enumerate(steps):
            unit = step / lengths
            slope -= unit - np.roll(unit, 1, axis=axis) * (
                np.arange(shape[axis]) > 0
            ).reshape([-1 if a == axis else 1 for a in range(len(shape))])
        value = 0.5 * residual @ residual + weight * lengths.sum()
        return value, K.T @ residual + weight * slope.ravel()

    found = optimize.minimize(
        value_and_slope,
        np.ones(K.shape[1]),
        jac=True,
        method="L-BFGS-B",
        bounds=[(0, None)] * K.shape[1] if nonneg else None,
        options={"maxiter": 20000, "maxfun": 20000, "ftol": 1e-15, "gtol": 1e-9},
    )
    return found.x.reshape(shape), found.fun


@pytest.mark.parametrize("nonneg", [False, True])
def test_tv_is_what_scipy_finds(nonneg):
    shape, weight = (8, 9), 1e-2
    operator = ParallelBeamCT(6, shape)
    images = squares(2, shape) - (0.8 if nonneg else 0)
    Y = operator.measure(images)
    Y += 0.3 * np.random.default_rng(0).normal(size=Y.shape)
    tv = TotalVariationReconstructor(
        operator, regularization=weight, tol=1e-4, n_iterations=20000, nonneg=nonneg
    ).fit(Y)
    K = dense(operator, 72, shape) / tv.operator_norm_
    for y, image in zip(Y, tv.predict(Y), strict=True):
        data = y.ravel() / (tv.scale_ * tv.operator_norm_)
        expected, value = smoothed_minimum(K, data, weight, shape, nonneg=nonneg)
        expected = expected * tv.scale_
        assert tv_objective(tv, y, image) == pytest.approx(value, rel=2e-3)
        assert np.abs(image - expected).max() < 0.02 * np.abs(expected).max()
    assert not nonneg or (tv.predict(Y) == 0).any()


@pytest.mark.parametrize("tol", [1e-1, 1e-2, 1e-3])
@pytest.mark.parametrize("nonneg", [False, True])
def test_tv_stops_within_its_tolerance(tol, nonneg):
    """The gap bounds how far the objective is above that of a long run."""
    operator = ParallelBeamCT(8, (12, 12))
    Y = operator.measure(squares(3, (12, 12)) - 0.4)
    Y += 0.3 * np.random.default_rng(0).normal(size=Y.shape)
    tv = TotalVariationReconstructor(
        operator, regularization=1e-3, tol=tol, n_iterations=3000, nonneg=nonneg
    ).fit(Y)
    found = tv.predict(Y)
    long = clone(tv).set_params(tol=1e-5, n_iterations=50000).fit(Y).predict(Y)
    for y, image, reference in zip(Y, found, long, strict=True):
        least, size = tv_objective(tv, y, reference), np.linalg.norm(image)
        # By convexity; farther away than a tenth of its norm, in that proportion.
        reach = max(1, np.linalg.norm(image - reference) / (0.1 * size))
        assert tv_objective(tv, y, image) - least <= (tol + 2e-4) * reach * least
    # A loose tolerance is not met by accident.
    assert (np.abs(found - long).max() > 1e-4) or tol < 1e-2


def test_tv_warns_if_it_was_cut_short():
    operator = ParallelBeamCT(8, (12, 12))
    Y = operator.measure(squares(2, (12, 12)))
    tv = TotalVariationReconstructor(operator, regularization=1e-5, n_iterations=20)
    with pytest.warns(ConvergenceWarning, match="n_iterations=20, .* 2 of 2 did not"):
        tv.fit(Y).predict(Y)


@pytest.mark.parametrize("channels", [None, 3])
def test_lost_pixels_are_found_within_the_default_iterations(channels):
    """From zeros they take thousands of them."""
    operator = Inpainting(0.3)
    images = squares(2, (48, 48), channels)
    Y = operator.measure(images)
    tv = TotalVariationReconstructor(operator, regularization=1e-4).fit(Y)
    assert psnr(images, tv.predict(Y)) > 32
    # What stands at lost pixels makes no difference.
    lost = np.broadcast_to(Y == 0, Y.shape)
    np.testing.assert_array_equal(tv.predict(np.where(lost, 7, Y)), tv.predict(Y))


def test_tv_denoising_of_a_step_has_a_closed_form():
    """Of two plateaus of n pixels, λ/n is taken from the step on either side."""
    signal = np.repeat([1.0, 3.0], 8)[None]
    operator = MatrixOperator(np.eye(16), (16,), (16,))
    tv = TotalVariationReconstructor(operator, regularization=0.1, tol=1e-5)
    tv.fit(signal)
    # In units in which ‖A‖ (as it was estimated) and the scale are 1.
    shift = 0.1 / 8 * tv.scale_ * tv.operator_norm_**2
    expected = np.repeat([1.0 + shift, 3.0 - shift], 8)[None]
    np.testing.assert_allclose(tv.predict(signal), expected, atol=2e-3)


@pytest.mark.parametrize("shape", [(12,), (6, 7), (4, 3, 5), (1, 6)])
def test_a_constant_has_no_total_variation(shape):
    operator = Inpainting(0.3, shape)
    Y = operator.measure(np.full((2, *shape), 3.0))
    tv = TotalVariationReconstructor(operator, regularization=0.1)
    np.testing.assert_allclose(tv.fit(Y).predict(Y), 3.0, rtol=1e-2)


def test_tv_is_better_than_tikhonov_on_piecewise_constant_images():
    operator = ParallelBeamCT(12, (24, 24))
    images = squares(3, (24, 24))
    Y = operator.measure(images)
    tv = TotalVariationReconstructor(operator).fit(Y).score(Y, images)
    tikhonov = TikhonovReconstructor(operator).fit(Y).score(Y, images)
    linear = PseudoInverseReconstructor(operator).fit(Y).score(Y, images)
    assert tikhonov > linear
    assert tv > tikhonov + 5


@each_estimator
def test_nonneg(Estimator):
    operator = ParallelBeamCT(8, (12, 12))
    Y = operator.measure(squares(2, (12, 12)) - 0.9)
    free = quick(Estimator, operator).fit(Y).predict(Y)
    bounded = quick(Estimator, operator, nonneg=True).fit(Y).predict(Y)
    assert free.min() < -0.1
    assert bounded.min() >= 0
    assert bounded.max() > 0.5


@pytest.mark.parametrize("regularization", [1e-1, 1e-3])
def test_nonnegative_tikhonov_is_what_scipy_finds(regularization):
    operator = ParallelBeamCT(8, (12, 12))
    Y = operator.measure(squares(2, (12, 12)) - 0.9)
    tikhonov = TikhonovReconstructor(
        operator,
        regularization=regularization,
        tol=1e-6,
        n_iterations=5000,
        nonneg=True,
    ).fit(Y)
    damping = regularization**0.5 * tikhonov.operator_norm_ * np.eye(144)
    system = np.vstack([dense(operator, 144, (12, 12)), damping])
    for y, image in zip(Y, tikhonov.predict(Y), strict=True):
        expected, _ = optimize.nnls(system, np.append(y.ravel(), np.zeros(144)))
        assert (expected == 0).sum() > 20
        np.testing.assert_allclose(image.ravel(), expected, atol=2e-3)


def test_colours_are_images_of_their_own():
    operator = Inpainting(0.4, (8, 9))
    Y = operator.measure(squares(2, (8, 9), n_channels=3))
    for Estimator in ESTIMATORS:
        estimator = quick(Estimator, operator).fit(Y)
        images = estimator.predict(Y)
        assert images.shape == (2, 8, 9, 3)
        if Estimator is TotalVariationReconstructor:
            alone = quick(Estimator, operator).fit(Y[..., 1])
            alone.scale_ = estimator.scale_
            single = alone.predict(Y[..., 1])
            np.testing.assert_allclose(images[..., 1], single, atol=1e-5)


def test_real_and_imaginary_parts_share_one_gradient():
    operator = MRI(2, (12, 12))
    images = np.stack([squares(1, (12, 12)), 0.5 * squares(1, (12, 12))], axis=-1)
    Y = operator.measure(images)
    tv = TotalVariationReconstructor(
        operator, regularization=1e-3, tol=1e-4, n_iterations=5000
    ).fit(Y)
    found = tv.predict(Y)
    assert found.shape == images.shape
    # Of all phases alike: TV does not know which part is the real one.
    turned = tv.predict(Y[..., ::-1] * [1, -1])
    np.testing.assert_allclose(turned, found[..., ::-1] * [1, -1], atol=1e-3)
    longer = clone(tv).set_params(tol=1e-5, n_iterations=50000).fit(Y).predict(Y)
    for y, image, reference in zip(Y, found, longer, strict=True):
        least = tv_objective(tv, y, reference, channel_axis=-1)
        assert tv_objective(tv, y, image, channel_axis=-1) <= 1.001 * least
        rng = np.random.default_rng(0)
        other = reference + 1e-2 * rng.normal(size=reference.shape)
        assert tv_objective(tv, y, other, channel_axis=-1) > least


def test_operators_that_measure_several_channels_of_one_image():
    odl, _ = import_odl()
    operator = ODLOperator(odl.Gradient(odl.uniform_discr([0, 0], [7, 6], (7, 6))))
    Y = operator.measure(squares(2, (7, 6)))
    for Estimator in ESTIMATORS:
        images = Estimator(operator, regularization=1e-4).fit(Y).predict(Y)
        assert images.shape == (2, 7, 6)
        np.testing.assert_allclose(operator.measure(images), Y, atol=0.1)


# ------------------------------------------------------------- both, as estimators
@each_estimator
def test_units_do_not_matter(Estimator):
    images = squares(2, (10, 10))
    matrix = np.random.default_rng(0).normal(size=(60, 100))
    found = []
    for units, data in [(1.0, 1.0), (1e4, 1.0), (1.0, 1e-5)]:
        operator = MatrixOperator(units * matrix, (10, 10), (60,))
        Y = operator.measure(data * images)
        found.append(quick(Estimator, operator).fit(Y).predict(Y) / data)
    np.testing.assert_allclose(found[1], found[0], atol=1e-2)
    np.testing.assert_allclose(found[2], found[0], atol=1e-2)


@each_estimator
def test_a_sample_does_not_depend_on_the_rest_of_the_stack(Estimator):
    operator = ParallelBeamCT(8, (12, 12))
    Y = operator.measure(squares(18, (12, 12)))
    estimator = quick(Estimator, operator).fit(Y)
    images = estimator.predict(Y)
    np.testing.assert_allclose(estimator.predict(Y[17:18]), images[17:18], atol=1e-4)


@each_estimator
def test_signals_and_zeros(Estimator):
    operator = Blur([0.2, 0.6, 0.2], (15,))
    Y = operator.measure(squares(3, (15,)))
    assert quick(Estimator, operator).fit(Y).predict(Y).shape == (3, 15)
    assert not quick(Estimator, operator).fit(0 * Y).predict(0 * Y).any()


@each_estimator
def test_noise_asks_for_more(Estimator):
    """What `regularization` is for."""
    operator = ParallelBeamCT(12, (16, 16))
    images = squares(4, (16, 16))
    Y = operator.measure(images)
    Y += 0.05 * Y.max() * np.random.default_rng(0).normal(size=Y.shape)
    default = Estimator(operator, regularization=1e-4).fit(Y)
    strong = clone(default).set_params(regularization=1e-2).fit(Y)
    weak = psnr(images, default.predict(Y))
    assert psnr(images, strong.predict(Y)) > weak + 1


@each_estimator
@pytest.mark.parametrize(
    ("parameters", "error", "message"),
    [
        ({"regularization": -1}, ValueError, "regularization == -1, must be >= 0"),
        ({"regularization": np.inf}, ValueError, "regularization=inf, but expected a"),
        ({"regularization": "best"}, ValueError, "regularization='best', but expected"),
        ({"regularization": None}, TypeError, "regularization must be an instance"),
        ({"tol": 0}, ValueError, "tol == 0, must be > 0"),
        ({"nonneg": "yes"}, TypeError, "nonneg must be an instance"),
        ({"n_iterations": 0}, ValueError, "n_iterations == 0, must be >= 1"),
        ({"operator": np.eye(3)}, TypeError, "expected a ForwardOperator"),
        ({"operator": ParallelBeamCT(9)}, ValueError, "9 views got measurements"),
    ],
)
def test_bad_parameters(Estimator, parameters, error, message):
    operator = ParallelBeamCT(8)
    Y = ParallelBeamCT(8, (12, 12)).measure(squares(2, (12, 12)))
    estimator = Estimator(operator).set_params(**parameters)
    with pytest.raises(error, match=message):
        estimator.fit(Y)
    assert not [name for name in vars(estimator) if name.endswith("_")]


@each_estimator
def test_bad_measurements(Estimator):
    operator = ParallelBeamCT(8)
    Y = ParallelBeamCT(8, (12, 12)).measure(squares(2, (12, 12)))
    estimator = quick(Estimator, operator)
    with pytest.raises(NotFittedError):
        estimator.predict(Y)
    expected = estimator.fit(Y).predict(Y)
    bad = Y.copy()
    bad[1, 2, 3] = np.inf
    for method in (estimator.fit, estimator.predict, estimator.score):
        with pytest.raises(
            ValueError, match=r"Y contains infinity \(inf\) in sample 1"
        ):
            method(bad)
    np.testing.assert_array_equal(estimator.predict(Y), expected)
