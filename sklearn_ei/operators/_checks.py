"""Checks of parameters that several operators have."""

from numbers import Number

import numpy as np

from ..utils.params import brief


def check_operator(operator):
    """Return an operator, after refusing what is none.

    Raises
    ------
    TypeError
        If it is no object with the methods of a ``ForwardOperator``.
    """
    if isinstance(operator, type) or not hasattr(operator, "measurement_layout"):
        raise TypeError(
            f"Got operator={brief(operator)}, but expected a ForwardOperator such as "
            "ParallelBeamCT(n_views=50)."
        )
    return operator


def check_mask(mask, what):
    """Return a mask as a bool array, or say how to make one of what was passed.

    Parameters
    ----------
    mask : array-like
        Of True and False, or 1 and 0.
    what : str
        What is measured where the mask is True, such as "a pixel is kept".

    Raises
    ------
    ValueError
        If it holds anything else, or is nowhere True.
    """
    try:
        values = np.asarray(mask)
    except ValueError:  # rows of different lengths
        values = np.asarray(None)
    expected = f"expected True where {what}"
    if values.dtype.kind not in "biuf" or not values.size:
        raise ValueError(f"Got mask={brief(mask)}, but {expected}.")
    if values.dtype.kind == "f" and np.isnan(values).any():
        raise ValueError(
            f"Got a mask of shape {values.shape} with NaN, but {expected}, such as "
            "np.isfinite(mask) where NaN marks the others."
        )
    if values.dtype.kind != "b" and not np.isin(values, (0, 1)).all():
        raise ValueError(
            f"Got a mask of shape {values.shape} with values from {values.min():g} to "
            f"{values.max():g}, but {expected}, and False elsewhere: "
            f"{_remedy(values)}."
        )
    if not values.any():
        raise ValueError(
            f"Got a mask of shape {values.shape} that is False everywhere, but "
            f"{expected}, at least once."
        )
    return values.astype(bool)


def _remedy(values):
    """Return how such values become a mask."""
    whole = (values == np.round(values)).all()
    if whole and values.min() >= 0 and len(np.unique(values)) == values.size > 2:
        return "if these are indices, pass np.isin(np.arange(n), mask)"
    return "pass mask > 0 if that is what is meant, or compare with a threshold"


def refuse_other_than_number(name, value, instead):
    """Say which parameter was meant, where an array comes in the place of a number.

    Parameters
    ----------
    name : str
        The parameter that got it, the first one.
    value : object
    instead : str
        What to pass instead, such as ``"mask=…"``.

    Raises
    ------
    TypeError
        If ``value`` is a sequence or an array.
    """
    if isinstance(value, Number | str) or not hasattr(value, "__len__"):
        return
    shape = value.shape if hasattr(value, "shape") else (len(value),)
    raise TypeError(
        f"Got {name} of type {type(value).__name__} and shape {tuple(shape)}, but "
        f"expected a number; pass {instead}."
    )
