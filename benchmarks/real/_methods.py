"""Who is compared. What the installed library does not have is left out, and said."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from sklearn.base import clone

from sklearn_ei import (
    EquivariantReconstructor,
    PseudoInverseReconstructor,
    TikhonovReconstructor,
    TotalVariationReconstructor,
    losses,
)

#: λ in half decades, among which the reference chooses: nobody has that in practice.
GRID = tuple(float(f"{x:.3g}") for x in 10 ** -np.arange(1, 5.25, 0.5))


class Missing(Exception):
    """A method that the installed library or the instrument does not have."""


@dataclass(frozen=True)
class Method:
    """One row of the tables.

    Attributes
    ----------
    title : str
    make : callable
        ``make(operator, seed)`` returns an estimator, or raises :class:`Missing`.
    has_seed : bool
        Whether a seed matters.
    grid : tuple of float
        ``regularization``, of which the best is taken by the reference.
    supervised : bool
        Whether it is given the ground truth of the training samples.
    """

    title: str
    make: Callable
    has_seed: bool = False
    grid: tuple = ()
    supervised: bool = False


def _hann(operator, _):
    if "filter" not in operator.get_params(deep=False):
        raise Missing(f"{type(operator).__name__} has no filter")
    return PseudoInverseReconstructor(clone(operator).set_params(filter="hann"))


def _equivariant(operator, seed, **parameters):
    default = inspect.signature(EquivariantReconstructor).parameters["group"].default
    if default is None:
        raise Missing("EquivariantReconstructor does not choose a group by itself")
    return EquivariantReconstructor(operator, random_state=seed, **parameters)


def _without_noise(operator, seed):
    return _equivariant(operator, seed, noise=None)


def _splitting(operator, seed):
    if not hasattr(losses, "Splitting"):
        raise Missing("sklearn_ei.losses has no term that splits measurements")
    return _equivariant(operator, seed, data_term=losses.Splitting())


def _without_seed(Estimator):
    return lambda operator, _: Estimator(operator)


METHODS = {
    "fbp": Method("A†y", _without_seed(PseudoInverseReconstructor)),
    "fbp-hann": Method("A†y, Hann filter", _hann),
    "tikhonov": Method("Tikhonov", _without_seed(TikhonovReconstructor)),
    "tikhonov-best": Method(
        "Tikhonov, best λ", _without_seed(TikhonovReconstructor), grid=GRID
    ),
    "tv": Method("total variation", _without_seed(TotalVariationReconstructor)),
    "tv-best": Method(
        "total variation, best λ", _without_seed(TotalVariationReconstructor), grid=GRID
    ),
    "ei": Method("EI, nothing set", _equivariant, has_seed=True),
    "ei-no-noise": Method("EI, noise=None", _without_noise, has_seed=True),
    "ei-splitting": Method("EI, splitting", _splitting, has_seed=True),
}
