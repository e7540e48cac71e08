"""What `noise="auto"` means for a fit."""

import warnings

import torch

from ..noise import (
    GaussianNoise,
    NoiseEstimate,
    NoiseWarning,
    UnknownNoiseError,
    estimate_noise,
)
from ..utils.random import make_generator

# Noise over all of A†y. On CT, 50 views, a Hann window in A† gained 0.8 dB where it
# was 0.5, and nothing where it was 0.03 (benchmarks/noise_auto.py).
_LOUD = 0.1
_SAMPLES = 8


def resolve_noise(noise, data_term, operator, y, *, name, stacklevel=2):
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
    stacklevel : int, default=2
        Of warnings, counted from here.

    Returns
    -------
    noise : NoiseModel or None
        None where ``"auto"`` found no noise, or nothing was told; of level 0 where the
        data term needs a model.

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
        return None if noise is None else noise.resolve(operator, y)
    if data_term.takes_noise == "never":
        return None
    needed = data_term.takes_noise == "needed"
    found = _look(operator, y)
    if found.noise is None:
        if needed:
            raise UnknownNoiseError(
                f"Got noise='auto' with data_term={data_term.name!r}, but expected the "
                f"level of the noise, such as GaussianNoise(0.02): {found.statement}"
            )
        warnings.warn(
            f"{name}(noise='auto'): {found.statement} Pass noise=None if that is "
            "right, the level as GaussianNoise(sigma) if not, or data_term='unsure'.",
            NoiseWarning,
            stacklevel=stacklevel + 1,
        )
        return None
    if found.correlated_axis is not None:
        warnings.warn(
            f"{name}(noise='auto'): {found.statement}",
            NoiseWarning,
            stacklevel=stacklevel + 1,
        )
    if found.level == 0:
        return GaussianNoise(0.0) if needed else None
    if not (data_term.takes_mixtures or found.noise.has_recorrupted_pairs):
        return GaussianNoise(found.level)
    return found.noise


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
    y = y[:_SAMPLES]
    error = operator.pinv(noise.sample(y, make_generator(0)) - y)
    is_loud = float(error.norm()) > _LOUD * float(operator.pinv(y).norm())
    return operator.suited_to_noise() if is_loud else operator


def _look(operator, y):
    """Return the :class:`NoiseEstimate`, also of zeros: there is none in them."""
    try:
        return estimate_noise(operator, y)
    except ValueError:
        return NoiseEstimate(GaussianNoise(0.0), "They are zero throughout.", 0.0)
