"""Readings of a detector: what is lost, struck by particles, or dim in all bins."""

import numpy as np
from scipy.ndimage import median_filter
from sklearn.utils import check_scalar

from ..utils.params import brief, check_real
from ..utils.stuck import constant_along
from ._step import DetectorStep, check_axis

_MAD = 1.4826  # of the standard deviation in the median absolute deviation of a normal
_LEAST_NOISE = 0.01  # of the square root of a reading


class DeadBinMasker(DetectorStep):
    """Set what was not measured to NaN: dead bins, lost views.

    Parameters
    ----------
    bins : array-like of int or bool, default=None
        Numbers of dead bins (of the last axis), or True for each of them.
    views : array-like of int or bool, default=None
        Likewise, views that were lost.
    detect : bool, default=True
        Whether bins that read the same in all views of a sample, and views that
        read the same in all bins, are lost as well. A real detector does not do
        that; where air is simulated without noise it has to be False.
    view_axis : int, default=-2
        Axis of views in a measurement.

    Attributes
    ----------
    measurement_shape_ : tuple of int
        Shape of one measurement.
    n_features_in_ : int
        Length of its first axis.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_ei.preprocessing import DeadBinMasker
    >>> counts = np.array([[[7.0, 0.0, 9.0], [8.0, 0.0, 5.0], [3.0, 0.0, 4.0]]])
    >>> DeadBinMasker(views=[1]).fit_transform(counts)
    array([[[ 7., nan,  9.], [nan, nan, nan], [ 3., nan,  4.]]], dtype=float32)
    """

    _least_axes = 2

    def __init__(self, bins=None, views=None, *, detect=True, view_axis=-2):
        self.bins = bins
        self.views = views
        self.detect = detect
        self.view_axis = view_axis

    def _check(self, shape):
        check_scalar(self.detect, "detect", bool)
        axis = check_axis(shape, self.view_axis)
        _lost("bins", self.bins, shape[-1])
        _lost("views", self.views, shape[axis - 1])

    def _apply(self, Y):
        Y = np.array(Y, dtype=np.float32)
        axis = check_axis(self.measurement_shape_, self.view_axis)
        lost = self.detect
        while np.any(lost):  # a lost view hides dead bins, and the other way round
            lost = constant_along(Y, axis) | constant_along(Y, Y.ndim - 1)
            Y[np.broadcast_to(lost, Y.shape)] = np.nan
        Y[..., _lost("bins", self.bins, Y.shape[-1])] = np.nan
        np.moveaxis(Y, axis, 0)[_lost("views", self.views, Y.shape[axis])] = np.nan
        return Y


class ZingerRemover(DetectorStep):
    """Replace single readings that are far too bright by the median around them.

    Particles that strike the detector itself leave bright specks, which become
    streaks in an image. For what was read, before the logarithm.

    Parameters
    ----------
    threshold : float, default=8.0
        How far √y lies above the square root of the median around it, in standard
        deviations of that difference, which are estimated from each sample. By the
        square root, photon noise is of one size at all intensities.
    size : int, default=3
        Of the window of the median, on the last two axes; odd. Zingers that cover
        half of it stay.

    Attributes
    ----------
    measurement_shape_ : tuple of int
        Shape of one measurement.
    n_features_in_ : int
        Length of its first axis.

    Notes
    -----
    An object's own details that are bright, as small as the window, and isolated in
    views as well as in bins would be taken for zingers. Dark specks, and details
    darker than their surroundings, are left alone.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_ei.preprocessing import ZingerRemover
    >>> counts = np.random.default_rng(0).poisson(1000, (1, 20, 30)).astype(float)
    >>> counts[0, 5, 7] = 9000
    >>> bool(ZingerRemover().fit_transform(counts).max() < 1200)
    True
    """

    _least_axes = 2

    def __init__(self, threshold=8.0, *, size=3):
        self.threshold = threshold
        self.size = size

    def _check(self, shape):
        check_real("threshold", self.threshold, min_val=0, include_boundaries="neither")
        check_window("size", self.size)

    def _apply(self, Y):
        Y = np.array(Y, dtype=np.float32)
        for sample in Y:
            median = median_around(sample, (self.size, self.size))
            root, expected = (np.sqrt(np.maximum(v, 0)) for v in (sample, median))
            excess = root - expected
            sizes = np.abs(excess[~np.isnan(excess)])
            noise = _MAD * np.median(sizes) if sizes.size else 0.0
            limit = np.maximum(noise, _LEAST_NOISE * expected)
            struck = excess > self.threshold * limit
            sample[struck] = median[struck]
        return Y


