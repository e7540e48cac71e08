"""Quality of reconstructions against ground truth."""

from numbers import Integral
from typing import Any

import numpy as np
from sklearn.utils import check_scalar

from .utils.stack_check import check_stack

__all__ = ["psnr", "psnr_of_pixels", "ssim"]

_WINDOW = 7  # scikit-image's default


def _check_window(shape, channel_axis):
    sides = list(shape)
    if channel_axis is not None:
        check_scalar(channel_axis, "channel_axis", Integral)
        if not -len(sides) <= channel_axis < len(sides):
            raise ValueError(
                f"Got channel_axis={channel_axis} for images of shape {shape}, but "
                "expected one of their axes."
            )
        del sides[channel_axis]
    if not sides or min(sides) < _WINDOW:
        raise ValueError(
            f"Got images of shape {shape} with channel_axis={channel_axis}, but "
            f"expected at least {_WINDOW} pixels along every other axis, the size of "
            "the window."
        )


def _check_pair(x_true, x_pred, *, complex_ok=False):
    x_true, x_pred = (
        check_stack(x, name, "images", dtype=np.float64, complex_ok=complex_ok)
        for x, name in ((x_true, "x_true"), (x_pred, "x_pred"))
    )
    if x_true.shape != x_pred.shape:
        raise ValueError(
            f"Got x_true of shape {x_true.shape} and x_pred of shape {x_pred.shape}, "
            "but expected two stacks of equal shape (n_samples, *image_shape)."
        )
    if x_true.dtype != x_pred.dtype:
        raise ValueError(
            f"Got x_true of dtype {x_true.dtype} and x_pred of dtype {x_pred.dtype}, "
            "but expected two complex or two real stacks; np.abs gives magnitudes."
        )
    return x_true, x_pred


def psnr(x_true: Any, x_pred: Any, *, per_image: bool = False) -> Any:
    """Peak signal-to-noise ratio in dB.

    Parameters
    ----------
    x_true : array-like of shape (n_samples, *image_shape)
        Ground truth, channels (if any) last.
    x_pred : array-like of shape (n_samples, *image_shape)
        Reconstructions, complex if the ground truth is.
    per_image : bool, default=False
        Whether to return one value for each image.

    Returns
    -------
    score : float or ndarray of shape (n_samples,)
        The mean over images, or each image's value; infinite for equal images.

    See Also
    --------
    psnr_of_pixels : The convention of the paper's colour figures.

    Notes
    -----
    PSNR = 10 log10(max|x|² / mean|x − x̂|²): the peak is each image's own
    maximum and the mean runs over all its elements, as for the CT figures of
    Chen et al. (ICCV 2021). Complex images are compared as they are, |x − x̂|
    being the magnitude of the difference: pass magnitudes to compare those.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_ei.metrics import psnr
    >>> round(psnr(np.ones((1, 8, 8)), np.full((1, 8, 8), 0.9)), 6)
    20.0
    """
    x_true, x_pred = _check_pair(x_true, x_pred, complex_ok=True)
    axes = tuple(range(1, x_true.ndim))
    peak = np.abs(x_true).max(axis=axes)
    error = np.sqrt(np.square(np.abs(x_true - x_pred)).mean(axis=axes))
    with np.errstate(divide="ignore", invalid="ignore"):
        scores = 20 * (np.log10(peak) - np.log10(error))
    scores[error == 0] = np.inf  # also where both images are zero
    return scores if per_image else float(scores.mean())


def psnr_of_pixels(x_true: Any, x_pred: Any, *, per_image: bool = False) -> Any:
    """Peak signal-to-noise ratio in dB, as the paper has it for colour images.

    The error of a pixel is summed over its channels instead of averaged, so that
    the value is 10 log10(n_channels) below :func:`psnr`: 4.77 dB for RGB.

    Parameters
    ----------
    x_true : array-like of shape (n_samples, *image_shape, n_channels)
        Ground truth, channels last.
    x_pred : array-like of shape (n_samples, *image_shape, n_channels)
        Reconstructions.
    per_image : bool, default=False
        Whether to return one value for each image.

    Returns
    -------
    score : float or ndarray of shape (n_samples,)
        The mean over images, or each image's value; infinite for equal images.

    Notes
    -----
    20 log10(√(H·W) · max|x| / ‖x − x̂‖), with the norm over all elements: what the
    code of Chen et al. (ICCV 2021) computes, and Table 1 reports for inpainting.
    Use it to compare with that table alone.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_ei.metrics import psnr_of_pixels
    >>> x = np.ones((1, 8, 8, 3))
    >>> round(psnr_of_pixels(x, 0.9 * x), 2)
    15.23
    """
    if np.ndim(x_true) < 3 or np.iscomplexobj(x_true):
        raise ValueError(
            f"Got x_true of shape {np.shape(x_true)} and dtype "
            f"{np.asarray(x_true).dtype}, but expected a real stack (n_samples, "
            "*image_shape, n_channels)."
        )
    scores = psnr(x_true, x_pred, per_image=True)
    scores = scores - 10 * np.log10(np.shape(x_true)[-1])
    return scores if per_image else float(scores.mean())


def ssim(
    x_true: Any,
    x_pred: Any,
    *,
    channel_axis: int | None = None,
    per_image: bool = False,
) -> Any:
    """Structural similarity, by scikit-image with its default window.

    Parameters
    ----------
    x_true : array-like of shape (n_samples, H, W) or (n_samples, H, W, C)
        Ground truth.
    x_pred : array-like of the shape of ``x_true``
        Reconstructions.
    channel_axis : int, default=None
        Axis of the channels in one image, -1 for colour images.
    per_image : bool, default=False
        Whether to return one value for each image.

    Returns
    -------
    score : float or ndarray of shape (n_samples,)
        At most 1. The data range is each true image's own range, or its size where
        it is constant.
    """
    from skimage.metrics import structural_similarity

    x_true, x_pred = _check_pair(x_true, x_pred)
    _check_window(x_true.shape[1:], channel_axis)
    scores = np.array(
        [
            structural_similarity(
                true,
                pred,
                data_range=np.ptp(true) or np.abs(true).max() or 1.0,
                channel_axis=channel_axis,
            )
            for true, pred in zip(x_true, x_pred, strict=True)
        ]
    )
    return scores if per_image else float(scores.mean())
