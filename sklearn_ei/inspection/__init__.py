"""Displays that show what an estimator has found."""

from ._alpha import AlphaCurveDisplay
from ._group_rank import GroupRankDisplay
from ._reconstruction import ReconstructionDisplay
from ._training import TrainingCurveDisplay
from ._uncertainty import UncertaintyDisplay
from ._volume import VolumeDisplay

__all__ = [
    "AlphaCurveDisplay",
    "GroupRankDisplay",
    "ReconstructionDisplay",
    "TrainingCurveDisplay",
    "UncertaintyDisplay",
    "VolumeDisplay",
]
