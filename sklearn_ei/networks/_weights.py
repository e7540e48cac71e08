"""New weights from a generator of one's own."""

import math

import torch
from torch import nn

_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)


def reset_weights(module, generator):
    """Draw the weights of convolutions anew, as torch does; reset all other layers.

    torch's own initialisation draws from the global generator, which belongs to
    the user, and to other threads.

    Parameters
    ----------
    module : torch.nn.Module
        Of convolutions, and of layers whose reset draws nothing.
    generator : torch.Generator
        Source of the weights, on the CPU. Seeded alike, it gives the weights that
        torch's constructors give after ``torch.manual_seed``.
    """
    for layer in module.modules():
        if isinstance(layer, _CONVOLUTIONS):
            nn.init.kaiming_uniform_(layer.weight, a=math.sqrt(5), generator=generator)
            if layer.bias is not None:
                fan_in = layer.weight[0].numel()
                bound = 1 / math.sqrt(fan_in)
                nn.init.uniform_(layer.bias, -bound, bound, generator=generator)
        elif hasattr(layer, "reset_parameters") and not layer._modules:
            layer.reset_parameters()


def build_module(make, generator):
    """Return a module of this package with weights from a generator.

    Parameters
    ----------
    make : callable
        Without arguments; returns a module with ``reset_parameters(generator)``.
    generator : torch.Generator or None
        Source of the weights. None: no memory, on the ``meta`` device.

    Returns
    -------
    module : torch.nn.Module
    """
    with torch.device("meta"):
        module = make()
    if generator is not None:
        module = module.to_empty(device="cpu")
        module.reset_parameters(generator)
    return module


def zero_weights(layer):
    """Let a layer start at zero."""
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.zero_()
