"""Two detectors of one's own; doc/extending.md shows this file, and tests run it."""

import numpy as np
import torch

from sklearn_ei.operators import Constants, ForwardOperator


class PairDetector(ForwardOperator):
    """Gain times the sum of two neighbours: y_j = a_j (x_2j + x_2j+1).

    Aᵀ y gives a_j y_j to both; A† y gives y_j / (2 a_j) to both.
    """

    has_orthogonal_rows = True  # no pixel is seen twice

    def __init__(self, gains, image_shape=None):
        self.gains = gains  # (W/2,)
        self.image_shape = image_shape

    def _infer_shapes(self, image_shape, measurement_shape):
        n_pairs = len(self.gains)
        if image_shape is None and measurement_shape is not None:
            image_shape = (measurement_shape[0], 2 * n_pairs)
        if image_shape is None:
            return None, None
        if image_shape[1] != 2 * n_pairs:
            raise ValueError(
                f"Got image_shape={image_shape}, but expected rows of {2 * n_pairs}."
            )
        return tuple(image_shape), (image_shape[0], n_pairs)

    def _build(self, image_shape, measurement_shape):
        return Constants(gains=torch.as_tensor(self.gains))

    def _forward(self, x, constants):
        return constants.gains * (x[..., ::2] + x[..., 1::2])

    def _adjoint(self, y, constants):
        return (constants.gains * y).repeat_interleave(2, dim=-1)

    def _pinv(self, y, constants):
        return (y / (2 * constants.gains)).repeat_interleave(2, dim=-1)


class Snapshot(ForwardOperator):
    """Three bands, each through its own mask, added up on one plain detector.

    y = Σ_b M_b x_b; Aᵀ y has the bands M_b y; A† y has M_b y / Σ_b M_b².
    """

    image_channels = 3
    measurement_channels = "none"
    has_orthogonal_rows = True

    def __init__(self, masks, image_shape=None):
        self.masks = masks  # (3, H, W), not all zero at any pixel
        self.image_shape = image_shape

    def _infer_shapes(self, image_shape, measurement_shape):
        shape = np.shape(self.masks)[1:]
        for other in (image_shape, measurement_shape):
            if other is not None and tuple(other) != shape:
                raise ValueError(f"Got image_shape={other}, but expected {shape}.")
        return shape, shape

    def _build(self, image_shape, measurement_shape):
        masks = torch.as_tensor(self.masks)
        return Constants(masks=masks, power=masks.square().sum(0))

    def _forward(self, x, constants):
        return (constants.masks * x).sum(dim=1, keepdim=True)

    def _adjoint(self, y, constants):
        return constants.masks * y

    def _pinv(self, y, constants):
        return constants.masks * (y / constants.power)
