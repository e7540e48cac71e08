"""One number for all measurements."""

from numbers import Real

import numpy as np
from sklearn.utils.validation import check_is_fitted

from ..utils.params import check_option, check_real
from ..utils.stack_check import check_stack
from ._step import DetectorStep

_KINDS = ("rms", "max", "std")


class MeasurementScaler(DetectorStep):
    """Divide measurements of any shape by one number.

    ``StandardScaler`` refuses measurements with more than one axis, and scales
    every entry on its own, after which A no longer fits. With one number it does:
    y/c = A (x/c), so that images come out in units of c as well, and
    :meth:`inverse_transform` turns them back.

    Parameters
    ----------
    scale : {"rms", "max", "std"} or float, default="rms"
        What to divide by: the root mean square of all values seen in ``fit``, the
        largest magnitude, their standard deviation, or a number above 0.

    Attributes
    ----------
    scale_ : float
        The number; 1 if all measurements are zero.
    measurement_shape_ : tuple of int
        Shape of one measurement.
    n_features_in_ : int
        Length of the first axis of one measurement.

    Notes
    -----
    Nothing is subtracted, not even with ``"std"``: y − c is in general not the
    measurement of any image, as A x has no entry for a constant. An offset that the
    detector adds has to be taken off in its units, before this step
    (``dark`` of :class:`TransmissionToAttenuation`).

    :class:`~sklearn_ei.EquivariantReconstructor` trains in units of its own, and
    needs no such step; it is for the units of noise levels, or of the images.

    In a pipeline, images are in units of the scaled measurements. Ground truth is
    not scaled: ``score(Y, images)`` of such a pipeline, and a search that uses it,
    compare images in different units, without a warning. Apply
    :meth:`inverse_transform` to predictions and compare these, or leave the step
    out.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_ei.preprocessing import MeasurementScaler
    >>> scaler = MeasurementScaler("max")
    >>> scaler.fit_transform(np.array([[[1.0, 2.0], [3.0, 4.0]]])).max()
    np.float32(1.0)
    >>> scaler.inverse_transform(np.ones((1, 3, 3))).max()
    np.float32(4.0)
    """

    def __init__(self, scale="rms"):
        self.scale = scale

    def _learn(self, checked):
        if isinstance(self.scale, Real) and not isinstance(self.scale, bool):
            check_real("scale", self.scale, min_val=0, include_boundaries="neither")
            self.scale_ = float(self.scale)
        else:
            check_option("scale", self.scale, _KINDS)
            self.scale_ = _scale_of(checked, self.scale)

    def _apply(self, Y):
        return Y / np.float32(self.scale_)

    def inverse_transform(self, Y):
        """Return measurements, or images, multiplied by ``scale_``.

        Parameters
        ----------
        Y : array-like of shape (n_samples, ...)
            Scaled measurements, or what was reconstructed from them: A is linear.

        Returns
        -------
        unscaled : ndarray of the shape of ``Y``
            Float32.
        """
        check_is_fitted(self)
        checked = check_stack(Y, "Y", "measurements", missing_ok=True)
        return checked * np.float32(self.scale_)


def _scale_of(Y, kind):
    """Return the size of measurements that are not NaN, 1 if they are all zero.

    Sample by sample: a copy in float64 may not fit into memory.
    """
    n_seen, total, squares, largest = 0, 0.0, 0.0, 0.0
    for sample in Y:
        seen = sample[~np.isnan(sample)].astype(np.float64)
        if not np.isfinite(seen).all():
            raise ValueError("Y contains infinity (inf), but expected finite values.")
        n_seen += seen.size
        total += seen.sum()
        squares += np.square(seen).sum()
        largest = max(largest, np.abs(seen).max(initial=0))
    if n_seen == 0:
        raise ValueError("Y has NaN only, but expected measurements.")
    if kind == "max":
        size = largest
    elif kind == "rms":
        size = np.sqrt(squares / n_seen)
    else:
        size = _deviation(Y, total / n_seen, n_seen)
    return float(size) if size > 0 else 1.0


def _deviation(Y, mean, n_seen):
    """Return the standard deviation, of differences from the mean."""
    squares = 0.0
    for sample in Y:
        squares += np.nansum(np.square(sample - mean, dtype=np.float64))
    return np.sqrt(squares / n_seen)
