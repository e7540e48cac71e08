"""Tikhonov regularisation."""

import torch

from ..operators import part_of
from ..utils.cgls import cgls
from ._classical import ClassicalReconstructor, Solution
from ._projected_gradient import nonnegative_least_squares
from ._regularization import GeneralisedCrossValidation, HeldOutError

_START = 1e-3


class TikhonovReconstructor(ClassicalReconstructor):
    """Tikhonov reconstruction, without training; linear, but for ``nonneg``.

    Parameters
    ----------
    operator : ForwardOperator
        A. Shapes that it leaves open are taken from the measurements.
    regularization : float or "auto", default="auto"
        λ, relative to ‖A‖²: components whose singular value is below √λ · ‖A‖ are
        damped. It depends neither on the units of A nor on those of the data. With
        0 it is the least-squares solution A†y. ``"auto"``: the one that predicts
        measurements best that were held out; see Notes.
    n_iterations : int, default=1000
        Most iterations, each with one A and one Aᵀ.
    tol : float, default=1e-5
        Length of the (projected) gradient, relative to that at x = 0, at which
        iterations stop.
    nonneg : bool, default=False
        Whether images have to be non-negative.
    allow_missing : bool, default=True
        Whether NaN in measurements is "not measured", sample by sample
        (:class:`~sklearn_ei.operators.RestrictedOperator`). False: NaN is refused.

    Attributes
    ----------
    operator_ : ForwardOperator
        The operator with its shapes fixed.
    operator_norm_ : float
        ‖A‖, by power iteration; at most about 5 % too large.
    regularization_ : float
        λ, as given or as found.
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

    found by conjugate gradients (CGLS) [1]_ from zero; over x ≥ 0, by accelerated
    projected gradients (FISTA) [2]_ that start anew where the objective would grow
    [3]_.

    With ``regularization="auto"`` λ minimises the generalised cross-validation [4]_
    of up to four samples, with residuals measured in the domain of images,

        ‖A† (y − A x)‖² / tr(A†ᵀ A† (I − H))²,   H = ∂(A x)/∂y,

    the trace from random signs. It is the limit of leaving out one measurement after
    another; leaving out views, as for total variation, says little here, since the
    image of least norm has next to nothing, and so no noise, in a view that is not
    given. With ``nonneg`` it is λ of the linear problem, too. λ moves from 1e-3 by
    half decades as long as that falls by 0.5 % and iterations converge, and ends in
    the vertex of a parabola: 5 to 10 reconstructions of twice these samples. Where
    all measurements are zero, λ is 1e-3.

    Where every point is measured by several channels of one image, as by the coils of
    MRI, the others all but tell the one that is left out, and λ would be far too
    small: there it minimises the error in predicting whole points, as for
    :class:`TotalVariationReconstructor`.

    References
    ----------
    .. [1] Å. Björck, "Numerical Methods for Least Squares Problems", 1996.
    .. [2] A. Beck and M. Teboulle, "A fast iterative shrinkage-thresholding
       algorithm for linear inverse problems", SIAM J. Imaging Sci. 2, 2009.
    .. [3] B. O'Donoghue and E. Candès, "Adaptive restart for accelerated gradient
       schemes", Found. Comput. Math. 15, 2015.
    .. [4] G. H. Golub, M. Heath and G. Wahba, "Generalized cross-validation as a
       method for choosing a good ridge parameter", Technometrics 21, 1979.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_ei import TikhonovReconstructor
    >>> from sklearn_ei.operators import ParallelBeamCT
    >>> operator = ParallelBeamCT(20, image_shape=(16, 16))
    >>> Y = operator.measure(np.ones((3, 16, 16)))
    >>> tikhonov = TikhonovReconstructor(operator, regularization=1e-4)
    >>> tikhonov.fit(Y).predict(Y).shape
    (3, 16, 16)
    """

    def __init__(
        self,
        operator,
        *,
        regularization="auto",
        n_iterations=1000,
        tol=1e-5,
        nonneg=False,
        allow_missing=True,
    ):
        self.operator = operator
        self.regularization = regularization
        self.n_iterations = n_iterations
        self.tol = tol
        self.nonneg = nonneg
        self.allow_missing = allow_missing

    def _learn(self, operator, y):
        return {}

    def _minimise(self, y, A, regularization):
        n_iterations = int(self.n_iterations)
        if not self.nonneg:
            return self._least_squares(y, A, regularization)
        data, forward, adjoint = self._system(y, A, regularization)
        x, converged = nonnegative_least_squares(
            forward,
            adjoint,
            data,
            squared_norm=1 + regularization,
            tol=self.tol,
            n_iterations=n_iterations,
        )
        return Solution(x, converged)

    def _least_squares(self, y, A, regularization):
        n_iterations = int(self.n_iterations)
        data, forward, adjoint = self._system(y, A, regularization)
        x, _, steps = cgls(forward, adjoint, data, n_iterations, rtol=self.tol)
        return Solution(x, torch.full((len(y),), steps < n_iterations))

    def _system(self, y, A, regularization):
        """Return [y/‖A‖; 0] as vectors, and [A/‖A‖; √λ] with its transpose."""
        norm, root = self._norm, regularization**0.5
        shape = A.adjoint(y).shape
        n_data = y[0].numel()

        def forward(x):
            measured = A.forward(x) / norm
            return torch.cat([measured.flatten(1), root * x.flatten(1)], dim=1)

        def adjoint(z):
            measured = z[:, :n_data].reshape(y.shape)
            image = z[:, n_data:].reshape(shape)
            return A.adjoint(measured) / norm + root * image

        nothing = y.new_zeros((len(y), shape[1:].numel()))
        return torch.cat([y.flatten(1) / norm, nothing], dim=1), forward, adjoint

    def _error(self, operator, y):
        # Of the linear problem, also for x ≥ 0.
        part, one = part_of(operator, y[:1])  # what is known beside measurements alone
        sees_each_point_again = one.shape[1] > part.adjoint(one).shape[1]
        Error = HeldOutError if sees_each_point_again else GeneralisedCrossValidation
        return Error(self._least_squares, operator, y), _START
