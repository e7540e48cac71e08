"""Models of measurement noise, and how much of it there is."""

from ._base import NoiseModel
from ._estimate import UnknownNoiseError
from ._gaussian import GaussianNoise
from ._poisson import PoissonNoise
from ._poisson_gaussian import PoissonGaussianNoise
from ._report import NoiseEstimate, NoiseWarning, estimate_noise

__all__ = [
    "GaussianNoise",
    "NoiseEstimate",
    "NoiseModel",
    "NoiseWarning",
    "PoissonGaussianNoise",
    "PoissonNoise",
    "UnknownNoiseError",
    "estimate_noise",
]
