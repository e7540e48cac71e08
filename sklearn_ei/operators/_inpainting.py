"""Images with lost pixels."""

from numbers import Integral

import numpy as np
import torch
from sklearn.utils import check_random_state, check_scalar

from ..utils.device import Constants
from ..utils.params import check_real, check_shape
from ._base import ForwardOperator


class Inpainting(ForwardOperator):
    """Lost pixels (or samples of a signal), the same ones in every image.

    Parameters
    ----------
    rate : float in [0, 1), default=0.3
        Share of pixels that are lost; ignored if ``mask`` is given.
    image_shape : tuple of int, default=None
        Spatial shape of the images: (H, W), or (length,) for signals. None:
        the shape of the measurements.
    mask : array-like of shape image_shape, default=None
        True where a pixel is kept. None: ``round(rate · n)`` lost pixels are
        drawn with ``random_state``.
    random_state : int or None, default=0
        Seed of the drawn mask. An integer, so that clones lose the same pixels;
        None means 0.

    Attributes
    ----------
    measurement_shape : tuple or None
        Equal to ``image_shape``: lost pixels are measured as zero.

    Notes
    -----
    With the diagonal mask M of zeros and ones,

    - forward: A x = M x;
    - adjoint: Aᵀ y = M y;
    - pseudo-inverse: A† y = M y, exact.

    Channels lose the same pixels. ‖A‖_F²/m counts all n pixels as
    measurements, as Chen et al. (ICCV 2021) do.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_ei.operators import Inpainting
    >>> operator = Inpainting(0.3, image_shape=(10,))
    >>> int(operator.measure(np.ones((1, 10))).sum())
    7
    """

    has_orthogonal_rows = True

    def __init__(self, rate=0.3, image_shape=None, *, mask=None, random_state=0):
        self.rate = rate
        self.image_shape = image_shape
        self.mask = mask
        self.random_state = random_state

    def _infer_shapes(self, image_shape, measurement_shape):
        given = [
            ("image_shape", image_shape),
            ("measurement_shape", measurement_shape),
            ("mask.shape", None if self.mask is None else np.shape(self.mask)),
        ]
        given = [(name, check_shape(name, s)) for name, s in given if s is not None]
        for name, shape in given[1:]:
            if shape != given[0][1]:
                raise ValueError(
                    f"Inpainting got {given[0][0]}={given[0][1]} and {name}={shape}, "
                    "but expected equal shapes."
                )
        if self.random_state is not None:
            check_scalar(self.random_state, "random_state", Integral, min_val=0)
        if self.mask is None:
            check_real(
                "rate",
                self.rate,
                min_val=0,
                max_val=1,
                include_boundaries="left",
            )
        elif not np.isin(self.mask, (0, 1)).all() or not np.any(self.mask):
            raise ValueError(
                "Got a mask that keeps no pixel or holds more than True and False, but "
                "expected True where a pixel is kept."
            )
        shape = given[0][1] if given else None
        return shape, shape

    def _build(self, image_shape, measurement_shape):
        if self.mask is not None:
            mask = np.asarray(self.mask, dtype=bool)
        else:
            n_pixels = int(np.prod(image_shape))
            n_lost = min(round(self.rate * n_pixels), n_pixels - 1)
            rng = check_random_state(self.random_state or 0)
            mask = np.ones(n_pixels, dtype=bool)
            mask[rng.permutation(n_pixels)[:n_lost]] = False
            mask = mask.reshape(image_shape)
        return Constants(mask=torch.from_numpy(mask).float())

    def _forward(self, x, constants):
        return x * constants.mask

    _adjoint = _forward
    _pinv = _forward

    @property
    def n_measurements(self):
        """m, the pixels that are kept."""
        return int(self._constants.like(torch.empty(0)).mask.sum())

    def _measured(self):
        return self._constants.like(torch.empty(0)).mask.bool().numpy()[None]

    def mean_squared_row_norm(self):
        """Return ‖A‖_F²/m, exactly: the share of pixels kept."""
        return float(self._constants.like(torch.empty(0)).mask.mean())
