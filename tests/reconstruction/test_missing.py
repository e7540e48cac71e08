"""Measurements with holes: NaN is "not measured", sample by sample."""

import warnings

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from sklearn.utils import get_tags

from sklearn_ei import (
    DeepImagePriorReconstructor,
    EquivariantReconstructor,
    EquivariantReconstructorCV,
    GroupRankWarning,
    PseudoInverseReconstructor,
    TikhonovReconstructor,
    TotalVariationReconstructor,
    load,
    save,
)
from sklearn_ei.datasets import make_thorax_phantoms
from sklearn_ei.groups import Rotations, Shifts
from sklearn_ei.losses import EquivarianceTerm, Splitting
from sklearn_ei.metrics import psnr
from sklearn_ei.model_selection import (
    held_out_score,
    neg_measurement_error_score,
    round_trip_score,
)
from sklearn_ei.networks import UNet, Unrolled
from sklearn_ei.noise import GaussianNoise
from sklearn_ei.operators import (
    MRI,
    FanBeamCT,
    Inpainting,
    MatrixOperator,
    ParallelBeamCT,
    RestrictedOperator,
    check_consistency,
)
from sklearn_ei.preprocessing import MeasurementScaler

SHAPE = (16, 16)
IMAGES = make_thorax_phantoms(5, SHAPE, random_state=0)
RNG = np.random.default_rng(0)
SCANNER = ParallelBeamCT(12, SHAPE)
WHOLE = SCANNER.measure(IMAGES)
HOLED = np.where(RNG.random(WHOLE.shape) < 0.1, np.nan, WHOLE)
HOLED[1, 3] = np.nan  # a view
SMALL = {
    "network": Unrolled(UNet(width=4, depth=2), n_stages=2, n_consistency=2),
    "max_epochs": 2,
    "lr": 1e-3,
    "precision": "float32",
    "device": "cpu",
    "random_state": 0,
}


def make(operator=SCANNER, group=None, **parameters):
    group = group or Rotations(360)
    return EquivariantReconstructor(operator, group, **{**SMALL, **parameters})


def weights(ei):
    return torch.cat([w.flatten() for w in ei.function_.state_dict().values()])


CLASSICAL = {
    "pinv": PseudoInverseReconstructor,
    "tikhonov": lambda operator, **kw: TikhonovReconstructor(
        operator, regularization=1e-3, **kw
    ),
    "tikhonov auto": TikhonovReconstructor,
    "tv": TotalVariationReconstructor,
}
LEARNED = {
    "ei": make,
    "dip": lambda operator, **kw: DeepImagePriorReconstructor(
        operator, width=4, depth=2, n_iterations=10, random_state=0, **kw
    ),
    "cv": lambda operator, **kw: EquivariantReconstructorCV(
        operator, Rotations(360), [0.1, 1.0, 10.0], **{**SMALL, "noise": None, **kw}
    ),
}
each_estimator = pytest.mark.parametrize("name", [*CLASSICAL, *LEARNED])


def estimator(name, operator=SCANNER, **parameters):
    return {**CLASSICAL, **LEARNED}[name](operator, **parameters)


# ------------------------------------------------------------------- the same bits
@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"noise": GaussianNoise(0.02)},
        {"data_term": "unsure"},
        {"data_term": "supervised"},
        {"equivariance_term": EquivarianceTerm(2, masks="own")},
        {"equivariance_term": EquivarianceTerm(2, masks="any")},
    ],
    ids=str,
)
def test_one_mask_for_all_is_the_operator_with_that_mask(parameters):
    """Bit by bit, with the group: among equal masks none is drawn."""
    mask = np.random.default_rng(2).random(SHAPE) > 0.3
    with_mask = Inpainting(mask=mask)
    Y = with_mask.measure(IMAGES)
    whole = Inpainting(0.0, SHAPE)
    holed = np.where(mask, IMAGES, np.nan)
    parameters = {**parameters, "alpha": 1.0}
    one = make(with_mask, Shifts(), **parameters).fit(Y, IMAGES)
    other = make(whole, Shifts(), **parameters).fit(holed, IMAGES)
    assert torch.equal(weights(one), weights(other))
    assert one.scale_ == other.scale_
    np.testing.assert_array_equal(one.predict(Y), other.predict(holed))
    assert one.history_[:, "train_loss"] == other.history_[:, "train_loss"]


