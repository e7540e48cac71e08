"""Gaussian noise of one level."""

from numbers import Real

from sklearn.utils import check_scalar

from ._base import NoiseModel, draw_normal


class GaussianNoise(NoiseModel):
    """Additive Gaussian noise, y = A x + σ n with n ~ N(0, I).

    Parameters
    ----------
    sigma : float or "auto", default="auto"
        Standard deviation σ in the units of the measurements. ``"auto"``: to be
        estimated from them.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_ei.noise import GaussianNoise
    >>> noise = GaussianNoise(0.5)
    >>> noise.add(np.zeros((2, 3)), random_state=0).shape
    (2, 3)
    >>> noise.scaled(2.0)
    GaussianNoise(sigma=1.0)
    """

    def __init__(self, sigma="auto"):
        self.sigma = sigma

    def _draw(self, clean, generator):
        sigma, _ = self.levels
        return clean + draw_normal(clean, sigma, generator)

    def recorrupt(self, y, generator, strength):
        """Return (y + τ w, y − w/τ) with w ~ N(0, σ²) and τ = ``strength``.

        Parameters
        ----------
        y : torch.Tensor of shape (batch, channel, *measurement_shape)
            Noisy measurements.
        generator : torch.Generator
            Source of randomness, on the CPU.
        strength : float
            τ > 0. The first of the pair has the variance (1 + τ²) σ², the second
            (1 + 1/τ²) σ².

        Returns
        -------
        y1, y2 : torch.Tensor

        References
        ----------
        T. Pang, H. Zheng, Y. Quan and H. Ji, "Recorrupted-to-Recorrupted:
        Unsupervised Deep Learning for Image Denoising", CVPR 2021, eq. (6).
        """
        check_scalar(
            strength, "strength", Real, min_val=0, include_boundaries="neither"
        )
        sigma, _ = self.levels
        w = draw_normal(y, sigma, generator)
        return y + strength * w, y - w / strength
