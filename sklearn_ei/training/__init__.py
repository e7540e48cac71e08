"""f = G ∘ A† and the skorch net that trains it."""

from ._best import BestWeights
from ._callbacks import EpochTasks, check_callbacks
from ._checkpoint import Checkpoint
from ._divergence import DivergenceError
from ._fingerprint import fingerprint
from ._memory import predict_memory, warn_if_memory_is_short
from ._module import ReconstructionFunction
from ._net import ReconstructionNet
from ._restorable import check_layer
from ._run import train_epochs
from ._schedule import WarmUpCosine

__all__ = [
    "BestWeights",
    "Checkpoint",
    "DivergenceError",
    "EpochTasks",
    "ReconstructionFunction",
    "ReconstructionNet",
    "WarmUpCosine",
    "check_callbacks",
    "check_layer",
    "fingerprint",
    "predict_memory",
    "train_epochs",
    "warn_if_memory_is_short",
]
