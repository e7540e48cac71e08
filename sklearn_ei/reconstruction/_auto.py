"""What "auto" means: the recipe that suits an instrument and its data."""

import math

from ..groups import recommended_group
from ..losses import EquivarianceTerm
from ..networks import UNet, Unrolled

#: Of an operator that mixes pixels no further than this, ...
_LOCAL = 3.0
#: ... and of one that does.
LOCAL_NETWORK = Unrolled(UNet(width=16, depth=1), n_stages=8, n_consistency=1)
GLOBAL_NETWORK = Unrolled(UNet(width=16, depth=3), n_stages=3, n_consistency=3)

_RATE = 2e-3
_RATE_OF_SHALLOW = 4e-3
_LEAST_STEPS = 240
_STEPS_OF_ONE = 90  # times the root of the number of samples


def is_local(operator):
    """Return whether an operator mixes pixels with their neighbours at most."""
    radius = operator.mixing_radius
    return radius is not None and radius <= _LOCAL


def choose_network(operator):
    """Return the description of the networks that suit an operator.

    Parameters
    ----------
    operator : ForwardOperator
        Of which :attr:`mixing_radius` counts, which follows from parameters.

    Returns
    -------
    network : NetworkSpec
    """
    return LOCAL_NETWORK if is_local(operator) else GLOBAL_NETWORK


def choose_group(operator, n_spatial_dims=2):
    """Return the group that is recommended for what an operator loses, or None."""
    return recommended_group(operator.loses, n_spatial_dims)


def choose_equivariance_term(group):
    """Return the default term: f learns from x2, not changes it, where groups zoom.

    Parameters
    ----------
    group : Group or None
        Resolved.

    Returns
    -------
    term : EquivarianceTerm
    """
    return EquivarianceTerm(stop_gradient=group is not None and group.changes_scale)


def choose_rate(lr, network):
    """Return the learning rate: shallow networks bear, and want, a higher one.

    Parameters
    ----------
    lr : float or "auto"
        As the user passed it.
    network : NetworkSpec, torch.nn.Module or callable
        Chosen.

    Returns
    -------
    lr : float
    """
    if lr != "auto":
        return lr
    return _RATE_OF_SHALLOW if network is LOCAL_NETWORK else _RATE


def choose_steps(n_samples, max_epochs, batch_size, local, *, at_least=1):
    """Return epochs and samples a step, where they are ``"auto"``.

    Parameters
    ----------
    n_samples : int
        To train on.
    max_epochs, batch_size : int or "auto"
        As the user passed them.
    local : bool
        Whether the operator mixes pixels with their neighbours at most.
    at_least : int, default=1
        Samples a step that ``"auto"`` has to be: one for each process.

    Returns
    -------
    max_epochs, batch_size : int

    Notes
    -----
    A single measurement needs some hundred steps; more of them need more, but less
    than in proportion, as they are alike: max(240, 90 √n) steps.
    """
    if batch_size == "auto":
        batch_size = max(1 if local or n_samples < 2 else 2, at_least)
    if max_epochs == "auto":
        n_steps = max(_LEAST_STEPS, _STEPS_OF_ONE * math.sqrt(n_samples))
        steps_an_epoch = -(-n_samples // batch_size)
        max_epochs = max(1, round(n_steps / steps_an_epoch))
    return int(max_epochs), int(batch_size)
