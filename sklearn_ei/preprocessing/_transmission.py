"""From counted photons to line integrals of the attenuation."""

import warnings

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from ..utils.params import brief, check_real
from ..utils.validation import check_measurements, check_stack, record_features


class TransmissionToAttenuation(TransformerMixin, BaseEstimator):
    """Turn transmitted intensities into line integrals of the attenuation.

    Parameters
    ----------
    dark : float or array-like, default=0.0
        What the detector reads without a beam: a number, an array that broadcasts
        against one measurement, such as (n_bins,) for sinograms (n_views, n_bins),
        or a stack of such frames, with one axis more than a measurement, e.g.
        (n_frames, 1, n_bins), of which the mean is taken.
    flat : float or array-like, default=1.0
        What it reads with the beam and nothing in it; likewise. 1 with
        ``dark=0``: the measurements are transmissions already.
    min_transmission : float, default=1e-4
        Smallest transmission. What is below it, zeros and negative values
        included, is set to it, with a warning that counts them: their attenuation
        becomes −log(min_transmission), 9.21 by default.

    Attributes
    ----------
    dark_, flat_ : ndarray of float64
        Means of the frames, which broadcast against one measurement.
    measurement_shape_ : tuple of int
        Shape of one measurement.
    n_features_in_ : int
        Length of the first axis of one measurement.

    See Also
    --------
    transmission_to_attenuation : The same for fields that differ from sample to
        sample, such as the rows of one detector.

    Notes
    -----
    By the law of Beer and Lambert, y = −log((I − dark)/(flat − dark)) = ∫ μ ds in
    natural logarithms: images are attenuations, in the inverse of the operator's
    ``pixel_size`` unit. A wrong ``flat`` adds a constant to y, the same for every
    ray, which is not the measurement A x of any image of the object's size: it
    shows as a halo. Values above 1, where noise or scatter exceeds the flat field,
    give negative y and are kept, since cutting them off would bias the mean.

    Photon noise of I is no longer Poisson after the logarithm: its variance is
    about 1/counts, largest behind dense material.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_ei.preprocessing import TransmissionToAttenuation
    >>> counts = np.array([[[110.0, 60.0], [1010.0, 510.0]]])  # one 2 × 2 sinogram
    >>> to_attenuation = TransmissionToAttenuation(dark=10, flat=[1010, 1010])
    >>> to_attenuation.fit_transform(counts).round(2)
    array([[[2.3 , 3.  ], [0.  , 0.69]]], dtype=float32)
    """

    def __init__(self, dark=0.0, flat=1.0, *, min_transmission=1e-4):
        self.dark = dark
        self.flat = flat
        self.min_transmission = min_transmission

    def fit(self, Y, y=None):
        """Check the fields against the measurements.

        Parameters
        ----------
        Y : array-like of shape (n_samples, *measurement_shape)
            Intensities.
        y : object
            Ignored; here for API consistency.

        Returns
        -------
        self : TransmissionToAttenuation

        Raises
        ------
        TypeError, ValueError
            If the fields do not fit the measurements, or ``flat`` does not exceed
            ``dark`` everywhere.
        """
        checked = check_measurements(self, Y, reset=True)
        _check_min_transmission(self.min_transmission)
        dark = _mean_frame(self.dark, "dark", checked.shape[1:])
        flat = _mean_frame(self.flat, "flat", checked.shape[1:])
        _check_fields(dark, flat)
        record_features(self, Y, checked)
        self.dark_, self.flat_ = dark, flat
        self.measurement_shape_ = checked.shape[1:]
        return self

    def transform(self, Y):
        """Return line integrals of the attenuation.

        Parameters
        ----------
        Y : array-like of shape (n_samples, *measurement_shape)
            Intensities.

        Returns
        -------
        attenuation : ndarray of the shape of ``Y``
            Float32.

        Raises
        ------
        NotFittedError
            Before ``fit``.
        TypeError, ValueError
            If ``Y`` has another shape than in ``fit``, or NaN or infinity.
        """
        check_is_fitted(self)
        checked = check_measurements(self, Y, reset=False)
        return _attenuation(checked, self.dark_, self.flat_, self.min_transmission)

    def inverse_transform(self, Y):
        """Return intensities: dark + (flat − dark)·exp(−y).

        Parameters
        ----------
        Y : array-like of shape (n_samples, *measurement_shape)
            Line integrals of the attenuation, e.g. A x of reconstructions.

        Returns
        -------
        intensities : ndarray of the shape of ``Y``
            Float32. Where the transmission was below ``min_transmission``, not
            those that were measured.
        """
        check_is_fitted(self)
        checked = check_measurements(self, Y, reset=False)
        beam = self.flat_ - self.dark_
        with np.errstate(over="ignore"):  # refused by whoever gets infinity
            return (self.dark_ + beam * np.exp(-checked)).astype(np.float32)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags


