"""Stacks that are indexed like arrays and read, or computed, when they are."""

import numpy as np


def in_order(index):
    """Return samples as a file is read, and how to bring them back in their order.

    Files are read in their order, and HDF5 insists on it.

    Parameters
    ----------
    index : ndarray of int
        Numbers of samples, not negative, at least one.

    Returns
    -------
    ordered : ndarray of int or slice
        The same ones, increasing, each once; a slice if there are no gaps.
    inverse : ndarray of int
        Such that ``read(ordered)[inverse]`` are the samples asked for.
    """
    ordered, inverse = np.unique(index, return_inverse=True)
    if ordered[-1] - ordered[0] == len(ordered) - 1:
        ordered = slice(int(ordered[0]), int(ordered[-1]) + 1)
    return ordered, inverse


class OnDemand:
    """Base of stacks whose samples come when they are indexed, as from an array.

    Subclasses set ``shape``, ``dtype`` and ``chunks`` (by which estimators know that
    samples are not there yet), and have ``_read(ordered)``, which returns the
    samples at a slice without gaps or at increasing numbers.
    """

    @property
    def ndim(self):
        """Number of axes."""
        return len(self.shape)

    @property
    def size(self):
        """Number of elements."""
        return int(np.prod(self.shape))

    def __len__(self):
        return self.shape[0]

    def __array__(self, dtype=None, copy=None):
        if copy is False:
            raise ValueError("Got copy=False, but values are not in memory.")
        return np.asarray(self[:], dtype=dtype)

    def __getitem__(self, key):
        if isinstance(key, tuple):
            return self._part(*key)
        numbers = np.arange(len(self))[key]
        if numbers.ndim == 0:
            return self[numbers[np.newaxis]][0]
        if not len(numbers):
            return np.empty((0, *self.shape[1:]), self.dtype)
        ordered, inverse = in_order(numbers)
        values = self._read(ordered)
        same = np.array_equal(inverse, np.arange(len(values)))
        return values if same else values[inverse]

    def _part(self, first=Ellipsis, *rest):
        """Return samples and then a part of each, as ``stack[first, *rest]``."""
        if first is Ellipsis:
            return self[:][(first, *rest)]
        one = np.ndim(first) == 0 and not isinstance(first, slice)
        return self[first][rest if one else (slice(None), *rest)]


class MappedStack(OnDemand):
    """Samples of a stack that go through a function when they are read.

    Parameters
    ----------
    source : LazyStack, ndarray or array-like with ``shape`` and ``dtype``
        Where samples come from.
    function : callable
        ``function(samples, numbers)`` returns an array with one entry for each of
        the samples, float32; numbers are those of the samples in the stack.
    sample_shape : tuple of int
        Of what the function returns.
    """

    def __init__(self, source, function, sample_shape):
        self.source = source
        self.function = function
        self.shape = (source.shape[0], *sample_shape)
        self.dtype = np.dtype(np.float32)
        self.chunks = None

    def _read(self, ordered):
        numbers = np.arange(len(self))[ordered]
        return self.function(self.source[ordered], numbers)
