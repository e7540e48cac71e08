"""The skorch nets that train reconstruction functions."""

from ._callbacks import EpochTasks, check_callbacks
from ._module import ReconstructionFunction
from ._net import ReconstructionNet, learning_rate_schedule

__all__ = [
    "EpochTasks",
    "ReconstructionFunction",
    "ReconstructionNet",
    "check_callbacks",
    "learning_rate_schedule",
]
