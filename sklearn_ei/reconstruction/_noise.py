"""What `noise="auto"` means for a fit."""

from dataclasses import replace

import numpy as np
import torch
from sklearn.base import clone

from ..noise import (
    GaussianNoise,
    NoiseEstimate,
    NoiseWarning,
    UnknownNoiseError,
    estimate_noise,
)
from ..operators import part_of
from ..utils.random import make_generator
from ..utils.warn import warn

# Noise over all of A†y. On CT, 50 views, a Hann window in A† was a gain well above it,
# and none well below.
_LOUD = 0.1
_SAMPLES = 8
_LOOKED_AT, _OF_HOLES = 32, 4


def resolve_noise(noise, data_term, operator, y, *, name):
    """Return the noise model of a training, with numbers.

    Parameters
    ----------
    noise : NoiseModel, "auto" or None
        As the user passed it.
    data_term : DataTerm
        Which may need a model, or take none.
    operator : ForwardOperator
        A, resolved.
    y : torch.Tensor or LazyTensor of shape (n_samples, channel, *measurement_shape)
        Measurements. Nothing but A and these counts, so that all seeds have the same.
    name : str
        Of the estimator, for messages.

    Returns
    -------
    noise : NoiseModel or None
        None where ``"auto"`` found no noise, or nothing was told; of level 0 where the
        data term needs a model.
    correlated_axis : int or None
        Of a measurement, along which ``"auto"`` found that neighbours share noise.

    Raises
    ------
    UnknownNoiseError
        If the data term needs a level and the measurements tell none.

    Warns
    -----
    NoiseWarning
        If nothing is told, and what is assumed; or if noise is not independent.
    """
    if not isinstance(noise, str):
        return None if noise is None else _resolve(noise, operator, y), None
    if data_term.takes_noise == "never":
        return None, None
    needed = data_term.takes_noise == "needed"
    found = _look(operator, y)
    if found.noise is None:
        if needed:
            raise UnknownNoiseError(
                f"Got noise='auto' with data_term={data_term.name!r}, but expected the "
                f"level of the noise, such as GaussianNoise(0.02): {found.statement}"
            )
        warn(
            f"{name}(noise='auto'): {found.statement} Pass noise=None if that is "
            "right, the level as GaussianNoise(sigma) if not, or data_term='unsure'.",
            NoiseWarning,
        )
        return None, None
    if found.correlated_axis is not None:
        warn(f"{name}(noise='auto'): {found.statement}", NoiseWarning)
    if found.level == 0:
        return GaussianNoise(0.0) if needed else None, None
    if not (data_term.takes_mixtures or found.noise.has_recorrupted_pairs):
        return GaussianNoise(found.level), found.correlated_axis
    return found.noise, found.correlated_axis


@torch.no_grad()
def quieted(operator, noise, y):
    """Return the operator to train with: suited to noise, where A†y has much of it.

    Parameters
    ----------
    operator : ForwardOperator
        A, resolved.
    noise : NoiseModel or None
        With numbers.
    y : torch.Tensor or LazyTensor of shape (n_samples, channel, *measurement_shape)
        Measurements.

    Returns
    -------
    operator : ForwardOperator
    """
    if noise is None:
        return operator
    A, y = part_of(operator, y[:_SAMPLES])
    error = A.pinv(noise.sample(y, make_generator(0)) - y)
    is_loud = float(error.norm()) > _LOUD * float(A.pinv(y).norm())
    return operator.suited_to_noise() if is_loud else operator


def _resolve(noise, operator, y):
    """Return the noise model with its levels, also where samples have holes.

    Each of a few of them is then judged by the part of A that measured it, and
    variances are averaged.
    """
    few = _with_holes(y)
    if not few:
        return noise.resolve(operator, y)
    return _mean([noise.resolve(*part_of(operator, each)) for each in few])


def _mean(found):
    """Return the model whose variance is the mean of those of several of its kind."""
    levels = np.array([each.levels for each in found])
    sigma, gain = np.sqrt(np.square(levels[:, 0]).mean()), levels[:, 1].mean()
    named, own = {"sigma": float(sigma), "gain": float(gain)}, found[0].get_params()
    return clone(found[0]).set_params(**{k: v for k, v in named.items() if k in own})


def _with_holes(y):
    """Return a few samples if any has NaN, or an empty list.

    Those with the most measurements, which tell most; blank ones tell nothing.
    """
    looked_at = [y[[i]] for i in range(min(_LOOKED_AT, len(y)))]
    n_missing = [int(each.isnan().sum()) for each in looked_at]
    if not any(n_missing):
        return []
    blank = [not each.nan_to_num().any() for each in looked_at]
    best = sorted(range(len(looked_at)), key=lambda i: (blank[i], n_missing[i]))
    return [looked_at[i] for i in best if all(blank) or not blank[i]][:_OF_HOLES]


def _look(operator, y):
    """Return the :class:`NoiseEstimate`, also of zeros: there is none in them."""
    parts = [part_of(operator, each) for each in _with_holes(y)]
    try:
        found = [estimate_noise(*part) for part in parts or [(operator, y)]]
    except ValueError:
        return NoiseEstimate(GaussianNoise(0.0), "They are zero throughout.", 0.0)
    first = found[0]
    if len(found) == 1 or first.noise is None or first.level == 0:
        return first
    # The first, with the most measurements, says of which kind; all say how much.
    same = [each for each in found if type(each.noise) is type(first.noise)]
    level = float(np.sqrt(np.mean([each.level**2 for each in same])))
    return replace(first, noise=_mean([each.noise for each in same]), level=level)
