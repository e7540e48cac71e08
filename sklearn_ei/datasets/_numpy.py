"""NumPy files."""

import zipfile

import numpy as np
from sklearn.utils import Bunch

from ..utils.params import brief, check_option
from ._files import LAYOUTS, arranged, check_fits, existing, readable

_EXPECTED = "a .npy or .npz file of numbers"


def read_numpy(path, key=None, *, layout="stack", lazy=False):
    """Read a stack from a ``.npy`` or ``.npz`` file; nothing is unpickled.

    Parameters
    ----------
    path : str or path-like
        The file.
    key : str, default=None
        Which array of an ``.npz`` file; may be left out if there is one.
    layout : {"stack", "projections"}, default="stack"
        ``"stack"``: the array as it is. ``"projections"``: an array of shape (n_views,
        n_rows, n_bins), whose rows become sinograms.
    lazy : bool, default=False
        Whether to leave the array of an ``.npy`` file where it is, as a read-only
        memory map, which estimators read batch by batch.

    Returns
    -------
    stack : Bunch
        With ``filenames`` and ``data``, the array as it is, or ``measurements`` of
        shape (n_rows, n_views, n_bins) for ``"projections"``.

    Raises
    ------
    FileNotFoundError, TypeError, ValueError
        If there is no such file or array, it holds anything but numbers, or the file
        is shorter than its header says, or its array larger than memory.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_ei.datasets import read_numpy
    >>> np.save("scans.npy", np.ones((3, 8, 8)))  # doctest: +SKIP
    >>> read_numpy("scans.npy").data.shape  # doctest: +SKIP
    (3, 8, 8)
    """
    check_option("layout", layout, LAYOUTS)
    found = existing(path, kind="file")
    if zipfile.is_zipfile(found):
        data = _member(found, key, lazy)
    else:
        if key is not None:
            raise ValueError(f"Got key={brief(key)} for a file with a single array.")
        with readable(found, _EXPECTED):
            # A map takes no memory, and is refused where the file is too short.
            data = np.load(found, mmap_mode="r", allow_pickle=False)
        if not lazy:
            check_fits(found, data.shape, data.dtype)
            with readable(found, _EXPECTED):
                data = np.array(data)
    if data.dtype.kind not in "biufc":
        raise ValueError(
            f"Got {str(found)!r} with values of type {data.dtype}, but expected "
            f"{_EXPECTED}."
        )
    return Bunch(**arranged(data, layout, found), filenames=[str(found)])


def _member(path, key, lazy):
    """Return one array of an .npz file."""
    with readable(path, _EXPECTED):
        loaded = np.load(path, allow_pickle=False)
    with loaded:
        names = list(loaded.files)
        if lazy:
            raise ValueError(
                "Got lazy=True for an .npz file, which cannot be mapped, but expected "
                "a .npy file."
            )
        if key not in names and (key is not None or len(names) != 1):
            raise ValueError(
                f"Got key={brief(key)}, but expected one of "
                f"{', '.join(map(repr, names))}."
            )
        name = names[0] if key is None else key
        _check_member(path, name)
        with readable(path, _EXPECTED):
            return loaded[name]


def _check_member(path, name):
    """Refuse an array whose header declares more than the archive holds."""
    with readable(path, _EXPECTED), zipfile.ZipFile(path) as archive:
        members = [n for n in (f"{name}.npy", name) if n in archive.namelist()]
        with archive.open(members[0]) as stream:
            version = np.lib.format.read_magic(stream)
            read_header = {
                (1, 0): np.lib.format.read_array_header_1_0,
                (2, 0): np.lib.format.read_array_header_2_0,
            }[version]
            shape, _, dtype = read_header(stream)
        held = archive.getinfo(members[0]).file_size
        declared = float(np.prod(np.float64(shape))) * dtype.itemsize
        if declared > held:
            raise ValueError(f"{name!r} declares {declared:g} bytes and has {held}")
    check_fits(path, shape, dtype)
