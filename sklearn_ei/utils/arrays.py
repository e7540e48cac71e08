"""NumPy stacks outside, ``(batch, channel, *shape)`` tensors inside."""

import numpy as np
import torch


def split_channels(sample_shape, n_dims=None):
    """Split the shape of one sample into its spatial part and its channels.

    Parameters
    ----------
    sample_shape : tuple of int
        Shape of one sample, channels (if any) last.
    n_dims : int, default=None
        Number of spatial dimensions, where it is known. None: one axis is a 1-D
        signal, two an image, three an image with channels.

    Returns
    -------
    spatial_shape : tuple of int
    n_channels : int or None
        None for samples without a channel axis.

    Raises
    ------
    ValueError
        If the sample has neither ``n_dims`` axes nor one more.
    """
    sample_shape = tuple(sample_shape)
    if n_dims is None:
        n_dims = min(len(sample_shape), 2)
    spatial, channels = sample_shape[:n_dims], sample_shape[n_dims:]
    if len(spatial) != n_dims or len(channels) > 1 or 0 in sample_shape:
        hint = ""
        if len(sample_shape) == n_dims - 1:
            hint = "; a single sample has to be passed as a stack of one"
        raise ValueError(
            f"got samples of shape {sample_shape}, but expected {n_dims} axes, with at "
            f"most one channel axis behind{hint}."
        )
    return spatial, (channels[0] if channels else None)


def array_to_tensor(array, has_channels):
    """Return a float32 tensor ``(batch, channel, *shape)`` of a NumPy stack.

    The data is copied, so that read-only memory maps, which joblib hands to its
    workers, never share memory with a tensor.
    """
    array = np.moveaxis(array, -1, 1) if has_channels else array[:, np.newaxis]
    return torch.from_numpy(np.array(array, dtype=np.float32, order="C", copy=True))


def tensor_to_array(tensor, has_channels):
    """Return the NumPy stack of a tensor ``(batch, channel, *shape)``."""
    array = tensor.detach().cpu().numpy()
    return (
        np.ascontiguousarray(np.moveaxis(array, 1, -1)) if has_channels else array[:, 0]
    )
