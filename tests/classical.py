"""What the tests of Tikhonov and total variation share."""

import numpy as np
import pytest

from sklearn_ei import TikhonovReconstructor, TotalVariationReconstructor

ESTIMATORS = [TikhonovReconstructor, TotalVariationReconstructor]
each_estimator = pytest.mark.parametrize("Estimator", ESTIMATORS)


def quick(Estimator, operator, **parameters):
    """Make an estimator with a λ at which iterations are few."""
    return Estimator(operator, regularization=1e-3, **parameters)


def squares(n_samples, shape, n_channels=None):
    """Piecewise-constant images: one bright and one dark rectangle each."""
    rng = np.random.default_rng(0)
    channels = () if n_channels is None else (n_channels,)
    images = np.ones((n_samples, *shape, *channels))
    for image in images:
        for value in (2.0, 0.5):
            corner = [rng.integers(0, n // 2) for n in shape]
            box = tuple(
                slice(c, c + n // 2) for c, n in zip(corner, shape, strict=True)
            )
            image[box] = value * rng.uniform(0.8, 1.2, size=channels)
    return images


def dense(operator, n_pixels, shape):
    basis = np.eye(n_pixels).reshape(n_pixels, *shape)
    return operator.measure(basis).reshape(n_pixels, -1).T.astype(np.float64)
