"""Detector bins that read the same in all views, and views that read the same."""

import math
from dataclasses import dataclass

import numpy as np

from .stuck_columns import FEWEST, STUCK, stuck_columns
from .stuck_views import stuck_views

_CHUNK = 2**22  # entries looked at together
_NAMED = 6  # numbers in a sentence; the others are counted


@dataclass
class Stuck:
    """What of a stack of scans is stuck.

    Attributes
    ----------
    bins : ndarray of bool, of shape (n_samples, n_bins) or (n_samples, n_u, n_v)
        True for each bin that is; for each pixel, of area detectors.
    views : ndarray of bool, of shape (n_samples, n_views)
        Likewise.
    numbered : bool
        Whether samples are to be named by their numbers.
    """

    bins: np.ndarray
    views: np.ndarray
    numbered: bool = True

    def __bool__(self):
        return bool(self.bins.any() or self.views.any())

    @property
    def mask(self):
        """True where an entry is stuck, (n_samples, n_views, *detector_shape)."""
        ones = (1,) * (self.bins.ndim - 1)
        return self.views.reshape(*self.views.shape, *ones) | self.bins[:, np.newaxis]

    @property
    def names(self):
        """What is stuck, in words: "bins 40 and 55"."""
        what = "bin" if self.bins.ndim == 2 else "pixel"
        found = {what: self.bins, "view": self.views}
        named = [_named(what, mask, self.numbered) for what, mask in found.items()]
        return " and ".join(filter(None, named))

    @property
    def is_alone(self):
        """Whether it is one bin, or one view."""
        return sum(mask.any(axis=0).sum() for mask in (self.bins, self.views)) == 1

    @property
    def numbers(self):
        """Arguments of DeadBinMasker that name it, if that is few, and in most samples.

        Returns
        -------
        arguments : str or None
            "bins=[40, 55], views=[3]".
        """
        arguments = []
        for name, mask in {"bins": self.bins, "views": self.views}.items():
            if not mask.any():
                continue
            found = np.argwhere(mask.any(axis=0))
            shares = mask[:, mask.any(axis=0)].mean(axis=0)
            if mask.ndim > 2 or len(found) > _NAMED or shares.min() <= 0.5:
                return None
            arguments.append(f"{name}={found[:, 0].tolist()}")
        return ", ".join(arguments)


def constant_along(Y, axis):
    """Return where all values along an axis are equal, of at least two seen.

    Parameters
    ----------
    Y : ndarray
        NaN where nothing was seen.
    axis : int

    Returns
    -------
    constant : ndarray of bool
        With the axis kept, of length 1.
    """
    seen = ~np.isnan(Y)
    highest = np.where(seen, Y, -np.inf).max(axis=axis, keepdims=True)
    lowest = np.where(seen, Y, np.inf).min(axis=axis, keepdims=True)
    return (highest == lowest) & (seen.sum(axis=axis, keepdims=True) > 1)


def mostly(mask, seen):
    """Return the bins and views in which nine of ten entries are true.

    Parameters
    ----------
    mask, seen : ndarray of bool, of shape (n_samples, n_views, n_bins)
        Entries, and those that count.

    Returns
    -------
    stuck : Stuck
        Of eight entries at least.
    """
    found = []
    for axis in (1, 2):
        n_seen = seen.sum(axis=axis)
        found.append((mask.sum(axis=axis) >= STUCK * n_seen) & (n_seen >= FEWEST))
    return Stuck(*found, numbered=False)


