"""Who draws from torch's own generators."""

from torch import nn

_RANDOM: tuple[type[nn.Module], ...] = (
    nn.Dropout,
    nn.Dropout1d,
    nn.Dropout2d,
    nn.Dropout3d,
    nn.AlphaDropout,
    nn.FeatureAlphaDropout,
    nn.RReLU,
    nn.FractionalMaxPool2d,
    nn.FractionalMaxPool3d,
)
# Of their modules it is known which ones draw.
_KNOWN = {"torch", __name__.partition(".")[0]}


def has_random_layers(module):
    """Return whether a module has layers of torch that draw in training."""
    return any(
        isinstance(layer, _RANDOM)
        or (isinstance(layer, nn.MultiheadAttention | nn.RNNBase) and layer.dropout > 0)
        for layer in module.modules()
    )


def may_draw(*modules):
    """Return whether modules have random layers, or code that nobody here knows."""
    return any(
        has_random_layers(module)
        or any(
            type(layer).__module__.partition(".")[0] not in _KNOWN
            for layer in module.modules()
        )
        for module in modules
    )
