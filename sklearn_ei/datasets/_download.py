"""Files from the network, with checksums."""

import hashlib
import logging
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sklearn.datasets import get_data_home

from ..utils.files import write_atomically

_SUMS = "SHA256SUMS"  # in the format of `sha256sum --check`
_TIMEOUT = 30  # seconds without an answer


@dataclass(frozen=True)
class RemoteFile:
    """A file that somebody publishes.

    Parameters
    ----------
    name : str
        Path in the local folder, with "/" between its parts.
    url : str
        Where it is published.
    sha256 : str or None
        Its checksum, if it is known beforehand.
    decode : callable or None
        Called with its path, raises an error if it is not what it should be.
    """

    name: str
    url: str
    sha256: str | None = None
    decode: Callable | None = None


def fetch_files(files, folder, *, data_home, download_if_missing):
    """Return the paths of files, downloaded where they are missing, and checked.

    A file whose checksum is not known beforehand is trusted once: what is found
    first, and can be decoded, is written to ``SHA256SUMS`` beside the data, and
    holds from then on. Servers answer with login pages and half of a file, too.

    Parameters
    ----------
    files : list of RemoteFile
        What is wanted.
    folder : str
        Name of the folder in ``data_home``.
    data_home : str, path-like or None
        As for :func:`sklearn.datasets.get_data_home`.
    download_if_missing : bool
        Whether to use the network.

    Returns
    -------
    paths : list of pathlib.Path
        In the order of ``files``.

    Raises
    ------
    ImportError
        If a file is missing and pooch is not installed.
    OSError
        If a file is missing and cannot, or must not, be downloaded.
    ValueError
        If a file has another checksum than it should have, or cannot be decoded; it
        is not kept if it was just downloaded.
    """
    root = Path(get_data_home(data_home)) / folder
    sums = _read_sums(root)
    known = dict(sums)
    paths = []
    try:
        for file in files:
            path = root / file.name
            is_new = not path.exists()
            if is_new:
                _download(file, path, download_if_missing)
            if is_new or not (file.sha256 or file.name in sums):
                _decode(file, path, is_new)
            found = _sha256(path)
            expected = file.sha256 or sums.setdefault(file.name, found)
            if found != expected.lower():
                raise ValueError(
                    f"Got {str(path)!r} with SHA-256 {found}, but expected {expected}; "
                    "remove it to download it anew."
                )
            paths.append(path)
    finally:
        if sums != known:  # also if the network fails after half of the files
            _write_sums(root, sums)
    return paths


def _download(file, path, allowed):
    if not allowed:
        raise OSError(
            f"{str(path)!r} is not there, and download_if_missing=False; expected the "
            f"file that is published at {file.url}."
        )
    try:
        import pooch
    except ImportError:
        raise ImportError(
            f"{str(path)!r} is not there, and downloading it needs pooch: "
            "pip install 'sklearn_ei[datasets]'."
        ) from None
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with _quiet(pooch.get_logger()):
            # pooch writes under a temporary name: half a file is never left here.
            pooch.retrieve(
                file.url,
                known_hash=file.sha256 and f"sha256:{file.sha256}",
                fname=path.name,
                path=path.parent,
                downloader=pooch.HTTPDownloader(timeout=_TIMEOUT),
            )
    except OSError as error:
        raise OSError(
            f"Cannot download {file.url} ({type(error).__name__}); expected a network, "
            f"or the file at {str(path)!r}."
        ) from error
    except ValueError as error:
        raise ValueError(
            f"Got a file from {file.url} with another SHA-256 than the expected "
            f"{file.sha256}; it was not kept."
        ) from error


def _decode(file, path, is_new):
    """Refuse a file that is not what it should be, and remove it if it is new."""
    if file.decode is None:
        return
    try:
        file.decode(path)
    except (OSError, ValueError) as error:
        if is_new:
            path.unlink()
            raise ValueError(
                f"Got a file from {file.url} that is not the expected one; it was not "
                f"kept. {error}"
            ) from error
        raise ValueError(f"{error} Remove it to download it anew.") from error


@contextmanager
def _quiet(logger):
    """Leave out the lines that pooch writes for every file."""
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(level)


def _sha256(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _read_sums(root):
    path = root / _SUMS
    if not path.exists():
        return {}
    lines = path.read_text("utf-8").splitlines()
    pairs = [line.split("  ", 1) for line in lines if line.strip()]
    if any(len(pair) != 2 or len(pair[0]) != 64 for pair in pairs):
        raise ValueError(
            f"{str(path)!r} is damaged; expected lines of a SHA-256, two spaces and "
            "the name of a file."
        )
    return {name: digest for digest, name in pairs}


def _write_sums(root, sums):
    text = "".join(f"{digest}  {name}\n" for name, digest in sorted(sums.items()))
    write_atomically(root / _SUMS, [text.encode()])
