"""Stuck bins and lost views of tomography, before anything is concluded from them."""

import numpy as np
import torch

from ..utils.stack import is_lazy
from ..utils.stack_check import filled
from ..utils.stuck import Stuck, find_stuck
from ._odl_operator import ODLOperator
from ._ray_transform import RayTransformOperator

_CHUNK = 64  # samples that are laid out together


def without_stuck(operator, y, Y):
    """Return measurements with NaN for what is stuck, and what that is.

    Parameters
    ----------
    operator : ForwardOperator
        Of tomography, if anything is to be found: ``loses`` is ``"views"``, and these
        are the first axis of a measurement.
    y : torch.Tensor of shape (batch, channel, *measurement_shape)
        Some measurements.
    Y : array-like or torch.Tensor
        All of them, as the user passed them: what is in memory is looked at as a
        whole.

    Returns
    -------
    y : torch.Tensor
    stuck : Stuck or None
        None if nothing is. Of each sample, or of each channel of each.
    """
    views_first = getattr(operator, "natural_axis", None) == 0
    if (
        getattr(operator, "loses", None) != "views"
        or not views_first
        or y.ndim not in (4, 5)
    ):
        return y, None
    operator = operator.resolve(measurement_shape=tuple(y.shape[2:]))
    where = _detector(operator)
    found = _find(y, *where)
    if found:
        mask = torch.from_numpy(found.mask).to(y.device).reshape(y.shape)
        y = y.masked_fill(mask, torch.nan)
    found.numbered = False
    if isinstance(Y, torch.Tensor):
        found = _find(Y, *where)
    elif isinstance(Y, np.ndarray | list | tuple) and not is_lazy(Y):
        found = _find_in_array(operator, np.asarray(filled(Y)), where)
    return y, found or None


def say_stuck(stuck, Y):
    """Return what is stuck, and what to do, as a sentence.

    Parameters
    ----------
    stuck : Stuck
        Of measurements.
    Y : array-like
        These, as the user passed them.

    Returns
    -------
    sentence : str
    """
    names = stuck.names
    verb, what = ("reads", "it") if stuck.is_alone else ("read", "them")
    # Elsewhere views are not the last axis but one.
    are_sinograms = not isinstance(Y, torch.Tensor) and len(np.shape(Y)) == 3
    numbers = stuck.numbers if are_sinograms else None
    if numbers:
        how = f", by DeadBinMasker({numbers}, detect=False) of sklearn_ei.preprocessing"
    elif not is_lazy(Y):
        how = ", by Y[check_consistency(operator, Y).stuck] = np.nan"
    elif are_sinograms:
        how = ", by DeadBinMasker() of sklearn_ei.preprocessing"
    else:
        how = ""  # whatever writes it
    return (
        f"{names[0].upper()}{names[1:]} {verb} the same throughout, unlike the others, "
        f"as if dead, stuck or lost: make {what} NaN, which is not measured{how}."
    )


def mask_of(stuck, Y):
    """Return where entries of the user's array are stuck, or None of a lazy one."""
    if isinstance(Y, torch.Tensor):
        return torch.from_numpy(stuck.mask.reshape(Y.shape))
    if is_lazy(Y):
        return None
    shape, mask = np.shape(Y), stuck.mask
    if len(shape) > mask.ndim:  # channels are the last axis of arrays
        return np.moveaxis(mask.reshape(shape[0], -1, *mask.shape[1:]), 1, -1)
    return mask


def _find(y, axis_bin, bin_axis):
    scans = y.detach().reshape(-1, *y.shape[2:]).numpy(force=True)
    found = find_stuck(scans, axis_bin, bin_axis)
    found.numbered = y.shape[1] == 1
    return found


def _find_in_array(operator, Y, where):
    _, layout = operator.layouts(measurement=Y.shape[1:])
    parts = [
        _find(layout.to_tensor(Y[start : start + _CHUNK]), *where)
        for start in range(0, len(Y), _CHUNK)
    ]
    bins, views = (
        np.concatenate([getattr(part, name) for part in parts])
        for name in ("bins", "views")
    )
    return Stuck(bins, views, parts[0].numbered)


def _detector(operator):
    """Return to which bin the axis is projected, and along which axis bins lie."""
    if isinstance(operator, RayTransformOperator):
        geometry = operator.geometry()
    elif isinstance(operator, ODLOperator):
        geometry = operator.op.geometry
    else:
        return None, 0
    bin_axis = 0
    axis = getattr(geometry, "axis", None)
    if (
        axis is not None and len(geometry.det_grid.coord_vectors) > 1
    ):  # the other one is along the axis
        bin_axis = int(np.argmin(np.abs(geometry.det_axes_init @ axis)))
    bins = geometry.det_grid.coord_vectors[bin_axis]
    width = bins[1] - bins[0] if len(bins) > 1 else 1.0
    return float(-bins[0] / width), bin_axis
