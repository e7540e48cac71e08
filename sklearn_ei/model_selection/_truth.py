"""Scores against ground truth, as callables for ``scoring=``."""

from typing import Any

import numpy as np

from ..metrics import psnr, ssim
from ..operators import part_of
from ..utils.validation import check_images
from ._estimators import BATCH_SIZE, relative_energy, tensors, unwrap


def _images_and_truth(estimator, Y, y, name):
    if y is None or np.ndim(y) < 2:
        raise ValueError(
            f"{name} got y={'None' if y is None else 'one number a sample'}, but "
            "expected ground-truth images; held_out_score needs none."
        )
    reconstruct = getattr(estimator, "predict", None) or estimator.transform
    images = np.asarray(reconstruct(Y))
    is_complex = np.iscomplexobj(images)
    return images, check_images(
        y, len(images), images.shape[1:], name, is_complex=is_complex
    )


def psnr_score(estimator: Any, Y: Any, y: Any = None) -> float:
    """Peak signal-to-noise ratio in dB of an estimator's images.

    Parameters
    ----------
    estimator : estimator
        Fitted, with ``predict`` (or only ``transform``) to images; may be a
        pipeline.
    Y : array-like of shape (n_samples, *measurement_shape[, n_channels])
        Measurements.
    y : array-like of shape (n_samples, *image_shape[, n_channels])
        Ground truth.

    Returns
    -------
    score : float
        Mean :func:`~sklearn_ei.metrics.psnr`.

    Raises
    ------
    ValueError
        Without ground truth.
    """
    images, truth = _images_and_truth(estimator, Y, y, "psnr_score")
    return psnr(truth, images)


def ssim_score(estimator: Any, Y: Any, y: Any = None) -> float:
    """Structural similarity of an estimator's 2-D images.

    Parameters
    ----------
    estimator : estimator
        Fitted, with ``predict`` (or only ``transform``) to images; may be a
        pipeline.
    Y : array-like of shape (n_samples, *measurement_shape[, n_channels])
        Measurements.
    y : array-like of shape (n_samples, H, W) or (n_samples, H, W, n_channels)
        Ground truth.

    Returns
    -------
    score : float
        Mean :func:`~sklearn_ei.metrics.ssim`; channels are averaged, and of complex
        images magnitudes are compared.

    Raises
    ------
    ValueError
        Without ground truth.
    """
    images, truth = _images_and_truth(estimator, Y, y, "ssim_score")
    if np.iscomplexobj(images):
        return ssim(np.abs(truth), np.abs(images))
    return ssim(truth, images, channel_axis=-1 if images.ndim == 4 else None)


def neg_nmse_score(estimator: Any, Y: Any, y: Any = None) -> float:
    """Minus the normalised mean squared error of an estimator's images.

    Parameters
    ----------
    estimator : estimator
        Fitted, with ``predict`` (or only ``transform``) to images; may be a
        pipeline.
    Y : array-like of shape (n_samples, *measurement_shape[, n_channels])
        Measurements.
    y : array-like of shape (n_samples, *image_shape[, n_channels])
        Ground truth.

    Returns
    -------
    score : float
        −Σ‖f(y) − x‖² / Σ‖x‖².

    Raises
    ------
    ValueError
        Without ground truth.
    """
    images, truth = _images_and_truth(estimator, Y, y, "neg_nmse_score")
    truth = truth.astype(np.result_type(images, np.float64))
    return -_relative_energy(images - truth, truth)


def neg_measurement_error_score(estimator: Any, Y: Any, y: Any = None) -> float:
    """Minus the relative measurement error, how well images explain the data.

    .. warning::
       It does not see the null space of A, and chooses α = 0 whatever that does
       to the images.

    Parameters
    ----------
    estimator : estimator
        Fitted, or a pipeline that ends in such an estimator.
    Y : array-like of shape (n_samples, *measurement_shape[, n_channels])
        Measurements.
    y : array-like of shape (n_samples, *image_shape[, n_channels]), default=None
        Ground truth x. Where it is given, A x without noise stands for y. One
        number a sample (labels) is treated as None.

    Returns
    -------
    score : float
        −Σ‖A f(y) − y‖² / Σ‖y‖².
    """
    reconstructor, Y = unwrap(estimator, Y)
    operator = reconstructor.operator_
    truth = None
    if y is not None and np.ndim(y) > 1:
        is_complex = reconstructor.image_layout_.is_complex
        name = "neg_measurement_error_score"
        truth = check_images(y, len(Y), None, name, is_complex=is_complex)
    images = reconstructor._predict_array(Y)
    to_tensor = reconstructor.image_layout_.to_tensor

    def pairs():
        start = 0
        for batch in tensors(reconstructor, Y, BATCH_SIZE):
            samples = slice(start, start + len(batch))
            # What an instrument leaves at lost pixels is no reading.
            A, target = part_of(operator, batch.cpu())
            if truth is not None:
                A = operator.for_measurements(batch.cpu())
                target = A.forward(to_tensor(truth[samples]))
            yield A.forward(to_tensor(images[samples])) - target, target
            start = samples.stop

    return -relative_energy(pairs())


def _relative_energy(difference, reference):
    """Return Σ|d|² / Σ|r|² of arrays, or 0 where r is zero."""
    error, norm = (
        np.square(np.abs(part), dtype=np.float64).sum()
        for part in (difference, reference)
    )
    return float(error / norm) if norm > 0 else 0.0
