"""Intervals calibrated on a few images with ground truth."""

from numbers import Integral
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils import check_scalar
from sklearn.utils.validation import check_is_fitted

from ..model_selection import unwrap
from ..utils.validation import check_images
from ._uncertainty import (
    UncertaintyMixin,
    check_level,
    check_order,
    interval_factor,
)

# Pixels with less than this share of the root mean square error map.
_NEGLIGIBLE = 1e-3


class ConformalReconstructor(BaseEstimator):
    """Intervals that contain the share of pixels that they promise.

    A fitted reconstructor's error map tells where its images are uncertain, but
    not by how much. A few images with ground truth that were not used to train
    tell the factor. The reconstructor itself is left as it is.

    Parameters
    ----------
    estimator : estimator
        Fitted reconstructor with a group, such as
        :class:`~sklearn_ei.EquivariantReconstructor`, or a ``Pipeline`` or
        search that ends in one. It is not cloned, unless this object is: inside
        scikit-learn's tools wrap it in ``sklearn.frozen.FrozenEstimator``.
    level : float in (0, 1), default=0.9
        Share of pixels that the intervals shall contain.
    n_bootstrap : int, default=32
        Transformed images behind each error map.
    noise : NoiseModel, float, None or "auto", default="auto"
        Noise of the measurements, as for
        :meth:`EquivariantReconstructor.predict`.
    random_state : int, RandomState instance or None, default=0
        Determines the group elements and the noise.

    Attributes
    ----------
    factor_ : float
        Half the width of an interval in units of the error map.
    uncalibrated_coverage_ : float
        Share of the calibration pixels in the intervals that the estimator alone
        would have given.
    n_calibration_ : int
        Images used.

    Notes
    -----
    Split conformal prediction with the score |x − x̂|/std, pixel by pixel
    (normalised residuals, [1]_): the factor is its ``level``-quantile over all
    pixels of the calibration images. Pixels that the instrument measures and f
    returns exactly (error map below 10⁻³ of its root mean square) do not count:
    they are trivially covered.

    What is promised is the share on average over pixels *and* images like those
    of the calibration. Pixels of one image err together: one image's share
    scatters about ``level``, and with few calibration images so does the average.

    References
    ----------
    .. [1] A. N. Angelopoulos and S. Bates, "Conformal Prediction: A Gentle
       Introduction", 2023, section 2.3.

    Examples
    --------
    >>> from sklearn_ei import ConformalReconstructor, EquivariantReconstructor
    >>> from sklearn_ei.datasets import make_thorax_phantoms
    >>> from sklearn_ei.groups import Rotations
    >>> from sklearn_ei.networks import UNet
    >>> from sklearn_ei.operators import ParallelBeamCT
    >>> operator = ParallelBeamCT(n_views=20)
    >>> images = make_thorax_phantoms(6, (32, 32), random_state=0)
    >>> Y = operator.measure(images)
    >>> ei = EquivariantReconstructor(
    ...     operator, Rotations(360), network=UNet(4, 2), max_epochs=2, random_state=0
    ... )
    >>> ei = ei.fit(Y[:3])
    >>> conformal = ConformalReconstructor(ei, n_bootstrap=8).fit(Y[3:5], images[3:5])
    >>> lower, upper = conformal.predict_interval(Y[5:])
    >>> lower.shape
    (1, 32, 32)
    """

    def __init__(
        self, estimator, level=0.9, *, n_bootstrap=32, noise="auto", random_state=0
    ):
        self.estimator = estimator
        self.level = level
        self.n_bootstrap = n_bootstrap
        self.noise = noise
        self.random_state = random_state

    def fit(self, Y: Any, y: Any) -> Self:
        """Calibrate on measurements and their images.

        Parameters
        ----------
        Y : array-like of shape (n_samples, *measurement_shape[, n_channels])
            Measurements that the estimator was not trained on.
        y : array-like of shape (n_samples, *image_shape[, n_channels])
            Ground truth.

        Returns
        -------
        self : ConformalReconstructor

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        TypeError, ValueError
            If parameters or data are not as expected.
        """
        check_level(self.level)
        check_scalar(self.n_bootstrap, "n_bootstrap", Integral, min_val=1)
        if y is None:
            raise ValueError(
                "ConformalReconstructor got y=None, but expected ground-truth images; "
                "without any, use predict_interval of the estimator."
            )
        images, std = self._images_and_std(Y)
        truth = self._truth(y, images)
        counted = std > _floor(std)
        if not counted.any():
            raise ValueError(
                "Got an error map that is zero everywhere, but expected one from "
                "several group elements that change the images."
            )
        scores = np.abs(truth - images)[counted] / std[counted]
        self.factor_ = float(np.quantile(scores, self.level))
        self.uncalibrated_coverage_ = float(
            np.mean(scores <= interval_factor(self.level))
        )
        self.n_calibration_ = len(images)
        return self

    def predict(self, Y: Any, return_std: bool = False) -> Any:
        """Reconstruct images, with a calibrated error map if asked.

        Parameters
        ----------
        Y : array-like of shape (n_samples, *measurement_shape[, n_channels])
            Measurements.
        return_std : bool, default=False
            Whether to return the error map as well.

        Returns
        -------
        images : ndarray of shape (n_samples, *image_shape[, n_channels])
            The estimator's images.
        std : ndarray of the shape of ``images``
            Only with ``return_std``: the estimator's error map, scaled such that
            intervals are those of a normal distribution with it.
        """
        check_is_fitted(self)
        if not return_std:
            return self.estimator.predict(Y)
        images, std = self._images_and_std(Y)
        ratio = self.factor_ / interval_factor(self.level)
        return images, np.float32(ratio) * std

    def predict_interval(self, Y: Any) -> tuple[np.ndarray, np.ndarray]:
        """Return lower and upper images.

        Parameters
        ----------
        Y : array-like of shape (n_samples, *measurement_shape[, n_channels])
            Measurements.

        Returns
        -------
        lower, upper : ndarrays of shape (n_samples, *image_shape[, n_channels])
            x̂ ∓ ``factor_``·std.
        """
        check_is_fitted(self)
        check_order(unwrap(self.estimator, Y)[0])
        images, std = self._images_and_std(Y)
        margin = np.float32(self.factor_) * std
        return images - margin, images + margin

    def coverage(self, Y: Any, y: Any) -> float:
        """Return the share of pixels that intervals contain, image by image.

        Parameters
        ----------
        Y : array-like of shape (n_samples, *measurement_shape[, n_channels])
            Measurements.
        y : array-like of shape (n_samples, *image_shape[, n_channels])
            Ground truth.

        Returns
        -------
        coverage : ndarray of shape (n_samples,)
            Of the pixels that count in the calibration.
        """
        check_is_fitted(self)
        images, std = self._images_and_std(Y)
        truth = self._truth(y, images)
        inside = np.abs(truth - images) <= self.factor_ * std
        counted = std > _floor(std)
        axes = tuple(range(1, images.ndim))
        return (inside & counted).sum(axis=axes) / np.maximum(counted.sum(axis=axes), 1)

    def _truth(self, y, images):
        return check_images(
            y,
            len(images),
            images.shape[1:],
            type(self).__name__,
            is_complex=np.iscomplexobj(images),
        )

    def _images_and_std(self, Y):
        reconstructor, checked = unwrap(self.estimator, Y)
        if not isinstance(reconstructor, UncertaintyMixin):
            raise TypeError(
                f"Got estimator={self.estimator!r}, but expected a reconstructor with "
                "error maps, such as EquivariantReconstructor."
            )
        return reconstructor._predict_with_std(
            checked, self.n_bootstrap, self.noise, self.random_state
        )


def _floor(std):
    """Per image, the error map below which a pixel counts as measured."""
    axes = tuple(range(1, std.ndim))
    return _NEGLIGIBLE * np.sqrt(np.square(std).mean(axis=axes, keepdims=True))
