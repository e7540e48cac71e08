"""f = G ∘ A† and the skorch net that trains it."""

from ._callbacks import EpochTasks, check_callbacks
from ._divergence import DivergenceError
from ._module import ReconstructionFunction
from ._net import ReconstructionNet
from ._schedule import WarmUpCosine

__all__ = [
    "DivergenceError",
    "EpochTasks",
    "ReconstructionFunction",
    "ReconstructionNet",
    "WarmUpCosine",
    "check_callbacks",
]
