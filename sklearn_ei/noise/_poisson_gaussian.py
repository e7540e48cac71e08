"""Poisson noise, and that of the electronics behind it."""

from ._base import NoiseModel, draw_normal, draw_poisson


class PoissonGaussianNoise(NoiseModel):
    """Counted quanta and readout noise, y = gain · Poisson(A x/gain) + σ n.

    Parameters
    ----------
    gain : float or "auto", default="auto"
        Signal of one quantum, in the units of the measurements.
    sigma : float or "auto", default="auto"
        Standard deviation σ of the Gaussian part, in the same units. Of each,
        ``"auto"``: to be estimated from the measurements.

    Examples
    --------
    >>> import torch
    >>> from sklearn_ei.noise import PoissonGaussianNoise
    >>> noise = PoissonGaussianNoise(gain=0.5, sigma=2.0)
    >>> noise.variance(torch.tensor([0.0, 4.0])).tolist()
    [4.0, 6.0]
    """

    has_recorrupted_pairs = False

    def __init__(self, gain="auto", sigma="auto"):
        self.gain = gain
        self.sigma = sigma

    def _draw(self, clean, generator):
        sigma, gain = self.levels
        counted = draw_poisson(clean, gain, generator)
        return counted + draw_normal(clean, sigma, generator)

    def recorrupt(self, y, generator, strength):
        """Refuse: no pair with independent errors is known for the mixture.

        Parameters
        ----------
        y : torch.Tensor
            Ignored.
        generator : torch.Generator
            Ignored.
        strength : float
            Ignored.

        Raises
        ------
        ValueError
            Always.
        """
        raise ValueError(
            f"Got {self} for re-corrupted pairs, but expected GaussianNoise or "
            "PoissonNoise; SURE takes the mixture."
        )
