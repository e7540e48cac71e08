"""Checks of constructor parameters beyond ``sklearn.utils.check_scalar``."""

import math
import os
import re
from numbers import Integral, Real
from pathlib import Path

from sklearn.utils import check_scalar


def brief(value, limit=100):
    """Return the ``repr`` of anything on one line, for messages."""
    try:
        text = " ".join(repr(value).split())
    except Exception:  # from whatever the object is
        text = f"<{type(value).__name__}>"
    return text if len(text) <= limit else f"{text[: limit - 3]}..."


def check_real(name, value, **bounds):
    """Return a finite real number within the bounds of ``check_scalar``."""
    check_scalar(value, name, Real, **bounds)
    if not math.isfinite(value):
        raise ValueError(f"Got {name}={value}, but expected a finite number.")
    return value


def check_option(name, value, options):
    """Refuse a value that is none of the ``options``."""
    if not isinstance(value, str) or value not in options:
        raise ValueError(
            f"Got {name}={brief(value)}, but expected one of "
            f"{', '.join(map(repr, options))}."
        )
    return value


def check_path(name, path, *, folder_ok=False):
    """Refuse what is neither None nor the name of a file in a folder that exists.

    With ``folder_ok`` the folder itself will do.
    """
    if path is None:
        return
    if not isinstance(path, str | os.PathLike):
        raise TypeError(f"Got {name}={brief(path)}, but expected a path.")
    fits = folder_ok if Path(path).is_dir() else Path(path).parent.is_dir()
    if not fits:
        what = "a folder, or a file in one," if folder_ok else "a file in a folder"
        raise ValueError(f"Got {name}={str(path)!r}, but expected {what} that exists.")


def check_shape(name, shape, n_dims=None):
    """Return ``shape`` as a tuple of positive ints, with ``n_dims`` of them."""
    try:
        checked = tuple(shape)
        valid = len(checked) > 0 and all(
            isinstance(size, Integral) and size > 0 for size in checked
        )
    except TypeError:
        valid = False
    if not valid or (n_dims is not None and len(checked) != n_dims):
        count = "" if n_dims is None else f"{n_dims} "
        raise ValueError(
            f"Got {name}={brief(shape)}, but expected a tuple of {count}positive "
            "integers."
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
            f"Got {name}={brief(memory)}, but expected a number of bytes, zero or "
            "more, or a size such as '500 MB' or '4 GiB'."
        )
    number, prefix, binary = match.groups()
    base = 1024 if binary else 1000
    return float(number) * base ** " kmgt".index(prefix.lower() or " ")
