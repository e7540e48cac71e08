"""Files that are written completely or not at all."""

import os
import platform
import secrets
import time
from contextlib import suppress
from pathlib import Path

_DAY = 86400  # seconds


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
    writer = f"{platform.node()}.{os.getpid()}.{secrets.token_hex(4)}"
    partial = path.with_name(f".{path.name}.{writer}.tmp")
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


def remove_abandoned(path):
    """Remove what processes that were killed had written of a file.

    Parameters
    ----------
    path : str or path-like
        As passed to :func:`write_atomically`. What a living process of this machine
        is writing stays, and for a day what another machine is.
    """
    path = Path(path)
    for partial in path.parent.glob(f".{path.name}.*.tmp"):
        host, process = partial.name.rsplit(".", 3)[0], partial.name.split(".")[-3]
        with suppress(OSError):
            ours = host == f".{path.name}.{platform.node()}"
            if ours and process.isdigit():
                abandoned = not _is_alive(int(process))
            else:
                abandoned = time.time() - partial.stat().st_mtime > _DAY
            if abandoned:
                partial.unlink()


def _is_alive(process):
    """Whether there is a process of that number; where that cannot be told, yes."""
    if os.name != "posix":
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


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
