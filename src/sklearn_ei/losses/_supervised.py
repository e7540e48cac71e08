"""The supervised data term."""

import torch.nn.functional as F


def supervised_error(x1, x):
    """Return MSE(x1, x), the data term where ground truth is given.

    Parameters
    ----------
    x1 : torch.Tensor of shape (batch, channel, *image_shape)
        Reconstructions f(y).
    x : torch.Tensor of shape (batch, channel, *image_shape)
        Ground truth.

    Returns
    -------
    loss : torch.Tensor, scalar
        Mean over all elements.
    """
    return F.mse_loss(x1, x)
