"""The skorch nets that train reconstruction functions."""

from ._callbacks import EpochTasks
from ._module import ReconstructionFunction
from ._net import ReconstructionNet, learning_rate_schedule

__all__ = [
    "EpochTasks",
    "ReconstructionFunction",
    "ReconstructionNet",
    "learning_rate_schedule",
]
