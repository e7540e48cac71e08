"""Measurement consistency."""

import torch.nn.functional as F


def measurement_consistency(operator, x1, y):
    """Return MSE(A x1, y), the data term of eq. (6).

    Parameters
    ----------
    operator : ForwardOperator
        A.
    x1 : torch.Tensor of shape (batch, channel, *image_shape)
        Reconstructions f(y).
    y : torch.Tensor of shape (batch, channel, *measurement_shape)
        Measurements.

    Returns
    -------
    loss : torch.Tensor, scalar
        Mean over all elements.
    """
    return F.mse_loss(operator.forward(x1), y)
