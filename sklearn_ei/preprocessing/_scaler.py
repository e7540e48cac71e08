"""One number for all measurements."""

from numbers import Real

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from ..utils.params import check_option, check_real
from ..utils.validation import check_measurements, check_stack, record_features

_KINDS = ("rms", "max", "std")


class MeasurementScaler(TransformerMixin, BaseEstimator):
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

    :class:`~sklearn_ei.EquivariantReconstructor` trains in units of its own; this
    step is for the units of ``alpha``, of noise levels, or of the images.

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

    def fit(self, Y, y=None):
        """Find the scale.

        Parameters
        ----------
        Y : array-like of shape (n_samples, *measurement_shape[, n_channels])
            Measurements.
        y : object
            Ignored; here for API consistency.

        Returns
        -------
        self : MeasurementScaler

        Raises
        ------
        TypeError, ValueError
            If ``scale`` is none of the above, or ``Y`` no finite, real stack.
        """
        checked = check_measurements(self, Y, reset=True)
        if isinstance(self.scale, Real) and not isinstance(self.scale, bool):
            check_real("scale", self.scale, min_val=0, include_boundaries="neither")
            scale = float(self.scale)
        else:
            check_option("scale", self.scale, _KINDS)
            scale = _scale_of(checked, self.scale)
        record_features(self, Y, checked)
        self.scale_ = scale
        self.measurement_shape_ = checked.shape[1:]
        return self

    def transform(self, Y):
        """Return measurements divided by ``scale_``.

        Parameters
        ----------
        Y : array-like of shape (n_samples, *measurement_shape[, n_channels])
            Measurements.

        Returns
        -------
        scaled : ndarray of the shape of ``Y``
            Float32.
        """
        check_is_fitted(self)
        checked = check_measurements(self, Y, reset=False)
        return checked / np.float32(self.scale_)

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
        return check_stack(Y, "Y", "measurements") * np.float32(self.scale_)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags


def _scale_of(Y, kind):
    """Return the size of measurements, 1 if they are all zero."""
    if kind == "max":
        size = max(float(Y.max()), -float(Y.min()))
    elif kind == "std":
        size = float(Y.std(dtype=np.float64))
    else:  # sample by sample: a copy in float64 may not fit into memory
        squares = [np.square(sample, dtype=np.float64).mean() for sample in Y]
        size = float(np.sqrt(np.mean(squares)))
    return size if size > 0 else 1.0
