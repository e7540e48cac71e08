"""Equivariance of f∘A."""

import torch.nn.functional as F


def equivariance_error(
    f, operator, x2, *, noise=None, generator=None, distance=F.mse_loss
):
    """Return d(f(A x2), x2), the equivariance term of eq. (6), for x2 = T_g f(y).

    Parameters
    ----------
    f : callable
        From measurements to images.
    operator : ForwardOperator
        A.
    x2 : torch.Tensor of shape (batch, channel, *image_shape)
        Transformed reconstructions. Gradients flow through them.
    noise : NoiseModel or None, default=None
        Added to A x2, as in robust equivariant imaging, so that f sees
        measurements like those it is trained on.
    generator : torch.Generator, default=None
        Of the noise.
    distance : callable, default=torch.nn.functional.mse_loss
        d.

    Returns
    -------
    loss : torch.Tensor, scalar
        Mean over all elements.

    References
    ----------
    D. Chen, J. Tachella and M. E. Davies, "Equivariant Imaging: Learning Beyond
    the Range Space", ICCV 2021, Algorithm 1; "Robust Equivariant Imaging: a fully
    unsupervised framework for learning to image from noisy and partial
    measurements", CVPR 2022, eq. (13).
    """
    y2 = operator.forward(x2)
    if noise is not None:
        y2 = noise.sample(y2, generator)
    return distance(f(y2), x2)
