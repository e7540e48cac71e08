"""Stacks that are bad, do not fit, or are unusual but right."""

import tempfile

import numpy as np
import torch
from scipy import sparse

try:
    import pandas as pd
except ImportError:
    pd = None


def memory_map(array):
    """Return a read-only memory map of a file that holds the array."""
    with tempfile.TemporaryFile() as file:
        file.write(array.tobytes())
        file.flush()
        return np.memmap(file, array.dtype, "r", shape=array.shape)


class Unreadable:
    """An object whose conversion to an array fails in its own way."""

    def __array__(self, dtype=None, copy=None):
        raise RuntimeError("not today")


class Readable:
    """An object that only offers itself as an array."""

    def __init__(self, array):
        self.array = array

    def __array__(self, dtype=None, copy=None):
        return np.array(self.array, dtype=dtype)


def changed(array, value, dtype=None):
    """Return a copy with one other value in sample 1."""
    array = np.array(array, dtype=dtype)
    array[(1,) + (0,) * (array.ndim - 1)] = value
    return array


# Each function gets a good stack and makes it bad, whatever its shape.
BAD_STACKS = {
    "None": lambda a: None,
    "number": lambda a: 3.0,
    "string": lambda a: "sinograms.npy",
    "dict": lambda a: {"Y": a},
    "set": lambda a: {1.0, 2.0},
    "generator": lambda a: (sample for sample in a),
    "function": lambda a: np.sum,
    "class": lambda a: np.ndarray,
    "unreadable object": lambda a: Unreadable(),
    "0-D": lambda a: np.float32(1),
    "1-D": lambda a: a.ravel(),
    "single sample's row": lambda a: a[0].ravel()[:5],
    "one axis too many": lambda a: a[..., None, None],
    "three axes too many": lambda a: a[..., None, None, None],
    "no samples": lambda a: a[:0],
    "empty list": lambda a: [],
    "list of empty lists": lambda a: [[], []],
    "samples of nothing": lambda a: a[:, :0],
    "ragged list": lambda a: [a[0].tolist(), a[1][:2].tolist()],
    "list of unequal arrays": lambda a: [a[0], a[1][:2]],
    "list of lists of strings": lambda a: np.full(a.shape, "a").tolist(),
    "NaN": lambda a: changed(a, np.nan),
    "infinity": lambda a: changed(a, np.inf),
    "minus infinity": lambda a: changed(a, -np.inf),
    "all NaN": lambda a: np.full_like(a, np.nan),
    "NaN in float16": lambda a: changed(a, np.nan, np.float16),
    "NaN in objects": lambda a: changed(a, np.nan, object),
    "NaN in a tensor": lambda a: torch.from_numpy(changed(a, np.nan)),
    "beyond float32": lambda a: (a + 1.0).astype(np.float64) * 1e300,
    "1e35": lambda a: (a + 1.0) * np.float32(1e35),
    "vanishing in float32": lambda a: (a + 1.0).astype(np.float64) * 1e-300,
    "1e-38": lambda a: (a + 1.0) * np.float32(1e-38),
    "complex": lambda a: a + 1j,
    "complex without imaginary part": lambda a: a.astype(complex),
    "complex tensor": lambda a: torch.from_numpy(a) + 1j,
    "complex objects": lambda a: changed(a, 1j, object),
    "strings": lambda a: np.full(a.shape, "a"),
    "numbers as strings": lambda a: a.astype(str),
    "bytes": lambda a: np.full(a.shape, b"1"),
    "dates": lambda a: np.full(a.shape, np.datetime64("2020-01-01")),
    "durations": lambda a: np.full(a.shape, np.timedelta64(1, "s")),
    "records": lambda a: np.zeros(a.shape, dtype=[("re", "f4"), ("im", "f4")]),
    "dictionaries": lambda a: np.full(a.shape, {}, dtype=object),
    "None inside": lambda a: changed(a, None, object),
    "a string inside": lambda a: changed(a, "1", object),
    "a huge integer inside": lambda a: changed(a, 10**400, object),
    "masked": lambda a: np.ma.masked_greater(a, np.median(a)),
    "list of masked": lambda a: list(np.ma.masked_greater(a, np.median(a))),
    "SciPy sparse": lambda a: sparse.csr_array(a.reshape(len(a), -1)),
    "sparse tensor": lambda a: torch.from_numpy(a).to_sparse(),
}  # fmt: skip
if pd is not None:
    BAD_STACKS |= {
        "data frame of text": lambda a: pd.DataFrame({"a": ["x", "y"]}),
        "data frame with NA": lambda a: pd.DataFrame(
            {"a": pd.array([1, None], dtype="Int64"), "b": [1, 2]}
        ),
        "data frame with NaN": lambda a: pd.DataFrame({"a": [1.0, np.nan]}),
        "data frame of dates": lambda a: pd.DataFrame(
            {"a": pd.to_datetime(["2020-01-01", "2021-01-01"])}
        ),
        "series": lambda a: pd.Series([1.0, 2.0]),
    }

# What is wrong for a fitted estimator or an operator whose shapes are fixed.
MISFITS = {
    "fewer rows": lambda a: a[:, 1:],
    "fewer columns": lambda a: a[:, :, 1:],
    "transposed": lambda a: a.swapaxes(1, 2)[:, :, :-1],
    "flattened": lambda a: a.reshape(len(a), -1),
    "single sample": lambda a: a[0],
    "three channels first": lambda a: np.stack([a] * 3, axis=1),
    "samples last": lambda a: np.moveaxis(a, 0, -1)[:, 1:],
}

# Each keeps the values, exactly or to the tolerance.
GOOD_STACKS = {
    "list": (lambda a: a.tolist(), 0),
    "tuple of arrays": (tuple, 0),
    "list of tensors": (lambda a: [torch.from_numpy(s) for s in a], 0),
    "float64": (lambda a: a.astype(np.float64), 0),
    "float16": (lambda a: a.astype(np.float16), 1e-2),
    "longdouble": (lambda a: a.astype(np.longdouble), 0),
    "other byte order": (lambda a: a.astype(">f4"), 0),
    "objects": (lambda a: a.astype(object), 0),
    "Fortran order": (np.asfortranarray, 0),
    "negative strides": (lambda a: a[::-1, ::-1].copy()[::-1, ::-1], 0),
    "every second": (lambda a: np.repeat(a, 2, axis=0)[::2], 0),
    "read-only": (lambda a: np.frombuffer(a.tobytes(), a.dtype).reshape(a.shape), 0),
    "memory map": (memory_map, 0),
    "masked nowhere": (np.ma.masked_invalid, 0),
    "array-like object": (Readable, 0),
    "tensor": (torch.from_numpy, 0),
    "float64 tensor": (lambda a: torch.from_numpy(a).double(), 0),
    "bfloat16 tensor": (lambda a: torch.from_numpy(a).bfloat16(), 0.05),
    "tensor with a gradient": (lambda a: torch.from_numpy(a).requires_grad_(), 0),
    "transposed tensor": (
        lambda a: torch.from_numpy(a.swapaxes(0, 1).copy()).transpose(0, 1),
        0,
    ),
}
if torch.cuda.is_available():
    GOOD_STACKS["CUDA tensor"] = (lambda a: torch.from_numpy(a).cuda(), 0)
