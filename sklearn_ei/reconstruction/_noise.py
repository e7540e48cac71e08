"""What `noise="auto"` means for a fit."""

import warnings

from ..noise import (
    GaussianNoise,
    NoiseEstimate,
    NoiseWarning,
    UnknownNoiseError,
    estimate_noise,
)


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
    if noise is None:
        return None
    if not isinstance(noise, str):
        return noise.resolve(operator, y)
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
            f"{name}(noise='auto'): {found.statement} Pass noise=None if that is right, "
            "the level as GaussianNoise(sigma) if not, or data_term='unsure'.",
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


def _look(operator, y):
    """Return the :class:`NoiseEstimate`, also of zeros: there is none in them."""
    try:
        return estimate_noise(operator, y)
    except ValueError:
        return NoiseEstimate(GaussianNoise(0.0), "They are zero throughout.", 0.0)
