"""A†y of the training set: its scale, and where f starts from."""

import torch

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
    images = operator.pinv(y[:_SAMPLES])
    rms = float(images.double().square().mean().sqrt())
    return rms if rms > 0 else 1.0


@torch.no_grad()
def pseudo_inverses(operator, y, device):
    """Return A†y of all samples, which training would compute in every epoch.

    Parameters
    ----------
    operator : ForwardOperator
        A, resolved.
    y : torch.Tensor or LazyTensor of shape (n_samples, channel, *measurement_shape)
        Measurements.
    device : torch.device
        Where to keep the images.

    Returns
    -------
    start : torch.Tensor of shape (n_samples, channel, *image_shape) or None
        None if the images need more memory than the cache may take.
    """
    first = operator.pinv(y[:1].to(device))
    if first.numel() * first.element_size() * len(y) > _CACHE_BYTES:
        return None
    start = first.new_empty((len(y), *first.shape[1:]))
    for i in range(0, len(y), _SAMPLES):
        batch = slice(i, i + _SAMPLES)
        start[batch] = operator.pinv(y[batch].to(device))
    return start
