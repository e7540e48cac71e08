"""Measurements where the mask says that there are none, and common reasons."""

import numpy as np
import torch
from scipy.ndimage import distance_transform_edt

from ._dead_entries import between
from ._k_space_order import (
    SHIFTS,
    looks_like_images,
    shift_of_zero_frequency,
    shifted,
)

# Entries that A never measures: their share of the energy, and that of measured
# entries that are zero in all samples, each with neighbours that aren't.
_ELSEWHERE, _HOLES = 0.002, 0.03
_BY_CHANCE = 0.25  # of the share that is zero inside: a wrong mask has it outside
_VANISHES = 0.01  # share of entries that are not zero where all should be
# log |y|² where nothing is measured, beside the nearest entry that is: noise, and
# rubbish of lost pixels, do not go with it.
_ALIKE, _CERTAIN, _FLOOR = 0.2, 5.0, 1e-6
_NO_USUAL = "No image of the usual kind"  # an image of waves of one pixel has them
_WRONG_MASK = "the mask is inverted, or belongs to other measurements"


def find_mask_mistake(operator, y, reached, elsewhere, axes):
    """Return what is wrong with a mask, or with the order of what it is laid on.

    Parameters
    ----------
    operator : ForwardOperator
        With its shapes fixed.
    y : torch.Tensor of shape (batch, channel, *measurement_shape)
        Measurements, not all zero; NaN where there are none.
    reached : bool torch.Tensor of shape (channel, *measurement_shape)
        Where A measures.
    elsewhere : float
        Share of ‖y‖² where it does not.
    axes : tuple of int
        Of ``measurement_shape`` in the user's array.

    Returns
    -------
    sentence : str or None
        None: nothing clear.
    cause : str
    """
    where = ""
    masks = operator.loses != "views" and not reached.all()
    holes = _share_of_holes(y, reached, operator.loses) if masks else 0.0
    y = y.nan_to_num()
    if elsewhere > _ELSEWHERE:
        share = f"{elsewhere:.0%}" if elsewhere > 0.01 else f"{elsewhere:.1%}"
        where = f"{share} of their energy is where the operator never measures"
    is_k_space = operator.loses == "k-space" and y.ndim == 4 and y.shape[1] % 2 == 0
    if is_k_space and looks_like_images(y):
        cause = "Y are images rather than k-space"
        seen = (
            "the Fourier transform of Y is concentrated at its zero frequency, as that "
            "of images is, and Y itself is not"
        )
        return _said(
            f"{where}, and {seen}" if where else seen,
            cause,
            "pass what MRI(…).measure(images) returns",
            _NO_USUAL,
        )
    if where and masks:
        orders = _orders(y, axes, is_k_space)
        told = _reordered(y, reached, orders, operator.loses)
        if told:
            cause, remedy = told
            return _said(
                f"{where}, and none of it once that is put right", cause, remedy
            )
    if is_k_space:
        shift = shift_of_zero_frequency(y, reached.any(0))
        if shift is not None:
            at = tuple(axis for axis, moved in zip(axes, shift, strict=True) if moved)
            return _said(
                "the energy of k-space is around index 0, where the operator has the "
                "largest frequencies, and not around the middle",
                "zero frequency is in the corner rather than at (H // 2, W // 2)",
                f"pass np.fft.fftshift(Y, axes={at}), and shift a mask that lies as Y "
                "does; where np.fft.fft2 made Y, give it np.fft.ifftshift(images, "
                f"axes={at})",
                _NO_USUAL,
            )
    if where and holes > _HOLES:
        return _said(
            f"{where}, and {holes:.0%} of what it does measure is missing", _WRONG_MASK
        )
    if where and masks and _goes_with_neighbours(y, reached):
        return _said(
            f"{where}, and what is there is like what is measured beside it, not like "
            "noise",
            f"{_WRONG_MASK}, or the axes of Y are in another order",
            "pass True where measured; if these readings are to be left out, set them "
            "to 0",
        )
    return None, ""


def _said(seen, cause, remedy="", who="No image"):
    text = f"{who} has such measurements: {seen}. Likely: {cause}"
    return f"{text}{': ' if remedy else ''}{remedy}.", cause


