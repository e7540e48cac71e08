"""Recorrupted-to-recorrupted training."""

import torch.nn.functional as F

from ..utils.random import RandomStream
from ._data_term import DataTerm


class R2R(DataTerm):
    """MSE(A f(y₁), y₂) for a pair of noisier measurements with independent errors.

    Parameters
    ----------
    operator : ForwardOperator
        A, resolved.
    noise : GaussianNoise or PoissonNoise
        With numbers for parameters, in the units of y.
    seed : int, default=0
        Of the pairs.
    strength : float, default=0.5
        τ or α of :meth:`~sklearn_ei.noise.NoiseModel.recorrupt`.

    Notes
    -----
    As the errors of y₁ and y₂ are independent, the expectation is that of
    MSE(A f(y₁), A x) plus a constant, the variance of y₂: supervised training in
    the range of A, on measurements somewhat noisier than those at hand. No
    derivative of f is needed, and no second pass; but gradients vary more.

    References
    ----------
    T. Pang, H. Zheng, Y. Quan and H. Ji, "Recorrupted-to-Recorrupted: Unsupervised
    Deep Learning for Image Denoising", CVPR 2021; for counts, B. Monroy, J. Bacca
    and J. Tachella, CVPR 2025 (arXiv 2412.04648).
    """

    name = "r2r"

    def __init__(self, operator, noise, seed=0, *, strength=0.5):
        super().__init__()
        self.operator = operator
        self.noise = noise
        self.strength = strength
        self.stream = RandomStream(seed)

    def split(self, y):
        """Return a re-corrupted pair.

        Parameters
        ----------
        y : torch.Tensor of shape (batch, channel, *measurement_shape)
            Measurements.

        Returns
        -------
        y1, y2 : torch.Tensor

        Raises
        ------
        ValueError
            If the noise model has no such pairs, or ``strength`` is out of range.
        """
        return self.noise.recorrupt(y, self.stream.generator, self.strength)

    def forward(self, f, x1, y_in, y_target, truth=None):
        """Return the error against y₂, a scalar; see :class:`DataTerm`."""
        return F.mse_loss(self.operator.forward(x1), y_target)
