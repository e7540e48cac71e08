"""One place that looks at what users pass as measurements and images."""

import numpy as np
import torch
from scipy import sparse
from sklearn.utils.validation import validate_data

from .layout import as_channels, unknown_in_both
from .stack import LazyStack, is_lazy

# Beyond these, sums of squares come near the ends of float32.
_LARGEST, _SMALLEST = 1e15, 1e-15
_CHUNK = 2**24  # elements looked at together, so that masks stay small


def check_stack(
    stack,
    name,
    what,
    *,
    dtype=np.float32,
    lazy=False,
    missing_ok=False,
    complex_ok=False,
):
    """Return a stack with samples along its first axis, checked.

    Parameters
    ----------
    stack : array-like of shape (n_samples, *sample_shape)
        NumPy arrays, memory maps, lists, data frames, or torch tensors on any
        device; memory is shared where nothing has to be converted.
    name : str
        Of the argument, for the messages.
    what : {"measurements", "images"}
        What it is a stack of, for the messages.
    dtype : dtype, default=numpy.float32
        Of the result.
    lazy : bool, default=False
        Whether stacks that are larger than memory may stay where they are, after
        all their values have been looked at chunk by chunk.
    missing_ok : bool, default=False
        Whether values may be missing: NaN, or masked in a masked array. Not those of
        a whole sample.
    complex_ok : bool, default=False
        Whether a stack may be complex, and stays so, in the precision of ``dtype``. A
        real one has pairs of channels then, which are missing together.

    Returns
    -------
    ndarray or LazyStack
        NaN where values are missing.

    Raises
    ------
    TypeError
        If values are not numbers, or the stack is sparse.
    ValueError
        If the stack is complex where that is not allowed, ragged, empty, has fewer
        than two axes, has infinity, or NaN or masked values that may not be missing
        (the first bad sample is named), or values beyond 1e15, or none above 1e-15,
        whose squares leave the range of float32.
    """
    kinds = "biufc" if complex_ok else "biuf"
    if lazy and is_lazy(stack):
        array = _as_lazy(stack, name)
        if array.dtype.kind not in kinds:
            _refuse_kind(array.dtype, name)
    else:
        array = _as_array(stack, name, what, missing_ok=missing_ok)
        if array.dtype.kind not in kinds:
            array = _as_numbers(array, name)
    if array.ndim < 2:
        raise ValueError(
            f"Expected 2D array, got {array.ndim}D array instead: {name} has shape "
            f"{array.shape}, but expected a stack of {what} along the first axis "
            "(Reshape your data; a single sample is a stack of one)."
        )
    if len(array) == 0:
        raise ValueError(
            f"Got {name} of shape {array.shape}, with 0 sample(s), but expected at "
            "least one."
        )
    if array.size == 0:
        raise ValueError(
            f"{name} has samples with 0 feature(s) (shape={array.shape}) while a "
            "minimum of 1 is required."
        )
    if isinstance(array, LazyStack):
        checked = array
    else:
        if array.dtype.kind == "c":
            dtype = np.result_type(dtype, np.complex64)
        with np.errstate(over="ignore"):  # float64 beyond float32: reported as inf
            checked = np.asarray(array, dtype=dtype)
    if complex_ok and missing_ok and array.dtype.kind != "c":
        checked = _in_pairs(checked)
    _check_values(checked, array, name, what, missing_ok)
    return checked


def _in_pairs(checked):
    if not isinstance(checked, LazyStack):
        return unknown_in_both(checked)
    checked.in_pairs = True
    return checked


def _as_lazy(stack, name):
    return stack if isinstance(stack, LazyStack) else LazyStack(stack, name)


def _as_array(stack, name, what, *, missing_ok=False):
    """Return an ndarray of whatever dtype."""
    if missing_ok:
        stack = filled(stack)
    parts = stack if isinstance(stack, list | tuple) else [stack]
    if any(np.ma.is_masked(part) for part in parts):
        raise ValueError(f"{name} has masked entries, but expected values everywhere.")
    if is_lazy(stack):
        return _as_lazy(stack, name).raw(slice(None))
    is_tensor = isinstance(stack, torch.Tensor)
    if sparse.issparse(stack) or (is_tensor and stack.layout != torch.strided):
        raise TypeError(
            f"Sparse data was passed as {name}, but expected a dense stack of {what}."
        )
    try:
        if is_tensor:
            tensor = stack.detach().resolve_conj().resolve_neg().cpu()
            return (
                tensor.float() if tensor.dtype == torch.bfloat16 else tensor
            ).numpy()
        return np.asarray(stack)
    # Containers of others may raise anything when asked for an array.
    except Exception as error:
        raise ValueError(
            f"Got {name} of type {type(stack).__name__}, which is no array "
            f"({_one_line(error)}), but expected a stack of {what} of equal shapes."
        ) from error


