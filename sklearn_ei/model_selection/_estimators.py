"""What scorers need to know of the estimators that they are handed."""

import numpy as np
import torch
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from ..utils.validation import check_measurements

BATCH_SIZE = 16


def unwrap(estimator, Y):
    """Return the reconstructor within an estimator, and what it is given.

    Parameters
    ----------
    estimator : estimator
        A fitted reconstructor, a ``Pipeline`` that ends in one, or a fitted search
        (anything with ``best_estimator_``) over either.
    Y : array-like of shape (n_samples, ...)
        What the estimator is given.

    Returns
    -------
    reconstructor : estimator
        With ``operator_``.
    Y : ndarray of shape (n_samples, *measurement_shape[, n_channels])
        Measurements, behind the transforming steps of a pipeline, checked.

    Raises
    ------
    NotFittedError
        Before ``fit``.
    TypeError
        If there is no reconstructor at the end.
    """
    while True:
        if isinstance(estimator, Pipeline):
            if len(estimator.steps) > 1:
                Y = estimator[:-1].transform(Y)
            estimator = estimator[-1]
        elif hasattr(estimator, "best_estimator_"):
            estimator = estimator.best_estimator_
        elif type(estimator).__name__ == "FrozenEstimator":
            estimator = estimator.estimator
        else:
            break
    if not hasattr(estimator, "reconstruct_tensors"):
        raise TypeError(
            f"Got {estimator!r}, but expected a reconstructor such as "
            "EquivariantReconstructor, or a pipeline that ends in one."
        )
    check_is_fitted(estimator)
    return estimator, check_measurements(estimator, Y, reset=False)


def tensors(reconstructor, Y, size=1):
    """Yield measurements as tensors (batch, channel, *shape), on f's device.

    Parameters
    ----------
    reconstructor : estimator
        Fitted.
    Y : array-like of shape (n_samples, *measurement_shape[, n_channels])
        Measurements, checked.
    size : int, default=1
        Samples at a time.

    Yields
    ------
    y : torch.Tensor of shape (size, channel, *measurement_shape)
        NaN where nothing was measured. The last one may have fewer samples.
    """
    device = getattr(reconstructor, "device_", None)
    for start in range(0, len(Y), size):
        chunk = np.asarray(Y[start : start + size])
        y = reconstructor.measurement_layout_.to_tensor(chunk)
        yield y if device is None else y.to(device)


def relative_energy(pairs):
    """Return Σ‖d‖² / Σ‖r‖² over pairs of tensors (d, r), or 0 where r is zero."""
    error = norm = 0.0
    for difference, reference in pairs:
        error += float(difference.square().sum(dtype=torch.float64))
        norm += float(reference.square().sum(dtype=torch.float64))
    return error / norm if norm > 0 else 0.0
