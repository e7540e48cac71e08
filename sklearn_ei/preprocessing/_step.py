"""What the steps share: checks that let NaN through, and stacks that stay in files."""

import numpy as np
import torch
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from ..utils.on_demand import MappedStack
from ..utils.params import brief
from ..utils.stack import LazyStack, is_lazy
from ..utils.stack_check import check_stack, filled
from ..utils.validation import check_measurements, record_features


class DetectorStep(TransformerMixin, BaseEstimator):
    """Base of steps that treat every sample by itself.

    Readings that are NaN, or masked, were not measured, and are NaN then. A stack
    that is not in memory (HDF5, zarr, a data set, a large memory map) is not read:
    what ``transform`` returns goes through the step when it is read.

    Subclasses have ``_check(shape)``, which refuses parameters that do not fit
    measurements of a shape and may set fitted attributes, and ``_apply(Y)``, which
    returns new float32 samples; also ``_shape_of(shape)`` if it changes.
    """

    _least_axes = 1

    def fit(self, Y, y=None):
        """Check the parameters against the measurements.

        Parameters
        ----------
        Y : array-like of shape (n_samples, *measurement_shape)
            Measurements; NaN where nothing was measured.
        y : object
            Ignored; here for API consistency.

        Returns
        -------
        self : estimator

        Raises
        ------
        TypeError, ValueError
            If parameters do not fit, or ``Y`` is no real stack, or has infinity.
        """
        checked = check_readings(self, Y, reset=True)
        shape = checked.shape[1:]
        if len(shape) < self._least_axes:
            raise ValueError(
                f"Got Y of shape {checked.shape}, but {type(self).__name__} expected "
                "measurements of at least two axes, views and bins."
            )
        self._learn(checked)
        record_features(self, Y, checked)
        self.measurement_shape_ = shape
        return self

    def transform(self, Y):
        """Return measurements that went through the step.

        Parameters
        ----------
        Y : array-like of shape (n_samples, *measurement_shape)
            Measurements; NaN where nothing was measured.

        Returns
        -------
        transformed : ndarray of float32, or a stack that is read when indexed
            The latter for a ``Y`` that is not in memory.

        Raises
        ------
        NotFittedError
            Before ``fit``.
        TypeError, ValueError
            If ``Y`` has another shape than in ``fit``, or infinity.
        """
        check_is_fitted(self, "measurement_shape_")
        checked = check_readings(self, Y, reset=False)
        if isinstance(checked, LazyStack):
            shape = self._shape_of(self.measurement_shape_)
            return MappedStack(checked, self._apply_to_chunk, shape)
        return self._apply(checked)

    def _learn(self, checked):
        """Take what is to be known from the measurements."""
        self._check(checked.shape[1:])

    def _check(self, shape):
        """Refuse parameters that do not fit measurements of a shape."""

    def _shape_of(self, shape):
        """Return the shape of a transformed measurement."""
        return shape

    def _apply_to_chunk(self, samples, numbers):
        bad = np.isinf(samples.reshape(len(samples), -1)).any(axis=1)
        if bad.any():
            raise ValueError(
                f"Y contains infinity (inf) in sample {numbers[bad.argmax()]}, but "
                "expected finite measurements, or NaN where there is none."
            )
        return self._apply(samples)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.input_tags.two_d_array = self._least_axes == 1
        tags.input_tags.allow_nan = True
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags


def check_readings(estimator, Y, reset=True, *, name="Y"):
    """Validate measurements, which may be NaN; see ``check_measurements``.

    Parameters
    ----------
    estimator : estimator or None
        As for ``check_measurements``; None where there is none.
    Y : array-like
        Measurements.
    reset : bool, default=True
        As for ``check_measurements``.
    name : str, default="Y"
        Of the argument, for the messages.

    Returns
    -------
    Y : ndarray of float32, or LazyStack
    """

    def check(stack):
        if estimator is None:
            return check_stack(stack, name, "measurements")
        return check_measurements(estimator, stack, reset)

    if is_lazy(Y):
        stack = Y if isinstance(Y, LazyStack) else LazyStack(Y, name)
        # Values are looked at when they are read.
        one = np.broadcast_to(np.zeros((), stack.dtype), (1, *stack.shape[1:]))
        check(one if len(stack) else one[:0])
        return stack
    given, missing = _without_nan(Y)
    checked = check(given)
    if missing is not None:
        checked = np.where(missing, np.float32(np.nan), checked)
    return checked


def _without_nan(Y):
    """Return measurements with zeros for NaN, and where it was, or None."""
    array = Y = filled(Y)
    if isinstance(Y, list | tuple | torch.Tensor):
        try:
            array = np.asarray(Y)
        except Exception:  # refused with its reason later
            return Y, None
    if not isinstance(array, np.ndarray):
        return Y, None
    missing = np.isnan(array) if array.dtype.kind == "f" else None
    if missing is None or not missing.any():
        return Y, None
    return np.where(missing, array.dtype.type(0), array), missing


def check_axis(shape, view_axis):
    """Return which axis of a stack is that of views, given one of a measurement."""
    valid = isinstance(view_axis, int | np.integer) and not isinstance(view_axis, bool)
    if not valid or not -len(shape) <= view_axis < len(shape):
        raise ValueError(
            f"Got view_axis={brief(view_axis)}, but expected one of the axes of "
            f"measurements of shape {shape}."
        )
    axis = int(view_axis) % len(shape)
    if axis == len(shape) - 1:
        raise ValueError(
            f"Got view_axis={view_axis}, the last axis, but expected another: the last "
            "one is that of bins."
        )
    return axis + 1
