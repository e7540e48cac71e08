"""Scorers against their formulas, and inside scikit-learn."""

from functools import partial

import numpy as np
import pytest
import torch
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    HalvingGridSearchCV,
    cross_validate,
    learning_curve,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from sklearn_ei import EquivariantReconstructor, PseudoInverseReconstructor
from sklearn_ei.groups import Rotations, Shifts
from sklearn_ei.metrics import psnr, ssim
from sklearn_ei.model_selection import (
    equivariance_score,
    held_out_score,
    neg_measurement_error_score,
    neg_nmse_score,
    psnr_score,
    round_trip_score,
    ssim_score,
)
from sklearn_ei.networks import UNet, Unrolled
from sklearn_ei.operators import (
    MRI,
    CompressedSensing,
    Inpainting,
    ParallelBeamCT,
    RestrictedOperator,
)

TINY = {"max_epochs": 2, "network": Unrolled(UNet(width=2, depth=2)), "random_state": 0}
WITHOUT_TRUTH = [
    equivariance_score,
    held_out_score,
    neg_measurement_error_score,
    round_trip_score,
]
WITH_TRUTH = [neg_nmse_score, psnr_score, ssim_score]


@pytest.fixture(scope="module")
def fitted(learning_problem):
    operator, Y, _, _, _ = learning_problem
    return EquivariantReconstructor(operator, Rotations(360), **TINY).fit(Y[:4])


def test_scores_with_truth(fitted, learning_problem):
    _, _, _, Y, images = learning_problem
    predicted = fitted.predict(Y)
    assert psnr_score(fitted, Y, images) == psnr(images, predicted)
    assert ssim_score(fitted, Y, images) == ssim(images, predicted)
    nmse = np.square(predicted - images).sum() / np.square(images).sum()
    assert neg_nmse_score(fitted, Y, images) == pytest.approx(-nmse, rel=1e-5)
    # Noise in Y is not an error of the image where its truth is known.
    noisy = Y + np.random.default_rng(0).normal(0, 1, Y.shape)
    assert neg_measurement_error_score(fitted, Y, images) == pytest.approx(
        neg_measurement_error_score(fitted, Y), rel=1e-3
    )
    error = fitted.operator_.measure(fitted.predict(noisy)) - Y
    assert neg_measurement_error_score(fitted, noisy, images) == pytest.approx(
        -np.square(error).sum() / np.square(Y).sum(), rel=1e-4
    )
    for scorer in WITH_TRUTH:
        with pytest.raises(ValueError, match="expected ground-truth images"):
            scorer(fitted, Y)
        with pytest.raises(ValueError, match="y has 3 images, but Y has 4"):
            scorer(fitted, Y, images[:3])


def test_colour_images():
    images = np.random.default_rng(0).random((3, 12, 12, 3))
    Y = Inpainting(0.3).measure(images)
    ei = EquivariantReconstructor(Inpainting(0.3), Shifts(), **TINY).fit(Y)
    assert ssim_score(ei, Y, images) == pytest.approx(
        ssim(images, ei.predict(Y), channel_axis=-1)
    )
    assert all(scorer(ei, Y) < 0 for scorer in (held_out_score, round_trip_score))


@pytest.mark.parametrize("only_unseen", [True, False])
def test_round_trip_formula(fitted, learning_problem, only_unseen):
    *_, Y, _ = learning_problem
    A, group = fitted.operator_, fitted.group_
    generator = torch.Generator().manual_seed(
        int(np.random.RandomState(0).randint(np.iinfo(np.int32).max))
    )
    error = norm = 0.0
    with torch.no_grad():
        for sample in Y:
            y = torch.from_numpy(sample)[None, None]
            x1 = fitted.reconstruct_tensors(y)
            for g in group.sample(generator, 1, 4):
                x3 = fitted.reconstruct_tensors(A.forward(group.transform(x1, g)))
                d = A.forward(group.inverse_transform(x3, g)) - y
                if only_unseen:
                    d = group.transform(A.pinv(d), g)
                    d = d - A.pinv(A.forward(d))
                error += d.square().sum()
                norm += (A.pinv(y) if only_unseen else y).square().sum()
    assert round_trip_score(fitted, Y, only_unseen=only_unseen) == pytest.approx(
        -float(error / norm), rel=1e-3
    )