class AirNormalizer(DetectorStep):
    """Divide each view by what the beam gives beside the object.

    Of a beam that drifts, or where there is no flat field of the time of the scan.

    Parameters
    ----------
    n_left, n_right : int, default=10
        How many bins at the beginning and at the end of the last axis see no object,
        in no view. One of them may be 0. The beam is the straight line through the
        means of both.
    after_log : bool, default=False
        False: readings, less those without a beam, are divided by the beam, and
        become transmissions. True: the logarithm has been taken, and what it gives
        in air is subtracted.

    Attributes
    ----------
    measurement_shape_ : tuple of int
        Shape of one measurement.
    n_features_in_ : int
        Length of its first axis.

    Notes
    -----
    Where the object reaches into these bins, everything becomes too bright by as
    much, and images too low.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_ei.preprocessing import AirNormalizer
    >>> views = np.array([[[0.7, 0.35, 0.7], [0.6, 0.3, 0.6]]])
    >>> AirNormalizer(1, 1).fit_transform(views)
    array([[[1. , 0.5, 1. ], [1. , 0.5, 1. ]]], dtype=float32)
    """

    def __init__(self, n_left=10, n_right=10, *, after_log=False):
        self.n_left = n_left
        self.n_right = n_right
        self.after_log = after_log

    def _check(self, shape):
        check_scalar(self.after_log, "after_log", bool)
        for name in ("n_left", "n_right"):
            check_scalar(getattr(self, name), name, int, min_val=0)
        if not 0 < self.n_left + self.n_right <= shape[-1]:
            raise ValueError(
                f"Got n_left={self.n_left} and n_right={self.n_right} for {shape[-1]} "
                "bins, but expected at least one bin of air, and not more than all."
            )

    def _apply(self, Y):
        n_bins = Y.shape[-1]
        levels, places = [], []
        for part, place in (
            (Y[..., : self.n_left], (self.n_left - 1) / 2),
            (Y[..., n_bins - self.n_right :], n_bins - 1 - (self.n_right - 1) / 2),
        ):
            if part.shape[-1]:
                levels.append(_mean_of_seen(part))
                places.append(place)
        lost = np.isnan(Y).all(axis=-1)
        known = np.isfinite(levels) if self.after_log else np.array(levels) > 0
        bad = ~known.all(axis=0) & ~lost
        if bad.any():
            sample, *view = np.argwhere(bad)[0]
            raise ValueError(
                f"Got air of {[float(level[bad][0]) for level in levels]} in view "
                f"{tuple(int(n) for n in view)} of sample {sample}, but expected "
                "positive readings; lost views belong to DeadBinMasker."
            )
        beam = levels[0][..., np.newaxis]
        if len(levels) == 2:
            share = (np.arange(n_bins) - places[0]) / (places[1] - places[0])
            beam = beam * (1 - share) + levels[1][..., np.newaxis] * share
        with np.errstate(invalid="ignore"):
            return (Y - beam if self.after_log else Y / beam).astype(np.float32)


def check_window(name, size):
    """Refuse a window that has no middle."""
    check_scalar(size, name, int, min_val=3)
    if size % 2 == 0:
        raise ValueError(f"Got {name}={size}, but expected an odd number.")


def median_around(sample, window):
    """Return medians in windows on the last axes, of what is not NaN."""
    full = (1,) * (sample.ndim - len(window)) + tuple(window)
    missing = np.isnan(sample)
    if not missing.any():
        return median_filter(sample, full, mode="nearest")
    padded = np.pad(sample, [(n // 2, n // 2) for n in full], mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, full)
    windows = windows.reshape(*sample.shape, -1)
    seen = ~np.isnan(windows).all(axis=-1)
    medians = np.full(sample.shape, np.nan, np.float32)
    medians[seen] = np.nanmedian(windows[seen], axis=-1)
    medians[missing] = np.nan
    return medians


def _lost(name, which, size):
    """Return the numbers of lost bins or views."""
    if which is None:
        return np.array([], dtype=int)
    try:
        values = np.asarray(which)
        if values.dtype == bool and values.shape == (size,):
            return np.flatnonzero(values)
        is_numbers = values.ndim == 1 and (values.dtype.kind in "iu" or not values.size)
    except ValueError:
        is_numbers = False
    if not is_numbers or (
        values.size and not -size <= values.min() <= values.max() < size
    ):
        raise ValueError(
            f"Got {name}={brief(which)}, but expected numbers from 0 to {size - 1}, or "
            f"{size} booleans."
        )
    return values.astype(int)


def _mean_of_seen(part):
    """Return means over the last axis of what is not NaN; NaN if there is nothing."""
    seen = ~np.isnan(part)
    total = np.where(seen, part, 0).sum(axis=-1, dtype=np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        return total / seen.sum(axis=-1)
