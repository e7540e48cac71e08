"""Random Gaussian measurements."""

import math
from numbers import Integral

import numpy as np
import torch
from sklearn.utils import check_random_state, check_scalar

from ..utils.device import Constants
from ..utils.params import check_shape
from ._base import ForwardOperator
from ._checks import refuse_other_than_number


class CompressedSensing(ForwardOperator):
    """Fewer random projections than pixels, as in a single-pixel camera.

    Parameters
    ----------
    n_measurements : int
        Number m of measurements, at most the number n of pixels.
    image_shape : tuple of int, default=None
        Spatial shape of the images: (H, W), or (length,) for signals. It cannot
        be inferred from measurements.
    random_state : int or None, default=0
        Seed of the matrix. An integer, so that clones measure the same; None
        means 0.

    Attributes
    ----------
    measurement_shape : tuple (m,)
        Every image becomes a vector.

    Notes
    -----
    With independent entries A_ij ~ N(0, 1/m),

    - forward: A x;
    - adjoint: Aᵀ y;
    - pseudo-inverse: A† y = Aᵀ (A Aᵀ)⁻¹ y, exact, through Cholesky's factors in
      float64. The singular values lie near 1 ± √(n/m), so float32 returns the
      measurements to about six digits, but to fewer as m approaches n.

    The matrix takes 4·m·n bytes. It is shared by copies, and regenerated from
    the seed rather than pickled.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_ei.operators import CompressedSensing
    >>> operator = CompressedSensing(60, image_shape=(16, 16))
    >>> operator.measure(np.ones((3, 16, 16))).shape
    (3, 60)
    """

    _measurement_n_dims = 1

    # A parameter here, where other operators derive it.
    n_measurements = 0
    loses = "projections"

    def __init__(self, n_measurements, image_shape=None, *, random_state=0):
        self.n_measurements = n_measurements
        self.image_shape = image_shape
        self.random_state = random_state

    def _infer_shapes(self, image_shape, measurement_shape):
        refuse_other_than_number(
            "n_measurements",
            self.n_measurements,
            "a matrix to MatrixOperator(matrix=…)",
        )
        check_scalar(self.n_measurements, "n_measurements", Integral, min_val=1)
        if self.random_state is not None:
            check_scalar(self.random_state, "random_state", Integral, min_val=0)
        m = int(self.n_measurements)
        if measurement_shape is not None and tuple(measurement_shape) != (m,):
            raise ValueError(
                f"CompressedSensing with n_measurements={m} got measurements of shape "
                f"{tuple(measurement_shape)}, but expected ({m},)."
            )
        if image_shape is None:
            if measurement_shape is not None:
                raise ValueError(
                    f"CompressedSensing cannot infer the shape of the images from {m} "
                    "numbers: expected image_shape, such as image_shape=(32, 32)."
                )
            return None, (m,)
        image_shape = check_shape("image_shape", image_shape)
        if m > math.prod(image_shape):
            raise ValueError(
                f"Got n_measurements={m} for image_shape={image_shape}, but expected "
                f"at most the {math.prod(image_shape)} pixels."
            )
        return image_shape, (m,)

    def _build(self, image_shape, measurement_shape):
        return _draw(*measurement_shape, math.prod(image_shape), self.random_state or 0)

    def _forward(self, x, constants):
        return x.flatten(2) @ constants.A.t()

    def _adjoint(self, y, constants):
        return (y @ constants.A).reshape(*y.shape[:2], *self.image_shape)

    def _pinv(self, y, constants):
        return self._adjoint(y @ constants.inverse_gram, constants)

    def _measured(self):
        return np.ones((1, *self.measurement_shape), dtype=bool)

    def mean_squared_row_norm(self):
        """Return ‖A‖_F²/m, exactly; about n/m."""
        matrix = self._constants.like(torch.empty(0)).A
        norm = torch.linalg.vector_norm(matrix, dtype=torch.float64)
        return float(norm) ** 2 / len(matrix)


def _draw(m, n, seed):
    rng = check_random_state(seed)
    matrix = np.empty((m, n), dtype=np.float32)
    for row in matrix:  # row by row: float64 numbers never fill the memory
        row[:] = rng.standard_normal(n) / math.sqrt(m)
    matrix = torch.from_numpy(matrix)
    double = matrix.double()
    gram = double @ double.t()
    inverse = torch.cholesky_inverse(torch.linalg.cholesky(gram))
    return Constants(A=matrix, inverse_gram=inverse)
