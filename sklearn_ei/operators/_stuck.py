"""Stuck bins and lost views of tomography, before anything is concluded from them."""

import numpy as np
import torch

from ..utils.stack import is_lazy
from ..utils.stack_check import filled
from ..utils.stuck import find_stuck


def without_stuck(operator, y, Y):
    """Return measurements with NaN for what is stuck, and what that is.

    Parameters
    ----------
    operator : ForwardOperator
        Of tomography, if anything is to be found: ``loses`` is ``"views"``, and these
        are the first axis of a measurement, bins the last.
    y : torch.Tensor of shape (batch, channel, *measurement_shape)
        Some measurements.
    Y : array-like
        All of them, as the user passed them: what is in memory is looked at as a
        whole, as a pixel of an area detector is a bin of one sample only.

    Returns
    -------
    y : torch.Tensor
    stuck : Stuck or None
        None if nothing is.
    """
    views_first = getattr(operator, "natural_axis", None) == 0
    if getattr(operator, "loses", None) != "views" or not views_first or y.ndim < 4:
        return y, None
    axis_bin = _axis_bin(operator, y.shape[-1])
    by_bins = y.movedim(2, -2)  # (batch, channel, rows of an area, views, bins)
    sinograms = by_bins.reshape(-1, *by_bins.shape[-2:]).numpy(force=True)
    found = find_stuck(sinograms, axis_bin, total_is_shared=y.ndim == 4)
    if found:
        mask = torch.from_numpy(found.mask).to(y.device).reshape(by_bins.shape)
        y = y.masked_fill(mask.movedim(-2, 2), torch.nan)
    found.numbered = False
    in_memory = isinstance(Y, np.ndarray | list | tuple) and not is_lazy(Y)
    if in_memory and y.ndim == 4 and y.shape[1] == 1:
        whole = np.asarray(filled(Y))
        if whole.ndim == 3:
            found = find_stuck(whole, axis_bin)
    return y, found or None


def say_stuck(stuck):
    """Return what is stuck, and what to do, as a sentence."""
    names = stuck.names
    verb, what = ("reads", "it") if stuck.is_alone else ("read", "them")
    return (
        f"{names[0].upper()}{names[1:]} {verb} the same throughout, unlike the others, "
        f"as if dead, stuck or lost: make {what} NaN, which is not measured, by "
        f"{stuck.remedy} of sklearn_ei.preprocessing."
    )


def _axis_bin(operator, n_bins):
    """Return to which bin the axis of rotation is projected."""
    width = getattr(operator, "_bin_width", None)
    return (n_bins - 1) / 2 - (operator.detector_offset / width if width else 0.0)
