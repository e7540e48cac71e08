"""Digests of what has no parts that are looked at elsewhere: numbers, arrays, code."""

import dis
import hashlib
import struct
from numbers import Integral, Real
from pathlib import PurePath
from types import CodeType

import numpy as np
import torch

from ..utils.stack import LazyTensor


def hash_of(kind, *parts):
    """Return the digest of a kind and of byte strings, which cannot run together."""
    sha = hashlib.sha256(kind.encode())
    for part in parts:
        sha.update(struct.pack("<Q", len(part)))
        sha.update(part)
    return sha.digest()


def plain_digest(value):
    """Return the digest of a number, a string or its like, None for other values."""
    content = None
    if isinstance(value, Real | np.bool_):
        content = "number", _text_of(value).encode()
    elif isinstance(value, complex):
        content = "complex", repr(complex(value)).encode()
    elif isinstance(value, bytes | bytearray):
        content = "bytes", bytes(value)
    elif isinstance(value, str | PurePath):
        kind = "text" if isinstance(value, str) else "path"
        content = kind, str(value).encode("utf-8", "surrogatepass")
    elif value is None or value is Ellipsis or value is NotImplemented:
        content = "constant", repr(value).encode()
    return None if content is None else hash_of(*content)


def _text_of(real):
    """Return the same text for all types of one real number."""
    if isinstance(real, Integral | np.bool_):
        return str(int(real))
    try:
        number = float(real)
    except (OverflowError, ValueError):
        return repr(real)
    # Neither NaN nor infinity is an integer.
    return str(int(number)) if number.is_integer() else number.hex()


def array_digest(value):
    """Return the digest of an array or tensor, part by part."""
    if isinstance(value, np.ndarray):
        kind, dtype = "array", value.dtype.newbyteorder("=").name
    else:
        kind = "tensor"
        dtype = "float32" if isinstance(value, LazyTensor) else str(value.dtype)[6:]
    sha = hashlib.sha256(f"{kind}:{dtype}:{tuple(value.shape)}".encode())
    if isinstance(value, LazyTensor):
        parts = value.chunks()
    else:
        parts = value if value.ndim > 1 else [value]
    for part in parts:
        sha.update(_bytes_of(part).data)
    return sha.digest()


def _bytes_of(part):
    if 0 in part.shape:  # nothing cannot be seen as bytes
        return np.empty(0, np.uint8)
    if isinstance(part, torch.Tensor):
        part = part.detach().resolve_conj().resolve_neg().cpu().contiguous()
        return part.flatten().view(torch.uint8).numpy()
    native = part.dtype.newbyteorder("=")
    return np.ascontiguousarray(part, native).reshape(-1).view(np.uint8)


def code_digest(code):
    """Return the digest of a code object, with all that is nested in it.

    Line numbers and names of variables are no part of it.
    """
    return hash_of(
        "code",
        code.co_code,
        code.co_exceptiontable,
        repr(
            (
                code.co_argcount,
                code.co_posonlyargcount,
                code.co_kwonlyargcount,
                code.co_flags,
                code.co_names,
                code.co_varnames[: code.co_argcount + code.co_kwonlyargcount],
                code.co_freevars,
                code.co_cellvars,
            )
        ).encode(),
        *map(_constant_digest, code.co_consts),
    )


def _constant_digest(constant):
    """Return the digest of a constant in code, where 1, 1.0 and True differ."""
    if isinstance(constant, CodeType):
        return code_digest(constant)
    if isinstance(constant, tuple):
        return hash_of("tuple", *map(_constant_digest, constant))
    if isinstance(constant, frozenset):
        return hash_of("set", *sorted(map(_constant_digest, constant)))
    return hash_of(type(constant).__name__, repr(constant).encode())


def names_in(code):
    """Return the global names that code loads, and all names, nested code included."""
    instructions = dis.get_instructions(code)
    loads = ("LOAD_GLOBAL", "LOAD_NAME")
    globals_ = {i.argval for i in instructions if i.opname in loads}
    names = set(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            inner_globals, inner_names = names_in(constant)
            globals_ |= inner_globals
            names |= inner_names
    return globals_, names
