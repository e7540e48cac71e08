"""Files that are written completely or not at all."""

import os
import secrets
from pathlib import Path


def write_atomically(path, chunks):
    """Write a file under a temporary name beside ``path``, sync it, rename it.

    Whatever happens on the way (no space, no power, a signal), ``path`` is either
    what it was or the whole new file.

    Parameters
    ----------
    path : str or path-like
        Replaced if it exists.
    chunks : iterable of bytes-like
        What is written, in this order.
    """
    path = Path(path)
    partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        with open(partial, "xb") as file:
            for chunk in chunks:
                file.write(chunk)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
    _sync_folder(path.parent)


def _sync_folder(folder):
    """Make the new name last; where folders cannot be opened (Windows), it does."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
