"""The file: safetensors, whose metadata hold one JSON document and a checksum."""

import hashlib
import json
import math
import os
import stat
import struct
import weakref
from collections.abc import Mapping

import safetensors.torch
import torch

from .files import write_atomically
from .strict_json import MAX_INT, parse_strictly

FORMAT_VERSION = 1
_KEY = "sklearn_ei"
_BLANK = "0" * 64  # in the place of the checksum while it is computed
# Parameters and history are small; arrays are tensors. The other limits keep what
# JSON unfolds to in memory near the size of its text.
_MAX_HEADER = 16 * 2**20
_MAX_CONTAINERS = 500_000
_MAX_VALUES = 1_000_000
_CHUNK = 2**20  # bytes that are read together
# Bytes of holes, which take no room on the disk, beyond as many as there are others.
_MAX_HOLES = 2**24
TENSOR_DTYPES = {
    "BOOL": torch.bool, "U8": torch.uint8, "I8": torch.int8, "I16": torch.int16,
    "U16": torch.uint16, "F16": torch.float16, "BF16": torch.bfloat16,
    "I32": torch.int32, "U32": torch.uint32, "F32": torch.float32,
    "F64": torch.float64, "I64": torch.int64, "U64": torch.uint64,
    "C64": torch.complex64,
}  # fmt: skip


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
    data = safetensors.torch.save(dict(tensors), metadata={_KEY: text})
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

    The tensors stay in the file until they are asked for: whoever reads can compare
    what they would be with what there should be, before memory is taken for them.

    Returns
    -------
    document : dict
    tensors : StoredTensors

    Raises
    ------
    ModelFileError
        If the file is not exactly what :func:`write_file` writes.
    OSError
        If it cannot be opened.
    """
    descriptor, size = _open_regular(path)
    tensors = StoredTensors(path, descriptor)  # who closes it, whatever happens
    _check_holes(path, descriptor, size)
    header = _header(path, descriptor, size)
    try:
        table = parse_strictly(header.decode())
        document = parse_strictly(table.pop("__metadata__")[_KEY])
        version, digest = document["format"], document["sha256"]
    except (ValueError, TypeError, KeyError, RecursionError, MemoryError) as error:
        raise ModelFileError(
            f"{str(path)!r} is not a model file of sklearn_ei, or damaged: its header "
            f"cannot be read ({_short(error)})."
        ) from None
    except AttributeError:  # JSON, but no table
        raise ModelFileError(
            f"{str(path)!r} is not a model file of sklearn_ei: its header is no table."
        ) from None
    if version != FORMAT_VERSION or type(version) is not int:
        raise ModelFileError(
            f"{str(path)!r} has format {version!r:.20}, but this version of sklearn_ei "
            f"reads format {FORMAT_VERSION}: expected a newer sklearn_ei, or the file "
            "is damaged."
        )
    _check_digest(path, descriptor, size, header, digest)
    tensors.take_table(table, start=8 + len(header), end=size)
    return document, tensors


class StoredTensors(Mapping):
    """The tensors of a file by name, read when they are first asked for.

    Parameters
    ----------
    path : path-like
        For messages.
    descriptor : int
        Of the open file, which is closed with this object.
    """

    def __init__(self, path, descriptor):
        self._path = path
        self._descriptor = descriptor
        self._close = weakref.finalize(self, os.close, descriptor)
        self._entries = {}
        self._read = {}

    def take_table(self, table, start, end):
        """Check what the header says of the tensors, which fill the file's rest."""
        position = start
        try:
            entries = sorted(
                (_entry(name, described) for name, described in table.items()),
                key=lambda entry: entry[2:],
            )
            for name, like, first, last in entries:
                if start + first != position:
                    raise ValueError("there are gaps between tensors, or overlaps")
                self._entries[name] = like, position
                position = start + last
            if position != end:
                raise ValueError(
                    f"they end at byte {position}, but the file at byte {end}"
                )
        # The library has limits too, such as on dimensions.
        except (ValueError, TypeError, KeyError, RuntimeError, OverflowError) as error:
            raise ModelFileError(
                f"{str(self._path)!r} is damaged: its tensors cannot be read "
                f"({_short(error)})."
            ) from None

    def like(self, name):
        """Return a tensor without memory, of the shape and dtype of a stored one."""
        return self._entries[name][0]

    def close(self):
        """Close the file; what has been read stays."""
        self._close()

    def __getitem__(self, name):
        if name not in self._read:
            like, position = self._entries[name]
            if not self._close.alive:
                raise ValueError(f"{str(self._path)!r} is closed.")
            self._read[name] = self._load(like, position)
        return self._read[name]

    def _load(self, like, position):
        tensor = torch.empty(like.shape, dtype=like.dtype, device="cpu")
        if tensor.numel() == 0:
            return tensor
        view = memoryview(tensor.flatten().view(torch.uint8).numpy())
        os.lseek(self._descriptor, position, os.SEEK_SET)
        with os.fdopen(self._descriptor, "rb", closefd=False, buffering=0) as file:
            done = 0
            while done < len(view):
                n_bytes = file.readinto(view[done:])
                if not n_bytes:
                    raise ModelFileError(
                        f"{str(self._path)!r} became shorter while it was read."
                    )
                done += n_bytes
        if like.dtype == torch.bool and max(view) > 1:
            raise ModelFileError(
                f"{str(self._path)!r} has truth values that are neither 0 nor 1."
            )
        return tensor

    def __iter__(self):
        return iter(self._entries)

    def __len__(self):
        return len(self._entries)


