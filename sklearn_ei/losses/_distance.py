"""Distances between images, or between measurements."""

import torch.nn.functional as F

from ..utils.params import brief

_DISTANCES = {"l2": F.mse_loss, "l1": F.l1_loss, "huber": F.huber_loss}


def check_distance(name, loss):
    """Return the distance called ``loss``: a function of two tensors.

    Parameters
    ----------
    name : str
        Of the parameter, for the message.
    loss : {"l2", "l1", "huber"} or callable
        ``"l2"`` is the mean squared error, ``"l1"`` the mean absolute one,
        ``"huber"`` quadratic below one root mean square of A†y and linear beyond.
        A callable gets two tensors of one shape and returns a scalar tensor.

    Returns
    -------
    distance : callable

    Raises
    ------
    ValueError
        If ``loss`` is neither.
    """
    if callable(loss):
        return loss
    if not isinstance(loss, str) or loss not in _DISTANCES:
        raise ValueError(
            f"Got {name}={brief(loss)}, but expected "
            f"{', '.join(map(repr, _DISTANCES))} or a callable."
        )
    return _DISTANCES[loss]
