"""Tikhonov and total variation against what they are to minimise."""

import numpy as np
import pytest
import torch
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
    RestrictedOperator,
    gaussian_kernel,
)
from sklearn_ei.reconstruction._regularization import HeldOutError, search
from sklearn_ei.utils.odl import import_odl

ESTIMATORS = [TikhonovReconstructor, TotalVariationReconstructor]
each_estimator = pytest.mark.parametrize("Estimator", ESTIMATORS)


def quick(Estimator, operator, **parameters):
    """Make an estimator with a λ at which iterations are few."""
    return Estimator(operator, regularization=1e-3, **parameters)


def squares(n_samples, shape, n_channels=None):
    """Piecewise-constant images: one bright and one dark rectangle each."""
    rng = np.random.default_rng(0)
    channels = () if n_channels is None else (n_channels,)
    images = np.ones((n_samples, *shape, *channels))
    for image in images:
        for value in (2.0, 0.5):
            corner = [rng.integers(0, n // 2) for n in shape]
            box = tuple(
                slice(c, c + n // 2) for c, n in zip(corner, shape, strict=True)
            )
            image[box] = value * rng.uniform(0.8, 1.2, size=channels)
    return images


def dense(operator, n_pixels, shape):
    basis = np.eye(n_pixels).reshape(n_pixels, *shape)
    return operator.measure(basis).reshape(n_pixels, -1).T.astype(np.float64)


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


# ---------------------------------------------------------------- regularization_
@pytest.mark.parametrize("best", [3e-2, 2.2e-3, 4e-7, 5.0])
def test_the_search_leaves_where_it_started(best):
    """A parabola in log λ has its vertex found exactly, however far away."""
    found = search(lambda weight: np.exp(0.1 * np.log(weight / best) ** 2), 1e-2)
    assert found == pytest.approx(best, rel=1e-6)


def test_the_search_stops_where_errors_cannot_be_told():
    def error(weight):
        return weight if weight > 5e-4 else None

    assert search(error, 1e-2) == pytest.approx(1e-3)
    assert search(lambda weight: None, 1e-2) == 1e-2
    assert search(lambda weight: 1.0, 1e-2) == 1e-2
    assert search(lambda weight: 0.0, 1e-2) == 1e-2
    # Monotone to the end of all numbers that make sense.
    assert search(lambda weight: weight, 1e-2) == pytest.approx(10**-7.5)


def noisy_ct(level=0.02):
    operator = ParallelBeamCT(16, (24, 24))
    images = squares(6, (24, 24))
    Y = operator.measure(images)
    return (
        operator,
        images,
        Y + level * Y.max() * np.random.default_rng(0).normal(size=Y.shape),
    )


@each_estimator
def test_auto_is_close_to_the_best(Estimator):
    operator, images, Y = noisy_ct()
    auto = Estimator(operator).fit(Y)
    assert 1e-6 < auto.regularization_ < 1
    scores = [
        Estimator(operator, regularization=weight).fit(Y).score(Y, images)
        for weight in 10.0 ** np.arange(-4, 0, 0.25)
    ]
    assert auto.score(Y, images) > max(scores) - 0.5
    # The range of what could have been chosen is wide.
    assert max(scores) > min(scores) + 5


@pytest.mark.parametrize(
    "Estimator",
    [
        TikhonovReconstructor,
        pytest.param(TotalVariationReconstructor, marks=pytest.mark.slow),
    ],
)
def test_auto_takes_more_for_more_noise(Estimator):
    weights = []
    for level in (0, 0.01, 0.1):
        operator, _, Y = noisy_ct(level)
        weights.append(Estimator(operator).fit(Y).regularization_)
    assert weights[2] > 3 * weights[1] > 9 * weights[0]


def test_auto_of_tv_predicts_held_out_entries():
    """The same optimum by other draws, on a grid, sample by sample."""
    operator, _, Y = noisy_ct()
    tv = TotalVariationReconstructor(operator).fit(Y)
    chosen = tv.regularization_
    rng = np.random.default_rng(5)
    masks = rng.random((6, *Y.shape[1:])) > 0.1
    grid = 10.0 ** np.arange(-4, 0, 0.4)
    errors = []
    for weight in grid:
        tv.regularization_ = 0.9 * weight
        error = 0
        for mask, y in zip(masks, Y, strict=True):
            part = RestrictedOperator(operator, torch.from_numpy(mask))
            given = torch.from_numpy(np.where(mask, y, np.nan))[None, None].float()
            image = tv.reconstruct_tensors(given, part)[0].numpy()
            error += ((operator.measure(image)[0] - y)[~mask] ** 2).sum()
        errors.append(error)
    best = grid[np.argmin(errors)]
    assert best / 3 < chosen < 3 * best  # neighbours are 2.5 apart


def test_holding_out_counts_what_there_is():
    """λ is smaller by the tenth that is held out, of whatever is not missing."""
    operator = Inpainting(0.0)
    Y = squares(4, (16, 16))
    Y[:, ::2] = np.nan
    tv = TotalVariationReconstructor(operator).fit(Y)
    y = torch.from_numpy(Y[:, None]).float()
    asked = []

    def minimise(y, A, regularization):
        asked.append(regularization)
        return tv._minimise(y, A, regularization)

    HeldOutError(minimise, tv.operator_, y)(0.1)
    assert asked == [pytest.approx(0.1 * (1 - round(12.8) / 128))]


def test_auto_of_tikhonov_is_generalised_cross_validation():
    """By dense matrices, with the exact trace."""
    operator, _, Y = noisy_ct()
    Y = Y[:4]
    tikhonov = TikhonovReconstructor(operator).fit(Y)
    A = dense(operator, 576, (24, 24)) / tikhonov.operator_norm_
    units = np.eye(A.shape[0]).reshape(-1, *Y.shape[1:])
    B = operator.reconstruct(units).reshape(len(units), -1).T.astype(np.float64)
    left, values, _ = np.linalg.svd(A, full_matrices=False)

    def error(weight):
        H = left * (values**2 / (values**2 + weight)) @ left.T
        rest = B @ (np.eye(len(H)) - H)
        residual = rest @ Y.reshape(4, -1).T
        return (residual**2).sum() / (B * rest).sum() ** 2

    grid = 10.0 ** np.arange(-5, 0, 0.1)
    best = grid[np.argmin([error(weight) for weight in grid])]
    assert best / 1.6 < tikhonov.regularization_ < 1.6 * best
    bounded = TikhonovReconstructor(operator, nonneg=True).fit(Y)
    assert bounded.regularization_ == tikhonov.regularization_


def test_auto_of_tikhonov_leaves_out_all_coils_of_a_point():
    """Other coils all but tell one coil: what is left of it is no noise to judge by."""
    rng = np.random.default_rng(0)
    images = squares(2, (20, 20)) + 0j
    down, across = np.mgrid[-1:1:20j, -1:1:20j]
    coils = np.stack(
        [
            np.exp(-0.7 * ((down - a) ** 2 + (across - b) ** 2) + 1j * a * across)
            for a in (-1, 1)
            for b in (-1, 1)
        ]
    )
    nearly = coils * np.exp(0.1 * np.sin(3 * down) + 0.1j * np.cos(3 * across))
    coils, nearly = (s / np.linalg.norm(s, axis=0) for s in (coils, nearly))
    mask = rng.random((20, 20)) < 0.3
    mask[6:14, 6:14] = True
    Y = MRI(mask=mask, image_shape=mask.shape, sensitivities=coils).measure(images)
    noise = rng.normal(size=Y.shape) + 1j * rng.normal(size=Y.shape)
    Y = Y + 0.02 * mask * noise

    def operator(mask):
        return MRI(mask=mask, image_shape=mask.shape, sensitivities=nearly)

    tikhonov = TikhonovReconstructor(operator(mask)).fit(Y)
    chosen, norm = tikhonov.regularization_, tikhonov.operator_norm_
    grid = 10.0 ** np.arange(-4, 0, 0.25)
    errors = np.zeros(len(grid))
    for _ in range(3):
        kept = mask & (rng.random(mask.shape) > 0.1)
        held_out = mask & ~kept
        A = dense_complex(operator(kept), mask.shape) / norm
        left, values, right = np.linalg.svd(A, full_matrices=False)
        given = (kept * Y).reshape(2, -1) @ left.conj() / norm
        for i, weight in enumerate(grid):
            x = (given * values / (values**2 + 0.9 * weight)) @ right.conj()
            found = operator(held_out).measure(x.reshape(2, *mask.shape))
            errors[i] += np.square(np.abs(found - held_out * Y)).sum()
    best = grid[np.argmin(errors)]
    assert best / 2.5 < chosen < 2.5 * best
    scores = [
        TikhonovReconstructor(operator(mask), regularization=weight)
        .fit(Y)
        .score(Y, images)
        for weight in grid[::2]
    ]
    assert tikhonov.score(Y, images) > max(scores) - 2
    # Where coils are estimated from each measurement, A is known beside it alone.
    own = MRI(mask=mask, image_shape=mask.shape, sensitivities=len(coils))
    estimated = TikhonovReconstructor(own).fit(Y)
    assert best / 10 < estimated.regularization_ < 10 * best
    assert np.isfinite(estimated.predict(Y)).all()


def dense_complex(operator, shape):
    """Return A of complex images as a complex matrix."""
    units = np.eye(np.prod(shape)).reshape(-1, *shape) + 0j
    return operator.measure(units).reshape(len(units), -1).T


@each_estimator
def test_auto_where_there_is_nothing_to_tell_it_by(Estimator):
    start = {TikhonovReconstructor: 1e-3, TotalVariationReconstructor: 1e-2}[Estimator]
    nothing = np.zeros((2, 12))
    assert Estimator(Inpainting(0.3)).fit(nothing).regularization_ == start
    if Estimator is TotalVariationReconstructor:
        single = MatrixOperator(np.ones((1, 4)), (4,), (1,))
        assert Estimator(single).fit([[2.0], [3.0]]).regularization_ == start


@each_estimator
@pytest.mark.parametrize(
    ("operator", "channels"),
    [
        (Inpainting(0.4, (12, 9)), 3),
        (MRI(2, (16, 16)), 2),
        (Blur(gaussian_kernel(1.0), (12, 12)), None),
    ],
    ids=["colours", "MRI", "blur"],
)
def test_auto_of_other_instruments(Estimator, operator, channels):
    images = squares(2, operator.image_shape or (16, 16), channels)
    Y = operator.measure(images)
    Y += 0.02 * np.random.default_rng(0).normal(size=Y.shape)
    for stack in (Y, Y[:1]):
        estimator = Estimator(operator).fit(stack)
        assert 1e-8 <= estimator.regularization_ <= 1
        score = estimator.score(Y, images)
    linear = PseudoInverseReconstructor(operator).fit(Y).score(Y, images)
    assert score > linear - 0.1


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
