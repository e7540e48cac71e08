"""Poisson noise: counted quanta."""

from numbers import Real

import torch
from sklearn.utils import check_scalar

from ._base import NoiseModel, draw_poisson


class PoissonNoise(NoiseModel):
    """Counted quanta, y = gain · Poisson(A x/gain).

    Parameters
    ----------
    gain : float or "auto", default="auto"
        Signal of one quantum, in the units of the measurements: the variance of
        an entry is gain · (A x). ``"auto"``: to be estimated from them.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_ei.noise import PoissonNoise
    >>> noisy = PoissonNoise(0.5).add(np.full((300, 300), 8.0), random_state=0)
    >>> round(float(noisy.mean())), round(float(noisy.var()))
    (8, 4)
    """

    def __init__(self, gain="auto"):
        self.gain = gain

    def _draw(self, clean, generator):
        _, gain = self.levels
        return draw_poisson(clean, gain, generator)

    def recorrupt(self, y, generator, strength):
        """Deal the quanta out to two measurements at random (binomial thinning).

        With counts z = y/gain and ω ~ Binomial(z, α), α = ``strength``,
        y₁ = gain (z − ω)/(1 − α) and y₂ = gain ω/α.

        Parameters
        ----------
        y : torch.Tensor of shape (batch, channel, *measurement_shape)
            Noisy measurements. y/gain is rounded to counts; negative entries
            count as zero.
        generator : torch.Generator
            Source of randomness, on the CPU.
        strength : float
            α in (0, 1), the share of quanta that the second of the pair gets.

        Returns
        -------
        y1, y2 : torch.Tensor
            Independent, with variances gain A x/(1 − α) and gain A x/α.

        References
        ----------
        B. Monroy, J. Bacca and J. Tachella, "Generalized Recorrupted-to-
        Recorrupted: Self-Supervised Learning Beyond Gaussian Noise", CVPR 2025
        (arXiv 2412.04648), table 1.
        """
        check_scalar(
            strength,
            "strength",
            Real,
            min_val=0,
            max_val=1,
            include_boundaries="neither",
        )
        _, gain = self.levels
        if gain == 0:
            return y, y
        counts = (y.detach().cpu() / gain).round().clamp_min(0)
        share = torch.full_like(counts, strength)
        taken = torch.binomial(counts, share, generator=generator)
        y1, y2 = gain * (counts - taken) / (1 - strength), gain * taken / strength
        return y1.to(y), y2.to(y)
