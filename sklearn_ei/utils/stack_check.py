"""From whatever users pass as measurements or images to a checked stack."""

import numpy as np
import torch
from scipy import sparse

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
    array = as_stack(stack, name, what, lazy=lazy, missing_ok=missing_ok)
    if array.dtype.kind not in kinds:
        if array.dtype.kind != "O" or isinstance(array, LazyStack):
            _refuse_kind(array.dtype, name)
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


def as_stack(stack, name, what, *, lazy=False, missing_ok=False):
    """Return what was passed as a stack, of whatever shape and dtype.

    Parameters
    ----------
    stack, name, what, lazy, missing_ok
        As for :func:`check_stack`.

    Returns
    -------
    ndarray or LazyStack

    Raises
    ------
    TypeError, ValueError
        If it is sparse, masked where nothing may be missing, or no array.
    """
    if is_lazy(stack):
        as_lazy = stack if isinstance(stack, LazyStack) else LazyStack(stack, name)
        return as_lazy if lazy else as_lazy.raw(slice(None))
    if missing_ok:
        stack = filled(stack)
    parts = stack if isinstance(stack, list | tuple) else [stack]
    if any(np.ma.is_masked(part) for part in parts):
        raise ValueError(f"{name} has masked entries, but expected values everywhere.")
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


def check_tensor(y, name, shape):
    r"""Refuse a tensor that is no stack of real measurements with channels.

    Parameters
    ----------
    y : torch.Tensor
    name : str
        Of the argument, for the message.
    shape : tuple of int or None
        Of one measurement, if it is known.

    Raises
    ------
    ValueError
        Unless it is real, of shape (n_samples, n_channels, *shape), and not empty.
    """
    fits = y.ndim > 2 if shape is None else y.ndim == 2 + len(shape)
    if y.is_complex() or not fits or len(y) == 0:
        raise ValueError(
            f"Got {name}, a tensor of {y.dtype} and shape {tuple(y.shape)}, but "
            "expected at least one measurement of real numbers, (n_samples, "
            "n_channels, …); complex ones are real and imaginary parts as channels, or "
            "a NumPy array."
        )


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
    """Return an object array as float64; refuse what are not real numbers."""
    not_numbers = (str, bytes, complex, np.complexfloating)
    if any(isinstance(v, not_numbers) for v in array.flat):
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
