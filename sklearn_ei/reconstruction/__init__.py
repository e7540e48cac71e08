"""Estimators that reconstruct images from measurements."""

from ._base import BaseReconstructor, OperatorEstimator
from ._conformal import ConformalReconstructor
from ._dip import DeepImagePriorReconstructor
from ._equivariant import EquivariantReconstructor
from ._equivariant_cv import EquivariantReconstructorCV
from ._pinv import PseudoInverseReconstructor
from ._tikhonov import TikhonovReconstructor
from ._total_variation import TotalVariationReconstructor

__all__ = [
    "BaseReconstructor",
    "ConformalReconstructor",
    "DeepImagePriorReconstructor",
    "EquivariantReconstructor",
    "EquivariantReconstructorCV",
    "OperatorEstimator",
    "PseudoInverseReconstructor",
    "TikhonovReconstructor",
    "TotalVariationReconstructor",
]
