"""λ that Tikhonov and total variation choose, against λ chosen in other ways."""

import numpy as np
import pytest
import torch

from sklearn_ei import (
    PseudoInverseReconstructor,
    TikhonovReconstructor,
    TotalVariationReconstructor,
)
from sklearn_ei.operators import (
    MRI,
    Blur,
    Inpainting,
    MatrixOperator,
    ParallelBeamCT,
    RestrictedOperator,
    gaussian_kernel,
)
from sklearn_ei.reconstruction._regularization import HeldOutError, search
from tests.classical import dense, each_estimator, squares


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
