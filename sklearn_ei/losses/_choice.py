"""From what a user passes as a data term to the term meant."""

from sklearn.base import clone

from ..noise import GaussianNoise
from ..utils.params import brief
from ._data_term import DataTerm
from ._measurement import MeasurementConsistency
from ._r2r import R2R
from ._splitting import Splitting
from ._supervised import SupervisedError
from ._sure import SURE
from ._unsure import UNSURE

_TERMS = {
    "measurement_consistency": MeasurementConsistency,
    "sure": SURE,
    "unsure": UNSURE,
    "r2r": R2R,
    "splitting": Splitting,
    "supervised": SupervisedError,
}
# Names that the history has for other things.
_TAKEN = {"adversarial_error", "batches", "dur", "epoch", "equivariance_error", "lr"}
_TAKEN |= {"train_batch_count", "train_batch_size", "train_loss", "valid_score"}
#: What may be passed in place of a :class:`DataTerm`.
DATA_TERM_NAMES = ("auto", *_TERMS)


def choose_data_term(data_term, noise):
    """Return the data term meant, checked against the noise model.

    Parameters
    ----------
    data_term : str or DataTerm
        ``"auto"`` is SURE where there is noise, else measurement consistency.
    noise : NoiseModel, "auto" or None
        As the user passed it. While it is ``"auto"``, nobody knows whether there is
        any: any term will do, and ``"auto"`` is measurement consistency until then.

    Returns
    -------
    data_term : DataTerm
        Not resolved; a copy of what was passed.

    Raises
    ------
    ValueError, TypeError
        If there is no such term, or the noise does not suit it.
    """
    unknown = isinstance(noise, str)
    if isinstance(data_term, str) and data_term == "auto":
        none = noise is None or unknown
        data_term = "measurement_consistency" if none else "sure"
    if isinstance(data_term, str) and data_term in _TERMS:
        term = _TERMS[data_term]()
    elif isinstance(data_term, DataTerm):
        term = clone(data_term)
    else:
        raise ValueError(
            f"Got data_term={brief(data_term)}, but expected one of "
            f"{', '.join(map(repr, DATA_TERM_NAMES))}, or a DataTerm such as "
            "MeasurementConsistency('l1')."
        )
    if not isinstance(term.name, str) or term.name in _TAKEN:
        raise ValueError(
            f"Got a {type(term).__name__} with name={brief(term.name)}, but expected a "
            "string under which nothing else is in the history."
        )
    if unknown:
        noise = GaussianNoise() if term.takes_noise == "needed" else None
    term.check(noise)
    return term
