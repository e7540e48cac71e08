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
    def is_settled(self):
        """Whether the shape is known, and the channels are not ``"any"``."""
        return self.shape is not None and self.channels != "any"

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
