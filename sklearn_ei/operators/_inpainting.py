"""Images with lost pixels."""

from numbers import Integral

import numpy as np
import torch
from scipy import sparse
from sklearn.utils import check_random_state, check_scalar

from ..utils.device import Constants
from ..utils.params import check_real, check_shape
from ._base import ForwardOperator
from ._checks import check_mask, refuse_other_than_number


class Inpainting(ForwardOperator):
    """Lost pixels (or samples of a signal), the same ones in every image.

    Parameters
    ----------
    rate : float in [0, 1), default=0.3
        Share of pixels that are lost; ignored if ``mask`` is given.
    image_shape : tuple of int, default=None
        Spatial shape of the images: (H, W), or (length,) for signals. None:
        the shape of the measurements.
    mask : array-like of shape image_shape or (*image_shape, n_channels), default=None
        True (or 1) where a pixel is kept, False (or 0) where it is lost; with a last
        axis for the channels, each has its own mask, as in a Bayer pattern. A mask
        with three axes or more needs ``image_shape``, which tells channels from
        volumes. None: ``round(rate · n)`` lost pixels are drawn with
        ``random_state``.
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

    Channels lose the same pixels unless the mask says otherwise. What stands at lost
    pixels of measurements makes no difference to Aᵀ and A†. ‖A‖_F²/m counts all n
    pixels as measurements, as Chen et al. (ICCV 2021) do.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_ei.operators import Inpainting
    >>> operator = Inpainting(0.3, image_shape=(10,))
    >>> int(operator.measure(np.ones((1, 10))).sum())
    7

    A Bayer pattern, one colour a pixel:

    >>> bayer = np.zeros((8, 8, 3), dtype=bool)
    >>> bayer[::2, ::2, 0] = bayer[::2, 1::2, 1] = bayer[1::2, ::2, 1] = True
    >>> bayer[1::2, 1::2, 2] = True
    >>> operator = Inpainting(mask=bayer, image_shape=(8, 8))
    >>> operator.image_layout.array_shape
    (8, 8, 3)
    """

    has_orthogonal_rows = True
    loses = "pixels"
    mixing_radius = 0.0

    def __init__(self, rate=0.3, image_shape=None, *, mask=None, random_state=0):
        self.rate = rate
        self.image_shape = image_shape
        self.mask = mask
        self.random_state = random_state

    @property
    def image_channels(self):
        """As many as ``mask`` has along an axis behind ``image_shape``, or any."""
        image_shape, _ = self._known_shapes
        if self.mask is None or np.ndim(self.mask) == len(image_shape):
            return "any"
        return int(np.shape(self.mask)[-1])

    measurement_channels = image_channels

    def _infer_shapes(self, image_shape, measurement_shape):
        if self.random_state is not None:
            check_scalar(self.random_state, "random_state", Integral, min_val=0)
        given = [("image_shape", image_shape), ("measurement_shape", measurement_shape)]
        given = [(name, check_shape(name, s)) for name, s in given if s is not None]
        if self.mask is not None:
            check_mask(self.mask, "a pixel is kept")
            given.append(("mask.shape", self._spatial(np.shape(self.mask), given)))
        else:
            refuse_other_than_number("rate", self.rate, "a mask as mask=…")
            check_real(
                "rate",
                self.rate,
                min_val=0,
                max_val=1,
                include_boundaries="left",
            )
        for name, shape in given[1:]:
            if shape != given[0][1]:
                raise ValueError(
                    f"Inpainting got {given[0][0]}={given[0][1]} and {name}={shape}, "
                    "but expected equal shapes."
                )
        shape = given[0][1] if given else None
        return shape, shape

    def _spatial(self, mask_shape, given):
        """Return the shape of a mask without its channels, which only a shape tells."""
        if given:
            shape = given[0][1]
            channels = len(mask_shape) == len(shape) + 1
            return mask_shape[:-1] if channels else mask_shape
        if len(mask_shape) > 2:
            raise ValueError(
                f"Inpainting got a mask of shape {mask_shape}, which is a volume, or a "
                f"mask for each channel: pass image_shape={mask_shape}, or "
                f"image_shape={mask_shape[:-1]}; masks of samples are NaN in Y."
            )
        return mask_shape

    def _build(self, image_shape, measurement_shape):
        if self.mask is not None:
            mask = check_mask(self.mask, "a pixel is kept")
            if mask.ndim > len(image_shape):
                mask = np.ascontiguousarray(np.moveaxis(mask, -1, 0))
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
        """m, the pixels that are kept, in all channels that have their own mask."""
        return int(self._constants.like(torch.empty(0)).mask.sum())

    def _measured(self):
        mask = self._constants.like(torch.empty(0)).mask.bool().numpy()
        return mask.reshape(self._fixed.measurement_layout.tensor_shape)

    def as_sparse(self):
        """Return the diagonal matrix M, or None if each channel has its own."""
        if self.image_channels != "any":
            return None
        diagonal = self._constants.like(torch.empty(0)).mask.numpy().ravel()
        return sparse.csr_array(sparse.diags_array(diagonal))

    def mean_squared_row_norm(self):
        """Return ‖A‖_F²/m, exactly: the share of pixels kept."""
        return float(self._constants.like(torch.empty(0)).mask.mean())
