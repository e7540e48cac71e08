"""Columns of a sinogram that hardly vary, and no object or air is like that."""

from dataclasses import dataclass

import numpy as np

from .spread import spread

FEWEST = 8  # entries of a column: fewer may be equal by chance, or by symmetry
STUCK = 0.9  # of what is seen, so that single counts do not hide a dead bin
_PROBES = 9  # rows that are looked at in all columns, the others where these are equal
# Of the range of all others: what is above air by as much is no edge of an object,
# and nothing is below air.
_FAR_ABOVE, _FAR_BELOW = 0.5, 0.1
# Something that lets nothing through is in the same bins of all views if it is on the
# axis: there its edge rises beside them by as much of the step into them, or it fills
# several bins. The axis may be as far off as this share of the detector.
_SLOPE = 0.15
_WIDE, _ASIDE = 3, 1 / 8


@dataclass
class _Columns:
    """What is known of columns, each array of shape (n_samples, n_columns).

    Attributes
    ----------
    Y : ndarray of shape (n_samples, n_rows, n_columns)
    constant : ndarray of bool
        Whether the column hardly varies.
    values : ndarray
        Its value, if so.
    lost : ndarray of bool
        Whether it is NaN.
    inside : ndarray of bool
        Whether columns that vary are on both sides.
    """

    Y: np.ndarray
    constant: np.ndarray
    values: np.ndarray
    lost: np.ndarray
    inside: np.ndarray

    def read(self, samples, columns):
        """Return columns of some samples, NaN beyond the ends."""
        known = (columns >= 0) & (columns < self.Y.shape[2])
        read = self.Y[samples, :, np.where(known, columns, 0)]
        return np.where(known[:, np.newaxis], read, np.nan)

    def next_other(self, samples, columns, way):
        """Return the next columns one way that have another value, or are no more."""
        own = self.values[samples, columns]
        beside = columns + way
        passing = np.ones(len(samples), dtype=bool)
        while passing.any():
            at = samples, np.clip(beside, 0, self.Y.shape[2] - 1)
            same = self.constant[at] & (self.values[at] == own)
            passing = (beside == at[1]) & (self.lost[at] | same)
            beside = beside + way * passing
        return beside


def stuck_columns(Y, axis_bin):
    """Return which bins are stuck; see :func:`~sklearn_ei.utils.stuck.find_stuck`.

    Parameters
    ----------
    Y : ndarray of shape (n_samples, n_views, n_bins)
        NaN where nothing is known.
    axis_bin : float
        The bin to which the axis is projected.

    Returns
    -------
    stuck : ndarray of bool, of shape (n_samples, n_bins)
    """
    stuck = np.zeros(Y.shape[::2], dtype=bool)
    if Y.shape[1] < FEWEST:
        return stuck
    constant, values, probes = constant_columns(Y)
    if not constant.any():
        return stuck
    far, size = far_from_others(constant, values, probes)
    lost = np.isnan(probes).all(axis=1)
    inside = ~_up_to_an_end(constant | lost)
    suspects = np.argwhere(constant & (far | inside) & (size > 0))
    if len(suspects):
        samples, columns = suspects.T
        known = _Columns(Y, constant, values, lost, inside)
        passed = _stand_out(known, samples, columns, axis_bin)
        stuck[samples[passed], columns[passed]] = True
    return stuck


def constant_columns(Y, n_probes=_PROBES):
    """Return which columns hardly vary, the value of each, and some rows of all.

    Parameters
    ----------
    Y : ndarray of shape (n_samples, n_rows, n_columns)
        NaN where nothing is known.
    n_probes : int, default=9
        How many rows are looked at in all columns.

    Returns
    -------
    constant : ndarray of bool, of shape (n_samples, n_columns)
    values : ndarray of the same shape
    probes : ndarray of shape (n_samples, few, n_columns)
    """
    probes = Y[:, sorted(spread(Y.shape[1], n_probes))]
    return *_constant(Y, probes), probes


def far_from_others(constant, values, probes):
    """Return which values no edge and no air has, and how far up the others go."""
    lowest, size = _range(np.where(constant[:, np.newaxis], np.nan, probes))
    far = values - lowest > _FAR_ABOVE * size
    far |= np.minimum(lowest, 0) - values > _FAR_BELOW * size
    return far, size


