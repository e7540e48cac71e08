"""Fewer and larger bins, cut from a detector."""

from numbers import Integral

import numpy as np
from sklearn.utils.validation import check_is_fitted

from ..utils.params import brief
from ._step import DetectorStep


class DetectorBinner(DetectorStep):
    """Cut off bins, and take the mean of several ones.

    To be done with what the detector read, before the logarithm: the mean of
    logarithms is not the logarithm of the mean.

    Parameters
    ----------
    factor : int or tuple of int, default=1
        How many neighbouring bins become one. A tuple is for the last axes, e.g.
        (rows, bins) of frames. What is left over at the end is cut off.
    crop : tuple of int or of pairs, default=(0, 0)
        Bins that are cut off at the beginning and at the end, before they are
        averaged; pairs for the last axes, likewise.

    Attributes
    ----------
    measurement_shape_ : tuple of int
        Shape of one measurement that comes in.
    n_features_in_ : int
        Length of its first axis.

    Notes
    -----
    A mean that NaN is part of is NaN: bins differ in their gain before they are
    divided by flat fields, so that the mean of the others would be another one.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_ei.preprocessing import DetectorBinner
    >>> counts = np.arange(14.0).reshape(1, 2, 7)  # one sinogram
    >>> binner = DetectorBinner(3, crop=(1, 0)).fit(counts)
    >>> binner.transform(counts)
    array([[[ 2.,  5.], [ 9., 12.]]], dtype=float32)
    >>> binner.geometry(bin_size=0.1)  # of ParallelBeamCT and FanBeamCT
    {'n_bins': 2, 'bin_size': 0.3..., 'detector_offset': 0.05}
    """

    def __init__(self, factor=1, crop=(0, 0)):
        self.factor = factor
        self.crop = crop

    def transform_field(self, field):
        """Return a flat or dark field with the bins of transformed measurements.

        Parameters
        ----------
        field : float or array-like
            Whose last axes are those of the measurements, or of length 1, such as
            (n_rows, 1, n_bins) or a stack of frames. A number is returned as it is.

        Returns
        -------
        field : ndarray of float64
        """
        check_is_fitted(self)
        values = np.asarray(field, dtype=np.float64)
        for axis, (start, stop, factor) in self._cuts(self.measurement_shape_).items():
            if values.ndim < -axis or values.shape[axis] == 1:
                continue
            expected = self.measurement_shape_[axis]
            if values.shape[axis] != expected:
                raise ValueError(
                    f"Got a field of shape {values.shape}, but expected {expected} or "
                    f"1 along axis {axis}, as measurements have."
                )
            values = _mean_along(values, axis, start, stop, factor)
        return values

    def geometry(self, bin_size=1.0, detector_offset=0.0):
        """Return the parameters of an operator for transformed measurements.

        Parameters
        ----------
        bin_size : float, default=1.0
            Of the detector.
        detector_offset : float, default=0.0
            How far the middle of the detector is off the centre of rotation, in the
            unit of ``bin_size`` and towards increasing bins.

        Returns
        -------
        parameters : dict
            ``n_bins``, ``bin_size`` and ``detector_offset``, as
            :class:`~sklearn_ei.operators.ParallelBeamCT` takes them.
        """
        check_is_fitted(self)
        n_bins = self.measurement_shape_[-1]
        start, stop, factor = self._cuts(self.measurement_shape_)[-1]
        n_kept = (stop - start) // factor
        moved = start + n_kept * factor / 2 - n_bins / 2
        return {
            "n_bins": n_kept,
            "bin_size": factor * bin_size,
            "detector_offset": detector_offset + moved * bin_size,
        }

    def _check(self, shape):
        self._cuts(shape)

    def _shape_of(self, shape):
        new = list(shape)
        for axis, (start, stop, factor) in self._cuts(shape).items():
            new[axis] = (stop - start) // factor
        return tuple(new)

    def _apply(self, Y):
        for axis, cut in self._cuts(self.measurement_shape_).items():
            Y = _mean_along(Y, axis, *cut)
        return np.array(Y, dtype=np.float32)

    def _cuts(self, shape):
        """Return first bin, last one and factor for each of the last axes."""
        factors = self.factor if isinstance(self.factor, tuple) else (self.factor,)
        pairs = self.crop
        if (
            isinstance(pairs, tuple)
            and len(pairs) == 2
            and not isinstance(pairs[0], tuple)
        ):
            pairs = (*((0, 0),) * (len(factors) - 1), pairs)
        numbers = [*factors]
        if isinstance(pairs, tuple) and all(
            isinstance(pair, tuple) and len(pair) == 2 for pair in pairs
        ):
            numbers += [number for pair in pairs for number in pair]
        else:
            numbers = [None]
        if (
            not all(_is_count(number) for number in numbers)
            or min(factors) < 1
            or len(pairs) != len(factors)
            or len(factors) > len(shape)
        ):
            raise ValueError(
                f"Got factor={brief(self.factor)} and crop={brief(self.crop)}, but "
                "expected positive integers and pairs of integers that are not "
                f"negative, for the last of {len(shape)} axes."
            )
        cuts = {}
        for axis in range(-len(factors), 0):
            first, last = pairs[axis]
            size, factor = shape[axis], factors[axis]
            if size - first - last < factor:
                raise ValueError(
                    f"Got factor={brief(self.factor)} and crop={brief(self.crop)} for "
                    f"measurements of shape {shape}, but expected at least {factor} "
                    "bin(s) to be left."
                )
            cuts[axis] = (first, size - last, factor)
        return cuts


def _is_count(number):
    return isinstance(number, Integral) and not isinstance(number, bool) and number >= 0


def _mean_along(values, axis, start, stop, factor):
    """Return means of groups along an axis, counted from the last one."""
    n_kept = (stop - start) // factor
    index = [slice(None)] * values.ndim
    index[axis] = slice(start, start + n_kept * factor)
    kept = values[tuple(index)]
    if factor == 1:
        return kept
    at = values.ndim + axis
    shape = (*kept.shape[:at], n_kept, factor, *kept.shape[at + 1 :])
    return kept.reshape(shape).mean(axis=at + 1, dtype=np.float64)
