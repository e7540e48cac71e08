"""EquivariantReconstructorCV."""

import pickle
import re
import warnings

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import GroupKFold

from sklearn_ei import EquivariantReconstructor, EquivariantReconstructorCV
from sklearn_ei.groups import Rotations, Shifts
from sklearn_ei.losses import SupervisedError
from sklearn_ei.model_selection import held_out_score, psnr_score
from sklearn_ei.networks import UNet, Unrolled
from sklearn_ei.operators import Inpainting

TINY = {"max_epochs": 4, "network": Unrolled(UNet(width=2, depth=2), n_stages=1)}
TINY |= {"random_state": 0, "noise": None}  # such small sinograms do not tell
AT_THE_EDGE = ".* (is at the edge of the values tried|cannot be told from)"


@pytest.fixture
def make(ct_problem):
    def make_cv(alphas=(1.0, 20.0), **parameters):
        return EquivariantReconstructorCV(
            ct_problem[0], Rotations(360), alphas, **{**TINY, **parameters}
        )

    return make_cv


@pytest.mark.filterwarnings(f"ignore:{AT_THE_EDGE}:UserWarning")
def test_the_result_is_the_network_with_the_best_score(make, ct_problem):
    _, images, Y = ct_problem
    cv = make([20.0, 1.0, 5.0]).fit(Y)
    np.testing.assert_array_equal(cv.alphas_, [1.0, 5.0, 20.0])
    assert cv.scores_.shape == (3, 1)
    assert cv.alpha_ == cv.alphas_[np.argmax(cv.scores_[:, 0])]
    assert cv.best_score_ == cv.scores_.max()
    single = cv.best_estimator_
    assert isinstance(single, EquivariantReconstructor)
    assert single.get_params()["max_epochs"] == 4
    assert not single.warm_start
    assert (single.alpha, single.alpha_) == (cv.alpha_, cv.alpha_)
    np.testing.assert_array_equal(cv.predict(Y), single.predict(Y))
    assert cv.score(Y, images) == single.score(Y, images)
    assert cv.score(Y) == single.score(Y)
    assert held_out_score(cv, Y) == held_out_score(single, Y)
    np.testing.assert_array_equal(
        cv.predict(Y), make([20.0, 1.0, 5.0]).fit(Y).predict(Y)
    )
    assert cv.n_iter_ == 4
    assert cv.operator_.image_shape == (24, 24)
    assert cv.cv_results_["rank_test_score"].min() == 1
    _, std = cv.predict(Y, return_std=True, n_bootstrap=2)
    assert std.shape == images.shape


def test_the_result_is_that_of_a_single_fit(make, ct_problem):
    """The path only chooses α: bit by bit."""
    operator, _, Y = ct_problem
    cv = make([5.0, 20.0]).fit(Y)
    single = EquivariantReconstructor(operator, Rotations(360), cv.alpha_, **TINY)
    np.testing.assert_array_equal(cv.predict(Y), single.fit(Y).predict(Y))


@pytest.mark.filterwarnings("ignore:.*cannot be told from:UserWarning")
def test_a_scorer_decides(make, ct_problem):
    """Each α is scored on samples left out, by what the user asks for."""
    _, images, Y = ct_problem
    seen = []

    def favourite(estimator, Y, y=None):
        seen.append((estimator.alpha_, len(Y), estimator.n_iter_))
        return -abs(estimator.alpha_ - 5)

    cv = make([0.0, 5.0, 20.0], scoring=favourite).fit(Y)
    assert cv.alpha_ == 5
    assert seen == [(alpha, 1, 3) for alpha in (0.0, 5.0, 20.0)]
    with_truth = make(scoring=psnr_score, cv=2).fit(Y, images)
    assert with_truth.scores_.shape == (2, 2)
    assert (with_truth.scores_ > 0).all()
    np.testing.assert_allclose(
        with_truth.cv_results_["mean_test_score"], with_truth.scores_.mean(axis=1)
    )


