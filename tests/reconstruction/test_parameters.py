"""The table of parameters that all estimators of equivariant imaging share."""

import inspect

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.utils._param_validation import make_constraint

from sklearn_ei import EquivariantReconstructor, EquivariantReconstructorCV
from sklearn_ei.groups import Rotations
from sklearn_ei.losses import EquivarianceTerm, MeasurementConsistency, SupervisedError
from sklearn_ei.networks import UNet, Unrolled
from sklearn_ei.operators import ParallelBeamCT
from sklearn_ei.reconstruction._parameters import CONSTRAINTS

ESTIMATORS = [EquivariantReconstructor, EquivariantReconstructorCV]
OF_THE_PATH = {"alphas", "cv", "scoring"}
# What a path over α sets by itself.
OF_ONE_FIT = {"alpha", "warm_start", "checkpoint", "early_stopping"}
OF_ONE_FIT |= {"n_iter_no_change"}


def parameters_of(kind):
    return inspect.signature(kind).parameters


@pytest.mark.parametrize("kind", ESTIMATORS)
def test_every_parameter_is_declared_and_its_default_within(kind):
    assert kind._parameter_constraints.keys() == parameters_of(kind).keys()
    for name, parameter in parameters_of(kind).items():
        if parameter.default is not parameter.empty:
            constraints = map(make_constraint, kind._parameter_constraints[name])
            assert any(c.is_satisfied_by(parameter.default) for c in constraints), name


def test_there_are_few_enough_to_remember():
    assert len(parameters_of(EquivariantReconstructor)) <= 24


def test_both_estimators_share_one_table():
    one, path = ESTIMATORS
    assert one._parameter_constraints is CONSTRAINTS
    assert set(parameters_of(one)) - set(parameters_of(path)) == OF_ONE_FIT
    assert set(parameters_of(path)) - set(parameters_of(one)) == OF_THE_PATH
    for name in set(parameters_of(path)) - OF_THE_PATH:
        assert path._parameter_constraints[name] is CONSTRAINTS[name]
        assert parameters_of(path)[name].default == parameters_of(one)[name].default


@pytest.mark.parametrize("name", sorted(set(CONSTRAINTS) - {"device"}))
@pytest.mark.parametrize("kind", ESTIMATORS)
def test_each_is_refused_by_name_before_anything_is_looked_at(kind, name):
    """Whatever the measurements are: they are not touched."""
    if name not in parameters_of(kind):
        return
    estimator = kind(ParallelBeamCT(8), Rotations(360)).set_params(**{name: {1: 2}})
    before = dict(vars(estimator))
    message = f"The '{name}' parameter of {kind.__name__} must be .* Got {{1: 2}} inst"
    for error in (TypeError, ValueError):  # of a kind or out of range: it is both
        with pytest.raises(error, match=message):
            estimator.fit(None)
    assert vars(estimator) == before


def test_parameters_of_parameters_are_searched(ct_problem):
    operator, _, Y = ct_problem
    ei = EquivariantReconstructor(
        operator,
        Rotations(360),
        data_term=MeasurementConsistency(),
        equivariance_term=EquivarianceTerm(),
        network=Unrolled(UNet(width=2, depth=2), n_stages=1),
        max_epochs=1,
        random_state=0,
    )
    grid = {
        "network__network__width": [2, 3],
        "network__n_stages": [2],
        "data_term__distance": ["l1"],
        "equivariance_term__n_transforms": [2],
        "operator__filter": ["hann"],
    }
    search = GridSearchCV(ei, grid, cv=2).fit(Y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    best = search.best_estimator_
    width = search.best_params_["network__network__width"]
    assert best.function_.stages[0].down[0][0][0].out_channels == width
    assert len(best.function_.stages) == 2
    assert (best.data_term.distance, best.equivariance_term.n_transforms) == ("l1", 2)
    assert best.operator_.filter == "hann"
    # What was passed is as it was.
    assert ei.network.network.width == 2
    assert ei.data_term.distance == "l2"


def test_fit_leaves_the_objects_passed_as_they_were(ct_problem):
    operator, images, Y = ct_problem
    parts = {
        "data_term": SupervisedError("l1"),
        "equivariance_term": EquivarianceTerm(2),
        "network": Unrolled(UNet(2, 2), n_stages=1),
    }
    ei = EquivariantReconstructor(operator, Rotations(360), max_epochs=1, **parts)
    before = {name: dict(vars(part)) for name, part in parts.items()}
    truth = images.copy()
    truth[1] = np.nan
    ei.fit(Y, truth)
    for name, part in parts.items():
        assert getattr(ei, name) is part
        assert vars(part) == before[name]
        assert repr(clone(part)) == repr(part)


@pytest.mark.parametrize("kind", ESTIMATORS)
def test_an_array_in_the_place_of_a_number_is_refused_in_one_line(kind, ct_problem):
    operator, _, Y = ct_problem
    estimator = kind(operator, Rotations(360), lr=np.eye(3))
    with pytest.raises(ValueError, match="'lr' parameter") as refusal:
        estimator.fit(Y)
    assert "\n" not in str(refusal.value)
