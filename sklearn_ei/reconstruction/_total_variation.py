"""Total variation."""

import torch

from ..operators import part_of
from ._classical import ClassicalReconstructor, Solution
from ._regularization import HeldOutError
from ._tv_solver import TotalVariationProblem, fill_unseen, keep_measured

_START = 1e-2  # from above: where errors are flat, the larger λ


class TotalVariationReconstructor(ClassicalReconstructor):
    """Reconstruction of the least total variation that explains the measurements.

    For images that are nearly piecewise constant, without training.

    Parameters
    ----------
    operator : ForwardOperator
        A. Shapes that it leaves open are taken from the measurements.
    regularization : float or "auto", default="auto"
        λ, in units in which ‖A‖ and ``scale_`` are 1, so that it depends neither
        on the units of A nor on those of the data. ``"auto"``: the one that predicts
        measurements best that were held out; see Notes.
    n_iterations : int, default=1000
        Most iterations of the primal–dual hybrid gradient method, each with one A
        and one Aᵀ. They start from A†y; pixels that A never reads, from the mean of
        the nearest ones.
    tol : float, default=1e-2
        Largest primal–dual gap, relative to the objective and within a tenth of the
        image's norm, at which iterations stop: no image that near has an objective
        that is lower by more.
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
    scale_ : float
        Root mean square of A†y in the data given to ``fit``.
    measurement_shape_ : tuple of int
        Shape of one measurement, channels (if any) last.
    n_features_in_ : int
        Length of the first axis of one measurement.

    See Also
    --------
    PseudoInverseReconstructor : The operator's own cheap A†y.
    TikhonovReconstructor : Linear, and blurs edges.

    Notes
    -----
    The image x = s·u of a measurement y, with s = ``scale_``, is the minimiser of

        ½ ‖A u/‖A‖ − y/(s ‖A‖)‖² + λ TV(u),   TV(u) = Σ_i |(∇u)_i|,

    [1]_ with forward differences inside the image and the Euclidean length of the
    gradient at each pixel, so that TV of a constant is zero. Colours are
    reconstructed one by one; channels that the operator mixes, such as the real
    and imaginary parts of MRI, share one gradient length. The solver is the
    over-relaxed primal–dual method [2]_, [3]_ with steps that depend on λ.

    With ``regularization="auto"`` up to four samples are reconstructed without a
    tenth of their measurements, drawn one by one (the calibration lines of MRI
    excepted), and λ predicts these best. Noise in them adds the same to the error of
    every λ, so that fitting noise is not rewarded [4]_, as long as the noise of
    neighbouring entries is independent. λ moves from 0.01 by half
    decades as long as the error falls by 0.5 % and iterations converge, and ends in
    the vertex of a parabola: 5 to 10 reconstructions of these samples. Where nothing
    can be held out, or all of it is zero, λ is 0.01.

    References
    ----------
    .. [1] L. I. Rudin, S. Osher and E. Fatemi, "Nonlinear total variation based
       noise removal algorithms", Physica D 60, 1992.
    .. [2] A. Chambolle and T. Pock, "A first-order primal-dual algorithm for convex
       problems with applications to imaging", J. Math. Imaging Vis. 40, 2011.
    .. [3] L. Condat, "A primal-dual splitting method for convex optimization
       involving Lipschitzian, proximable and linear composite terms", J. Optim.
       Theory Appl. 158, 2013.
    .. [4] R. Ward, "Compressed Sensing With Cross Validation", IEEE Trans. Inf.
       Theory 55(12), 2009.

    Examples
    --------
    >>> from sklearn_ei import TotalVariationReconstructor
    >>> from sklearn_ei.datasets import make_thorax_phantoms
    >>> from sklearn_ei.operators import ParallelBeamCT
    >>> operator = ParallelBeamCT(20, image_shape=(16, 16))
    >>> Y = operator.measure(make_thorax_phantoms(3, (16, 16), random_state=0))
    >>> tv = TotalVariationReconstructor(operator, regularization=0.01)
    >>> tv.fit(Y).predict(Y).shape
    (3, 16, 16)
    """

    def __init__(
        self,
        operator,
        *,
        regularization="auto",
        n_iterations=1000,
        tol=1e-2,
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
        parts = [part_of(operator, sample[None]) for sample in y]
        squares = [A.pinv(sample).double().square().mean() for A, sample in parts]
        scale = float(torch.stack(squares).mean().sqrt())
        return {"scale_": scale if scale > 0 else 1.0}

    def _minimise(self, y, A, regularization):
        norm = self._norm
        y = keep_measured(y, A)
        problem = TotalVariationProblem(
            lambda u: A.forward(u) / norm,
            lambda p: A.adjoint(p) / norm,
            y / (self.scale_ * norm),
            regularization,
            nonneg=self.nonneg,
            coupled=A.image_channels != "any",
        )
        start = fill_unseen(A.pinv(y), A, y) / self.scale_
        u, converged = problem.solve(start, self.tol, int(self.n_iterations))
        return Solution(u * self.scale_, converged)

    def _error(self, operator, y):
        return HeldOutError(self._minimise, operator, y), _START
