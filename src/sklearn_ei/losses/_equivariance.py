"""Equivariance of f∘A."""

import torch.nn.functional as F


def equivariance_error(reconstruct, operator, group, x1, g):
    """Return MSE(f(A T_g x1), T_g x1), the equivariance term of eq. (6).

    Parameters
    ----------
    reconstruct : callable
        f, from measurements to images.
    operator : ForwardOperator
        A.
    group : Group
        The action T.
    x1 : torch.Tensor of shape (batch, channel, *image_shape)
        Reconstructions f(y). Gradients flow through them.
    g : torch.Tensor of shape (batch * n_transforms,)
        Elements; those of one sample are adjacent.

    Returns
    -------
    loss : torch.Tensor, scalar
        Mean over all elements.

    References
    ----------
    D. Chen, J. Tachella and M. E. Davies, "Equivariant Imaging: Learning Beyond
    the Range Space", ICCV 2021, Algorithm 1.
    """
    n_transforms = len(g) // len(x1)
    x2 = group.transform(x1.repeat_interleave(n_transforms, dim=0), g)
    x3 = reconstruct(operator.forward(x2))
    return F.mse_loss(x3, x2)