def _entry(name, described):
    """Return name, tensor without memory, and both ends of an entry of the header."""
    if not isinstance(described, dict) or described.keys() != {
        "dtype",
        "shape",
        "data_offsets",
    }:
        raise ValueError(f"{name!r:.40} is not described by dtype, shape and offsets")
    shape, offsets = described["shape"], described["data_offsets"]
    for numbers in (shape, offsets):
        if not isinstance(numbers, list) or not all(
            type(n) is int and 0 <= n < MAX_INT for n in numbers
        ):
            raise ValueError(f"{name!r:.40} has sizes that are none")
    if len(offsets) != 2 or len(shape) > 64:
        raise ValueError(f"{name!r:.40} has sizes that are none")
    dtype = TENSOR_DTYPES[described["dtype"]]
    first, last = offsets
    if math.prod(shape) * dtype.itemsize != last - first:
        raise ValueError(f"{name!r:.40} has another size than its shape")
    return name, torch.empty(shape, dtype=dtype, device="meta"), first, last


def _open_regular(path):
    """Open a file for reading, and nothing else: pipes wait, devices never end."""
    refusal = ModelFileError(f"Got {str(path)!r}, but expected a regular file.")
    if not stat.S_ISREG(os.stat(path).st_mode):
        raise refusal
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    descriptor = os.open(path, flags)
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):  # exchanged meanwhile
        os.close(descriptor)
        raise refusal
    return descriptor, status.st_size


def _check_holes(path, descriptor, size):
    """Refuse a file that is mostly holes: gigabytes in memory, nothing on the disk."""
    if size <= _MAX_HOLES or not hasattr(os, "SEEK_DATA"):
        return
    n_bytes = position = 0
    while position < size:
        try:
            start = os.lseek(descriptor, position, os.SEEK_DATA)
            position = os.lseek(descriptor, start, os.SEEK_HOLE)
        except OSError:  # no data to the end
            break
        n_bytes += position - start
    holes = size - n_bytes
    if holes > max(_MAX_HOLES, n_bytes):
        raise ModelFileError(
            f"{str(path)!r} has {size} bytes, of which {holes} are holes that nobody "
            "wrote, but expected a file as save writes it; a copy without holes (cp "
            "--sparse=never) will do."
        )


def _header(path, descriptor, size):
    start = _read_at(descriptor, 0, 8)
    if len(start) < 8:
        raise ModelFileError(
            f"{str(path)!r} is truncated: got {len(start)} bytes, but expected a model "
            "file."
        )
    (length,) = struct.unpack("<Q", start)
    if length > size - 8:
        raise ModelFileError(
            f"{str(path)!r} is truncated, or not a model file: it announces a header "
            f"of {length} bytes and has {size}."
        )
    header = b""
    if length <= _MAX_HEADER:
        header = _read_at(descriptor, 8, length)
    _check_header_size(path, length, header, ModelFileError)
    return header


def _read_at(descriptor, position, n_bytes):
    os.lseek(descriptor, position, os.SEEK_SET)
    parts = []
    while n_bytes > 0:
        part = os.read(descriptor, n_bytes)
        if not part:
            break
        parts.append(part)
        n_bytes -= len(part)
    # Mostly all came at once, and is not copied.
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _check_header_size(path, length, header, error):
    n_containers = header.count(b"[") + header.count(b"{")
    n_values = header.count(b",")
    if length > _MAX_HEADER or n_containers > _MAX_CONTAINERS or n_values > _MAX_VALUES:
        raise error(
            f"{str(path)!r} would have a header of {length} bytes with {n_values} "
            f"values in {n_containers} lists, but expected at most {_MAX_HEADER} "
            f"bytes, {_MAX_VALUES} values and {_MAX_CONTAINERS} lists."
        )


def _check_digest(path, descriptor, size, header, digest):
    damaged = ModelFileError(
        f"{str(path)!r} is damaged: its content does not have the SHA-256 checksum "
        "that was written with it."
    )
    if not isinstance(digest, str) or len(digest) != len(_BLANK):
        raise damaged
    start = header.find(digest.encode())
    if start < 0:
        raise damaged
    found = hashlib.sha256(struct.pack("<Q", len(header)))
    found.update(header[:start])
    found.update(_BLANK.encode())
    found.update(header[start + len(_BLANK) :])
    position = 8 + len(header)
    while part := _read_at(descriptor, position, _CHUNK):
        found.update(part)
        position += len(part)
    if found.hexdigest() != digest or position != size:
        raise damaged


def _short(error):
    """Return the error's first line, which may quote the file, in bounds."""
    return (str(error).splitlines() or [type(error).__name__])[0][:120]
