"""Estimators that reconstruct images from measurements."""

from ._base import BaseReconstructor
from ._conformal import ConformalReconstructor
from ._equivariant import EquivariantReconstructor
from ._equivariant_cv import EquivariantReconstructorCV
from ._pinv import PseudoInverseReconstructor

__all__ = [
    "BaseReconstructor",
    "ConformalReconstructor",
    "EquivariantReconstructor",
    "EquivariantReconstructorCV",
    "PseudoInverseReconstructor",
]
