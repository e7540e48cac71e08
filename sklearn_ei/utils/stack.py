"""Stacks of samples that are larger than memory, read when asked for."""

import mmap

import numpy as np
import torch
from torch.utils.data import Dataset, IterableDataset

from .layout import unknown_in_both
from .on_demand import in_order

# Memory maps up to this size are read at once, which is faster.
_LAZY_BYTES = 2**28
_CHUNK = 2**22  # elements read together where all samples are looked at
# Bytes of a memory map that may stay in this process after reading, and what a
# single sample may bring along: the system maps files in pieces of up to 2 MB.
_HELD, _PIECE = 2**27, 2**21


def is_lazy(stack):
    """Return whether a stack is read sample by sample rather than as a whole.

    Parameters
    ----------
    stack : object
        What a user passed as measurements or images.

    Returns
    -------
    lazy : bool
        True for torch data sets, chunked arrays (HDF5, zarr and others with
        ``shape``, ``dtype`` and ``chunks``), and large memory maps.
    """
    if isinstance(stack, LazyStack | Dataset):
        return True
    if isinstance(stack, np.ndarray):
        return isinstance(stack, np.memmap) and stack.nbytes > _LAZY_BYTES
    return all(hasattr(stack, name) for name in ("shape", "dtype", "chunks"))


