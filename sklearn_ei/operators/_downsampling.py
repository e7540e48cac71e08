"""Images on a coarser grid."""

from numbers import Integral

import numpy as np
import torch
from sklearn.utils import check_scalar

from ..utils.device import Constants
from ..utils.params import check_shape
from ._base import ForwardOperator
from ._checks import refuse_other_than_number


class Downsampling(ForwardOperator):
    """Fewer, larger pixels along every axis: super-resolution inverts it.

    Parameters
    ----------
    factor : int, default=2
        Ratio of the sizes, along every spatial axis.
    image_shape : tuple of int, default=None
        Spatial shape of the images, divisible by ``factor``: (H, W), or
        (length,) for signals. None: ``factor`` times that of the measurements.
    antialias : bool, default=True
        Whether a measurement is the mean over a block of ``factor`` pixels along
        each axis, as in a detector with larger pixels, or the block's first pixel.

    Attributes
    ----------
    measurement_shape : tuple or None
        ``image_shape / factor``.

    Notes
    -----
    With blocks b of f^d pixels and weights w_j = 1/f^d (mean), or w_0 = 1 and
    zero elsewhere (first pixel),

    - forward: (A x)_b = Σ_j w_j x_bj;
    - adjoint: (Aᵀ y)_bj = w_j y_b;
    - pseudo-inverse: A† y = Aᵀ y / Σ_j w_j², exact since A Aᵀ = Σ_j w_j² I.
      It repeats each measured mean over its block, or fills up with zeros.

    The mean over blocks removes some frequencies altogether: together with
    shifts, A then leaves a part of the image unmeasured for good.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_ei.operators import Downsampling
    >>> Downsampling(2).measure([[1.0, 3.0, 5.0, 7.0]])
    array([[2., 6.]], dtype=float32)
    """

    has_orthogonal_rows = True

    def __init__(self, factor=2, image_shape=None, *, antialias=True):
        self.factor = factor
        self.image_shape = image_shape
        self.antialias = antialias

    @property
    def loses(self):
        """``"averages"`` where A averages, else ``"pixels"``."""
        return "averages" if self.antialias else "pixels"

    @property
    def mixing_radius(self):
        """Root mean square distance of two pixels of a block, 0 without averaging.

        Along an axis it is that of two of f numbers in a row, (f² − 1)/6 squared;
        for images with two axes, which make up most.
        """
        self._infer_shapes(None, None)  # refuses wrong parameters
        return ((self.factor**2 - 1) / 3) ** 0.5 if self.antialias else 0.0

    def _infer_shapes(self, image_shape, measurement_shape):
        refuse_other_than_number("factor", self.factor, "sizes as image_shape=…")
        check_scalar(self.factor, "factor", Integral, min_val=1)
        check_scalar(self.antialias, "antialias", bool)
        factor = int(self.factor)
        if image_shape is None and measurement_shape is None:
            return None, None
        if image_shape is None:
            measurement_shape = check_shape("measurement_shape", measurement_shape)
            return tuple(factor * m for m in measurement_shape), measurement_shape
        image_shape = check_shape("image_shape", image_shape)
        if any(n % factor for n in image_shape):
            raise ValueError(
                f"Downsampling got image_shape={image_shape}, but expected sizes that "
                f"are divisible by factor={factor}."
            )
        expected = tuple(n // factor for n in image_shape)
        if measurement_shape is not None and tuple(measurement_shape) != expected:
            raise ValueError(
                f"Downsampling with factor={factor} and image_shape={image_shape} got "
                f"measurements of shape {tuple(measurement_shape)}, but expected "
                f"{expected}."
            )
        return image_shape, expected

    def _build(self, image_shape, measurement_shape):
        # Blocks have their own axis behind each axis of the measurements.
        shape = [size for _ in image_shape for size in (1, int(self.factor))]
        weights = torch.zeros(shape)
        if self.antialias:
            weights[:] = 1 / weights.numel()
        else:
            weights.view(-1)[0] = 1
        return Constants(weights=weights)

    def _forward(self, x, constants):
        blocks = [s for m in self.measurement_shape for s in (m, int(self.factor))]
        weighted = x.reshape(*x.shape[:2], *blocks) * constants.weights
        return weighted.sum(dim=tuple(range(3, weighted.ndim, 2)))

    def _adjoint(self, y, constants):
        blocks = [s for m in self.measurement_shape for s in (m, 1)]
        weighted = y.reshape(*y.shape[:2], *blocks) * constants.weights
        return weighted.reshape(*y.shape[:2], *self.image_shape)

    def _pinv(self, y, constants):
        return self._adjoint(y, constants) / constants.weights.square().sum()

    def _measured(self):
        return np.ones((1, *self._fixed.measurement_shape), dtype=bool)

    def mean_squared_row_norm(self):
        """Return ‖A‖_F²/m, exactly: Σ_j w_j²."""
        weights = self._constants.like(torch.empty(0)).weights
        return float(weights.square().sum())
