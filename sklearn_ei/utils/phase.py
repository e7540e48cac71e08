"""Complex numbers as pairs of channels: their phases."""

import torch


def mean_phase(x):
    """Return the phase of Σ z|z| of complex images, as cosine and sine.

    Bright pixels count more. Σ z would do, but is the middle of k-space alone, which
    may be what was not measured.

    Parameters
    ----------
    x : torch.Tensor of shape (batch, 2 * n_numbers, *shape)
        Real and imaginary parts in turn.

    Returns
    -------
    cos, sin : torch.Tensor of shape (batch, 1, *ones)
        1 and 0 where the sum is zero.
    """
    pairs = x.unflatten(1, (-1, 2)).movedim(2, 0)
    weighted = pairs * torch.linalg.vector_norm(pairs, dim=0)
    real, imaginary = weighted.flatten(2).sum(-1)
    size = torch.hypot(real, imaginary)
    known = size > 0
    size = torch.where(known, size, 1)
    shape = (-1, *[1] * (x.ndim - 1))
    cos = torch.where(known, real / size, 1)
    return cos.reshape(shape), torch.where(known, imaginary / size, 0).reshape(shape)


def turned(x, cos, sin):
    """Return x · e^{iφ}, with cosine and sine of φ for each sample.

    Parameters
    ----------
    x : torch.Tensor of shape (batch, 2 * n_numbers, *shape)
        Real and imaginary parts in turn.
    cos, sin : torch.Tensor of shape (batch, 1, *ones)
        As of :func:`mean_phase`.

    Returns
    -------
    x : torch.Tensor
    """
    real, imaginary = x[:, ::2], x[:, 1::2]
    parts = (real * cos - imaginary * sin, real * sin + imaginary * cos)
    return torch.stack(parts, dim=2).flatten(1, 2)
