"""From counted photons to line integrals of the attenuation."""

from functools import partial

import numpy as np
from sklearn.utils.validation import check_is_fitted

from ..utils.on_demand import MappedStack
from ..utils.params import check_real
from ..utils.stack import LazyStack
from ..utils.stuck import mostly
from ..utils.warn import warn
from ._fields import (
    check_beam,
    field_of_all,
    field_of_samples,
    refuse_readings_without_beam,
)
from ._step import DetectorStep, check_readings

# Above, more than noise and scatter let through in most of the readings.
_NO_TRANSMISSION = 1.5
_MOST = 0.5


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
        Where either is NaN, as for a bin that is dead, so is the attenuation; where
        ``flat`` is not above ``dark``, measurements have to be NaN.
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
        _check_min_transmission(self.min_transmission)
        dark = field_of_all(self.dark, "dark", checked.shape)
        flat = field_of_all(self.flat, "flat", checked.shape)
        check_beam(dark, flat)
        if isinstance(checked, np.ndarray):
            refuse_readings_without_beam(checked, dark, flat)
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
        each sample, such as the rows of a detector. NaN where nothing is known.
    min_transmission : float, default=1e-4
        Smallest transmission; what is below is set to it, with a warning.

    Returns
    -------
    attenuation : ndarray of the shape of ``intensities``
        Float32; NaN where the intensity, or a field, is NaN. For intensities that
        are not in memory, a stack that is read when it is indexed.

    Raises
    ------
    TypeError, ValueError
        If arrays do not fit, or in two ways, ``flat`` does not exceed ``dark`` where
        intensities are not NaN, or they are counts without fields. For those that
        are not in memory some of this is seen when they are read.

    Warns
    -----
    RuntimeWarning
        If values are below ``min_transmission``. Bins, and views, of which it is
        nearly all are named.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_ei.preprocessing import transmission_to_attenuation
    >>> transmission_to_attenuation(np.exp([[-1.0, -2.0]]))
    array([[1., 2.]], dtype=float32)
    """
    checked = check_readings(None, intensities, name="intensities")
    _check_min_transmission(min_transmission)
    dark = field_of_samples(dark, "dark", checked.shape)
    flat = field_of_samples(flat, "flat", checked.shape)
    check_beam(dark, flat)
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


def _attenuation(checked, dark, flat, min_transmission):
    refuse_readings_without_beam(checked, dark, flat)
    _refuse_counts(checked, dark, flat)
    with np.errstate(divide="ignore", invalid="ignore"):  # where readings are NaN
        transmission = (checked - dark.astype(np.float32)) / (flat - dark).astype(
            np.float32
        )
    below = transmission < min_transmission
    n_below = int(np.count_nonzero(below))
    if n_below:
        whole = _say_whole(below, ~np.isnan(transmission))
        warn(
            f"Got {n_below} of {transmission.size} values "
            f"({n_below / transmission.size:.2%}) with a transmission below "
            f"{min_transmission:g}; they are set to it.{whole}",
            RuntimeWarning,
        )
        np.maximum(transmission, np.float32(min_transmission), out=transmission)
    # + 0 so that full transmission is 0 and not -0.
    return np.negative(np.log(transmission, out=transmission), out=transmission) + 0


def _say_whole(below, seen):
    """Return what is to be said where nothing reaches whole bins, or views."""
    if below.ndim < 3:
        return ""
    shape = -1, *below.shape[-2:]
    stuck = mostly(below.reshape(shape), seen.reshape(shape))
    within = np.count_nonzero(stuck.mask & below.reshape(shape))
    # Else the object is dense; and if it is most of all, it is not the detector.
    if within < _MOST * np.count_nonzero(below) or stuck.mask.mean() > _MOST:
        return ""
    which = "it is" if stuck.is_alone else "they are"
    how = f"DeadBinMasker({stuck.numbers or ''})"
    return (
        f" Among them is all, or nearly all, of {stuck.names}: if {which} dead or "
        f"lost, {how} before this step makes NaN of it, which is not measured."
    )
