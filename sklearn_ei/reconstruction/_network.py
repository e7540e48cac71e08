"""The network G of an estimator, ours or the user's."""

import copy

import torch
from torch import nn

from ..networks import ResidualUNet
from ..utils.params import brief
from ..utils.random import seeded_initialisation


def check_network(network):
    """Refuse a ``network`` that is neither None, a module nor a factory."""
    if network is None or isinstance(network, nn.Module) or callable(network):
        return
    raise TypeError(
        f"Got network={brief(network)}, but expected a torch.nn.Module, a factory "
        "f(n_channels, n_spatial_dims) that returns one, or None for the U-Net."
    )


def make_network(network, n_channels, image_shape, *, n_stages, width, depth, seed):
    """Return G, with images in its input and output.

    Parameters
    ----------
    network : torch.nn.Module, callable or None
        A module is copied with its weights; a factory is called with the number
        of channels and of spatial dimensions; None is the residual U-Net.
    n_channels : int
        Channels of the images.
    image_shape : tuple of int
        Their spatial shape.
    n_stages : int
        How many such networks there are, each with weights of its own.
    width, depth : int
        Of the U-Net.
    seed : int
        Of the initial weights.

    Returns
    -------
    network : torch.nn.Module
        A ``ModuleList`` if there is more than one stage.

    Raises
    ------
    TypeError, ValueError
        If the factory returns no module, or the module no images of that shape.
    """
    n_dims = len(image_shape)
    stages = []
    with seeded_initialisation(seed):
        for _ in range(n_stages):
            if network is None:
                made = ResidualUNet(
                    n_channels, width=width, depth=depth, n_spatial_dims=n_dims
                )
            elif isinstance(network, nn.Module):
                made = copy.deepcopy(network)
            else:
                made = network(n_channels, n_dims)
            if network is not None:
                _try_network(made, (1, n_channels, *image_shape))
            stages.append(made)
    made = stages[0] if n_stages == 1 else nn.ModuleList(stages)
    return made.to(memory_format=torch.channels_last) if n_dims == 2 else made


@torch.no_grad()
def _try_network(network, shape):
    if not isinstance(network, nn.Module):
        raise TypeError(
            f"The factory passed as network returned {type(network).__name__}, but "
            "expected a torch.nn.Module."
        )
    training = network.training
    try:
        returned = network.eval()(torch.zeros(shape))
    except Exception as error:
        raise ValueError(
            f"network failed on a tensor of shape {shape} (batch, channel, "
            f"*image_shape), with {type(error).__name__}: {error}"
        ) from error
    finally:
        network.train(training)
    got = tuple(getattr(returned, "shape", ()))
    if got != shape:
        raise ValueError(
            f"network returned shape {got} for images of shape {shape} (batch, "
            "channel, *image_shape), but expected the same shape."
        )
