"""What readers and writers share: paths, optional libraries, errors of files."""

import importlib
import os
import re
from contextlib import contextmanager
from pathlib import Path

from ..utils.params import brief


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
    """Return a path, if there is what is expected at it."""
    if not isinstance(path, str | os.PathLike):
        raise TypeError(f"Got {name}={brief(path)}, but expected a path.")
    found = Path(path)
    fits = {"file": found.is_file(), "folder": found.is_dir()}.get(kind, found.exists())
    if not fits:
        raise FileNotFoundError(
            f"Got {name}={str(path)!r}, but expected an existing {kind}."
        )
    return found


def files_in(folder, suffixes):
    """Return the files of a folder with certain endings, 2 before 10."""
    found = [
        path
        for path in folder.iterdir()
        if path.is_file()
        and path.suffix.lower() in suffixes
        and not path.name.startswith(".")
    ]
    return sorted(found, key=_by_number)


def _by_number(path):
    parts = re.split(r"(\d+)", path.name)
    return [(int(p), "") if p.isdecimal() else (-1, p) for p in parts]


@contextmanager
def readable(path, what):
    """Turn whatever a library raises on a file that is none of its own into a sentence.

    Libraries for files raise nearly anything when bytes are missing or foreign.
    """
    try:
        yield
    except MemoryError:
        raise
    except Exception as error:
        reason = " ".join(str(error).split())[:120].rstrip(".")
        raise ValueError(
            f"Got {str(path)!r}, which cannot be read ({reason}), but expected {what}."
        ) from error
