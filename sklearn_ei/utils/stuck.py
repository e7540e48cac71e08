"""Detector bins that read the same in all views, and views that read the same."""

from dataclasses import dataclass

import numpy as np

from .stuck_columns import FEWEST, STUCK, stuck_columns

_CHUNK = 2**22  # entries looked at together
_NAMED = 6  # numbers in a sentence; the others are counted


@dataclass
class Stuck:
    """What of a stack of sinograms is stuck.

    Attributes
    ----------
    bins : ndarray of bool, of shape (n_samples, n_bins)
        True for each bin that is.
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
        """True where an entry is stuck, (n_samples, n_views, n_bins)."""
        return self.views[:, :, np.newaxis] | self.bins[:, np.newaxis]

    @property
    def names(self):
        """What is stuck, in words: "bins 40 and 55"."""
        found = {"bin": self.bins, "view": self.views}
        named = [_named(what, mask, self.numbered) for what, mask in found.items()]
        return " and ".join(filter(None, named))

    @property
    def is_alone(self):
        """Whether it is one bin, or one view."""
        return sum(mask.any(axis=0).sum() for mask in (self.bins, self.views)) == 1

    @property
    def remedy(self):
        """The call that masks them."""
        found = {"bins": self.bins, "views": self.views}
        arguments = []
        for name, mask in found.items():
            numbers = np.flatnonzero(mask.any(axis=0))
            # A stuck one of few samples, such as a pixel of an area detector, is
            # left to be found again: numbers would be taken from all samples.
            if 0 < len(numbers) <= _NAMED and mask[:, numbers].mean() > 0.5:
                arguments.append(f"{name}={numbers.tolist()}")
        return f"DeadBinMasker({', '.join(arguments)})"


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


def find_stuck(Y, axis_bin=None, total_is_shared=True):
    """Return the bins and views of sinograms that no object can have made.

    Parameters
    ----------
    Y : ndarray of shape (n_samples, n_views, n_bins)
        Attenuations, NaN where there are none.
    axis_bin : float, default=None
        To where the axis of rotation is projected, roughly. None: the middle.
    total_is_shared : bool, default=True
        Whether each view sees the whole object; not so of a row of an area detector,
        whose rays leave the plane.

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
    value in all bins is also stuck where that is what air reads, as all views see the
    object. With less than eight views, or bins, nothing is told.
    """
    n_samples, n_views, n_bins = Y.shape
    axis_bin = (n_bins - 1) / 2 if axis_bin is None else axis_bin
    bins = np.zeros((n_samples, n_bins), dtype=bool)
    views = np.zeros((n_samples, n_views), dtype=bool)
    step = max(1, _CHUNK // max(1, n_views * n_bins))
    for start in range(0, n_samples, step):
        chunk = np.asarray(Y[start : start + step])
        views[start : start + step] = stuck_columns(
            np.swapaxes(chunk, 1, 2), total_is_shared=total_is_shared
        )
        known = views[start : start + step, :, np.newaxis]
        if known.any():
            chunk = np.where(known, np.nan, chunk)
        bins[start : start + step] = stuck_columns(chunk, axis_bin)
    return Stuck(bins, views)


def _named(what, mask, numbered):
    """Return "bins 40 and 55", of all samples or of some; None if there are none."""
    n_samples = len(mask)
    numbers = np.flatnonzero(mask.any(axis=0)).tolist()
    if not numbers:
        return None
    text = listed(what, numbers)
    where = np.flatnonzero(mask.any(axis=1)).tolist()
    if numbered and len(where) < n_samples:
        text += f" of {listed('sample', where)}"
    elif not mask[:, numbers].all():
        text += " of some samples"
    return text


def listed(what, numbers):
    """Return "bin 40" or "bins 40 and 55", and how many others there are.

    Parameters
    ----------
    what : str
        The word for one of them.
    numbers : list of int

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
