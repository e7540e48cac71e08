"""What readers and writers share: paths, optional libraries, sizes, errors of files."""

import importlib
import os
import re
from collections import Counter
from contextlib import contextmanager
from fnmatch import fnmatch
from pathlib import Path

import numpy as np

from ..utils.params import brief, check_path

# A number in the name of a file, with a decimal point unless there are several
# (as in version numbers and the identifiers of DICOM), and a sign, or a hyphen.
_NUMBER = re.compile(r"([-+−]?)((?<![\d.])\d+\.\d+(?!\.?\d)|\d+)")
#: What the frames of a stack may be.
LAYOUTS = ("stack", "projections")
_INTEGER = re.compile(r"()(\d+)")


def require(module, what):
    """Import an optional library, or say how to get it."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ImportError(
            f"{what} needs {module.split('.')[0]}, which is not installed; expected "
            "pip install 'sklearn_ei[io]'."
        ) from error


def existing(path, name="path", kind="file or folder"):
    """Return a path, if there is what is expected at it.

    Pipes and devices, which would be waited for, are not.
    """
    if not isinstance(path, str | os.PathLike):
        raise TypeError(f"Got {name}={brief(path)}, but expected a path.")
    found = Path(path)
    if not (
        ("file" in kind and found.is_file()) or ("folder" in kind and found.is_dir())
    ):
        special = found.exists() and not (found.is_file() or found.is_dir())
        what = ", which is a pipe or a device" if special else ""
        raise FileNotFoundError(
            f"Got {name}={str(path)!r}{what}, but expected an existing {kind}."
        )
    return found


def files_in(folder, suffixes=None, pattern="*"):
    """Return the files of a folder with certain endings, in the order of their names.

    Hidden files are left out, which file managers and editors leave behind.
    """
    found = [
        path
        for path in folder.iterdir()
        if (suffixes is None or path.suffix.lower() in suffixes)
        and not path.name.startswith(".")
        and fnmatch(path.name, pattern)
        and path.is_file()
    ]
    return by_number(found)


def by_number(paths):
    """Return paths sorted by the numbers in their names: -60, 0.25, 2, 10.

    A hyphen is a sign at the beginning of a name and after a character that is no
    letter or digit; after a letter where the same name is there without it
    (``tilt-3``, ``tilt3``). If two names have the same numbers (1.1 and 1.10),
    points separate whole numbers.
    """
    stems = {path: _stem(path) for path in paths}
    unsigned = {
        _pattern_before(stem, match)
        for stem in stems.values()
        for match in _NUMBER.finditer(stem)
        if match[1] not in ("-", "−")
    }

    def key(path, number):
        stem, parts, end = stems[path], [], 0
        for match in number.finditer(stem):
            start, sign = match.start(2), 1
            if match[1] and _is_sign(stem, match, unsigned):
                start, sign = match.start(1), 1 if match[1] == "+" else -1
            parts += [stem[end:start], sign * float(match[2])]
            end = match.end()
        return (*parts, stem[end:])

    counts = Counter(key(path, _NUMBER) for path in paths)
    number = _NUMBER if not counts or max(counts.values()) == 1 else _INTEGER
    return sorted(paths, key=lambda path: (key(path, number), path.name))


def _stem(path):
    """Return a name without its ending, if that is one and no decimal places."""
    return path.name if path.suffix[1:].isdecimal() else path.stem


def _is_sign(stem, match, unsigned):
    before = stem[match.start(1) - 1 : match.start(1)] if match.start(1) else ""
    if before.isdigit():
        return False
    return not before.isalpha() or _pattern_before(stem, match) in unsigned


def _pattern_before(stem, match):
    return re.sub(r"\d+", "0", stem[: match.start(1)])


def check_fits(path, shape, dtype, what="an array"):
    """Refuse an array that a file declares and that is larger than memory, or empty.

    A few bytes can declare anything, and be the work of somebody else.
    """
    n_bytes = float(np.prod(np.float64(shape))) * np.dtype(dtype).itemsize
    if n_bytes == 0:
        raise ValueError(
            f"Got {str(path)!r} with {what} of shape {tuple(shape)}, but expected one "
            "that is not empty."
        )
    memory = _memory()
    if memory is not None and n_bytes > memory:
        raise ValueError(
            f"Got {str(path)!r} with {what} of shape {tuple(shape)}, which takes "
            f"{n_bytes / 1e9:.3g} GB, but expected at most the {memory / 1e9:.3g} GB "
            "of memory of this machine; leave it in the file (lazy=True) or read a "
            "part where the reader can."
        )


def _memory():
    """Return the bytes of memory of this machine, or None."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # Windows
        return None


def arranged(frames, layout, path):
    """Return ``data``, frames as they are, or ``measurements``, a sinogram a row.

    Projections are (n_views, n_rows, n_bins), their sinograms (n_rows, n_views,
    n_bins); those of a memory map stay in its file.
    """
    if layout == "stack":
        return {"data": frames}
    if frames.ndim != 3:
        raise ValueError(
            f"Got {str(path)!r} with an array of shape {frames.shape}, but expected "
            "projections (n_views, n_rows, n_bins)."
        )
    rows = np.moveaxis(frames, 1, 0)
    left_in_file = isinstance(frames, np.memmap)
    return {"measurements": rows if left_in_file else np.ascontiguousarray(rows)}


def check_output(path, suffixes):
    """Refuse a path that is None, a folder, or ends otherwise."""
    if path is None:
        raise TypeError("Got path=None, but expected a path.")
    check_path("path", path)
    if not Path(path).name.lower().endswith(suffixes):
        raise ValueError(
            f"Got path={str(path)!r}, but expected one that ends in "
            f"{' or '.join(suffixes)}."
        )


def check_spacing(name, spacing, n):
    """Return ``n`` positive numbers."""
    try:
        values = tuple(float(value) for value in spacing)
    except (TypeError, ValueError):
        values = ()
    if len(values) != n or not all(0 < value < np.inf for value in values):
        raise ValueError(
            f"Got {name}={brief(spacing)}, but expected {n} positive numbers in mm."
        )
    return values


@contextmanager
def readable(path, what):
    """Turn whatever a library raises on a file that is none of its own into a sentence.

    Libraries for files raise nearly anything when bytes are missing or foreign.
    """
    try:
        yield
    except MemoryError as error:
        raise MemoryError(f"{str(path)!r} does not fit into memory.") from error
    except Exception as error:
        reason = " ".join(str(error).split())[:120].rstrip(".")
        raise ValueError(
            f"Got {str(path)!r}, which cannot be read ({reason}), but expected {what}."
        ) from error
