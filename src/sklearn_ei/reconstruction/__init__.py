"""Estimators that reconstruct images from measurements."""

from ._base import BaseReconstructor
from ._equivariant import EquivariantReconstructor
from ._pinv import PseudoInverseReconstructor

__all__ = [
    "BaseReconstructor",
    "EquivariantReconstructor",
    "PseudoInverseReconstructor",
]
