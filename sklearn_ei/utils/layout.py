"""How one image, or one measurement, lies in an array and in a tensor."""

from dataclasses import dataclass, replace

import numpy as np
import torch

from .params import brief, check_shape


@dataclass(frozen=True)
class Layout:
    """Shape and channels of one image, or of one measurement.

    Parameters
    ----------
    shape : tuple of int or None, default=None
        Spatial shape; None while it is open.
    channels : {"any", "none"} or int, default="any"
        ``"none"``: arrays have no channel axis, and tensors a single channel. A
        number: so many, along the last axis of arrays. ``"any"``: either of both,
        as A acts on every channel alike; it settles when data is seen.
    is_complex : bool, default=False
        Whether arrays are complex. Channels, an even number of them, are then the
        real and imaginary part of one complex number after the other. One number a
        point: arrays have no channel axis. Several, such as coils: they are the
        *first* axis of a sample, as scanners write them.

    Examples
    --------
    >>> from sklearn_ei.operators import Layout
    >>> Layout((4, 4), 3).array_shape
    (4, 4, 3)
    >>> Layout((4, 4), "none").tensor_shape
    (1, 4, 4)
    >>> Layout((4, 5), 2, is_complex=True).array_shape
    (4, 5)
    >>> Layout((4, 5), 6, is_complex=True).array_shape
    (3, 4, 5)
    """

    shape: tuple[int, ...] | None = None
    channels: int | str = "any"
    is_complex: bool = False

    def __post_init__(self):
        if self.shape is not None:
            object.__setattr__(self, "shape", check_shape("shape", self.shape))
        counted = type(self.channels) is int and self.channels > 0
        if not counted and self.channels not in ("any", "none"):
            raise ValueError(
                f"Got channels={brief(self.channels)}, but expected 'any', 'none' or a "
                "positive integer."
            )
        if self.is_complex and not (counted and self.channels % 2 == 0):
            raise ValueError(
                f"Got channels={brief(self.channels)} of complex arrays, but expected "
                "an even number: real and imaginary parts."
            )

    @property
    def has_channel_axis(self):
        """Whether arrays have a channel axis."""
        least = 2 if self.is_complex else 0
        return self.channels not in ("any", "none", least)

    @property
    def n_channels(self):
        """Channels of a tensor; the fewest, where any will do."""
        return 1 if self.channels in ("any", "none") else self.channels

    @property
    def dtype(self):
        """Of arrays: complex64 or float32."""
        return np.dtype(np.complex64 if self.is_complex else np.float32)

    @property
    def array_shape(self):
        """Shape of one sample in an array; channels are last, complex ones first."""
        if not self.has_channel_axis:
            return self.shape
        if self.is_complex:
            return (self.channels // 2, *self.shape)
        return (*self.shape, self.channels)

    @property
    def tensor_shape(self):
        """Shape of one sample in a tensor, (channel, *shape)."""
        return (self.n_channels, *self.shape)

    def of_sample(self, sample, what="sample", n_dims=None):
        """Return the layout that the shape of one sample settles.

        Parameters
        ----------
        sample : tuple of int
            As users' arrays have it, channels (if any) last.
        what : str, default="sample"
            What it is, in messages.
        n_dims : int, default=None
            Number of spatial dimensions, where it is known although the shape is
            open. None: one axis is a signal, two are an image, three an image with
            channels, as far as the channels allow it.

        Returns
        -------
        layout : Layout
            Whether the spatial shape is the right one is not looked at.

        Raises
        ------
        ValueError
            If the number of axes or of channels cannot be right.
        """
        sample = tuple(sample)
        if self.is_complex:
            return self._of_complex(sample, what, n_dims)
        if self.shape is not None:
            n_dims = len(self.shape)
        elif n_dims is None:
            n_dims = min(len(sample), 2)
            if self.channels != "any":
                n_dims = max(len(sample) - self.has_channel_axis, 1)
        shape, last = sample[:n_dims], sample[n_dims:]
        if len(shape) != n_dims or len(last) > 1 or 0 in sample:
            hint = ""
            if len(sample) == n_dims - 1:
                hint = "; a single sample has to be passed as a stack of one"
            raise ValueError(
                f"got samples of shape {sample}, but expected {n_dims} axes, with at "
                f"most one channel axis behind{hint}."
            )
        channels = int(last[0]) if last else "none"
        if self.channels not in ("any", channels):
            where = " along the last axis" if self.has_channel_axis else ""
            raise ValueError(
                f"got {what}s with {_channels_text(channels)}, but expected "
                f"{_channels_text(self.channels)}{where}."
            )
        return self.settle(shape=shape, channels=channels)

    def _of_complex(self, sample, what, n_dims):
        """Return the layout that the shape of one complex sample settles."""
        n_first = self.channels // 2
        shape = sample
        if self.has_channel_axis and sample[:1] == (n_first,):
            shape = sample[1:]
        n_dims = n_dims if self.shape is None else len(self.shape)
        wrong = self.has_channel_axis and shape == sample
        if wrong or not shape or 0 in shape or n_dims not in (None, len(shape)):
            axes = {1: "length", 2: "H, W", 3: "D, H, W"}.get(n_dims, "*shape")
            expected = f"{n_first}, {axes}" if self.has_channel_axis else axes
            raise ValueError(
                f"got complex {what}s of shape {sample} each, but expected a stack "
                f"(n_samples, {expected})."
            )
        return self.settle(shape=shape)

    def spatial(self, sample):
        """Return the shape of one sample in an array without its channels."""
        sample = tuple(sample)
        if not self.has_channel_axis:
            return sample
        return sample[1:] if self.is_complex else sample[:-1]

    def settle(self, *, shape=None, channels=None, is_complex=None):
        """Return a layout in which the given parts replace what was open."""
        changes = {"shape": shape, "channels": channels, "is_complex": is_complex}
        return replace(self, **{k: v for k, v in changes.items() if v is not None})

    def to_tensor(self, stack):
        """Return a float32 tensor (batch, channel, *shape) of an array of samples.

        The data is copied, so that read-only memory maps, which joblib hands to
        its workers, never share memory with a tensor.
        """
        if self.is_complex:
            stack = as_channels(stack, self.has_channel_axis)
        last = self.is_complex or self.has_channel_axis
        moved = np.moveaxis(stack, -1, 1) if last else stack[:, None]
        return torch.from_numpy(np.array(moved, dtype=np.float32, order="C"))

    def to_array(self, tensor):
        """Return the array of samples of a tensor (batch, channel, *shape)."""
        array = tensor.detach().cpu().numpy()
        if self.is_complex:
            array = array[:, ::2] + np.complex64(1j) * array[:, 1::2]
            return array if self.has_channel_axis else array[:, 0]
        if not self.has_channel_axis:
            return array[:, 0]
        return np.ascontiguousarray(np.moveaxis(array, 1, -1))


def as_channels(stack, has_channel_axis=False):
    """Return a complex stack as a real one, real and imaginary parts last.

    Parameters
    ----------
    stack : complex ndarray of shape (n_samples, *shape) or \
            (n_samples, n_numbers, *shape)
        What is NaN in one of its parts is unknown in both.
    has_channel_axis : bool, default=False
        Whether the second axis is one of several complex numbers a point.

    Returns
    -------
    stack : ndarray of shape (n_samples, *shape, 2 * n_numbers)
    """
    if not has_channel_axis:
        stack = stack[:, None]
    parts = np.stack([stack.real, stack.imag], axis=-1)
    parts[np.isnan(stack)] = np.nan
    return np.moveaxis(parts, 1, -2).reshape(len(stack), *stack.shape[2:], -1)


def unknown_in_both(stack):
    """Return pairs of real and imaginary parts, NaN in both where one of them is.

    Parameters
    ----------
    stack : ndarray of shape (n_samples, *shape, 2 * n_numbers)
        Any other is returned as it is.

    Returns
    -------
    stack : ndarray
        The same, where nothing has to be changed.
    """
    if stack.shape[-1] % 2:
        return stack
    pairs = stack.reshape(*stack.shape[:-1], -1, 2)
    missing = np.isnan(pairs)
    one = missing[..., 0] != missing[..., 1]
    if not one.any():
        return stack
    pairs = pairs.copy()
    pairs[one] = np.nan
    return pairs.reshape(stack.shape)


def _channels_text(channels):
    return "no channel axis" if channels == "none" else f"{channels} channels"
