"""Views of a scan that hardly vary, though all views see the same object."""

import numpy as np

from .stuck_columns import (
    FEWEST,
    constant_columns,
    far_from_others,
    median_of,
)

_TOTAL = 0.5  # of the mean of a view; a fan's differ, too
# Where a view of nothing but air is impossible: air has less than this share of the
# range, and so have the ends of the detector in the other views, roughly.
_SOMETHING, _QUIET = 0.05, 0.25
_PROBES = 33  # bins that are looked at in all views
_LEAST_SEEN = 6  # bins: what is narrower may lie between two rays


def stuck_views(Y, ends, row_ends=()):
    """Return which views are stuck; see :func:`~sklearn_ei.utils.stuck.find_stuck`.

    Parameters
    ----------
    Y : ndarray of shape (n_samples, n_views, n_bins)
        NaN where nothing is known; all pixels of an area detector one after the other.
    ends : ndarray of int
        Bins at the ends of the detector.
    row_ends : sequence of ndarray of int
        Of an area detector, those of its first row, and of its last one.

    Returns
    -------
    stuck : ndarray of bool, of shape (n_samples, n_views)
    """
    by_view = np.swapaxes(Y, 1, 2)
    if by_view.shape[1] < FEWEST:
        return np.zeros(Y.shape[:2], dtype=bool)
    constant, values, probes = constant_columns(by_view, _PROBES)
    if not constant.any():
        return constant
    far, _ = far_from_others(constant, values, probes)
    typical = _typical_mean(Y, constant)
    # A box may fill a view evenly, but has as much in every view.
    stuck = constant & far & _unlike(values, typical)
    for sample in np.flatnonzero((constant & ~stuck).any(axis=1)):
        others = Y[sample, ~constant[sample]]
        if _all_see_something(others, ends, row_ends):
            equal = _all_equal(Y[sample], values[sample])
            stuck[sample] |= equal & constant[sample] & _unlike(values, typical)[sample]
    return stuck


def _all_see_something(views, ends, row_ends):
    """Return whether an object is in sight of these views, and of all others.

    One that passes the end of the detector in one view may be out of sight in the next;
    but it may be longer than the detector is high.
    """
    if len(views) < FEWEST:
        return False
    seen = ~np.isnan(views)
    lowest = np.where(seen, views, np.inf).min()
    above = np.where(seen, views - lowest, 0.0)
    size = above.max()
    passing = above >= _QUIET * size
    at_row_ends = [passing[:, end].any(axis=1) for end in row_ends]
    width = (above > _SOMETHING * size).sum(axis=1)
    return (
        np.median(above.mean(axis=1)) > _SOMETHING * size
        and not passing[:, ends].any()
        and all(at_end.all() or not at_end.any() for at_end in at_row_ends)
        and width.min() >= _LEAST_SEEN
    )


def _all_equal(views, values):
    """Return which views have one value in all bins, and not only in most.

    Air with something narrow in it may be an object that is seen edge-on.
    """
    return (np.isnan(views) | (views == values[:, np.newaxis])).all(axis=1)


def _typical_mean(Y, constant):
    """Return the median over the views of a sample of their means."""
    others = np.where(constant[:, :, np.newaxis], np.nan, Y)
    seen = ~np.isnan(others)
    totals, counts = np.where(seen, others, 0).sum(axis=2), seen.sum(axis=2)
    means = np.where(counts > 0, totals / np.maximum(counts, 1), np.nan)
    return median_of(means)[:, np.newaxis]


def _unlike(values, typical):
    return ~(np.abs(values - typical) <= _TOTAL * np.abs(typical))
