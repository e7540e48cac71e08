"""Plan, then train: the skorch net that takes the steps, and what surrounds it."""

from ._best import BestWeights
from ._callbacks import EpochTasks, check_callbacks
from ._checkpoint import Checkpoint
from ._deep_prior import DeepPrior, Iterates
from ._divergence import DivergenceError
from ._fingerprint import fingerprint
from ._interrupts import Interrupts, searching
from ._moving_variance import MovingVariance
from ._net import ReconstructionNet
from ._plan import FitPlan, Seeds
from ._restorable import check_layer
from ._schedule import WarmUpCosine
from ._train import Trained, finish, train
from .machine import Processes, resolve_processes

__all__ = [
    "BestWeights",
    "Checkpoint",
    "DeepPrior",
    "DivergenceError",
    "EpochTasks",
    "FitPlan",
    "Interrupts",
    "Iterates",
    "MovingVariance",
    "Processes",
    "ReconstructionNet",
    "Seeds",
    "Trained",
    "WarmUpCosine",
    "check_callbacks",
    "check_layer",
    "fingerprint",
    "finish",
    "resolve_processes",
    "searching",
    "train",
]
