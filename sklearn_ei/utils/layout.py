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

    Examples
    --------
    >>> from sklearn_ei.operators import Layout
    >>> Layout((4, 4), 3).array_shape
    (4, 4, 3)
    >>> Layout((4, 4), "none").tensor_shape
    (1, 4, 4)
    """

    shape: tuple[int, ...] | None = None
    channels: int | str = "any"

    def __post_init__(self):
        if self.shape is not None:
            object.__setattr__(self, "shape", check_shape("shape", self.shape))
        counted = type(self.channels) is int and self.channels > 0
        if not counted and self.channels not in ("any", "none"):
            raise ValueError(
                f"Got channels={brief(self.channels)}, but expected 'any', 'none' or a "
                "positive integer."
            )

    @property
    def has_channel_axis(self):
        """Whether arrays have a channel axis."""
        return self.channels not in ("any", "none")

    @property
    def n_channels(self):
        """Channels of a tensor; the fewest, where any will do."""
        return self.channels if self.has_channel_axis else 1

    @property
    def array_shape(self):
        """Shape of one sample in an array, channels (if any) last."""
        return (*self.shape, self.channels) if self.has_channel_axis else self.shape

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

    def settle(self, *, shape=None, channels=None):
        """Return a layout in which the given parts replace what was open."""
        changes = {"shape": shape, "channels": channels}
        return replace(self, **{k: v for k, v in changes.items() if v is not None})

    def to_tensor(self, stack):
        """Return a float32 tensor (batch, channel, *shape) of an array of samples.

        The data is copied, so that read-only memory maps, which joblib hands to
        its workers, never share memory with a tensor.
        """
        moved = np.moveaxis(stack, -1, 1) if self.has_channel_axis else stack[:, None]
        return torch.from_numpy(np.array(moved, dtype=np.float32, order="C"))

    def to_array(self, tensor):
        """Return the array of samples of a tensor (batch, channel, *shape)."""
        array = tensor.detach().cpu().numpy()
        if not self.has_channel_axis:
            return array[:, 0]
        return np.ascontiguousarray(np.moveaxis(array, 1, -1))


def _channels_text(channels):
    return "no channel axis" if channels == "none" else f"{channels} channels"