def find_stuck(Y, axis_bin=None, bin_axis=0):
    """Return the bins and views of scans that no object can have made.

    Parameters
    ----------
    Y : ndarray of shape (n_samples, n_views, *detector_shape)
        Attenuations, NaN where there are none; the detector has one axis or two.
    axis_bin : float, default=None
        To which bin the axis of rotation is projected, roughly. None: the middle.
    bin_axis : {0, 1}, default=0
        Axis of the detector that turns with the views; the other one is parallel to
        the axis of rotation.

    Returns
    -------
    stuck : Stuck

    Notes
    -----
    Bins that read the same in all views (nine of ten) are stuck, unless an object or
    air does that:

    - Bins up to an end of the detector may see the same air in all views, or, without
      noise, the same part of a round object. They are stuck only where they are far
      above or below what the others read.
    - Between bins that vary, a bin that does not may see through a gap that no view
      closes: its neighbours then do, too, in some views.
    - Near the axis, it may see something that nothing gets through: it reads as much
      as any, and its neighbours see the edge, or it is one of three or more.

    A view of the same value in nine of ten bins is stuck where that is far from what
    the others read, and so is its mean: a box may fill a view evenly. One of the same
    value in all bins is also stuck where that is what air reads, if the others see the
    object from end to end: in none does it reach an end of the detector. With less
    than eight views, or bins, nothing is told.
    """
    n_samples, n_views, *detector = Y.shape
    middle = (detector[bin_axis] - 1) / 2
    axis_bin = middle if axis_bin is None else axis_bin
    pixels = np.moveaxis(np.arange(math.prod(detector)).reshape(detector), bin_axis, 0)
    ends = np.unique(pixels[[0, -1]])
    row_ends = (pixels[:, 0], pixels[:, -1]) if len(detector) > 1 else ()
    bins = np.zeros((n_samples, *detector), dtype=bool)
    views = np.zeros((n_samples, n_views), dtype=bool)
    step = max(1, _CHUNK // max(1, pixels.size * n_views))
    for start in range(0, n_samples, step):
        part = slice(start, start + step)
        chunk = np.asarray(Y[part])
        flat = chunk.reshape(len(chunk), n_views, -1)
        views[part] = stuck_views(flat, ends, row_ends)
        rest = _without(flat, views[part, :, np.newaxis])
        bins[part] = _stuck_bins(rest.reshape(chunk.shape), axis_bin, bin_axis)
        if bins[part].any():  # which hide lost views
            dead = bins[part].reshape(len(chunk), 1, -1)
            views[part] |= stuck_views(_without(rest, dead), ends, row_ends)
    return Stuck(bins, views)


def _without(Y, mask):
    return np.where(mask, np.nan, Y) if mask.any() else Y


def _stuck_bins(Y, axis_bin, bin_axis):
    if Y.ndim == 3:
        return stuck_columns(Y, axis_bin)
    rows = np.moveaxis(Y, 3 - bin_axis, 1)  # (n_samples, n_rows, n_views, n_bins)
    found = stuck_columns(rows.reshape(-1, *rows.shape[2:]), axis_bin)
    return np.moveaxis(found.reshape(*rows.shape[:2], -1), 1, 2 - bin_axis)


def _named(what, mask, numbered):
    """Return "bins 40 and 55", of all samples or of some; None if there are none."""
    n_samples = len(mask)
    numbers = np.argwhere(mask.any(axis=0)).tolist()
    if not numbers:
        return None
    plain = mask.ndim == 2
    text = listed(what, [n[0] if plain else tuple(n) for n in numbers])
    where = np.flatnonzero(mask.reshape(n_samples, -1).any(axis=1)).tolist()
    if numbered and len(where) < n_samples:
        text += f" of {listed('sample', where)}"
    elif not mask[:, mask.any(axis=0)].all():
        text += " of some samples"
    return text


def listed(what, numbers):
    """Return "bin 40" or "bins 40 and 55", and how many others there are.

    Parameters
    ----------
    what : str
        The word for one of them.
    numbers : list of int or of tuple of int

    Returns
    -------
    text : str
    """
    named = [str(number) for number in numbers[:_NAMED]]
    if len(numbers) > _NAMED:
        left = len(numbers) - _NAMED
        named.append(f"{left} other{'s' if left > 1 else ''}")
    if len(named) == 1:
        return f"{what} {named[0]}"
    return f"{what}s {', '.join(named[:-1])} and {named[-1]}"
