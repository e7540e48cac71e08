"""Terms of the training objective."""

from ._equivariance import equivariance_error
from ._measurement import measurement_consistency
from ._objective import EquivariantObjective
from ._supervised import supervised_error

__all__ = [
    "EquivariantObjective",
    "equivariance_error",
    "measurement_consistency",
    "supervised_error",
]