def _constant(Y, probes):
    """Return which columns hardly vary, and the value of each."""
    counts = np.stack(
        [(probes == probes[:, [i]]).sum(axis=1) for i in range(probes.shape[1])]
    )
    chosen = counts.argmax(axis=0)
    values = np.take_along_axis(probes, chosen[:, np.newaxis], axis=1)[:, 0]
    seen = (~np.isnan(probes)).sum(axis=1)
    constant = (3 * counts.max(axis=0) >= 2 * seen) & (seen > 1)
    samples, columns = np.nonzero(constant)
    whole = Y[samples, :, columns]
    equal = (whole == values[samples, columns, np.newaxis]).sum(axis=1)
    n_seen = _n_seen(whole)
    constant[samples, columns] = (equal >= STUCK * n_seen) & (n_seen >= FEWEST)
    return constant, values


def _range(probes):
    """Return the least value of each sample, and how far up the others go; or NaN."""
    seen = ~np.isnan(probes)
    lowest = np.where(seen, probes, np.inf).min(axis=(1, 2))
    highest = np.where(seen, probes, -np.inf).max(axis=(1, 2))
    some = seen.any(axis=(1, 2))
    lowest, highest = (np.where(some, v, np.nan) for v in (lowest, highest))
    return lowest[:, np.newaxis], (highest - lowest)[:, np.newaxis]


def _up_to_an_end(quiet):
    """Return which columns have nothing but quiet ones on one side."""
    left = np.logical_and.accumulate(quiet, axis=1)
    right = np.logical_and.accumulate(quiet[:, ::-1], axis=1)[:, ::-1]
    return left | right


def _stand_out(known, samples, columns, axis_bin):
    """Return which of some columns are unlike those beside them."""
    own = known.values[samples, columns][:, np.newaxis]
    ends = [known.next_other(samples, columns, way) for way in (-1, 1)]
    beside = [known.read(samples, end) for end in ends]
    further = [known.read(samples, end) for end in (ends[0] - 1, ends[1] + 1)]
    differs = np.ones(len(samples), dtype=bool)
    for read in beside:
        other = (read != own) & ~np.isnan(read)
        differs &= other.sum(axis=1) >= STUCK * _n_seen(read)
    # What steadily rises, or falls, over its neighbours is a round object's profile.
    between = (own > np.minimum(*beside)) & (own < np.maximum(*beside))
    differs &= between.sum(axis=1) < np.maximum(1, STUCK * _n_seen(sum(beside)))

    lowest, size = (v[samples, 0] for v in _range(known.Y))
    highest = lowest + size
    step = np.array([median_of(own - read) for read in beside])
    pairs = zip(beside, further, strict=True)
    edge = np.array([median_of(read - next_) for read, next_ in pairs])
    near = _ASIDE * known.Y.shape[2]
    wide = ends[1] - ends[0] > _WIDE
    wide &= (ends[0] < axis_bin + near) & (ends[1] > axis_bin - near)
    opaque = own[:, 0] >= highest - _FAR_BELOW * size
    opaque &= (edge > _SLOPE * step).all(axis=0) | wide

    # So is air between rods that no view brings together, nor shows in line.
    gap = (edge < _SLOPE * step).all(axis=0) & (step < 0).all(axis=0)
    gap &= (ends[1] - ends[0] > _WIDE) & _is_air(known, samples, own[:, 0])

    jumps = (step > _FAR_ABOVE * size) | (-step > _FAR_BELOW * size) | np.isnan(step)
    differs &= ~opaque & ~gap
    return differs & (known.inside[samples, columns] | jumps.all(axis=0))


def _is_air(known, samples, values):
    """Return which values are those of both ends of the detector, in all views."""
    constant, read = known.constant[samples], known.values[samples]
    return (constant & (read == values[:, np.newaxis]))[:, [0, -1]].all(axis=1)


def _n_seen(values):
    return (~np.isnan(values)).sum(axis=1)


def median_of(values):
    """Return medians over the last axis of what is not NaN; NaN if there is nothing."""
    ordered = np.sort(values, axis=1)  # NaN come last
    middle = np.maximum(_n_seen(values) - 1, 0) // 2
    return ordered[np.arange(len(values)), middle]