def filled(stack):
    """Return measurements with NaN where they are masked.

    Parameters
    ----------
    stack : object
        A masked array of numbers, or a list or tuple with some. Anything else is
        returned as it is.

    Returns
    -------
    stack : object
    """
    if isinstance(stack, list | tuple):
        masked = any(isinstance(sample, np.ma.MaskedArray) for sample in stack)
        return [filled(sample) for sample in stack] if masked else stack
    if not isinstance(stack, np.ma.MaskedArray) or stack.dtype.kind not in "biufc":
        return stack
    if stack.dtype.kind in "biu":
        stack = stack.astype(np.float32)
    return stack.filled(np.nan)


def _as_numbers(array, name):
    """Return an object array of numbers as float64; refuse every other kind."""
    not_numbers = (str, bytes, complex, np.complexfloating)
    if array.dtype.kind != "O" or any(isinstance(v, not_numbers) for v in array.flat):
        _refuse_kind(array.dtype, name)
    try:
        return array.astype(np.float64)
    except Exception as error:  # from whatever the objects are
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(
            f"Got {name} of dtype object with values that are not real numbers "
            f"({_one_line(error)}), but expected numbers."
        ) from error


def _refuse_kind(dtype, name):
    """Refuse a dtype that is not of real numbers."""
    if dtype.kind == "c":
        raise ValueError(
            f"Complex data not supported: got {name} of dtype {dtype}, but "
            "expected real numbers; pass real and imaginary parts as channels, "
            "np.stack([z.real, z.imag], axis=-1)."
        )
    raise ValueError(f"Got {name} of dtype {dtype}, but expected real numbers.")


def _check_values(checked, given, name, what, missing_ok):
    """Refuse NaN, infinity, and magnitudes that float32 cannot be computed with.

    A lazy stack is told whether it has NaN.
    """
    step = max(1, _CHUNK * len(checked) // checked.size)
    largest = 0.0
    for start in range(0, len(checked), step):
        chunk = checked[start : start + step]
        chunk = as_channels(chunk) if chunk.dtype.kind == "c" else chunk
        # NaN and infinity survive in the extremes: no mask is needed to see them.
        extreme = float(max(chunk.max(), -chunk.min()))
        if np.isnan(extreme) and missing_ok:
            if isinstance(checked, LazyStack):
                checked.has_missing = True
            _refuse_blank(chunk, start, name, what)
            extreme = float(np.nanmax(np.abs(chunk)))
        if not np.isfinite(extreme):
            _refuse_infinite(checked, name, what, missing_ok)
        largest = max(largest, extreme)
    too_small = largest < _SMALLEST and (largest > 0 or _any(given))
    if largest > _LARGEST or too_small:
        raise ValueError(
            f"{name} has values up to {largest:.3g}, but expected a largest magnitude "
            f"from {_SMALLEST:g} to {_LARGEST:g}, or all zero; change the unit."
        )


def _any(given):
    """Return whether any value is not zero, in the precision it was given in."""
    if isinstance(given, LazyStack):
        return any(np.any(given.raw(slice(i, i + 1))) for i in range(len(given)))
    return np.any(given)


def _refuse_blank(chunk, start, name, what):
    blank = np.flatnonzero(np.isnan(chunk.reshape(len(chunk), -1)).all(axis=1))
    if len(blank):
        raise ValueError(
            f"{name} has nothing but NaN in sample {start + blank[0]}, but expected "
            f"some {what} in each; leave such samples out."
        )


def _refuse_infinite(array, name, what, missing_ok):
    wrong = np.isinf if missing_ok else lambda sample: ~np.isfinite(sample)
    bad = np.flatnonzero([bool(wrong(sample).any()) for sample in array])
    with_nan = not missing_ok and np.isnan(array[bad[0]]).any()
    kind = "NaN" if with_nan else "infinity (inf)"
    others = f" and {len(bad) - 1} other sample(s)" if len(bad) > 1 else ""
    remedy = "; NaN stands for what was not measured" if missing_ok else ""
    raise ValueError(
        f"{name} contains {kind} in sample {bad[0]}{others}, but expected finite "
        f"{what}{remedy}."
    )


def _one_line(error):
    return " ".join(str(error).split())[:120].rstrip(".")


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
            raise ValueError(
                f"Y has measurements of shape {checked.shape[1:]}, but "
                f"{type(estimator).__name__} was fitted on measurements of shape "
                f"{shape}."
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
    given = Y
    if isinstance(checked, LazyStack) or (checked is None and is_lazy(Y)):
        # Only the shape counts.
        Y = np.broadcast_to(np.float32(0), _as_lazy(Y, "Y").shape)
    elif not hasattr(Y, "columns"):  # a data frame has names; others are arrays by now
        Y = checked
        if checked is None:
            Y = _as_array(given, "Y", "measurements", missing_ok=True)
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
    shape = (_as_lazy(y, "y") if is_lazy(y) else _as_array(y, "y", "images")).shape
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
    lazy = lazy and is_lazy(x)
    x = _as_lazy(x, "y") if lazy else _as_array(x, "y", "images")
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
