"""Models of measurement noise, and how much of it there is."""

from ._base import NoiseModel
from ._gaussian import GaussianNoise
from ._poisson import PoissonNoise
from ._poisson_gaussian import PoissonGaussianNoise

__all__ = ["GaussianNoise", "NoiseModel", "PoissonGaussianNoise", "PoissonNoise"]