def test_scores_are_the_same_at_every_call_and_ignore_labels(fitted, learning_problem):
    *_, Y, _ = learning_problem
    for scorer in WITHOUT_TRUTH:
        assert scorer(fitted, Y) == scorer(fitted, Y, np.arange(4)) < 0
    before = fitted.operator_, fitted.function_, fitted.predict(Y)
    assert held_out_score(fitted, Y) != held_out_score(fitted, Y, random_state=1)
    # Neither A nor f is touched.
    assert (fitted.operator_, fitted.function_) == before[:2]
    assert not hasattr(fitted.operator_, "kept")
    np.testing.assert_array_equal(fitted.predict(Y), before[2])


def test_estimators_without_a_group(ct_problem):
    operator, _, Y = ct_problem
    linear = PseudoInverseReconstructor(operator).fit(Y)
    assert -1 < held_out_score(linear, Y) < 0
    assert neg_measurement_error_score(linear, Y) == pytest.approx(linear.score(Y))
    for scorer in (
        equivariance_score,
        round_trip_score,
        partial(held_out_score, round_trip=True),
    ):
        with pytest.raises(ValueError, match="was fitted without a group"):
            scorer(linear, Y)


@pytest.mark.parametrize(
    "operator",
    [
        ParallelBeamCT(9, image_shape=(16, 16)),
        Inpainting(0.3, image_shape=(16, 16)),
        CompressedSensing(60, image_shape=(16, 16)),
        MRI(2, image_shape=(16, 16)),
    ],
    ids=lambda operator: type(operator).__name__,
)
def test_what_is_held_out_does_not_reach_f(operator):
    """Other numbers in the held-out entries change nothing but the comparison."""
    from sklearn_ei.model_selection._held_out import _masks

    operator = operator.resolve()
    masks = _masks(operator, 0.2, 3, "auto", 0)
    assert len(masks) == 3
    held_out = sum((~mask).int() for mask in masks)
    assert held_out.max() == 1  # no entry twice
    assert 0.3 < float(held_out.sum() / (_rows(operator) > 0).sum()) < 0.8
    x = torch.randn(2, operator.image_layout.n_channels, 16, 16)
    y = operator.forward(x)
    for mask in masks:
        sub = RestrictedOperator(operator, mask)
        changed = y + 100 * ~mask
        image = sub.pinv(y)
        torch.testing.assert_close(sub.pinv(changed), image)
        torch.testing.assert_close(sub.refine(x, changed), sub.refine(x, y))
        # Consistent with what is kept, as A† is with everything.
        if not isinstance(operator, ParallelBeamCT):
            torch.testing.assert_close(sub.forward(image), mask * y, atol=0.02, rtol=0)


def _rows(operator):
    x = torch.randn(1, operator.image_layout.n_channels, *operator.image_shape)
    return operator.forward(x).abs().sum(dim=(0, 1))


def test_held_out_pixels_estimate_the_error_of_the_image():
    """For random entries the score is the error of f_M, here of a mean filter."""
    rng = np.random.default_rng(0)
    images = rng.random((4, 32, 32)).astype(np.float32)
    operator = Inpainting(0.5, image_shape=(32, 32))
    Y = operator.measure(images)
    linear = PseudoInverseReconstructor(operator).fit(Y)
    # A† leaves lost pixels at zero: all of the held-out energy is missed.
    assert held_out_score(linear, Y) == pytest.approx(-1)
    ei = EquivariantReconstructor(
        operator,
        Shifts(),
        alpha=1.0,
        max_epochs=15,
        network=Unrolled(UNet(width=4, depth=2)),
        random_state=0,
    ).fit(Y)
    lost = Y == 0
    error = (
        np.square(ei.predict(Y) - images)[lost].sum() / np.square(images)[lost].sum()
    )
    assert held_out_score(ei, Y, round_trip=False) == pytest.approx(-error, rel=0.25)


def test_lines_in_the_middle_of_k_space_are_kept():
    from sklearn_ei.model_selection._held_out import _masks

    operator = MRI(4, image_shape=(32, 32), center_fraction=0.125)
    for mask in _masks(operator, 0.5, 2, "auto", 0):
        assert mask[:, 15:18].all()
        assert ((mask == 0).any(dim=0) == (mask == 0).all(dim=0)).all()  # whole lines


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"fraction": 0.7}, "fraction == 0.7"),
        ({"n_splits": 11}, "n_splits == 11"),
        ({"axis": 2}, "axis == 2"),
        ({"round_trip": "twice"}, "Got round_trip='twice'"),
    ],
)
def test_bad_parameters(fitted, learning_problem, parameters, message):
    *_, Y, _ = learning_problem
    with pytest.raises(ValueError, match=message):
        held_out_score(fitted, Y, **parameters)


