"""What "auto" means: the recipe that suits an instrument and its data."""

import math

from ..groups import recommended_group
from ..losses import EquivarianceTerm
from ..networks import UNet, Unrolled

#: Of an operator that mixes pixels no further than this, ...
_LOCAL = 3.0
#: ... and of one that does.
LOCAL_NETWORK = Unrolled(UNet(width=16, depth=1), n_stages=8, n_consistency=1)
GLOBAL_NETWORK = Unrolled(UNet(width=16, depth=3), n_stages=3, n_consistency=2)

_RATE = 2e-3
_RATE_OF_OURS = 4e-3
_LEAST_STEPS = 300
_SAMPLES_OF_ROOT = 180  # times the root of how many there are, in all epochs


def is_local(operator):
    """Return whether an operator mixes pixels with their neighbours at most."""
    radius = operator.mixing_radius
    return radius is not None and radius <= _LOCAL


def choose_network(operator):
    """Return the description of the networks that suit an operator.

    Parameters
    ----------
    operator : ForwardOperator
        Of which ``mixing_radius`` counts, which follows from parameters.

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


def choose_rate(lr, network, noisy):
    """Return the learning rate: the default networks bear, and want, a higher one.

    Parameters
    ----------
    lr : float or "auto"
        As the user passed it.
    network : NetworkSpec, torch.nn.Module or callable
        Chosen.
    noisy : bool
        Whether noise was told, or found: steps are then as noisy.

    Returns
    -------
    lr : float
    """
    if lr != "auto":
        return lr
    ours = network is LOCAL_NETWORK or network is GLOBAL_NETWORK
    return _RATE_OF_OURS if ours and not noisy else _RATE


def choose_steps(n_samples, max_epochs, batch_size, noisy, *, at_least=1):
    """Return epochs and samples a step, where they are ``"auto"``.

    Parameters
    ----------
    n_samples : int
        To train on.
    max_epochs, batch_size : int or "auto"
        As the user passed them.
    noisy : bool
        Whether noise was told, or found.
    at_least : int, default=1
        Samples a step that ``"auto"`` has to be: one for each process.

    Returns
    -------
    max_epochs, batch_size : int

    Notes
    -----
    Without noise, steps on one sample gain more than half as many on two. With noise,
    batches of two. A single measurement needs some hundred; more of them need more, but
    less than in proportion, as they are alike: as many steps as look at 180 √n samples,
    and at least 300.
    """
    if batch_size == "auto":
        batch_size = max(2 if noisy and n_samples > 1 else 1, at_least)
    if max_epochs == "auto":
        steps_an_epoch = -(-n_samples // batch_size)
        n_epochs = _SAMPLES_OF_ROOT / math.sqrt(n_samples)
        max_epochs = max(1, round(max(n_epochs, _LEAST_STEPS / steps_an_epoch)))
    return int(max_epochs), int(batch_size)
