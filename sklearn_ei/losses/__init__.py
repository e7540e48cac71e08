"""Terms of the training objective."""

from ._adversarial import adversarial_error, critic_error
from ._data_term import DataTerm
from ._distance import check_distance
from ._equivariance import equivariance_error
from ._measurement import MeasurementConsistency
from ._objective import EquivariantObjective, Evaluation
from ._r2r import R2R
from ._supervised import SemiSupervisedError, SupervisedError
from ._sure import SURE
from ._unsure import UNSURE

__all__ = [
    "R2R",
    "SURE",
    "UNSURE",
    "DataTerm",
    "EquivariantObjective",
    "Evaluation",
    "MeasurementConsistency",
    "SemiSupervisedError",
    "SupervisedError",
    "adversarial_error",
    "check_distance",
    "critic_error",
    "equivariance_error",
]
