"""f and the critic of a fit, from parameters."""

from functools import partial

from ..networks import (
    PatchDiscriminator,
    ReconstructionFunction,
    build_average,
    build_module,
    build_stages,
)
from ..utils.params import brief
from ..utils.random import make_generator

_CRITIC = {"width": 16, "depth": 3}


def make_function(network, data_term, image_layout, precision, seed, *, trial=True):
    """Return f with new weights.

    Parameters
    ----------
    network : NetworkSpec, torch.nn.Module or callable
        What it consists of.
    data_term : DataTerm
        Resolved; says whether images keep to the measurements in the end.
    image_layout : Layout
        Of the images, settled.
    precision : torch.dtype
        In which networks compute.
    seed : int or None
        Of the weights. None: they are described, on the ``meta`` device.

    Returns
    -------
    function : ReconstructionFunction
    """
    return ReconstructionFunction(
        build_stages(network, image_layout, seed, trial=trial),
        n_consistency=getattr(network, "n_consistency", 0),
        last_consistency=data_term.trusts_measurements,
        dtype=precision,
        average=build_average(network, image_layout),
    )


def check_trainable(function, network):
    """Refuse an f without weights to train.

    Parameters
    ----------
    function : ReconstructionFunction
        f.
    network : object
        As the user passed it, for the message.
    """
    if not any(weight.requires_grad for weight in function.parameters()):
        raise ValueError(
            f"Got network={brief(network)}, but expected one "
            "that has weights to train (with requires_grad)."
        )


def take_weights(function, trained, network, image_layout):
    """Give f the weights that another one was trained to, or refuse to.

    Parameters
    ----------
    function : ReconstructionFunction
        f.
    trained : ReconstructionFunction
        That of an earlier fit, which has to have the same layers.
    network : object
        As the user passed it, for the message.
    image_layout : Layout
        Of the images, for the message.
    """
    if _outline(function) != _outline(trained):
        raise ValueError(
            f"Got network={brief(network)} for images of "
            f"{image_layout.n_channels} channel(s) with warm_start=True, but "
            "expected the one that was trained."
        )
    function.load_state_dict(trained.state_dict())


def _outline(function):
    """Return layers and shapes of weights, which tell networks apart."""
    shapes = [(name, tuple(t.shape)) for name, t in function.state_dict().items()]
    return str(function.stages), shapes


def make_critic(image_layout, seed):
    """Return the discriminator of adversarial training, with new weights.

    Parameters
    ----------
    image_layout : Layout
        Of the images, settled.
    seed : int
        Of the weights.

    Returns
    -------
    critic : PatchDiscriminator
    """
    make = partial(
        PatchDiscriminator,
        image_layout.n_channels,
        n_spatial_dims=len(image_layout.shape),
        **_CRITIC,
    )
    return build_module(make, make_generator(seed))
