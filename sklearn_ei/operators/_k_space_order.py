"""k-space that is none, or has zero frequency elsewhere than MRI expects it."""

from itertools import product

import numpy as np
import torch

from ._fourier import centered, to_complex

_LEAST_SIDE = 8
_LEAST, _SHARE = 9, 0.02  # points that count as the middle
# Energy of a point near a corner over that near the middle, and the least share of
# all energy near the corner. Images are mostly positive, or smooth in phase: theirs
# is around zero frequency.
_BRIGHTER, _OF_ALL = 10.0, 0.3
# Of images, passed as k-space: the share around their own zero frequency, and around
# the middle and the corners of what was passed. Of k-space it is the other way round.
_CONCENTRATED, _SPREAD = 0.5, 0.2
#: Which axes are shifted by half, of (height, width).
SHIFTS = [shift for shift in product((False, True), repeat=2) if any(shift)]


def shifted(y, shift):
    """Return k-space shifted by half along some of its last two axes."""
    dims = [axis for axis, moved in zip((-2, -1), shift, strict=True) if moved]
    return torch.fft.fftshift(y, dim=dims)


def looks_like_images(y):
    """Return whether images were passed in the place of k-space.

    Parameters
    ----------
    y : torch.Tensor of shape (batch, 2 * n_coils, H, W)
        Without NaN.
    """
    if min(y.shape[-2:]) < _LEAST_SIDE:
        return False
    power = y.square().sum((0, 1))
    everywhere = torch.ones_like(power)
    places = [(False, False), *SHIFTS]
    own = max(_around(power, everywhere, shift)[1] for shift in places)
    spectrum = centered(torch.fft.fft2, to_complex(y)).abs().square().sum((0, 1))
    _, theirs = _around(spectrum, everywhere, (False, False))
    return theirs > _CONCENTRATED and own < _SPREAD


def shift_of_zero_frequency(y, counted):
    """Return along which axes zero frequency is at index 0, or None if it isn't.

    Parameters
    ----------
    y : torch.Tensor of shape (batch, 2 * n_coils, H, W)
        k-space, without NaN.
    counted : bool torch.Tensor of shape (H, W)
        Where A measures.

    Returns
    -------
    shift : pair of bool or None
        For height and width.
    """
    if min(y.shape[-2:]) < _LEAST_SIDE:
        return None
    power, counted = y.square().sum((0, 1)) * counted, counted.float()
    middle, _ = _around(power, counted, (False, False))
    density, share, shift = max(
        (*_around(power, counted, shift), shift) for shift in SHIFTS
    )
    return shift if density > _BRIGHTER * middle and share > _OF_ALL else None


def _around(power, counted, shift):
    """Return the mean energy of the points nearest to a place, and their share.

    Those that are measured: a mask that leaves out the middle has others around it.
    """
    height, width = power.shape
    row = (np.arange(height) - height // 2) / height
    column = (np.arange(width) - width // 2) / width
    distance = torch.from_numpy(row[:, None] ** 2 + column[None] ** 2).to(power.device)
    distance = torch.fft.ifftshift(distance) if all(shift) else distance
    if any(shift) and not all(shift):
        distance = torch.fft.ifftshift(distance, dim=0 if shift[0] else 1)
    n = max(_LEAST, round(_SHARE * power.numel()))
    distance = torch.where(counted > 0, distance, torch.inf).flatten()
    n = min(n, int((counted > 0).sum()))
    nearest = distance.topk(n, largest=False).indices
    found = float(power.flatten()[nearest].double().sum())
    return found / n, found / max(float(power.double().sum()), 1e-300)
