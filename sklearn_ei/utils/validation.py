"""What users pass to an estimator: measurements, images, and where to write."""

import numpy as np
from sklearn.utils.validation import validate_data

from .stack import LazyStack, is_lazy
from .stack_check import as_stack, check_stack


def check_measurements(estimator, Y, reset, *, lazy=False):
    """Validate measurements passed to an estimator.

    Parameters
    ----------
    estimator : estimator
        Nothing is set on it; with ``reset=False`` its ``n_features_in_`` and
        ``measurement_shape_`` must be those of ``Y``.
    Y : array-like of shape (n_samples, *measurement_shape[, n_channels])
        Measurements; real, or complex if the operator has complex channels. NaN, or
        masked, where there is none, if the estimator's ``allow_missing`` says so.
    reset : bool
        True in ``fit``, False where the estimator is fitted already.
    lazy : bool, default=False
        Whether measurements that are larger than memory may stay where they are.

    Returns
    -------
    Y : ndarray of float32 or complex64, or LazyStack

    Raises
    ------
    TypeError, ValueError
        If ``Y`` is not a numeric stack, is complex and may not, is empty, has
        infinity, NaN that may not be there or nothing else in a sample (the first bad
        one is named), or another shape than in fit.
    """
    operator = getattr(estimator, "operator", None)
    complex_ok = getattr(operator, "has_complex_channels", False)
    missing_ok = bool(getattr(estimator, "allow_missing", False))
    checked = check_stack(
        Y,
        "Y",
        "measurements",
        lazy=lazy,
        missing_ok=missing_ok,
        complex_ok=complex_ok,
    )
    if not reset:
        _check_form(checked, estimator)
        shape = estimator.measurement_shape_
        # Plain signals are left to scikit-learn, with the words it uses.
        plain = len(shape) == checked.ndim - 1 == 1
        if checked.shape[1:] != shape and not plain:
            one = checked.shape == shape
            hint = "; a single sample has to be passed as a stack of one" * one
            raise ValueError(
                f"Y has measurements of shape {checked.shape[1:]}, but "
                f"{type(estimator).__name__} was fitted on measurements of shape "
                f"{shape}{hint}."
            )
        record_features(estimator, Y, checked, reset=False)
    return checked


def _check_form(checked, estimator):
    """Refuse real measurements where they were complex in fit, and the reverse."""
    layout = getattr(estimator, "measurement_layout_", None)
    is_complex = checked.dtype.kind == "c"
    if layout is not None and layout.is_complex != is_complex:
        name, remedy = type(estimator).__name__, "np.stack([Y.real, Y.imag], axis=-1)"
        if not is_complex:
            remedy = "Y.astype(complex), if imaginary parts are zero"
        raise ValueError(
            f"Y has dtype {checked.dtype}, but {name} was fitted on "
            f"{'complex' if layout.is_complex else 'real'} measurements; pass {remedy}."
        )


def record_features(estimator, Y, checked=None, *, reset=True):
    """Set ``n_features_in_`` (and names), once ``Y`` has passed every check.

    With ``reset=False`` compare them with those seen in ``fit``.
    """
    if isinstance(checked, LazyStack) or (checked is None and is_lazy(Y)):
        # Only the shape counts.
        shape = as_stack(Y, "Y", "measurements", lazy=True).shape
        Y = np.broadcast_to(np.float32(0), shape)
    elif not hasattr(Y, "columns"):  # a data frame has names; others become arrays
        if checked is None:
            checked = as_stack(Y, "Y", "measurements", missing_ok=True)
        Y = checked
    validate_data(estimator, X=Y, reset=reset, skip_check_array=True)


def shape_of_images(y, n_samples):
    """Return the shape of what came as ``y``, one entry for each measurement.

    Parameters
    ----------
    y : array-like
        Ground truth, or labels that travel along in a pipeline.
    n_samples : int
        Number of measurements.

    Returns
    -------
    shape : tuple of int

    Raises
    ------
    ValueError
        If ``y`` is no array, or has another length.
    """
    shape = as_stack(y, "y", "images", lazy=True).shape
    if not shape or shape[0] != n_samples:
        raise ValueError(
            f"y has shape {shape}, but Y has {n_samples} measurements; expected one "
            "entry for each measurement."
        )
    return shape


