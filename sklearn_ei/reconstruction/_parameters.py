"""The parameters of equivariant imaging, declared once for all estimators."""

import os
from numbers import Integral, Real

import torch
from sklearn.utils._param_validation import Interval, Options, StrOptions

from ..groups import Group
from ..losses import DATA_TERM_NAMES, DataTerm, EquivarianceTerm, choose_data_term
from ..networks import NetworkSpec, check_network
from ..noise import NoiseModel
from ..operators import ForwardOperator
from ..training import check_callbacks
from ..utils.params import check_path
from ._auto import choose_network

_FROM_ZERO = Interval(Real, 0, None, closed="left")
_COUNT = Interval(Integral, 1, None, closed="left")

# As scikit-learn's own estimators declare theirs.
CONSTRAINTS: dict = {
    "operator": [ForwardOperator],
    "group": [Group, StrOptions({"auto"}), None],
    "alpha": [_FROM_ZERO, StrOptions({"auto"})],
    "beta": [_FROM_ZERO],
    "noise": [NoiseModel, StrOptions({"auto"}), None],
    "data_term": [StrOptions(set(DATA_TERM_NAMES)), DataTerm],
    "equivariance_term": [StrOptions({"auto"}), EquivarianceTerm],
    "network": [StrOptions({"auto"}), NetworkSpec, torch.nn.Module, callable],
    "check_rank": [StrOptions({"warn", "raise"}), Options(bool, {False})],
    "max_epochs": [_COUNT, StrOptions({"auto"})],
    "batch_size": [_COUNT, StrOptions({"auto"})],
    "lr": [Interval(Real, 0, None, closed="neither"), StrOptions({"auto"})],
    "lr_schedule": [StrOptions({"cosine", "constant"})],
    "device": [str, torch.device],
    "precision": [StrOptions({"auto", "float32", "bfloat16"})],
    "accelerate": ["boolean"],
    "warm_start": ["boolean"],
    "checkpoint": [str, os.PathLike, None],
    "early_stopping": ["boolean", Interval(Real, 0, 1, closed="neither")],
    "n_iter_no_change": [_COUNT],
    "allow_missing": ["boolean"],
    "random_state": ["random_state"],
    "verbose": [Interval(Integral, 0, None, closed="left")],
    "callbacks": [list, None],
}


def resolve_terms(parameters):
    """Return the terms and the network that parameters mean, and refuse the rest.

    Parameters
    ----------
    parameters : dict
        Of an :class:`EquivariantReconstructor`, each within its constraints.

    Returns
    -------
    data_term : DataTerm
        Not resolved.
    equivariance_term : EquivarianceTerm or "auto"
        As given: which one is best depends on the group.
    network : NetworkSpec, torch.nn.Module or callable
        As given, or the one that suits the operator.

    Raises
    ------
    TypeError, ValueError
        If parameters do not fit together.
    """
    check_callbacks(parameters["callbacks"])
    check_path("checkpoint", parameters["checkpoint"], folder_ok=True)
    data_term = choose_data_term(parameters["data_term"], parameters["noise"])
    equivariance_term = parameters["equivariance_term"]
    if not isinstance(equivariance_term, str):
        equivariance_term.check()
    network = parameters["network"]
    if isinstance(network, str):
        network = choose_network(parameters["operator"])
    check_network(network)
    if parameters["group"] is None:
        weights = needs_group(parameters, data_term)
        if weights:
            refuse_no_group(f"Got {weights} without a group")
    return data_term, equivariance_term, network


def needs_group(parameters, data_term):
    """Return the names and weights of the terms that need a group, as text or ""."""
    alpha, beta = parameters["alpha"], parameters["beta"]
    needed = []
    # Without ground truth, alpha="auto" is above 0.
    if alpha != 0 and not (alpha == "auto" and data_term.needs_truth):
        needed.append(f"alpha={alpha}")
    if beta > 0:
        needed.append(f"beta={beta}")
    return " and ".join(needed)


def refuse_no_group(got):
    """Raise ``ValueError`` where terms need a group and there is none.

    Parameters
    ----------
    got : str
        What was found in place of a group.
    """
    raise ValueError(
        f"{got}, but expected a group such as Shifts() or Rotations(360), or weights "
        "of 0 for training without it (alpha=0 is measurement consistency alone)."
    )
