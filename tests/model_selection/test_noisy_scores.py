"""Scores of noisy measurements, against errors that are known."""

import numpy as np
import pytest
import torch

from sklearn_ei import EquivariantReconstructor
from sklearn_ei.groups import Shifts
from sklearn_ei.losses import Splitting
from sklearn_ei.model_selection import (
    round_trip,
    round_trip_score,
    score_without_truth,
    told_noise,
)
from sklearn_ei.networks import UNet, Unrolled
from sklearn_ei.noise import GaussianNoise, PoissonGaussianNoise, PoissonNoise
from sklearn_ei.operators import MatrixOperator
from sklearn_ei.reconstruction import _early_stopping

N, M = 8, 6
TINY = {"network": Unrolled(UNet(width=2, depth=1)), "random_state": 0}


@pytest.fixture(scope="module")
def linear():
    """Return positive A and B, so that counts are positive, and an image."""
    rng = np.random.default_rng(0)
    A = np.eye(M, N) + 0.03 * rng.random((M, N))
    B = 0.9 * A.T + 0.02 * rng.random((N, M))
    return A, B, 0.1 + 0.3 * rng.random(N)


def in_torch(A, B, group=None):
    """Return f, the operator and the group that matrices describe."""
    operator = MatrixOperator(A, image_shape=(A.shape[1],)).resolve()
    weights = torch.from_numpy(B).float()
    group = (group or Shifts()).resolve(operator.image_shape)
    return lambda y, A: y @ weights.T, operator, group


def batches_of(clean, noise, n):
    noisy = noise.add(np.tile(clean, (n, 1)), random_state=0)
    return torch.from_numpy(noisy)[:, None, None]  # of one sample and channel each


def variances(noise, clean):
    sigma, gain = noise.levels
    return sigma**2 + gain * clean


def square(weights, spread):
    """Return E‖W n‖² of independent n with these variances."""
    return float((np.square(weights) * spread).sum())


@pytest.mark.parametrize(
    "noise",
    [GaussianNoise(0.3), PoissonNoise(0.15), PoissonGaussianNoise(0.05, 0.2)],
    ids=lambda noise: type(noise).__name__,
)
@pytest.mark.parametrize("only_unseen", [True, False])
def test_the_expected_score_is_the_error_against_noise_free_measurements(
    linear, noise, only_unseen
):
    """A linear f, whose expected errors follow from matrices."""
    A, B, x = linear
    u, pinv = A @ x, np.linalg.pinv(A)
    spread = variances(noise, u)
    error = naive = norm = 0.0
    for g in range(1, N):
        T = np.roll(np.eye(N), g, axis=0)
        second = A @ T.T @ B  # of what was measured again
        trip = second @ A @ T @ B
        again = variances(noise, A @ T @ B @ u)
        measures = [(trip, np.eye(M), second)]
        if only_unseen:
            unseen = (np.eye(N) - pinv @ A) @ T @ pinv
            measures = [(A @ B, pinv, 0 * second), (trip, unseen, second)]
        for h, L, added in measures:
            bias = np.square(L @ (h @ u - u)).sum()
            error += bias + square(L @ h, spread) + square(L @ added, again)
            naive += bias + square(L @ (h - np.eye(M)), spread)
        reference = pinv if only_unseen else np.eye(M)
        norm += np.square(reference @ u).sum() + square(reference, spread)
    f, operator, group = in_torch(A, B)
    batches = batches_of(u, noise, 400)
    found = round_trip(
        f,
        operator,
        group,
        batches,
        noise=noise,
        n_transforms=N - 1,
        only_unseen=only_unseen,
    )
    assert found == pytest.approx(-error / norm, rel=0.08)
    assert abs(naive / error - 1) > 0.15  # that this is not the error without noise


@pytest.mark.parametrize("group", [None, Shifts()])
def test_an_f_that_reproduces_noise_is_not_the_best(group):
    """Of s·y with A = I, the best s is that of Wiener: x²/(x² + σ²)."""
    rng = np.random.default_rng(0)
    noise = GaussianNoise(1.0)
    x = rng.normal(size=(30, 100)).astype(np.float32)
    batches = torch.from_numpy(noise.add(x, random_state=0))[:, None, None]
    operator = MatrixOperator(np.eye(100), image_shape=(100,)).resolve()
    group = None if group is None else group.resolve((100,))
    shrinkages = np.array([0.2, 0.35, 0.5, 0.65, 0.8, 1.0])

    def scores(noise):
        return [
            score_without_truth(
                lambda y, A, s=s: float(s) * y, operator, group, batches, noise=noise
            )
            for s in shrinkages
        ]

    assert shrinkages[np.argmax(scores(None))] == 1.0
    corrected = scores(noise)
    assert shrinkages[np.argmax(corrected)] == 0.5
    energy = np.square(batches.numpy()).mean()
    expected = -((1 - shrinkages) ** 2 + shrinkages**2) / energy
    np.testing.assert_allclose(corrected, expected, atol=0.05)


