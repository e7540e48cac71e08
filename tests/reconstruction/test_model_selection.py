"""The estimator inside scikit-learn, on image-valued data."""

import pickle

import joblib
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.metrics import make_scorer
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_val_predict
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer

from sklearn_ei import EquivariantReconstructor, PseudoInverseReconstructor
from sklearn_ei.groups import Rotations
from sklearn_ei.metrics import psnr
from sklearn_ei.networks import UNet, Unrolled
from sklearn_ei.operators import ParallelBeamCT

TINY = {"max_epochs": 2, "network": Unrolled(UNet(width=2, depth=2), n_stages=1)}
TINY |= {"random_state": 0, "noise": None}


@pytest.fixture
def ei(ct_problem):
    operator, _, _ = ct_problem
    return EquivariantReconstructor(operator, Rotations(360), **TINY)


@pytest.mark.parametrize("with_truth", [False, True])
def test_grid_search_over_alpha_with_and_without_truth(ei, ct_problem, with_truth):
    _, images, Y = ct_problem
    search = GridSearchCV(ei, {"alpha": [0.0, 20.0]}, cv=2)
    search.fit(Y, images if with_truth else None)
    assert search.best_params_["alpha"] in (0.0, 20.0)
    scores = search.cv_results_["mean_test_score"]
    assert np.isfinite(scores).all()
    assert (scores > 0).all() == with_truth  # dB, or minus an error
    assert search.predict(Y).shape == images.shape


def test_grid_search_on_two_processes_gives_the_same_bits(ei, ct_problem):
    _, _, Y = ct_problem
    grid = {"alpha": [0.0, 20.0], "operator__filter": ["ram-lak", "hann"]}
    one = GridSearchCV(ei, grid, cv=2, n_jobs=1).fit(Y)
    two = GridSearchCV(ei, grid, cv=2, n_jobs=2).fit(Y)
    np.testing.assert_array_equal(
        one.cv_results_["mean_test_score"], two.cv_results_["mean_test_score"]
    )
    with joblib.parallel_config("threading"):
        threads = GridSearchCV(ei, grid, cv=2, n_jobs=2).fit(Y)
    np.testing.assert_array_equal(
        one.cv_results_["mean_test_score"], threads.cv_results_["mean_test_score"]
    )


def test_scorers_and_patient_groups(ei, ct_problem):
    _, images, Y = ct_problem
    search = GridSearchCV(
        ei, {"group__n_elements": [8, 360]}, cv=GroupKFold(3), scoring=make_scorer(psnr)
    )
    search.fit(Y, images, groups=[0, 0, 1, 1, 2, 2])
    assert len(search.cv_results_["split2_test_score"]) == 2


def test_cross_val_predict_returns_images(ei, ct_problem):
    _, images, Y = ct_problem
    reconstructed = cross_val_predict(ei, Y, cv=3)
    assert reconstructed.shape == images.shape
    linear = cross_val_predict(PseudoInverseReconstructor(ei.operator), Y, cv=3)
    assert psnr(images, linear) > 10


def test_in_a_pipeline(ei, ct_problem):
    _, images, Y = ct_problem
    counts = 1e4 * np.exp(-0.05 * Y)
    log = FunctionTransformer(lambda counts: -np.log(counts / 1e4) / 0.05)
    last = Pipeline([("log", log), ("ei", ei)]).fit(counts)
    np.testing.assert_allclose(
        last.predict(counts), clone(ei).fit(Y).predict(Y), rtol=0.1, atol=0.01
    )
    assert last.score(counts, images) > 10

    crop = FunctionTransformer(lambda images: images[:, 4:-4, 4:-4])
    first = make_pipeline(clone(ei), crop)
    assert first.fit_transform(Y).shape == (6, 16, 16)


def test_clone_and_pickle(ei, ct_problem):
    _, _, Y = ct_problem
    expected = ei.fit(Y).predict(Y)
    fresh = clone(ei)
    assert not hasattr(fresh, "net_")
    assert fresh.get_params()["operator__n_views"] == 12
    restored = pickle.loads(pickle.dumps(ei))
    np.testing.assert_array_equal(restored.predict(Y), expected)
    assert restored.score(Y) == ei.score(Y)
    # Training goes on from a pickle exactly as from the original.
    for _ in range(2):
        np.testing.assert_array_equal(
            restored.partial_fit(Y).predict(Y), ei.partial_fit(Y).predict(Y)
        )


def test_fixed_size_operators(ct_problem):
    """The checks that scikit-learn's battery cannot run for a fixed data shape."""
    _, images, Y = ct_problem
    fixed = ParallelBeamCT(12, image_shape=(24, 24))
    ei = EquivariantReconstructor(fixed, Rotations(360), **TINY)
    parameters = ei.get_params(deep=False)
    fitted = ei.fit(Y)
    assert fitted is ei
    after = ei.get_params(deep=False)
    assert all(after[name] is value for name, value in parameters.items())
    np.testing.assert_array_equal(
        ei.predict(Y),
        EquivariantReconstructor(fixed, Rotations(360), **TINY).fit(Y).predict(Y),
    )
    Y_before = Y.copy()
    ei.fit(Y).predict(Y)
    ei.score(Y, images)
    np.testing.assert_array_equal(Y, Y_before)
    public = {name for name in vars(ei) if not name.startswith("_")}
    assert {name for name in public if not name.endswith("_")} == set(parameters)
    assert repr(ei.operator) == "ParallelBeamCT(image_shape=(24, 24), n_views=12)"
    with pytest.raises(ValueError, match="expected"):
        ei.fit(Y[:, :-1])
