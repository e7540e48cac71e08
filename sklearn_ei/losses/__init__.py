"""Terms of the training objective."""

from ._adversarial import adversarial_error, critic_error
from ._choice import DATA_TERM_NAMES, choose_data_term
from ._data_term import DataTerm
from ._distance import check_distance
from ._equivariance import EquivarianceTerm
from ._masks import Masks, masks_of
from ._measurement import MeasurementConsistency
from ._objective import EquivariantObjective, Evaluation
from ._r2r import R2R
from ._splitting import Splitting
from ._supervised import SupervisedError
from ._sure import SURE, stein_probe
from ._unsure import UNSURE

__all__ = [
    "DATA_TERM_NAMES",
    "R2R",
    "SURE",
    "UNSURE",
    "DataTerm",
    "EquivarianceTerm",
    "EquivariantObjective",
    "Evaluation",
    "Masks",
    "MeasurementConsistency",
    "Splitting",
    "SupervisedError",
    "adversarial_error",
    "check_distance",
    "choose_data_term",
    "critic_error",
    "masks_of",
    "stein_probe",
]
