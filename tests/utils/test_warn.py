"""Warnings point at the line of whoever called the package."""

import inspect
import re
from pathlib import Path

import numpy as np
import pytest
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline

import sklearn_ei
from sklearn_ei import EquivariantReconstructor, GroupRankWarning
from sklearn_ei.groups import Reflections
from sklearn_ei.networks import UNet
from sklearn_ei.operators import Inpainting
from sklearn_ei.preprocessing import transmission_to_attenuation

FEW = Inpainting(0.7, (16, 16))  # too few pixels for one reflection
Y = FEW.measure(np.random.default_rng(0).random((4, 16, 16)))


def fit_alone(estimator):
    return estimator.fit(Y)


def fit_in_a_pipeline(estimator):
    return make_pipeline("passthrough", estimator).fit(Y)


def fit_in_a_search(estimator):
    return cross_val_score(estimator, Y, cv=2)


@pytest.mark.parametrize("fit", [fit_alone, fit_in_a_pipeline, fit_in_a_search])
def test_it_is_the_users_line_however_deep_the_fit(fit):
    tiny = {"network": UNet(width=2, depth=2), "max_epochs": 1, "noise": None}
    estimator = EquivariantReconstructor(FEW, Reflections(), **tiny)
    with pytest.warns(GroupRankWarning) as caught:
        fit(estimator)
    line = inspect.getsourcelines(fit)[1] + 1
    assert {(found.filename, found.lineno) for found in caught} == {(__file__, line)}


def test_it_is_the_users_line_for_a_function():
    with pytest.warns(RuntimeWarning) as caught:
        transmission_to_attenuation(np.full((1, 2, 2), -1.0))
    assert [found.filename for found in caught] == [__file__]


def test_nothing_in_the_package_counts_levels():
    root = Path(inspect.getfile(sklearn_ei)).parent
    counting = [
        str(path)
        for path in root.rglob("*.py")
        if re.search(r"warnings\.warn\(|stacklevel", path.read_text("utf-8"))
    ]
    assert counting == [str(root / "utils" / "warn.py")]
