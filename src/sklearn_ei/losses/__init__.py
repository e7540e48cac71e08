"""Terms of the training objective."""

from ._data_term import DataTerm
from ._equivariance import equivariance_error
from ._measurement import measurement_consistency
from ._objective import EquivariantObjective
from ._r2r import R2R
from ._supervised import supervised_error
from ._sure import SURE
from ._unsure import UNSURE

__all__ = [
    "R2R",
    "SURE",
    "UNSURE",
    "DataTerm",
    "EquivariantObjective",
    "equivariance_error",
    "measurement_consistency",
    "supervised_error",
]
