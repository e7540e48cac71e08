"""Checks of constructor parameters beyond ``sklearn.utils.check_scalar``."""

import os
import re
from numbers import Integral, Real


def check_option(name, value, options):
    """Refuse a value that is none of the ``options``."""
    if not isinstance(value, str) or value not in options:
        raise ValueError(
            f"Got {name}={value!r}, but expected one of "
            f"{', '.join(map(repr, options))}."
        )
    return value


def check_path(name, path):
    """Refuse a file name that is neither a string, a path nor None."""
    if path is not None and not isinstance(path, str | os.PathLike):
        raise TypeError(f"Got {name}={path!r}, but expected a path, or None.")


def check_shape(name, shape, n_dims=None):
    """Return ``shape`` as a tuple of positive ints, with ``n_dims`` of them."""
    try:
        checked = tuple(shape)
        valid = all(isinstance(size, Integral) and size > 0 for size in checked)
    except TypeError:
        valid = False
    if not valid or (n_dims is not None and len(checked) != n_dims):
        count = "" if n_dims is None else f"{n_dims} "
        raise ValueError(
            f"Got {name}={shape!r}, but expected a tuple of {count}positive integers."
        )
    return tuple(int(size) for size in checked)


def check_memory(name, memory):
    """Return a size in bytes, given as a number of bytes or like ``"4 GB"``.

    Units are B, KB, MB, GB and TB, steps of 1000; KiB, MiB, ... are steps of 1024.
    """
    if isinstance(memory, Real) and not isinstance(memory, bool) and memory >= 0:
        return float(memory)
    match = re.fullmatch(
        r"\s*(\d+(?:\.\d+)?)\s*([kmgt]?)(i?)b\s*", str(memory), re.IGNORECASE
    )
    if not isinstance(memory, str) or match is None:
        raise ValueError(
            f"Got {name}={memory!r}, but expected a number of bytes, zero or more, or "
            "a size such as '500 MB' or '4 GiB'."
        )
    number, prefix, binary = match.groups()
    base = 1024 if binary else 1000
    return float(number) * base ** " kmgt".index(prefix.lower() or " ")
