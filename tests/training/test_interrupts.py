import types

import pytest

from sklearn_ei.training._interrupts import inside_a_search, searching


def called_from(module):
    """Return what a fit finds that code of a module of that name called."""
    space = types.ModuleType(module).__dict__
    space["inside_a_search"] = inside_a_search
    exec("def call():\n    return inside_a_search()", space)
    return space["call"]()


@pytest.mark.parametrize(
    ("module", "searches"),
    [
        ("joblib", True),
        ("joblib.parallel", True),
        ("sklearn.model_selection._search", True),
        ("dask.local", True),
        ("joblib_scripts", False),
        ("distributed_training", False),
        ("dask_image.ndfilters", False),
        ("sklearn.pipeline", False),
    ],
)
def test_searches_are_known_by_their_packages(module, searches):
    """A script of the user's whose name begins like one of them is no search."""
    assert called_from(module) is searches


def test_searches_of_ones_own_are_marked():
    assert not inside_a_search()
    with searching():
        assert inside_a_search()
    assert not inside_a_search()
