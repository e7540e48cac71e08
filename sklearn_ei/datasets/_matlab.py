"""MATLAB files."""

import numpy as np
from sklearn.utils import Bunch

from ..utils.params import brief
from ._files import check_fits, existing, readable
from ._hdf5_file import Hdf5File

_EXPECTED = "a MATLAB file of numbers"
# MATLAB's classes of numbers, with NumPy's names of their types.
_CLASSES = {
    "double": "f8",
    "single": "f4",
    "logical": "u1",
    **{
        f"{sign}int{8 * n}": f"{sign or 'i'}{n}"
        for sign in ("", "u")
        for n in (1, 2, 4)
    },
    "int64": "i8",
    "uint64": "u8",
}


def read_matlab(path, key=None):
    """Read an array of numbers from a MATLAB file, version 4 to 7.3.

    Parameters
    ----------
    path : str or path-like
        The file.
    key : str, default=None
        Name of the variable, with points between the fields of a struct, such as
        ``"CtDataFull.sinogram"``. May be left out if one variable has numbers.

    Returns
    -------
    stack : Bunch
        With ``data``, the array in MATLAB's shape (``numpy.moveaxis(data, -1, 0)``
        where samples are along its last axis), and ``filenames``.

    Raises
    ------
    FileNotFoundError, TypeError, ValueError
        If there is no such file or variable; it is text, a cell, a struct, an
        object, or sparse; it is empty, or larger than memory.

    Notes
    -----
    Files up to version 7 are read by SciPy, version 7.3 (HDF5) by h5py. A single
    number or a vector has two axes, as in MATLAB.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from scipy.io import savemat
    >>> from sklearn_ei.datasets import read_matlab
    >>> path = f"{tempfile.mkdtemp()}/scan.mat"
    >>> savemat(path, {"scan": {"sinogram": np.ones((12, 23)), "unit": "1/mm"}})
    >>> read_matlab(path, "scan.sinogram").data.shape
    (12, 23)
    """
    from scipy.io.matlab import matfile_version

    found = existing(path, kind="file")
    if key is not None and not isinstance(key, str):
        raise TypeError(f"Got key={brief(key)}, but expected the name of a variable.")
    with readable(found, _EXPECTED):
        version, _ = matfile_version(str(found), appendmat=False)
    data = _read_73(found, key) if version == 2 else _read_5(found, key)
    return Bunch(data=data, filenames=[str(found)])


def _choose(path, key, sizes):
    """Return the name of the variable to read, of those with numbers."""
    name = next(iter(sizes)) if key is None and len(sizes) == 1 else key
    if name is None:
        raise ValueError(
            f"Got key=None for {str(path)!r} with {len(sizes)} variables of numbers"
            f"{': ' if sizes else ''}{', '.join(list(sizes)[:20])}, but expected "
            "one of them, or a field as in 'variable.field'."
        )
    return name


def _read_5(path, key):
    """Return an array of a file that SciPy reads."""
    from scipy.io import loadmat, whosmat

    with readable(path, _EXPECTED):
        content = {
            name: (shape, kind)
            for name, shape, kind in whosmat(str(path), appendmat=False)
        }
    numbers = {name: of for name, of in content.items() if of[1] in _CLASSES}
    name, *fields = _choose(path, key, numbers).split(".")
    if name not in content:
        raise _missing(path, key, content)
    if not fields and name in numbers:
        shape, kind = numbers[name]
        check_fits(path, shape, _CLASSES[kind], repr(name))
    with readable(path, _EXPECTED):
        value = loadmat(str(path), variable_names=[name], appendmat=False)[name]
    for field in fields:
        names = value.dtype.names if isinstance(value, np.ndarray) else None
        if not names or field not in names or value.size != 1:
            raise _missing(path, key, names or content)
        value = value[field].flat[0]
    if not isinstance(value, np.ndarray) or value.dtype.kind not in "biufc":
        raise _no_numbers(path, key or name, type(value).__name__, content)
    check_fits(path, value.shape, value.dtype, repr(key or name))
    return value


def _read_73(path, key):
    """Return an array of a file that is HDF5, with axes in the order of MATLAB."""
    with Hdf5File(path, "read_matlab") as file:
        names = [name for name in file.file if not name.startswith("#")]
        numbers = [name for name in names if _class_of(file.entry(name)) in _CLASSES]
        name = _choose(path, key, dict.fromkeys(numbers))
        entry = file.entry(name.replace(".", "/"))
        if entry is None:
            raise _missing(path, key, names)
        kind = _class_of(entry)
        dtype = getattr(entry, "dtype", None)
        parts = dtype is not None and dtype.names == ("real", "imag")
        if kind not in _CLASSES or dtype is None or not (parts or dtype.kind in "biuf"):
            raise _no_numbers(path, name, kind, names)
        if entry.attrs.get("MATLAB_empty", 0):
            check_fits(path, (0,), dtype, repr(name))
        values = file.read(entry).T
    if parts:
        values = values["real"] + 1j * values["imag"]
    return values.astype(bool) if kind == "logical" else values


def _class_of(entry):
    """Return MATLAB's class of something in a file of version 7.3."""
    attributes = getattr(entry, "attrs", {})
    if "MATLAB_sparse" in attributes:
        return "sparse"
    kind = attributes.get("MATLAB_class", b"unknown")
    return kind.decode("utf-8", "replace") if isinstance(kind, bytes) else str(kind)


def _missing(path, key, names):
    return ValueError(
        f"Got key={brief(key)} for {str(path)!r} with {', '.join(list(names)[:20])}, "
        "but expected one of them, and a name for each struct on the way."
    )


def _no_numbers(path, name, kind, names):
    return ValueError(
        f"Got {str(path)!r} with {name!r} of type {kind}, but expected an array of "
        f"numbers; it has {', '.join(list(names)[:20])}."
    )