def _reordered(y, reached, orders, loses):
    """Return the change of order with which nothing is where A is blind.

    Nor is missing where it is not: what is dense covers much by chance.
    """
    seen = int((y != 0).any(0)[reached].sum())
    if seen < _VANISHES * int(reached.sum()):
        return "the mask is inverted", "pass True where measured, as mask=~mask"
    n_outside, holes = int((~reached).sum()), _share_of_holes(y, reached, loses)
    for cause, remedy, changed in orders:
        left = int((changed != 0).any(0)[~reached].sum())
        if (
            left < _VANISHES * n_outside
            and _share_of_holes(changed, reached, loses) <= 0.5 * holes
        ):
            return cause, remedy
    return None


def _orders(y, axes, is_k_space):
    if y.ndim == 4 and y.shape[-1] == y.shape[-2]:
        yield (
            "the two axes of Y are exchanged",
            f"pass np.swapaxes(Y, {axes[0]}, {axes[1]}), or the mask of the other axis",
            y.transpose(-1, -2),
        )
    shifts = SHIFTS if is_k_space else []
    if shifts:
        # A mask of lines fits with one axis shifted as well as with both.
        own = shift_of_zero_frequency(y, torch.ones_like(y[0, 0], dtype=torch.bool))
        shifts = sorted(shifts, key=lambda shift: shift != own)
    for shift in shifts:
        at = tuple(axis for axis, moved in zip(axes, shift, strict=True) if moved)
        yield (
            "zero frequency of Y, or of the mask, is in the corner rather than at "
            "(H // 2, W // 2)",
            f"pass np.fft.fftshift(Y, axes={at}), or shift the mask likewise where Y "
            "has it in the middle",
            shifted(y, shift),
        )
    for place, axis in enumerate(axes):
        yield (
            "an axis of Y runs the other way",
            f"pass np.flip(Y, axis={axis})",
            y.flip(2 + place),
        )


def _share_of_holes(y, reached, loses):
    """Return the share of measured entries that are zero in all samples.

    Each beside one that is not; of pixels, between two: black background is beside
    what is not. Where pixels that are not measured hardly ever are zero, as rubbish is
    not, the others are black, as stars are between.
    """
    zero = ((y == 0) | y.isnan()).all(0) & ~y.isnan().all(0)
    alive = ((y != 0) & ~y.isnan()).any(0).numpy(force=True)
    if loses == "pixels" and not reached.all():
        inside, outside = zero[reached].float().mean(), zero[~reached].float().mean()
        if outside < _BY_CHANCE * inside:
            return 0.0
    if loses == "pixels":
        beside = np.stack([between(each) for each in alive])
    else:
        beside = np.zeros_like(alive)
        for axis in range(1, alive.ndim):
            seen, into = np.moveaxis(alive, axis, 0), np.moveaxis(beside, axis, 0)
            into[1:] |= seen[:-1]
            into[:-1] |= seen[1:]
    holes = zero & torch.from_numpy(beside).to(zero.device) & reached
    return int(holes.sum()) / max(int(reached.sum()), 1)


def _goes_with_neighbours(y, reached):
    """Return whether |y|² outside of a mask follows the nearest entry inside."""
    inside = reached.any(0).numpy(force=True)
    outside = ~reached.all(0).numpy(force=True) & ~inside
    if outside.sum() < _CERTAIN**2:
        return False
    nearest = distance_transform_edt(
        ~inside, return_distances=False, return_indices=True
    )
    power = y.double().square().sum(1).numpy(force=True)  # (batch, *shape)
    found = [
        power[(slice(None), *place)]
        for place in (np.nonzero(outside), [index[outside] for index in nearest])
    ]
    ours, theirs = (np.log(each + _FLOOR * power.mean()).ravel() for each in found)
    if min(ours.std(), theirs.std()) < 1e-9:
        return False
    correlation = float(np.corrcoef(ours, theirs)[0, 1])
    # Samples may be alike: only places count.
    return correlation > max(_ALIKE, _CERTAIN / np.sqrt(outside.sum()))