@pytest.mark.slow
def test_a_measurement_error_sees_nothing_of_the_null_space(learning_problem):
    """What the default score is for: α = 0 fits the data, and is not chosen."""
    operator, Y, _, Y_test, images_test = learning_problem
    parameters = {"max_epochs": 12, "network": Unrolled(UNet(4, 2)), "random_state": 0}
    mc, ei = (
        EquivariantReconstructor(operator, Rotations(360), a, **parameters).fit(Y)
        for a in (0.0, "auto")
    )
    assert mc.score(Y_test, images_test) + 1 < ei.score(Y_test, images_test)
    for scorer in (held_out_score, round_trip_score):
        assert scorer(mc, Y_test) < scorer(ei, Y_test)


# ------------------------------------------------------------- within scikit-learn
@pytest.fixture
def ei(ct_problem):
    return EquivariantReconstructor(ct_problem[0], Rotations(360), **TINY)


def test_multi_metric_search_with_patients(ei, ct_problem):
    _, images, Y = ct_problem
    scoring = {scorer.__name__: scorer for scorer in WITHOUT_TRUTH + WITH_TRUTH}
    search = GridSearchCV(
        ei,
        {"alpha": [0.0, 20.0]},
        scoring=scoring,
        refit="held_out_score",
        cv=GroupKFold(3),
    ).fit(Y, images, groups=[0, 0, 1, 1, 2, 2])
    for name in scoring:
        assert np.isfinite(search.cv_results_[f"mean_test_{name}"]).all()
    assert search.best_index_ == np.argmax(
        search.cv_results_["mean_test_held_out_score"]
    )
    # A fitted search can be scored itself.
    assert held_out_score(search, Y) == held_out_score(search.best_estimator_, Y)
    assert held_out_score(FrozenEstimator(search.best_estimator_), Y) < 0


def test_in_a_pipeline_with_transforming_steps(ei, ct_problem):
    _, images, Y = ct_problem
    halve = FunctionTransformer(lambda Y: Y / 2)
    pipeline = make_pipeline(halve, ei).fit(2 * Y)
    for scorer in WITHOUT_TRUTH:
        assert scorer(pipeline, 2 * Y) == scorer(pipeline[-1], Y)
    for scorer in WITH_TRUTH:
        assert scorer(pipeline, 2 * Y, images) == scorer(pipeline[-1], Y, images)
    results = cross_validate(pipeline, 2 * Y, cv=2, scoring=held_out_score)
    assert (results["test_score"] < 0).all()
    with pytest.raises(TypeError, match="expected a reconstructor"):
        held_out_score(make_pipeline(ei, halve).fit(Y), Y)


@pytest.mark.slow
def test_halving_and_learning_curve(ei, ct_problem):
    _, _, Y = ct_problem
    search = HalvingGridSearchCV(
        ei,
        {"alpha": [0.0, 5.0, 20.0]},
        resource="max_epochs",
        max_resources=3,
        cv=2,
        scoring=held_out_score,
        random_state=0,
    ).fit(Y)
    assert search.best_params_["alpha"] in (0.0, 5.0, 20.0)
    _, _, scores = learning_curve(
        ei, Y, None, train_sizes=[0.5, 1.0], cv=2, scoring=round_trip_score
    )
    assert scores.shape == (2, 2)
    assert np.isfinite(scores).all()


@pytest.mark.slow
def test_grid_over_a_pipeline_on_two_processes_gives_the_same_bits(ei, ct_problem):
    _, _, Y = ct_problem
    pipeline = make_pipeline(FunctionTransformer(np.negative), ei)
    grid = {"equivariantreconstructor__alpha": [0.0, 1.0, 5.0, 20.0, 100.0]}
    one, two = (
        GridSearchCV(pipeline, grid, cv=2, scoring=held_out_score, n_jobs=n_jobs).fit(
            -Y
        )
        for n_jobs in (1, 2)
    )
    for split in ("split0_test_score", "split1_test_score"):
        np.testing.assert_array_equal(one.cv_results_[split], two.cv_results_[split])
