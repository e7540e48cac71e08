"""From counted photons to line integrals of the attenuation."""

from functools import partial

import numpy as np
from sklearn.utils.validation import check_is_fitted

from ..utils.on_demand import MappedStack
from ..utils.params import brief, check_real
from ..utils.stack import LazyStack
from ..utils.stack_check import check_stack
from ..utils.warn import warn
from ._step import DetectorStep, check_readings

# Above, more than noise and scatter let through in most of the readings.
_NO_TRANSMISSION = 1.5


class TransmissionToAttenuation(DetectorStep):
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
        ``dark=0``: the measurements are transmissions already; counts are refused.
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

    def _learn(self, checked):
        shape = checked.shape[1:]
        _check_min_transmission(self.min_transmission)
        for name in ("dark", "flat"):
            _refuse_field_of_each_sample(name, getattr(self, name), checked.shape)
        dark = _mean_frame(self.dark, "dark", shape)
        flat = _mean_frame(self.flat, "flat", shape)
        _check_fields(dark, flat)
        if isinstance(checked, np.ndarray):
            _refuse_counts(checked, dark, flat)
        self.dark_, self.flat_ = dark, flat

    def _apply(self, Y):
        return _attenuation(Y, self.dark_, self.flat_, self.min_transmission)

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
        checked = check_readings(self, Y, reset=False)[:]
        beam = self.flat_ - self.dark_
        with np.errstate(over="ignore"):  # refused by whoever gets infinity
            return (self.dark_ + beam * np.exp(-checked)).astype(np.float32)


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
        Float32; NaN where the intensity is NaN. For intensities that are not in
        memory, a stack that is read when it is indexed.

    Raises
    ------
    TypeError, ValueError
        If arrays do not fit, ``flat`` does not exceed ``dark`` everywhere, or
        intensities are counts without fields.

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
    checked = check_readings(None, intensities, name="intensities")
    _check_min_transmission(min_transmission)
    dark = _field(dark, "dark", checked.shape)
    flat = _field(flat, "flat", checked.shape)
    _check_fields(dark, flat)
    if isinstance(checked, LazyStack):
        function = partial(_of_samples, dark, flat, min_transmission)
        return MappedStack(checked, function, checked.shape[1:])
    return _attenuation(checked, dark, flat, min_transmission)


def _of_samples(dark, flat, min_transmission, intensities, numbers):
    """Return the attenuation of some samples, with their fields."""
    n_axes = intensities.ndim
    of_samples = (
        field[numbers] if field.ndim == n_axes and len(field) > 1 else field
        for field in (dark, flat)
    )
    return _attenuation(intensities, *of_samples, min_transmission)


# ----------------------------------------------------------------------- parts
def _check_min_transmission(value):
    check_real(
        "min_transmission", value, min_val=0, max_val=1, include_boundaries="neither"
    )


def _refuse_field_of_each_sample(name, field, shape):
    """Refuse what would be taken for frames, and their mean be taken."""
    given = np.shape(field) if hasattr(field, "shape") else ()
    if len(given) == len(shape) and given[0] == shape[0] > 1:
        raise ValueError(
            f"Got {name} of shape {given} for {shape[0]} samples, which may be a field "
            f"for each of them or as many frames, but expected one field: "
            f"{name}.mean(axis=0) of frames; transmission_to_attenuation takes a field "
            "for each sample, such as the rows of a detector."
        )


def _refuse_counts(values, dark, flat):
    """Refuse what are no transmissions though they are said to be."""
    if flat.size > 1 or dark.size > 1 or flat != 1 or dark != 0:
        return
    if np.count_nonzero(values > _NO_TRANSMISSION) > values.size / 2:
        raise ValueError(
            f"Got intensities up to {np.nanmax(values):.4g} with flat=1 and dark=0, "
            "but expected transmissions, or the readings with the beam and nothing in "
            "it as flat, and without the beam as dark."
        )


def _field(field, name, shape):
    """Return a field as float64, if it is finite and broadcasts to a shape."""
    if field is None:
        raise ValueError(
            f"Got {name}=None, but expected finite numbers; without {name} fields "
            "leave it out and divide by what the beam gives beside the object "
            "(AirNormalizer)."
        )
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
    size = np.broadcast(flat, dark).size
    if dead == size:
        raise ValueError(
            f"Got flat not above dark in {dead} of {size} value(s), up to "
            f"{flat.max():g} and {dark.max():g}, but expected a beam; they may be "
            "exchanged, or the beam was off."
        )
    if dead:
        raise ValueError(
            f"Got flat not above dark in {dead} of {size} value(s), but expected a "
            "beam everywhere; give dead bins the readings of a neighbour, and name "
            "them to DeadBinMasker."
        )


def _attenuation(checked, dark, flat, min_transmission):
    _refuse_counts(checked, dark, flat)
    transmission = (checked - dark.astype(np.float32)) / (flat - dark).astype(
        np.float32
    )
    n_below = int(np.count_nonzero(transmission < min_transmission))
    if n_below:
        warn(
            f"Got {n_below} of {transmission.size} values "
            f"({n_below / transmission.size:.2%}) with a transmission below "
            f"{min_transmission:g}; they are set to it.",
            RuntimeWarning,
        )
        np.maximum(transmission, np.float32(min_transmission), out=transmission)
    # + 0 so that full transmission is 0 and not -0.
    return np.negative(np.log(transmission, out=transmission), out=transmission) + 0
