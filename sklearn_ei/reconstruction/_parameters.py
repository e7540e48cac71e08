"""The parameters of equivariant imaging, declared once for all estimators."""

import os
from numbers import Integral, Real

import torch
from sklearn.utils._param_validation import Interval, Options, StrOptions

from ..groups import Group
from ..losses import DATA_TERM_NAMES, DataTerm, EquivarianceTerm, choose_data_term
from ..networks import NetworkSpec, UNet, Unrolled, check_network
from ..noise import NoiseModel
from ..operators import ForwardOperator
from ..training import check_callbacks
from ..utils.params import check_path

_FROM_ZERO = Interval(Real, 0, None, closed="left")
_COUNT = Interval(Integral, 1, None, closed="left")

# As scikit-learn's own estimators declare theirs.
CONSTRAINTS: dict = {
    "operator": [ForwardOperator],
    "group": [Group, None],
    "alpha": [_FROM_ZERO, StrOptions({"auto"})],
    "beta": [_FROM_ZERO],
    "noise": [NoiseModel, StrOptions({"auto"}), None],
    "data_term": [StrOptions(set(DATA_TERM_NAMES)), DataTerm],
    "equivariance_term": [StrOptions({"auto"}), EquivarianceTerm],
    "network": [StrOptions({"auto"}), NetworkSpec, torch.nn.Module, callable],
    "check_rank": [StrOptions({"warn", "raise"}), Options(bool, {False})],
    "max_epochs": [_COUNT],
    "batch_size": [_COUNT],
    "lr": [Interval(Real, 0, None, closed="neither")],
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
    equivariance_term : EquivarianceTerm
        As given, or the default one.
    network : NetworkSpec, torch.nn.Module or callable
        As given, or the default one.

    Raises
    ------
    TypeError, ValueError
        If parameters do not fit together.
    """
    check_callbacks(parameters["callbacks"])
    check_path("checkpoint", parameters["checkpoint"], folder_ok=True)
    data_term = choose_data_term(parameters["data_term"], parameters["noise"])
    equivariance_term = parameters["equivariance_term"]
    if isinstance(equivariance_term, str):
        equivariance_term = EquivarianceTerm()
    equivariance_term.check()
    network = parameters["network"]
    if isinstance(network, str):
        network = Unrolled(UNet(width=16, depth=3), n_stages=3, n_consistency=3)
    check_network(network)
    alpha, beta = parameters["alpha"], parameters["beta"]
    if parameters["group"] is None:
        if alpha == "auto" and not data_term.needs_truth:
            raise ValueError(
                "Got no group, but expected one such as Rotations(360), or alpha=0 for "
                "measurement consistency alone."
            )
        for name, weight in (("alpha", alpha), ("beta", beta)):
            if weight not in (0, "auto"):
                raise ValueError(
                    f"Got {name}={weight} without a group, but expected a group such "
                    f"as Rotations(360), or {name}=0 for training without that term."
                )
    return data_term, equivariance_term, network
