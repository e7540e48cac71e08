"""A look at images in the middle of a training, before the estimator is fitted."""

import numpy as np
import torch

_BATCH = 16


def scale_of(operator, Y):
    """Return the unit that a training on measurements has, the estimator's ``scale_``.

    Parameters
    ----------
    operator : ForwardOperator
        Of the estimator.
    Y : ndarray of shape (n_samples, *measurement_shape[, n_channels])
        What it is trained on.

    Returns
    -------
    scale : float
    """
    images = operator.reconstruct(Y[:64])
    return float(np.sqrt(np.square(images, dtype=np.float64).mean()))


@torch.no_grad()
def reconstruct(net, Y, scale):
    """Return images of measurements by f as it is now, for skorch callbacks.

    Parameters
    ----------
    net : ReconstructionNet
        That is being trained.
    Y : ndarray of shape (n_samples, *measurement_shape[, n_channels])
        Measurements, in the units of the user.
    scale : float
        The unit of the training.

    Returns
    -------
    images : ndarray of shape (n_samples, *image_shape[, n_channels])
    """
    function, A = net.module_.eval(), net.criterion_.data_term.operator
    of_images, of_measurements = A.layouts(measurement=Y.shape[1:])
    y = of_measurements.to_tensor(Y).to(net.device) / scale
    found = torch.cat([function(part, A) for part in y.split(_BATCH)])
    return of_images.to_array(found * scale)