class LazyStack:
    """Samples along the first axis, converted to float32 (or complex64) when read.

    Indexing with a slice, an integer or an array of integers returns an ndarray,
    so that whoever walks through a stack batch by batch need not know of it.

    Parameters
    ----------
    source : torch Dataset, ndarray, or array-like with ``shape`` and ``dtype``
        Items of a data set are samples, or tuples that begin with one.
    name : str
        Of the argument, for the messages.
    part : int, default=0
        Which entry of items that are tuples.
    """

    def __init__(self, source, name, part=0):
        if isinstance(source, IterableDataset) or not hasattr(source, "__getitem__"):
            raise TypeError(
                f"Got {name} of type {type(source).__name__}, but expected samples "
                "that can be indexed, such as a map-style Dataset."
            )
        self.source = source
        self.name = name
        self.part = part
        self._n_bytes_read = 0
        # Of images that may be missing, check_images knows which: those that it
        # reads as zero meanwhile, and the first of them.
        self.blank, self.first_missing = None, 0
        # Of measurements, those who have looked know whether some are NaN.
        self.has_missing = False
        # Whether channels are pairs, which are missing together.
        self.in_pairs = False
        if not isinstance(source, Dataset):
            self.shape = tuple(int(n) for n in source.shape)
            self.dtype = np.dtype(source.dtype)
            return
        try:
            n_samples = len(source)
        except (TypeError, NotImplementedError) as error:
            raise TypeError(
                f"Got {name} of type {type(source).__name__} without a length, but "
                "expected a map-style Dataset."
            ) from error
        self.shape = (n_samples, 1)
        self.dtype = np.dtype(np.float32)
        if n_samples > 0:
            first = self._item(0)
            self.shape = (n_samples, *first.shape)
            self.dtype = first.dtype

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

    def __getitem__(self, index):
        with np.errstate(over="ignore"):  # float64 beyond float32: inf, as in arrays
            single = np.complex64 if self.dtype.kind == "c" else np.float32
            values = np.asarray(self.raw(index), dtype=single)
        if self.blank is not None and self.blank[index].any():
            values = np.array(values)
            values[self.blank[index]] = 0
        return unknown_in_both(values) if self.in_pairs else values

    def __iter__(self):
        for chunk in self.chunks():
            yield from chunk

    def chunks(self):
        """Yield all samples, as arrays of a size that fits into memory."""
        step = max(1, _CHUNK * len(self) // self.size)
        for start in range(0, len(self), step):
            yield self[start : start + step]

    def raw(self, index):
        """Return samples in the dtype that they have."""
        if isinstance(index, slice):
            start, stop, step = index.indices(len(self))
            if not isinstance(self.source, Dataset) and step == 1:
                return self._read(slice(start, stop))
            index = np.arange(start, stop, step)
        if np.ndim(index) == 0:
            return self.raw(np.array([index]))[0]
        index = np.asarray(index)
        if len(index) == 0:
            return np.empty((0, *self.shape[1:]), self.dtype)
        if isinstance(self.source, Dataset):
            return np.stack([self._item(int(i)) for i in index])
        ordered, inverse = in_order(index)
        return self._read(ordered)[inverse]

    def has_part(self, part):
        """Return whether items are tuples with such an entry."""
        if not isinstance(self.source, Dataset) or len(self) == 0:
            return False
        item = self.source[0]
        return isinstance(item, list | tuple) and len(item) > part

    def shares_memory(self, array):
        """Return whether an array may be part of what is read."""
        source = self.source
        return isinstance(source, np.ndarray) and np.may_share_memory(array, source)

    def _read(self, index):
        """Return what an array has at a slice or at increasing numbers."""
        source = self.source
        if not isinstance(index, slice):
            source = getattr(source, "oindex", source)
        values = np.asarray(source[index])
        n_pieces = 1 if isinstance(index, slice) else len(values)
        n_bytes = values.nbytes + n_pieces * _PIECE
        self._n_bytes_read += n_bytes
        if self._n_bytes_read > _HELD:
            # What a slice returned may be read only now.
            self._n_bytes_read = n_bytes if isinstance(index, slice) else 0
            _release(self.source)
        return values

    def _item(self, i):
        item = self.source[i]
        if isinstance(item, list | tuple) and len(item) > self.part:
            item = item[self.part]
        if isinstance(item, torch.Tensor):
            item = item.detach().cpu()
            item = item.float() if item.dtype == torch.bfloat16 else item
        try:
            array = np.asarray(item)
        except Exception as error:  # from whatever the item is
            raise ValueError(
                f"Got {self.name} whose sample {i} is of type {type(item).__name__}, "
                "but expected an array."
            ) from error
        if i > 0 and array.shape != self.shape[1:]:
            raise ValueError(
                f"Got {self.name} whose sample {i} has shape {array.shape}, but "
                f"expected {self.shape[1:]}, which sample 0 has."
            )
        kinds = "biufc" if self.dtype.kind == "c" else "biuf"
        if i > 0 and array.dtype.kind not in kinds:
            raise ValueError(
                f"Got {self.name} whose sample {i} has dtype {array.dtype}, but "
                "expected real numbers."
            )
        return array


def _release(source):
    """Let go of the pages of a memory map, which come back when they are read.

    Otherwise they count as memory of this process as long as the machine has any
    to spare. Private copies of pages (mode "c") would be lost, and are left alone.
    """
    pages = getattr(source, "_mmap", None)
    shared = getattr(source, "mode", None) in ("r", "r+", "w+")
    if shared and isinstance(pages, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
        pages.madvise(mmap.MADV_DONTNEED)


class LazyTensor:
    """The tensor ``(sample, channel, *shape)`` of a stack, read when indexed.

    Has what training asks of a tensor of all samples: length, indexing, division
    by a number, zeros where a mask is true.

    Parameters
    ----------
    stack : LazyStack
        Checked already.
    layout : Layout
        Of a sample.
    scale : float, default=1
        What values are divided by.
    samples : ndarray of int, default=None
        Numbers of the samples; None for all.
    blank : torch.Tensor of bool, default=None
        What is zero in every sample, whatever it says.
    """

    def __init__(self, stack, layout, scale=None, samples=None, *, blank=None):
        self.stack = stack
        self.layout = layout
        self.scale = scale
        self.blank = blank
        self.samples = np.arange(len(stack)) if samples is None else samples

    def __len__(self):
        return len(self.samples)

    def __getitem__(self, index):
        index = index.numpy() if isinstance(index, torch.Tensor) else index
        samples = self.stack[np.atleast_1d(self.samples[index])]
        tensor = self.layout.to_tensor(samples)
        if self.blank is not None:
            tensor = tensor.masked_fill(self.blank, 0)
        return tensor if self.scale is None else tensor / self.scale

    def __truediv__(self, scale):
        return self._with(scale=scale)

    def masked_fill(self, blank, value):
        """Return samples that are zero, the only ``value``, where ``blank`` says."""
        if value != 0:
            raise ValueError(f"Got value={value}, but expected 0.")
        return self._with(blank=blank)

    def _with(self, **changes):
        own = {"scale": self.scale, "samples": self.samples, "blank": self.blank}
        return LazyTensor(self.stack, self.layout, **{**own, **changes})

    def to(self, device):
        """Return itself: batches go to the device as they are used."""
        return self

    def take(self, samples):
        """Return some of the samples, which are not read yet."""
        return self._with(samples=self.samples[samples])

    @property
    def shape(self):
        """Shape, as that of the array of all samples."""
        return (len(self), *self[:1].shape[1:])

    def chunks(self):
        """Yield all samples, as tensors of a size that fits into memory."""
        step = max(1, _CHUNK * len(self.stack) // self.stack.size)
        for start in range(0, len(self), step):
            yield self[start : start + step]


def truth_of_pairs(Y, truth):
    """Return the second entries of the items of a data set of pairs as truth.

    Only where there is no ``truth``, and the items have such entries.
    """
    if truth is None and isinstance(Y, Dataset) and hasattr(Y, "__len__"):
        stack = LazyStack(Y, "Y")
        if stack.has_part(1):
            return LazyStack(Y, "y", part=1)
    return truth


def stack_to_tensor(stack, layout):
    """Return the tensor of a checked stack, lazy if the stack is."""
    lazy = isinstance(stack, LazyStack)
    return LazyTensor(stack, layout) if lazy else layout.to_tensor(stack)


def take(tensor, samples):
    """Return some samples of a tensor or a lazy one."""
    return tensor.take(samples) if isinstance(tensor, LazyTensor) else tensor[samples]


def has_missing(y):
    """Return whether measurements have NaN: what nobody measured.

    Parameters
    ----------
    y : torch.Tensor or LazyTensor
        All samples. Lazy ones are read, if those who have checked them saw NaN.
    """
    if not isinstance(y, LazyTensor):
        return bool(y.isnan().any())
    return y.stack.has_missing and any(bool(c.isnan().any()) for c in y.chunks())