def check_images(
    x,
    n_samples,
    sample_shape,
    estimator_name,
    *,
    missing_ok=False,
    lazy=False,
    is_complex=False,
):
    """Validate ground-truth images that belong to measurements.

    Parameters
    ----------
    x : array-like of shape (n_samples, *sample_shape)
        Images.
    n_samples : int
        Number of measurements.
    sample_shape : tuple of int or None
        Image shape, channels last; None while it is open.
    estimator_name : str
        For the message.
    missing_ok : bool, default=False
        Whether images may be missing: those that are NaN throughout.
    lazy : bool, default=False
        Whether images that are larger than memory may stay where they are.
    is_complex : bool, default=False
        Whether they have to be complex, rather than real.

    Returns
    -------
    x : ndarray of float32 or complex64, or LazyStack
        Missing images are NaN.
    """
    x = as_stack(x, "y", "images", lazy=lazy)
    lazy = isinstance(x, LazyStack)
    missing = _missing_images(x) if missing_ok else None
    if missing is not None and not lazy:
        x = np.array(x, dtype=np.complex64 if x.dtype.kind == "c" else np.float32)
        x[missing] = 0
    elif missing is not None:
        x.blank = missing
    checked = check_stack(x, "y", "images", lazy=lazy, complex_ok=is_complex)
    if is_complex and checked.dtype.kind != "c":
        raise ValueError(
            f"y has dtype {checked.dtype}, but {estimator_name} expected complex "
            "images beside complex measurements; pass y.astype(complex), if imaginary "
            "parts are zero."
        )
    if len(checked) != n_samples:
        raise ValueError(
            f"y has {len(checked)} images, but Y has {n_samples} measurements; "
            "expected one image for each measurement."
        )
    if sample_shape is not None and checked.shape[1:] != tuple(sample_shape):
        raise ValueError(
            f"y has images of shape {checked.shape[1:]}, but {estimator_name} expected "
            f"images of shape {tuple(sample_shape)}."
        )
    if missing is not None:
        if missing.all():
            raise ValueError(
                f"y has no image for any of its {n_samples} samples (all are NaN), but "
                f"{estimator_name} expected at least one."
            )
        if lazy:
            checked.blank, checked.first_missing = None, int(np.argmax(missing))
        else:
            checked[missing] = np.nan
    return checked


def check_out(out, shape, Y, *, is_complex=False):
    """Refuse an ``out`` that cannot take reconstructions of measurements ``Y``.

    Parameters
    ----------
    out : ndarray
        Writable, of float32 or float64 (or complex), and apart from ``Y`` in memory.
    shape : tuple of int
        Of the reconstructions.
    Y : ndarray or LazyStack
        The measurements, read while ``out`` is written.
    is_complex : bool, default=False
        Whether the reconstructions are.

    Returns
    -------
    out : ndarray
    """
    if not isinstance(out, np.ndarray) or np.ma.isMaskedArray(out):
        raise TypeError(
            f"Got out of type {type(out).__name__}, but expected a NumPy array or "
            "memory map."
        )
    dtypes = ("complex64", "complex128") if is_complex else ("float32", "float64")
    if out.shape != shape or out.dtype not in dtypes:
        raise ValueError(
            f"Got out of shape {out.shape} and dtype {out.dtype}, but expected shape "
            f"{shape} and dtype {' or '.join(dtypes)}."
        )
    lazy = isinstance(Y, LazyStack)
    shared = Y.shares_memory(out) if lazy else np.may_share_memory(out, Y)
    if not out.flags.writeable or shared:
        raise ValueError(
            "Got an out that is read-only or shares memory with Y, but expected a "
            "writable array of its own."
        )
    return out


def _missing_images(stack):
    """Return which images of a stack are NaN throughout, or None if none are."""
    if stack.dtype.kind not in "fc" or stack.ndim < 2 or not stack.size:
        return None
    chunks = stack.chunks() if isinstance(stack, LazyStack) else [stack]
    missing = np.concatenate(
        [np.isnan(chunk.reshape(len(chunk), -1)).all(axis=1) for chunk in chunks]
    )
    return missing if missing.any() else None
