"""The residual U-Net of the paper, for signals, images and volumes."""

import torch
import torch.nn.functional as F
from torch import nn

from ._checks import check_sizes
from ._weights import reset_weights, zero_weights

_CONV = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
_NORM = {1: nn.BatchNorm1d, 2: nn.BatchNorm2d, 3: nn.BatchNorm3d}
_POOL = {1: nn.MaxPool1d, 2: nn.MaxPool2d, 3: nn.MaxPool3d}


class ResidualUNet(nn.Module):
    """U-Net G(x) = x + U(x), the network of Chen et al. (ICCV 2021).

    At each level two convolutions of width 3 with batch normalisation and ReLU;
    max-pooling down, nearest-neighbour upsampling and a convolution up; skip
    connections by concatenation; a 1×1 convolution at the end, which starts at
    zero, so that G starts as the identity. With ``residual=False`` it is U(x) alone,
    and the last convolution starts at random like the others.

    Parameters
    ----------
    in_channels : int, default=1
        Channels of the images.
    width : int, default=64
        Channels of the first level; each level below doubles them.
    depth : int, default=4
        Number of levels.
    n_spatial_dims : {1, 2, 3}, default=2
        Signals, images or volumes.
    residual : bool, default=True
        Whether the input is added to the output.
    out_channels : int, default=None
        Channels of the output; None: those of the input, as ``residual`` demands.

    Raises
    ------
    ValueError
        If a parameter is no positive integer, or ``residual`` and ``out_channels``
        is another number than ``in_channels``.

    Notes
    -----
    The paper's network is ``width=64, depth=4``. Circular padding in the first
    convolution alone, as in the paper's code. Any image size is accepted: it is
    padded by repeating the border to a multiple of ``2**(depth-1)``.
    """

    def __init__(
        self,
        in_channels=1,
        *,
        width=64,
        depth=4,
        n_spatial_dims=2,
        residual=True,
        out_channels=None,
    ):
        super().__init__()
        out_channels = in_channels if out_channels is None else out_channels
        check_sizes(
            n_spatial_dims,
            in_channels=in_channels,
            out_channels=out_channels,
            width=width,
            depth=depth,
        )
        if residual and out_channels != in_channels:
            raise ValueError(
                f"Got out_channels={out_channels} with residual=True, but expected "
                f"in_channels={in_channels}."
            )
        self.depth = depth
        self.residual = residual
        widths = [width * 2**level for level in range(depth)]
        self.pool = _POOL[n_spatial_dims](2)
        self.down = nn.ModuleList(
            _double_block(n_spatial_dims, n_in, n_out, first=level == 0)
            for level, (n_in, n_out) in enumerate(
                zip([in_channels, *widths], widths, strict=False)
            )
        )
        self.up = nn.ModuleList(
            _block(n_spatial_dims, 2 * n, n) for n in reversed(widths[:-1])
        )
        self.merge = nn.ModuleList(
            _double_block(n_spatial_dims, 2 * n, n) for n in reversed(widths[:-1])
        )
        self.last = _CONV[n_spatial_dims](width, out_channels, 1)
        if residual:
            zero_weights(self.last)

    def reset_parameters(self, generator):
        """Draw new weights.

        Parameters
        ----------
        generator : torch.Generator
            Their source, on the CPU.
        """
        reset_weights(self, generator)
        if self.residual:
            zero_weights(self.last)

    def forward(self, x):
        """Return x + U(x), or U(x), for ``x`` (batch, channel, *image_shape)."""
        shape = x.shape[2:]
        h = self._pad(x)
        skips = []
        for level, block in enumerate(self.down):
            h = block(h if level == 0 else self.pool(h))
            skips.append(h)
        skips.pop()
        for up, merge in zip(self.up, self.merge, strict=True):
            h = up(F.interpolate(h, scale_factor=2, mode="nearest"))
            h = merge(torch.cat([skips.pop(), h], dim=1))
        h = self.last(h)
        h = h[(slice(None), slice(None), *(slice(0, size) for size in shape))]
        return x + h if self.residual else h

    def _pad(self, x):
        multiple = 2 ** (self.depth - 1)
        padding = []
        for size in reversed(x.shape[2:]):
            # At least two positions at the deepest level: batch normalisation
            # has no variance to divide by for one value per channel.
            target = max(-(-size // multiple), 2) * multiple
            padding += [0, target - size]
        return F.pad(x, padding, mode="replicate") if any(padding) else x


def _block(n_dims, n_in, n_out, padding_mode="zeros"):
    convolution = _CONV[n_dims](n_in, n_out, 3, padding=1, padding_mode=padding_mode)
    # Normalisation takes the bias away again, so that its gradient is rounding errors
    # alone, which Adam would make steps of full size of.
    convolution.bias.requires_grad_(False)
    return nn.Sequential(
        convolution,
        _NORM[n_dims](n_out),
        nn.ReLU(inplace=True),
    )


def _double_block(n_dims, n_in, n_out, first=False):
    return nn.Sequential(
        _block(n_dims, n_in, n_out, padding_mode="circular" if first else "zeros"),
        _block(n_dims, n_out, n_out),
    )
