"""Recorrupted-to-recorrupted training."""

import torch.nn.functional as F

from ..utils.params import brief, check_real
from ._data_term import DataTerm


class R2R(DataTerm):
    """MSE(A f(y₁), y₂) for a pair of noisier measurements with independent errors.

    Needs Gaussian or Poisson noise.

    Parameters
    ----------
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
    takes_noise = "needed"
    takes_mixtures = False

    def __init__(self, strength=0.5):
        super().__init__()
        self.strength = strength

    def check(self, noise):
        """Refuse noise that has no independent parts, or none."""
        check_real("strength", self.strength, min_val=0, include_boundaries="neither")
        if noise is None or not noise.has_recorrupted_pairs:
            raise ValueError(
                f"Got noise={brief(noise)} with data_term='r2r', but expected "
                "GaussianNoise or PoissonNoise: of others there are no pairs with "
                "independent errors."
            )

    def forward(self, f, y, A, truth=None, start=None):
        """Return f(y₁) and the error against y₂; see :class:`DataTerm`."""
        y1, y2 = self.noise.recorrupt(y, self.generator, self.strength)
        y1, y2 = A.only_measured(y1), A.only_measured(y2)
        x1 = f(y1, A)
        return x1, F.mse_loss(A.forward(x1), y2)