def test_alpha_follows_from_what_is_measured():
    mask = np.random.default_rng(2).random(SHAPE) > 0.3
    one = make(Inpainting(mask=mask), Shifts()).fit(mask * IMAGES)
    holed = np.where(mask, IMAGES, np.nan)
    other = make(Inpainting(0.0, SHAPE), Shifts()).fit(holed)
    assert other.alpha_ == pytest.approx(one.alpha_)


def test_what_the_operator_never_measures_may_be_nan():
    operator = Inpainting(0.4, SHAPE)
    Y = operator.measure(IMAGES)
    lost = np.where(operator.measured_entries(), Y, np.nan)
    one, other = (make(operator, Shifts()).fit(y) for y in (Y, lost))
    assert torch.equal(weights(one), weights(other))
    np.testing.assert_array_equal(one.predict(Y), other.predict(lost))


# ---------------------------------------------------------------- each on its own
@each_estimator
@pytest.mark.filterwarnings("ignore:.*alpha_=.* is at the edge:UserWarning")
def test_predictions_of_a_stack_are_those_of_its_samples(name):
    fitted = estimator(name).fit(HOLED)
    if name == "dip":
        assert np.isfinite(fitted.images_).all()
        return
    images = fitted.predict(HOLED)
    assert np.isfinite(images).all()
    for y, image in zip(HOLED, images, strict=True):
        # Iterations end when the slowest sample of a batch is done.
        rtol = {"tv": 5e-2, "tikhonov auto": 2e-2}.get(name, 2e-3)
        alone = fitted.predict(y[None])[0]
        assert np.linalg.norm(alone - image) < rtol * np.linalg.norm(image)
    whole = fitted.predict(WHOLE)
    assert not np.allclose(whole, images)


@pytest.mark.parametrize("name", CLASSICAL)
def test_classical_images_are_those_of_the_part_of_the_operator(name):
    y = HOLED[:1]
    tensor = torch.from_numpy(y[:, None]).float()
    fitted = estimator(name).fit(HOLED)
    part = RestrictedOperator(SCANNER.resolve(), ~tensor[0, 0].isnan())
    expected = fitted._reconstruct(part.only_measured(tensor), part)
    np.testing.assert_allclose(fitted.predict(y), expected[:, 0].numpy(), atol=1e-6)


def test_tikhonov_with_holes_is_dense_least_squares():
    matrix = RNG.normal(size=(10, 6))
    operator = MatrixOperator(matrix)
    Y = operator.measure(RNG.normal(size=(3, 6)))
    holed = np.where(RNG.random(Y.shape) < 0.3, np.nan, Y)
    ridge = TikhonovReconstructor(operator, regularization=0.1, tol=1e-7).fit(holed)
    for y, image in zip(holed, ridge.predict(holed), strict=True):
        rows = ~np.isnan(y)
        A, weight = matrix[rows], 0.1 * ridge.operator_norm_**2
        expected = np.linalg.solve(A.T @ A + weight * np.eye(6), A.T @ y[rows])
        np.testing.assert_allclose(image, expected, rtol=1e-3, atol=1e-4)


