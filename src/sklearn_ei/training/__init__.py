"""f = G ∘ A† and the skorch net that trains it."""

from ._best import BestWeights, StopWhenExhausted
from ._callbacks import EpochTasks, check_callbacks
from ._checkpoint import Checkpoint, fingerprint
from ._divergence import DivergenceError
from ._module import ReconstructionFunction
from ._net import ReconstructionNet
from ._schedule import WarmUpCosine

__all__ = [
    "BestWeights",
    "Checkpoint",
    "DivergenceError",
    "EpochTasks",
    "ReconstructionFunction",
    "ReconstructionNet",
    "StopWhenExhausted",
    "WarmUpCosine",
    "check_callbacks",
    "fingerprint",
]
