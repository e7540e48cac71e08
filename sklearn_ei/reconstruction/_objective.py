"""From the parameters of an estimator to the terms of its objective."""

from ..losses import (
    R2R,
    SURE,
    UNSURE,
    MeasurementConsistency,
    SemiSupervisedError,
    SupervisedError,
    check_distance,
)
from ..noise import NoiseModel, PoissonGaussianNoise
from ..utils.params import brief, check_option

DATA_TERMS = ("auto", "measurement_consistency", "sure", "unsure", "r2r")
_NEEDS_NOISE = ("sure", "r2r")


def resolve_data_term(data_term, noise, supervised, data_loss):
    """Return which data term is meant, after refusing what does not fit.

    Parameters
    ----------
    data_term : str
        One of ``DATA_TERMS``.
    noise : NoiseModel or None
        As the user gave it.
    supervised : bool
        Whether ground truth takes the place of every other term.
    data_loss : str or callable
        The distance of measurement consistency and supervised error.

    Returns
    -------
    kind : str
        ``"supervised"``, or one of ``DATA_TERMS`` but ``"auto"``.
    """
    check_option("data_term", data_term, DATA_TERMS)
    check_distance("data_loss", data_loss)
    if noise is not None and not isinstance(noise, NoiseModel):
        raise TypeError(
            f"Got noise={brief(noise)}, but expected a noise model such as "
            "GaussianNoise(0.02), or None."
        )
    if supervised:
        if data_term != "auto":
            raise ValueError(
                f"Got data_term={data_term!r} with supervised=True, but expected "
                "'auto': ground truth takes the place of the data term."
            )
        return "supervised"
    if data_term == "auto":
        data_term = "measurement_consistency" if noise is None else "sure"
    if data_term in _NEEDS_NOISE and noise is None:
        raise ValueError(
            f"Got data_term={data_term!r} without noise, but expected a noise model "
            "such as GaussianNoise(0.02); 'unsure' needs none."
        )
    if data_term == "unsure" and noise is not None:
        raise ValueError(
            f"Got noise={brief(noise)} with data_term='unsure', but expected "
            "noise=None: that term is for Gaussian noise whose level is not known."
        )
    if data_term == "r2r" and isinstance(noise, PoissonGaussianNoise):
        raise ValueError(
            f"Got noise={brief(noise)} with data_term='r2r', but expected "
            "GaussianNoise or PoissonNoise: the mixture has no independent parts."
        )
    if data_term != "measurement_consistency" and data_loss != "l2":
        raise ValueError(
            f"Got data_loss={brief(data_loss)} with data_term={data_term!r}, but "
            "expected 'l2', for which alone that term is an unbiased estimate."
        )
    return data_term


def make_data_term(kind, operator, noise, data_loss, *, partial_truth, seed):
    """Return the data term.

    Parameters
    ----------
    kind : str
        From :func:`resolve_data_term`.
    operator : ForwardOperator
        A, resolved.
    noise : NoiseModel or None
        Resolved, in the units of the training.
    data_loss : str or callable
        The distance.
    partial_truth : bool
        Whether some samples have no ground truth.
    seed : int
        Of the term's own randomness.

    Returns
    -------
    data_term : DataTerm
    """
    distance = check_distance("data_loss", data_loss)
    if kind == "supervised" and partial_truth:
        weight = 1 / operator.mean_squared_row_norm()
        return SemiSupervisedError(operator, weight, distance)
    if kind == "supervised":
        return SupervisedError(distance)
    if kind == "sure":
        return SURE(operator, noise, seed)
    if kind == "unsure":
        return UNSURE(operator, seed)
    if kind == "r2r":
        return R2R(operator, noise, seed)
    return MeasurementConsistency(operator, distance)