@pytest.mark.parametrize(
    ("alphas", "best", "message"),
    [
        ([1.0, 5.0, 20.0], 5.0, None),
        ([1.0, 5.0, 20.0], 20.0, "alpha_=20 is at the edge .* that go beyond it"),
        ([1.0, 5.0, 20.0], 1.0, "alpha_=1 is at the edge .* that go below it"),
        ([0.0, 5.0, 20.0], 0.0, None),  # nothing is below
        ([1.0, 20.0], 20.0, None),  # two have no inside
        ([1.0, 5.0, 20.0], None, r"alpha_=1 scores as others .* tell them apart"),
    ],
)
def test_a_doubtful_choice_is_said(make, ct_problem, alphas, best, message):
    def favourite(estimator, Y, y=None):
        return -1.0 if best is None else -abs(estimator.alpha_ - best)

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        cv = make(alphas, max_epochs=1, scoring=favourite).fit(ct_problem[2])
    assert cv.alpha_ == (1.0 if best is None else best)
    if message is None:
        assert not caught
        return
    (warning,) = caught
    assert re.search(message, str(warning.message))
    assert warning.filename == __file__


def test_values_that_differ_by_chance_are_said(make, ct_problem):
    Y = np.concatenate([ct_problem[2]] * 5)[:25]  # of which five are left out
    gain = {1.0: 0.0, 20.0: 0.1}

    def scores(scatter):
        def score(estimator, Y, y=None):
            same = float(np.square(Y).mean())  # of all α alike
            chance = scatter * np.sin(1e3 * same * (1 + estimator.alpha_))
            return same + gain[estimator.alpha_] + (chance if len(Y) == 1 else 0)

        return score

    with pytest.warns(UserWarning, match="alpha_=20 cannot be told from 1: "):
        make(max_epochs=1, scoring=scores(10.0)).fit(Y)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        make(max_epochs=1, scoring=scores(0.0)).fit(Y)


@pytest.mark.filterwarnings(f"ignore:{AT_THE_EDGE}:UserWarning")
def test_a_path_costs_less_than_half_of_a_grid(make, ct_problem, monkeypatch):
    """Counted in samples · epochs: at most 2.5 fits for five α."""
    _, _, Y = ct_problem
    Y = np.concatenate([Y, Y])[:10]
    work = []
    fit = EquivariantReconstructor.fit

    def counting(self, Y, y=None):
        work.append(len(Y) * self.max_epochs)
        return fit(self, Y, y)

    monkeypatch.setattr(EquivariantReconstructor, "fit", counting)
    make([1, 2, 3, 4, 5], max_epochs=10).fit(Y)
    assert len(work) == 7
    assert sum(work) <= 2.2 * 10 * len(Y)


@pytest.mark.filterwarnings(f"ignore:{AT_THE_EDGE}:UserWarning")
def test_auto_groups_and_reproducibility(make, ct_problem):
    _, _, Y = ct_problem
    auto = make("auto", max_epochs=1).fit(Y)
    alpha = 1.5 * auto.operator_.mean_squared_row_norm()
    np.testing.assert_allclose(
        auto.alphas_, alpha * np.array([0.01, 0.1, 1, 10, 100]), rtol=1e-6
    )
    patients = [0, 0, 1, 1, 2, 2]
    cv = make(cv=GroupKFold(3), max_epochs=1).fit(Y, groups=patients)
    assert cv.scores_.shape == (2, 3)
    again = clone(cv).fit(Y, groups=patients)
    np.testing.assert_array_equal(cv.scores_, again.scores_)
    restored = pickle.loads(pickle.dumps(cv))
    np.testing.assert_array_equal(restored.predict(Y), cv.predict(Y))


@pytest.mark.parametrize("alphas", [[], [-1.0], [np.inf], [1.0, 1.0], [[1.0]]])
def test_bad_alphas(make, ct_problem, alphas):
    cv = make(alphas)
    with pytest.raises(ValueError, match="expected distinct, finite numbers"):
        cv.fit(ct_problem[2])
    assert not hasattr(cv, "alpha_")


def test_bad_input_is_refused_before_training(make, ct_problem):
    _, _, Y = ct_problem
    with pytest.raises(ValueError, match="expected at least two"):
        make().fit(Y[:1])
    with pytest.raises(ValueError, match=r"'alphas' parameter .* Got 'none'"):
        make("none").fit(Y)
    with pytest.raises(ValueError, match="without a group"):
        make().set_params(group=None).fit(Y)
    with pytest.raises(ValueError, match="width == 0"):
        make(network=UNet(width=0)).fit(Y)


@pytest.mark.parametrize("data_term", ["supervised", SupervisedError("l1")])
def test_ground_truth_as_data_term_is_refused_at_once(data_term):
    ei = EquivariantReconstructorCV(Inpainting(0.3), Shifts(), data_term=data_term)
    with pytest.raises(ValueError, match=r"Got data_term=.*GridSearchCV"):
        ei.fit(np.ones((4, 8, 8)), np.ones((4, 8, 8)))
