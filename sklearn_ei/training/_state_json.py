"""Nested states of a training as JSON, with tensors beside it."""

import json
import math
from collections import Counter

import numpy as np
import torch

from ..utils.tensor_file import TENSOR_DTYPES

_MAX_DEPTH = 40
_MAX_TEXT = 8 * 2**20  # bytes of a history, well below what a file's header may have
_ARRAYS = "biuf"  # kinds of arrays that are kept as such


class Stored:
    """The place of a tensor, or of an array, that is still in the file.

    Parameters
    ----------
    name : str
        In the file.
    is_array : bool
        Whether it was an ndarray.
    """

    def __init__(self, name, is_array=False):
        self.name = name
        self.is_array = is_array


def pack(value, tensors, depth=0):
    """Return JSON for nested dictionaries and lists.

    Parameters
    ----------
    value : object
        Numbers, strings, tensors, arrays, and lists and dictionaries of them.
    tensors : dict
        Where tensors go, under new names.
    depth : int, default=0
        How deep ``value`` stands.

    Returns
    -------
    packed : object
        What ``json`` takes.

    Raises
    ------
    TypeError
        If there is anything else in it; the message names it.
    """
    if depth > _MAX_DEPTH:
        raise TypeError(f"lists more than {_MAX_DEPTH} levels deep")
    if isinstance(value, torch.Tensor | np.ndarray):
        return _pack_array(value, tensors)
    if isinstance(value, dict):
        # Keys of an optimizer's state are integers.
        if not all(type(key) in (str, int) for key in value):
            raise TypeError("a dictionary whose keys are neither strings nor integers")
        pairs = [[key, pack(item, tensors, depth + 1)] for key, item in value.items()]
        return {"dict": pairs}
    if isinstance(value, list | tuple):
        return [pack(item, tensors, depth + 1) for item in value]
    return _pack_plain(value.item() if isinstance(value, np.generic) else value)


def _pack_array(value, tensors):
    name = str(len(tensors))
    if isinstance(value, torch.Tensor):
        storable = value.dtype in TENSOR_DTYPES.values()
        if value.layout != torch.strided or not storable:
            raise TypeError(f"a tensor of {value.dtype} and {value.layout}")
        tensors[name] = value.detach().cpu().contiguous().clone()
        return {"tensor": name}
    if value.dtype.kind not in _ARRAYS:
        raise TypeError(f"an array of {value.dtype}")
    native = np.array(value, dtype=value.dtype.newbyteorder("="), order="C")
    tensors[name] = torch.from_numpy(native)
    return {"array": name}


def _pack_plain(value):
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, float):
        value = float(value)
        return value if math.isfinite(value) else {"float": repr(value)}
    if isinstance(value, int) and abs(value) < 2**63:
        return int(value)
    raise TypeError(f"a {type(value).__name__} {str(value)[:40]!r}")


def pack_history(history, tensors):
    """Return JSON for a history without its batches, and what had to be left out.

    Parameters
    ----------
    history : skorch History
    tensors : dict
        As for :func:`pack`.

    Returns
    -------
    packed : list
        One packed dictionary an epoch.
    left_out : set of str
        Names of entries of callbacks that a file cannot hold, or that would be too
        much for its header.
    """
    epochs, sizes, left_out = [], Counter(), set()
    for epoch in history:
        pairs = []
        for name, value in epoch.items():
            if name == "batches":
                continue
            mine = {}
            try:
                packed = pack(value, mine)
            except TypeError:
                left_out.add(str(name))
                continue
            pairs.append((str(name), packed, mine))
            sizes[str(name)] += len(json.dumps(packed)) + len(str(name)) + 8
        epochs.append(pairs)
    while sizes.total() > _MAX_TEXT:
        name, _ = sizes.most_common(1)[0]
        left_out.add(name)
        del sizes[name]
    packed_epochs = [
        {
            # Names of tensors are counted anew among all of the file.
            "dict": [
                [name, pack(unpack(packed, mine), tensors) if mine else packed]
                for name, packed, mine in pairs
                if name in sizes
            ]
        }
        for pairs in epochs
    ]
    return packed_epochs, left_out


def unpack(packed, tensors=None):
    """Return the nested dictionaries and lists of :func:`pack`.

    Parameters
    ----------
    packed : object
        From JSON.
    tensors : mapping or None, default=None
        Of the tensors by name. None leaves a :class:`Stored` in the place of each.

    Returns
    -------
    value : object

    Raises
    ------
    ValueError, TypeError, KeyError
        If :func:`pack` makes no such JSON.
    """
    if isinstance(packed, list):
        return [unpack(item, tensors) for item in packed]
    if not isinstance(packed, dict):
        return packed
    ((kind, content),) = packed.items()
    if kind == "float":
        return {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}[content]
    if kind in ("tensor", "array"):
        if not isinstance(content, str):
            raise TypeError("a tensor without a name")
        stored = Stored(content, kind == "array")
        return stored if tensors is None else fetch(stored, tensors)
    if kind != "dict":
        raise ValueError(f"there is an entry of kind {kind!r:.40}")
    if not all(type(key) in (str, int) for key, _ in content):
        raise ValueError("there is a key that is neither a string nor an integer")
    unpacked = {key: unpack(item, tensors) for key, item in content}
    if len(unpacked) < len(content):
        raise ValueError("there is a key twice")
    return unpacked


def tensors_in(value):
    """Yield the names of all :class:`Stored` in a nested value, with repetitions."""
    if isinstance(value, Stored):
        yield value.name
    elif isinstance(value, dict):
        for item in value.values():
            yield from tensors_in(item)
    elif isinstance(value, list):
        for item in value:
            yield from tensors_in(item)


def fetch(value, tensors):
    """Return a nested value with tensors and arrays in the place of :class:`Stored`."""
    if isinstance(value, Stored):
        tensor = tensors[value.name]
        return tensor.numpy() if value.is_array else tensor
    if isinstance(value, dict):
        return {key: fetch(item, tensors) for key, item in value.items()}
    if isinstance(value, list):
        return [fetch(item, tensors) for item in value]
    return value