@pytest.fixture(scope="module")
def problem():
    rng = np.random.default_rng(0)
    A = rng.normal(size=(12, 16)).astype(np.float32)
    Y = rng.normal(size=(8, 16)).astype(np.float32) @ A.T
    return MatrixOperator(A, image_shape=(16,)), GaussianNoise(0.3).add(Y, 0)


@pytest.fixture(scope="module")
def fitted(problem):
    operator, Y = problem
    noise = GaussianNoise(0.3)
    return EquivariantReconstructor(
        operator, Shifts(), noise=noise, max_epochs=1, **TINY
    ).fit(Y)


def uncorrected(estimator, Y, noise=None):
    f, A, group = estimator.reconstruct_tensors, estimator.operator_, estimator.group_
    batches = torch.from_numpy(np.asarray(Y, np.float32))[:, None, None]
    with torch.no_grad():
        return round_trip(f, A, group, batches, noise=noise)


def test_estimators_that_know_their_noise_are_scored_with_it(fitted, problem):
    _, Y = problem
    score = fitted.score(Y)
    assert score == round_trip_score(fitted, Y) == round_trip_score(fitted, Y)
    assert score == pytest.approx(uncorrected(fitted, Y, fitted.noise_), rel=1e-6)
    assert score != pytest.approx(uncorrected(fitted, Y), rel=1e-3)
    assert score != round_trip_score(fitted, Y, random_state=1)


@pytest.mark.parametrize(
    "changes",
    [
        {"noise": None},
        {"noise": GaussianNoise(0.0)},
        {"noise": None, "data_term": "unsure"},
        {"data_term": Splitting()},
    ],
    ids=["none", "level 0", "unsure", "splitting"],
)
def test_others_are_scored_as_if_there_were_none(fitted, problem, changes):
    operator, Y = problem
    parameters = {"noise": GaussianNoise(0.3), "max_epochs": 1, **TINY, **changes}
    ei = EquivariantReconstructor(operator, Shifts(), **parameters).fit(Y)
    assert ei.score(Y) == round_trip_score(ei, Y) == uncorrected(ei, Y) < 0


def test_noise_that_the_data_term_has_no_use_for_is_not_told(fitted):
    noise = fitted.noise_
    assert told_noise(noise, fitted.data_term_) is noise
    assert told_noise(noise, None) is noise
    assert told_noise(noise, Splitting()) is None
    assert told_noise(GaussianNoise(0.0), None) is told_noise(None, None) is None


def test_early_stopping_goes_by_the_corrected_score(problem, monkeypatch):
    operator, Y = problem
    seen = []

    def spy(*given, noise=None):
        seen.append((noise, score_without_truth(*given, noise=noise)))
        return seen[-1][1]

    monkeypatch.setattr(_early_stopping, "score_without_truth", spy)
    ei = EquivariantReconstructor(
        operator,
        Shifts(),
        noise=GaussianNoise(0.3),
        early_stopping=0.25,
        max_epochs=2,
        **TINY,
    ).fit(Y)
    assert [noise.sigma for noise, _ in seen] == [0.3, 0.3]
    assert ei.best_validation_score_ == max(score for _, score in seen)


def test_holes_are_not_counted_as_noise(fitted, problem):
    _, Y = problem
    holed = Y.copy()
    holed[:, 3] = np.nan
    score = fitted.score(holed)
    assert np.isfinite(score)
    assert score == round_trip_score(fitted, holed)
    # f = 0 leaves the energy of what was measured: of its 11 entries alone.
    batches = torch.from_numpy(holed)[:, None, None]
    zero = score_without_truth(
        lambda y, A: torch.zeros(len(y), 1, 16),
        fitted.operator_,
        None,
        batches,
        noise=GaussianNoise(0.3),
    )
    kept = np.square(np.delete(Y, 3, axis=1)).sum()
    assert zero == pytest.approx(-(kept - 8 * 11 * 0.09) / kept, rel=1e-5)
