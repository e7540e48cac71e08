"""The file: safetensors, whose metadata hold one JSON document and a checksum."""

import hashlib
import json
import math
import os
import stat
import struct

import safetensors
import safetensors.torch

from .files import write_atomically

FORMAT_VERSION = 1
_KEY = "sklearn_ei"
_BLANK = "0" * 64  # in the place of the checksum while it is computed
# Parameters and history are small; arrays are tensors. The second limit keeps
# what JSON unfolds to in memory near the size of its text.
_MAX_HEADER = 16 * 2**20
_MAX_CONTAINERS = 500_000
_MAX_INT = 2**63


class ModelFileError(ValueError):
    """A model file that is damaged, hostile, too new, or not a model file."""


def write_file(path, document, tensors):
    """Write a JSON document and tensors as one safetensors file, atomically.

    Parameters
    ----------
    path : path-like
    document : dict
        What ``json`` takes, without NaN and infinity.
    tensors : dict of str to torch.Tensor
    """
    document = {"sha256": _BLANK, "format": FORMAT_VERSION, **document}
    text = json.dumps(document, allow_nan=False, ensure_ascii=True)
    data = safetensors.torch.save(tensors, metadata={_KEY: text})
    (length,) = struct.unpack("<Q", data[:8])
    _check_header_size(path, length, data[8 : 8 + length], ValueError)
    digest = hashlib.sha256(data).hexdigest()
    start = data.index(_BLANK.encode())
    end = start + len(_BLANK)
    # The checksum is that of the whole file with zeros in its own place.
    view = memoryview(data)
    write_atomically(path, (view[:start], digest.encode(), view[end:]))


def read_file(path):
    """Return the document and the tensors of a file, after every check on its bytes.

    Raises
    ------
    ModelFileError
        If the file is not exactly what :func:`write_file` writes.
    OSError
        If it cannot be opened.
    """
    with open(path, "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise ModelFileError(f"Got {str(path)!r}, but expected a regular file.")
        data = file.read()
    try:
        header = _header(path, data)
        text = _parse(header.decode())["__metadata__"][_KEY]
        document = _parse(text)
        version, digest = document["format"], document["sha256"]
    except ModelFileError:
        raise
    except (ValueError, TypeError, KeyError, RecursionError, MemoryError) as error:
        raise ModelFileError(
            f"{str(path)!r} is not a model file of sklearn_ei, or damaged: its header "
            f"cannot be read ({_short(error)})."
        ) from None
    if version != FORMAT_VERSION:
        raise ModelFileError(
            f"{str(path)!r} has format {version!r:.20}, but this version of sklearn_ei "
            f"reads format {FORMAT_VERSION}: expected a newer sklearn_ei, or the file "
            "is damaged."
        )
    _check_digest(path, data, len(header), digest)
    try:
        return document, safetensors.torch.load(data)
    except Exception as error:  # the library has errors of several kinds
        raise ModelFileError(
            f"{str(path)!r} is damaged: its tensors cannot be read ({_short(error)})."
        ) from None


def _header(path, data):
    if len(data) < 8:
        raise ModelFileError(
            f"{str(path)!r} is truncated: got {len(data)} bytes, but expected a model "
            "file."
        )
    (length,) = struct.unpack("<Q", data[:8])
    if length > len(data) - 8:
        raise ModelFileError(
            f"{str(path)!r} is truncated, or not a model file: it announces a header "
            f"of {length} bytes and has {len(data)}."
        )
    header = data[8 : 8 + length]
    _check_header_size(path, length, header, ModelFileError)
    return header


def _check_header_size(path, length, header, error):
    n_containers = header.count(b"[") + header.count(b"{")
    if length > _MAX_HEADER or n_containers > _MAX_CONTAINERS:
        raise error(
            f"{str(path)!r} would have a header of {length} bytes with {n_containers} "
            f"lists, but expected at most {_MAX_HEADER} bytes and {_MAX_CONTAINERS} "
            "lists."
        )


def _check_digest(path, data, header_length, digest):
    damaged = ModelFileError(
        f"{str(path)!r} is damaged: its content does not have the SHA-256 checksum "
        "that was written with it."
    )
    if not isinstance(digest, str) or len(digest) != len(_BLANK):
        raise damaged
    start = data.find(digest.encode(), 8, 8 + header_length)
    if start < 0:
        raise damaged
    view = memoryview(data)
    found = hashlib.sha256(view[:start])
    found.update(_BLANK.encode())
    found.update(view[start + len(_BLANK) :])
    if found.hexdigest() != digest:
        raise damaged


def _parse(text):
    """Parse JSON strictly: no NaN, no huge numbers, no name twice."""
    return json.loads(
        text,
        parse_constant=_refuse_constant,
        parse_float=_finite_float,
        parse_int=_small_int,
        object_pairs_hook=_unique,
    )


def _refuse_constant(name):
    raise ValueError(f"{name} is not JSON")


def _finite_float(text):
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("a number is too large")
    return number


def _small_int(text):
    if len(text) > 20 or abs(number := int(text)) > _MAX_INT:
        raise ValueError("an integer is too large")
    return number


def _unique(pairs):
    content = dict(pairs)
    if len(content) < len(pairs):
        raise ValueError("a name occurs twice")
    return content


def _short(error):
    """Return the error's first line, which may quote the file, in bounds."""
    return (str(error).splitlines() or [type(error).__name__])[0][:120]
