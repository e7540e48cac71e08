"""What a file may name: the public classes and functions of this package."""

import importlib
from functools import cache

from sklearn.base import BaseEstimator

# Rooms whose public names files may contain. Nothing is ever imported by a name
# that stands in a file.
ROOMS = ("groups", "losses", "networks", "noise", "operators", "reconstruction")
# Holds arbitrary Python objects, which no file should; Encoder refuses it.
_NEVER = {"ODLOperator"}


@cache
def known_objects():
    """Return the classes that are rebuilt from parameters, by public name."""
    return {
        name: value
        for name, value in _public().items()
        if isinstance(value, type) and issubclass(value, BaseEstimator)
    }


@cache
def known_references():
    """Return what may be named without being called, by public name."""
    public = {name: value for name, value in _public().items() if callable(value)}
    return {**public, "print": print}  # the sink of skorch's callbacks


def _public():
    return {
        name: getattr(room, name)
        for room in (importlib.import_module(f"..{r}", __package__) for r in ROOMS)
        for name in room.__all__
        if name not in _NEVER
    }
