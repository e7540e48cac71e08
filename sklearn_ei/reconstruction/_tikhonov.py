"""Tikhonov regularisation."""

import warnings
from numbers import Real

import numpy as np
import torch
from scipy.sparse.linalg import LinearOperator, lsmr
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_scalar

from ._classical import ClassicalReconstructor

_STOPPED_EARLY = 7  # how lsmr says that it ran out of iterations


class TikhonovReconstructor(ClassicalReconstructor):
    """Tikhonov reconstruction, linear and without training.

    Parameters
    ----------
    operator : ForwardOperator
        A. Shapes that it leaves open are taken from the measurements.
    regularization : float, default=1e-4
        λ, relative to ‖A‖²: components whose singular value is below √λ · ‖A‖ are
        damped. It depends neither on the units of A nor on those of the data;
        noise asks for more. With 0 it is the least-squares solution A†y.
    n_iterations : int, default=1000
        Most iterations of LSMR for each sample.
    tol : float, default=1e-6
        Relative tolerance at which LSMR stops, its ``atol`` and ``btol``.

    Attributes
    ----------
    operator_ : ForwardOperator
        The operator with its shapes fixed.
    operator_norm_ : float
        ‖A‖, by power iteration; at most about 5 % too large.
    measurement_shape_ : tuple of int
        Shape of one measurement, channels (if any) last.
    n_features_in_ : int
        Length of the first axis of one measurement.

    See Also
    --------
    PseudoInverseReconstructor : The operator's own cheap A†y.
    TotalVariationReconstructor : Keeps edges.

    Notes
    -----
    The image of a measurement y, all channels at once, is the minimiser of

        ‖A x − y‖² + λ ‖A‖² ‖x‖²,

    found by SciPy's ``lsmr`` [1]_ from zero, sample by sample.

    References
    ----------
    .. [1] D. C.-L. Fong and M. A. Saunders, "LSMR: An iterative algorithm for
       sparse least-squares problems", SIAM J. Sci. Comput. 33, 2011.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_ei import TikhonovReconstructor
    >>> from sklearn_ei.operators import ParallelBeamCT
    >>> operator = ParallelBeamCT(20, image_shape=(16, 16))
    >>> Y = operator.measure(np.ones((3, 16, 16)))
    >>> TikhonovReconstructor(operator).fit(Y).predict(Y).shape
    (3, 16, 16)
    """

    def __init__(self, operator, *, regularization=1e-4, n_iterations=1000, tol=1e-6):
        self.operator = operator
        self.regularization = regularization
        self.n_iterations = n_iterations
        self.tol = tol

    def _check_params(self):
        super()._check_params()
        check_scalar(self.tol, "tol", Real, min_val=0, include_boundaries="neither")

    def _learn(self, operator, y):
        return {}

    def _reconstruct(self, y, A):
        return torch.cat([self._solve(sample[None], A) for sample in y])

    def _solve(self, y, operator):
        """Return the minimiser for one sample (1, channel, *measurement_shape)."""
        norm = self._norm
        image_shape = (1, *self.image_layout_.tensor_shape)

        def apply(function, shape):
            def on_vector(vector):
                tensor = torch.from_numpy(vector.astype(np.float32)).reshape(shape)
                return function(tensor).numpy().ravel().astype(np.float64) / norm

            return on_vector

        system = LinearOperator(
            (y.numel(), int(np.prod(image_shape))),
            matvec=apply(operator.forward, image_shape),
            rmatvec=apply(operator.adjoint, y.shape),
            dtype=np.float64,  # of lsmr's own vectors; A computes in float32
        )
        solution, stop, *_ = lsmr(
            system,
            y.numpy().ravel().astype(np.float64) / norm,
            damp=self.regularization**0.5,
            atol=self.tol,
            btol=self.tol,
            maxiter=self.n_iterations,
        )
        if stop == _STOPPED_EARLY:
            warnings.warn(
                f"{type(self).__name__} stopped after n_iterations="
                f"{self.n_iterations}, but expected to reach tol={self.tol:g}; raise "
                "n_iterations, tol or regularization.",
                ConvergenceWarning,
                stacklevel=2,
            )
        return torch.from_numpy(solution.astype(np.float32)).reshape(image_shape)
