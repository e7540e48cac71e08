"""Bins whose gain is wrong in all views, which become rings in an image."""

import numpy as np

from ..utils.params import check_real
from ._readings import check_window, median_around
from ._step import DetectorStep, check_axis

# Standard error of a median of n normal values, times √n, in units of their median
# absolute deviation.
_ERROR_OF_MEDIAN = 1.4826 * 1.2533


class RingRemover(DetectorStep):
    """Take off what a bin adds to its readings in all views, after the logarithm.

    A gain that the flat field does not know, of a scratched scintillator or a bin
    that ages, becomes a constant by the logarithm, and a ring in the image.

    Parameters
    ----------
    size : int, default=9
        Number of neighbouring bins, odd, whose median tells what a bin should read.
        Rings that are wider than half of it stay.
    threshold : float, default=3.0
        In standard errors: constants below are taken for noise and left alone,
        since every one that is taken off brings noise along.
    view_axis : int, default=-2
        Axis of views in a measurement.

    Attributes
    ----------
    measurement_shape_ : tuple of int
        Shape of one measurement.
    n_features_in_ : int
        Length of its first axis.

    Notes
    -----
    The constant of a bin is the median over views of its difference from the median
    of the bins around: r_b = med_v (y_vb − med_{|c−b| ≤ size/2} y_vc). An object's
    edges pass each bin in few views only, which a median does not see. This is the
    idea of Boin and Haibel [1]_, who divide sums over views by their moving average.

    Limits: on phantoms a quarter of a ring is left, more where the object has strong
    edges all around. An object that is round about the axis of rotation has edges
    at the same bins in all views, and they are taken for rings; so are details
    within a bin or two of the axis. Bins whose error grows with the attenuation
    (partial rings) need other methods [2]_. With less than about ten views there is
    little to go by.

    References
    ----------
    .. [1] M. Boin and A. Haibel, "Compensation of ring artefacts in synchrotron
       tomographic images", Optics Express 14 (2006).
    .. [2] N. T. Vo, R. C. Atwood and M. Drakopoulos, "Superior techniques for
       eliminating ring artifacts in X-ray micro-tomography", Optics Express 26
       (2018).

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_ei.preprocessing import RingRemover
    >>> sinogram = np.random.default_rng(0).normal(0, 0.01, (1, 60, 40))
    >>> sinogram[0, :, 17] += 0.2
    >>> bool(abs(RingRemover().fit_transform(sinogram)[0, :, 17].mean()) < 0.01)
    True
    """

    _least_axes = 2

    def __init__(self, size=9, *, threshold=3.0, view_axis=-2):
        self.size = size
        self.threshold = threshold
        self.view_axis = view_axis

    def _check(self, shape):
        check_window("size", self.size)
        check_real("threshold", self.threshold, min_val=0)
        check_axis(shape, self.view_axis)

    def _apply(self, Y):
        Y = np.array(Y, dtype=np.float32)
        axis = check_axis(self.measurement_shape_, self.view_axis) - 1
        for number, sample in enumerate(Y):
            excess = sample - median_around(sample, (self.size,))
            seen = ~np.isnan(excess)
            n_seen = seen.sum(axis=axis, keepdims=True)
            # A bin that was never seen has no constant, and stays NaN.
            excess = np.where(n_seen == 0, 0, excess)
            constant = np.nanmedian(excess, axis=axis, keepdims=True)
            spread = np.nanmedian(np.abs(excess - constant), axis=axis, keepdims=True)
            error = _ERROR_OF_MEDIAN * spread / np.sqrt(np.maximum(n_seen, 1))
            is_ring = np.abs(constant) > self.threshold * error
            Y[number] -= np.where(is_ring, constant, 0).astype(np.float32)
        return Y