# --------------------------------------------------------------------- A† of a part
@pytest.mark.parametrize("n_refinements", [0, 3])
@pytest.mark.parametrize(
    ("kind", "n_views", "turn"), [(ParallelBeamCT, 40, 180), (FanBeamCT, 60, 360)]
)
def test_lost_views_are_within_half_a_decibel_of_the_scan_without_them(
    kind, n_views, turn, n_refinements
):
    shape = (48, 48)
    images = make_thorax_phantoms(2, shape, random_state=1)
    angles = np.arange(n_views) * turn / n_views
    parameters = {"image_shape": shape, "n_refinements": n_refinements}
    if kind is FanBeamCT:
        parameters |= {"source_distance": 120.0, "detector_distance": 60.0}
    Y = kind(angles=angles, **parameters).measure(images)
    for n_lost in (4, 12, n_views // 2):
        lost = np.random.default_rng(n_lost).permutation(n_views)[:n_lost]
        holed = Y.copy()
        holed[:, lost] = np.nan
        pinv = PseudoInverseReconstructor(kind(angles=angles, **parameters)).fit(holed)
        kept = np.setdiff1d(np.arange(n_views), lost)
        without = kind(angles=angles[kept], **parameters)
        ours = psnr(images, pinv.predict(holed))
        theirs = psnr(images, without.reconstruct(Y[:, kept]))
        assert ours > theirs - 0.5
        if n_refinements == 0:
            assert ours == pytest.approx(theirs, abs=1e-3)


def test_lost_lines_are_those_of_the_operator_without_them():
    images = RNG.normal(size=(3, 12, 20, 2))
    whole = MRI(mask=np.ones(20, dtype=bool), image_shape=(12, 20))
    masks = RNG.random((3, 20)) > 0.5
    holed = np.where(masks[:, None, :, None], whole.measure(images), np.nan)
    pinv = PseudoInverseReconstructor(whole).fit(holed)
    for sample, mask, image in zip(holed, masks, pinv.predict(holed), strict=True):
        part = MRI(mask=mask, image_shape=(12, 20))
        expected = part.reconstruct(np.nan_to_num(sample)[None])[0]
        np.testing.assert_allclose(image, expected, atol=1e-6)


def test_dead_bins_cost_little():
    shape = (48, 48)
    images = make_thorax_phantoms(2, shape, random_state=1)
    operator = ParallelBeamCT(40, shape)
    Y = operator.measure(images)
    holed = Y.copy()
    holed[:, :, [20, 31, 47]] = np.nan  # bins that never work
    repaired = PseudoInverseReconstructor(operator).fit(holed).predict(holed)
    zeros = operator.reconstruct(np.nan_to_num(holed))
    whole = psnr(images, operator.reconstruct(Y))
    assert psnr(images, repaired) > whole - 2.5
    assert psnr(images, zeros) < whole - 5


# ------------------------------------------------------------------ scores and data
def test_scores_look_at_what_was_measured_alone():
    ei = make().fit(HOLED)
    images = ei.predict(HOLED)
    seen = ~np.isnan(HOLED)
    error = (SCANNER.measure(images) - HOLED)[seen]
    expected = -np.square(error).sum() / np.square(HOLED[seen]).sum()
    found = neg_measurement_error_score(ei, HOLED)
    assert found == pytest.approx(expected, rel=1e-4)
    for score in (round_trip_score, held_out_score):
        assert -5 < score(ei, HOLED) < 0
    assert ei.score(HOLED) == round_trip_score(ei, HOLED)
    assert ei.score(HOLED, IMAGES) == pytest.approx(psnr(IMAGES, images))
    _, std = ei.predict(HOLED, return_std=True, n_bootstrap=2)
    assert np.isfinite(std).all()
    fraction = ei.null_space_fraction(HOLED)
    assert 0 <= fraction.min() <= fraction.max() <= 1


def test_more_holes_leave_more_to_be_learned():
    ei = make(Inpainting(0.0, SHAPE), Shifts()).fit(
        np.where(RNG.random(IMAGES.shape) < 0.3, np.nan, IMAGES)
    )
    few, many = (
        np.where(np.random.default_rng(1).random(IMAGES.shape) < p, np.nan, IMAGES)
        for p in (0.2, 0.6)
    )
    assert ei.null_space_fraction(few).mean() < ei.null_space_fraction(many).mean()


def test_lazy_stacks_masked_arrays_and_pipelines():
    class Stack(torch.utils.data.Dataset):
        def __len__(self):
            return len(HOLED)

        def __getitem__(self, index):
            return HOLED[index].astype(np.float32)

    ei = make().fit(HOLED)
    lazy = make().fit(Stack())
    assert torch.equal(weights(ei), weights(lazy))
    np.testing.assert_array_equal(lazy.predict(Stack()), ei.predict(HOLED))
    masked = np.ma.masked_array(WHOLE, np.isnan(HOLED))
    assert torch.equal(weights(make().fit(masked)), weights(ei))
    np.testing.assert_array_equal(ei.predict(masked), ei.predict(HOLED))
    np.testing.assert_array_equal(ei.predict(list(masked)), ei.predict(HOLED))
    pipe = make_pipeline(MeasurementScaler(), make())
    assert np.isfinite(pipe.fit(HOLED).predict(HOLED)).all()


def test_checkpoints_and_files_know_of_holes(tmp_path):
    path = tmp_path / "fit.checkpoint"
    parameters = {"lr_schedule": "constant"}
    make(checkpoint=path, max_epochs=1, **parameters).fit(HOLED)
    resumed = make(checkpoint=path, **parameters).fit(HOLED)
    whole = make(**parameters).fit(HOLED)
    assert torch.equal(weights(resumed), weights(whole))
    moved = HOLED.copy()
    moved[0, 0, 7] = WHOLE[0, 0, 7] if np.isnan(HOLED[0, 0, 7]) else np.nan
    with pytest.raises(ValueError, match="Y"):
        make(checkpoint=path, max_epochs=3, **parameters).fit(moved)
    ei = make(data_term=Splitting(n_splits=2)).fit(HOLED)
    same = load(save(ei, tmp_path / "ei.safetensors"))
    np.testing.assert_array_equal(same.predict(HOLED), ei.predict(HOLED))
    assert same.data_term_.n_splits == 2


def test_partial_fit_takes_other_holes():
    ei = make().partial_fit(WHOLE)
    ei.partial_fit(HOLED)
    assert bool(weights(ei).isfinite().all())
    assert np.isfinite(ei.history_[-1]["train_loss"])


def test_noise_is_estimated_from_what_is_there():
    operator = ParallelBeamCT(40, (32, 32))
    images = make_thorax_phantoms(4, (32, 32), random_state=0)
    Y = GaussianNoise(0.3).add(operator.measure(images), random_state=0)
    holed = np.where(np.random.default_rng(0).random(Y.shape) < 0.05, np.nan, Y)
    holed[:, ::7] = np.nan
    ei = make(operator, noise=GaussianNoise(), max_epochs=1).fit(holed)
    assert ei.noise_.sigma == pytest.approx(0.3, rel=0.15)


def test_the_operator_is_checked_with_holes():
    operator = ParallelBeamCT(30, (32, 32))
    images = make_thorax_phantoms(3, (32, 32), random_state=0)
    Y = operator.measure(images)
    holed = np.where(np.random.default_rng(0).random(Y.shape) < 0.1, np.nan, Y)
    assert check_consistency(operator, holed).is_consistent
    aside = ParallelBeamCT(30, (32, 32), detector_offset=3.0).measure(images)
    report = check_consistency(operator, np.where(np.isnan(holed), np.nan, aside))
    assert not report.is_consistent
    assert "detector_offset" in report.causes[0]


def test_holes_of_samples_are_several_operators():
    """The cheap rank check would say that every pixel is measured."""
    holed = np.where(RNG.random(IMAGES.shape) < 0.3, np.nan, IMAGES)
    with warnings.catch_warnings():
        warnings.simplefilter("error", GroupRankWarning)
        make(Inpainting(0.0, SHAPE), Shifts()).fit(holed)


# ---------------------------------------------------------------------- refusals
@each_estimator
def test_nan_is_refused_where_nothing_may_be_missing(name):
    strict = estimator(name, allow_missing=False)
    assert not get_tags(strict).input_tags.allow_nan
    assert get_tags(estimator(name)).input_tags.allow_nan
    with pytest.raises(ValueError, match="contains NaN in sample 0"):
        strict.fit(HOLED)
    masked = np.ma.masked_array(WHOLE, np.isnan(HOLED))
    with pytest.raises(ValueError, match="masked"):
        strict.fit(masked)


@each_estimator
def test_a_sample_without_measurements_and_infinity_are_refused(name):
    blank = HOLED.copy()
    blank[2] = np.nan
    with pytest.raises(ValueError, match="nothing but NaN in sample 2"):
        estimator(name).fit(blank)
    infinite = HOLED.copy()
    infinite[3, 0, 0] = np.inf
    with pytest.raises(ValueError, match=r"infinity \(inf\) in sample 3"):
        estimator(name).fit(infinite)


def test_bad_masks_are_refused():
    with pytest.raises(ValueError, match="masks"):
        make(equivariance_term=EquivarianceTerm(masks="all")).fit(HOLED)
    ei = clone(make(early_stopping=0.5))
    assert np.isfinite(ei.fit(HOLED).best_validation_score_)
