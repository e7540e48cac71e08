"""Files that are written completely or not at all."""

import errno
import os
import platform
import re
import secrets
import stat
import time
from contextlib import contextmanager, suppress
from pathlib import Path

_DAY = 86400  # seconds
_BITS = 0o777  # of a file's mode that are kept; setuid and its like are not


def write_atomically(path, chunks):
    """Write a file under a temporary name beside its own, sync it, rename it.

    Whatever happens on the way (no space, no power, a signal), ``path`` is either
    what it was or the whole new file.

    Parameters
    ----------
    path : str or path-like
        Replaced if it exists, with the mode it had, and its owner and group as far
        as this process may set them. A symbolic link stays one: the file that it
        points to is written.
    chunks : iterable of bytes-like
        What is written, in this order.

    Raises
    ------
    OSError
        If the file cannot be written, is write-protected, or is none but a folder,
        a device or a pipe.
    """
    with _replacing(path) as (file, partial, target):
        for chunk in chunks:
            file.write(chunk)
        file.flush()
        os.fsync(file.fileno())
        file.close()
        os.replace(partial, target)
    _sync_folder(target.parent)


def check_writable(path):
    """Raise the ``OSError`` that :func:`write_atomically` would raise at once.

    Parameters
    ----------
    path : str or path-like
        A file beside it is made and removed; what is there stays as it is.
    """
    with _replacing(path) as (file, _, _):
        file.write(b"\0")
        file.flush()


@contextmanager
def _replacing(path):
    """Open the temporary file that may replace another; remove what is left of it."""
    target = Path(os.path.realpath(path))
    try:
        present = os.stat(path)
    except FileNotFoundError:
        present = None
    if present is not None and not stat.S_ISREG(present.st_mode):
        raise OSError(errno.EINVAL, "Expected a regular file", str(path))
    if present is not None and not os.access(target, os.W_OK):
        raise PermissionError(errno.EACCES, "The file is write-protected", str(path))
    writer = f"{_host()}.{os.getpid()}.{secrets.token_hex(4)}"
    partial = target.with_name(f".{target.name}.{writer}.tmp")
    # Nobody may read what nobody could read before, not even meanwhile.
    mode = 0o666 if present is None else 0o600
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    try:
        with open(os.open(partial, flags, mode), "wb") as file:
            if present is not None:
                _look_like(file.fileno(), partial, present)
            yield file, partial, target
    finally:
        with suppress(FileNotFoundError):
            partial.unlink()


def _look_like(descriptor, path, present):
    """Give a file the mode of another, and its owner and group where allowed."""
    mode = present.st_mode & _BITS
    if hasattr(os, "fchown"):
        made = os.fstat(descriptor)
        if made.st_gid != present.st_gid:
            try:
                os.fchown(descriptor, -1, present.st_gid)
            except OSError:
                # Another group may do no more than everybody.
                mode = mode & ~0o070 | (mode & 0o007) << 3
        if made.st_uid != present.st_uid:
            with suppress(OSError):
                os.fchown(descriptor, present.st_uid, -1)
    os.chmod(descriptor if os.chmod in os.supports_fd else path, mode)


def remove_abandoned(path):
    """Remove what processes that were killed had written of a file.

    Parameters
    ----------
    path : str or path-like
        As passed to :func:`write_atomically`. What a living process of this machine
        is writing stays, and for a day what another machine is.
    """
    target = Path(os.path.realpath(path))
    # Of three parts without a dot: never the temporary file of another file.
    ours = re.compile(
        rf"\.{re.escape(target.name)}\.([\w-]+)\.(\d+)\.[0-9a-f]+\.tmp", re.ASCII
    )
    with suppress(OSError), os.scandir(target.parent) as entries:
        for entry in entries:
            match = ours.fullmatch(entry.name)
            if match is None or not entry.is_file(follow_symlinks=False):
                continue
            host, process = match.groups()
            with suppress(OSError):
                if host == _host():
                    abandoned = not _is_alive(int(process))
                else:
                    age = time.time() - entry.stat(follow_symlinks=False).st_mtime
                    abandoned = age > _DAY
                if abandoned:
                    os.unlink(entry.path)


def _host():
    """Return this machine's name, as it stands in names of temporary files."""
    return re.sub(r"[^A-Za-z0-9_-]", "-", platform.node()) or "-"


def _is_alive(process):
    """Whether there is a process of that number; where that cannot be told, yes."""
    if os.name != "posix":
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
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