def transmission_to_attenuation(
    intensities, dark=0.0, flat=1.0, *, min_transmission=1e-4
):
    """Return −log((I − dark)/(flat − dark)) of intensities I.

    Parameters
    ----------
    intensities : array-like of shape (n_samples, *measurement_shape)
        What was measured.
    dark, flat : float or array-like, default=0.0 and 1.0
        What the detector reads without a beam, and without an object. They
        broadcast against ``intensities``: (n_samples, 1, n_bins) for a field of
        each sample.
    min_transmission : float, default=1e-4
        Smallest transmission; what is below is set to it, with a warning.

    Returns
    -------
    attenuation : ndarray of the shape of ``intensities``
        Float32.

    Raises
    ------
    TypeError, ValueError
        If arrays do not fit, or ``flat`` does not exceed ``dark`` everywhere.

    Warns
    -----
    RuntimeWarning
        If values are below ``min_transmission``.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_ei.preprocessing import transmission_to_attenuation
    >>> transmission_to_attenuation(np.exp([[-1.0, -2.0]]))
    array([[1., 2.]], dtype=float32)
    """
    checked = check_stack(intensities, "intensities", "measurements")
    _check_min_transmission(min_transmission)
    dark = _field(dark, "dark", checked.shape)
    flat = _field(flat, "flat", checked.shape)
    _check_fields(dark, flat)
    return _attenuation(checked, dark, flat, min_transmission)


# ----------------------------------------------------------------------- parts
def _check_min_transmission(value):
    check_real(
        "min_transmission", value, min_val=0, max_val=1, include_boundaries="neither"
    )


def _field(field, name, shape):
    """Return a field as float64, if it is finite and broadcasts to a shape."""
    try:
        array = np.asarray(field, dtype=np.float64)
    except (TypeError, ValueError):
        array = np.array(np.nan)
    if isinstance(field, bool | str) or not np.isfinite(array).all():
        raise ValueError(
            f"Got {name}={brief(field)}, but expected finite numbers: one, or an array."
        )
    try:
        fits = np.broadcast_shapes(array.shape, shape) == tuple(shape)
    except ValueError:
        fits = False
    if not fits:
        raise ValueError(
            f"Got {name} of shape {array.shape}, but expected a number, or an array "
            f"that broadcasts to {tuple(shape)}."
        )
    return array


def _mean_frame(field, name, shape):
    """Return a field for one measurement, the mean of frames if there are several."""
    try:
        n_dims = np.ndim(field)
    except ValueError:  # ragged
        n_dims = 0
    if n_dims == len(shape) + 1:
        field = check_stack(field, name, "frames", dtype=np.float64).mean(axis=0)
    try:
        return _field(field, name, shape)
    except ValueError as error:
        hint = ""
        if n_dims > 0 and len(shape) > 1:
            hint = (
                f" Frames are (n_frames, …) with {len(shape) + 1} axes, such as "
                f"{name}[:, np.newaxis]."
            )
        raise ValueError(f"{error}{hint}") from None


def _check_fields(dark, flat):
    dead = np.count_nonzero(flat <= dark)
    if dead:
        size = np.broadcast(flat, dark).size
        raise ValueError(
            f"Got flat not above dark in {dead} of {size} value(s), but expected a "
            "beam everywhere; give dead pixels the readings of a neighbour."
        )


def _attenuation(checked, dark, flat, min_transmission):
    transmission = (checked - dark.astype(np.float32)) / (flat - dark).astype(
        np.float32
    )
    n_below = int(np.count_nonzero(transmission < min_transmission))
    if n_below:
        warnings.warn(
            f"Got {n_below} of {transmission.size} values "
            f"({n_below / transmission.size:.2%}) with a transmission below "
            f"{min_transmission:g}; they are set to it.",
            RuntimeWarning,
            stacklevel=3,
        )
        np.maximum(transmission, np.float32(min_transmission), out=transmission)
    # + 0 so that full transmission is 0 and not -0.
    return np.negative(np.log(transmission, out=transmission), out=transmission) + 0
