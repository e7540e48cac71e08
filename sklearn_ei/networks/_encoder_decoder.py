"""The encoder–decoder of the deep image prior."""

import torch.nn.functional as F
from torch import nn

from ._checks import check_sizes
from ._weights import reset_weights

_CONV = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
_NORM = {1: nn.BatchNorm1d, 2: nn.BatchNorm2d, 3: nn.BatchNorm3d}
_LINEAR = {1: "linear", 2: "bilinear", 3: "trilinear"}
_SLOPE = 0.2  # of the leaky ReLU


class EncoderDecoder(nn.Module):
    """Hourglass network g(z) from noise to images, after Ulyanov et al. (2018).

    Down: at each level a strided and a plain convolution of width 3. Up: linear
    upsampling, batch normalisation, a convolution of width 3 and one of width 1.
    Each convolution is followed by batch normalisation and leaky ReLU, and the
    last level by a 1×1 convolution. Nothing skips the bottleneck.

    Parameters
    ----------
    in_channels : int, default=32
        Channels of the input z.
    out_channels : int, default=1
        Channels of the images.
    width : int, default=128
        Channels of every level.
    depth : int, default=5
        Number of levels, each of which halves the resolution.
    n_spatial_dims : {1, 2, 3}, default=2
        Signals, images or volumes.

    Raises
    ------
    ValueError
        If a parameter is no positive integer, or the images have another dimension.

    Notes
    -----
    The defaults are those of [1]_ for natural images; there the convolutions pad by
    reflection, here with zeros, which is faster. Any image size is accepted: it is
    padded by repeating the border to a multiple of ``2**depth``.

    References
    ----------
    .. [1] D. Ulyanov, A. Vedaldi and V. Lempitsky, "Deep Image Prior", CVPR 2018.
    """

    def __init__(
        self, in_channels=32, out_channels=1, *, width=128, depth=5, n_spatial_dims=2
    ):
        check_sizes(
            n_spatial_dims,
            in_channels=in_channels,
            out_channels=out_channels,
            width=width,
            depth=depth,
        )
        super().__init__()
        self.depth = depth
        self.mode = _LINEAR[n_spatial_dims]
        self.down = nn.ModuleList(
            nn.Sequential(
                *_layer(n_spatial_dims, n_in, width, 3, stride=2),
                *_layer(n_spatial_dims, width, width, 3),
            )
            for n_in in [in_channels, *[width] * (depth - 1)]
        )
        self.up = nn.ModuleList(
            nn.Sequential(
                _NORM[n_spatial_dims](width),
                *_layer(n_spatial_dims, width, width, 3),
                *_layer(n_spatial_dims, width, width, 1),
            )
            for _ in range(depth)
        )
        self.last = _CONV[n_spatial_dims](width, out_channels, 1)

    def reset_parameters(self, generator):
        """Draw new weights.

        Parameters
        ----------
        generator : torch.Generator
            Their source, on the CPU.
        """
        reset_weights(self, generator)

    def forward(self, z):
        """Return images (batch, out_channels, *shape) for ``z`` of that shape."""
        shape = z.shape[2:]
        h = self._pad(z)
        for block in self.down:
            h = block(h)
        for block in self.up:
            h = block(F.interpolate(h, scale_factor=2, mode=self.mode))
        h = self.last(h)
        return h[(slice(None), slice(None), *(slice(0, size) for size in shape))]

    def _pad(self, z):
        multiple = 2**self.depth
        padding = []
        for size in reversed(z.shape[2:]):
            # At least two positions at the bottleneck: batch normalisation has
            # no variance to divide by for one value per channel.
            target = max(-(-size // multiple), 2) * multiple
            padding += [0, target - size]
        return F.pad(z, padding, mode="replicate") if any(padding) else z


def _layer(n_dims, n_in, n_out, kernel_size, stride=1):
    return (
        _CONV[n_dims](n_in, n_out, kernel_size, stride, padding=kernel_size // 2),
        _NORM[n_dims](n_out),
        nn.LeakyReLU(_SLOPE, inplace=True),
    )
