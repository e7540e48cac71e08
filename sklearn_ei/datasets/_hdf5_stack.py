"""Samples that stay in an HDF5 file until they are asked for."""

import os

import numpy as np

from ..utils.stack import OnDemand
from ._files import readable, require
from ._hdf5_file import frames_of


class Hdf5Stack(OnDemand):
    """Samples of a data set in an HDF5 file, read when they are indexed.

    Indexing is that of arrays and returns arrays: samples in any order, as
    ``train_test_split`` asks for them, are read in that of the file. A copy in
    another process opens the file anew, so that ``n_jobs`` works.

    Parameters
    ----------
    path : str
        The file.
    name : str
        Of the data set.
    axis : int, default=0
        Which of its axes is that of samples, and comes first here.
    frames : ndarray of int, default=None
        With ``axis=1``: which entries of axis 0 belong to the stack, increasing.

    Attributes
    ----------
    shape, dtype, ndim, size
        As of an array.
    chunks : tuple of int or None
        Of the data set.
    """

    def __init__(self, path, name, axis=0, frames=None):
        self.path, self.name = str(path), name
        self.axis = axis
        self._frames = frames
        self._file, self._process = None, None
        data = self._data()
        shape = list(data.shape)
        if frames is not None:
            shape[0] = len(frames)
        self.shape = (shape.pop(axis), *shape)
        self.dtype, self.chunks = data.dtype, data.chunks
        self._source = (data.shape, data.dtype)

    def __repr__(self):
        return (
            f"<{type(self).__name__} {self.name!r} of {self.path!r}, shape "
            f"{self.shape}, {self.dtype}>"
        )

    def __getstate__(self):
        return {**self.__dict__, "_file": None}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        """Close the file; indexing opens it again."""
        if self._file is not None and self._process == os.getpid():
            self._file.close()
        self._file = None

    def _data(self):
        """Return the data set of the file, as opened by this process."""
        if self._file is None or self._process != os.getpid():
            with readable(self.path, f"an HDF5 file with {self.name!r}"):
                self._file = require("h5py", "read_hdf5").File(self.path, "r")
                self._process = os.getpid()
        return self._file[self.name]

    def _read(self, rows):
        """Return samples, which are a slice or increasing numbers."""
        data = self._data()
        if (data.shape, data.dtype) != self._source:
            raise ValueError(
                f"Got {self.path!r} with {self.name!r} of {data.dtype} and shape "
                f"{data.shape}, but expected {self._source[1]} and shape "
                f"{self._source[0]}, as when it was first read."
            )
        with readable(self.path, f"a readable data set {self.name!r}"):
            if self.axis == 0:
                return data[rows]
            return np.ascontiguousarray(
                np.moveaxis(frames_of(data, self._frames, rows), self.axis, 0)
            )
