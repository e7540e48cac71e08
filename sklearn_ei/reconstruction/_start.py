"""A†y of the training set: its scale, and where f starts from."""

import torch

from ..operators import part_of
from ..utils.dataset import BatchedDataset

_SAMPLES = 64  # at a time, and for the scale
_CACHE_BYTES = 2**29  # A†y of the training set is kept up to this size


@torch.no_grad()
def root_mean_square(operator, y):
    """Return the root mean square of A†y over the first samples, or 1 for zeros.

    Parameters
    ----------
    operator : ForwardOperator
        A, resolved.
    y : torch.Tensor or LazyTensor of shape (n_samples, channel, *measurement_shape)
        Measurements.

    Returns
    -------
    scale : float
    """
    part, y = part_of(operator, y[:_SAMPLES])
    images = part.pinv(y)
    rms = float(images.double().square().mean().sqrt())
    return rms if rms > 0 else 1.0


def scaled_dataset(operator, y, truth, scale, device):
    """Return the data in the units of the training, on the device.

    Parameters
    ----------
    operator : ForwardOperator
        A, resolved.
    y : torch.Tensor or LazyTensor of shape (n_samples, channel, *measurement_shape)
        Measurements.
    truth : torch.Tensor or LazyTensor of shape (n_samples, channel, *image_shape)
        Ground truth, or None.
    scale : float
        What becomes 1.
    device : torch.device
        Where training takes place. Lazy data stays where it is.

    Returns
    -------
    dataset : BatchedDataset
        With A†y of all samples, unless it needs too much memory.

    Raises
    ------
    MemoryError
        If a GPU cannot hold them.
    """
    try:
        y = y / scale
        truth = None if truth is None else (truth / scale).to(device)
        start = _pseudo_inverses(operator, y, device)
        return BatchedDataset(y.to(device), truth, start)
    except torch.cuda.OutOfMemoryError as error:
        raise MemoryError(
            f"The GPU ran out of memory with the training data: got {len(y)} samples, "
            "but expected them to fit; pass a memory map, which is read batch by "
            "batch, or device='cpu'."
        ) from error


@torch.no_grad()
def _pseudo_inverses(operator, y, device):
    """Return A†y of all samples, which training would compute in every epoch.

    None if the images need more memory than the cache may take.
    """

    def pinv(batch):
        part, batch = part_of(operator, batch.to(device))
        return part.pinv(batch)

    first = pinv(y[:1])
    if first.numel() * first.element_size() * len(y) > _CACHE_BYTES:
        return None
    start = first.new_empty((len(y), *first.shape[1:]))
    for i in range(0, len(y), _SAMPLES):
        batch = slice(i, i + _SAMPLES)
        start[batch] = pinv(y[batch])
    return start
