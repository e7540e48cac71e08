"""The patch discriminator of adversarial training."""

from torch import nn
from torch.nn.modules.batchnorm import _NormBase

from ._checks import check_sizes
from ._weights import reset_weights

_CONV = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
_NORM = {1: nn.BatchNorm1d, 2: nn.BatchNorm2d, 3: nn.BatchNorm3d}


class PatchDiscriminator(nn.Module):
    """Scores of overlapping patches of an image: 1 for real, 0 for made.

    Blocks of two convolutions of width 3 with batch normalisation and LeakyReLU
    (0.2), the second with stride 2; a last convolution to one channel.

    Parameters
    ----------
    in_channels : int, default=1
        Channels of the images.
    width : int, default=64
        Channels of the first block; each block doubles them.
    depth : int, default=4
        Number of blocks.
    n_spatial_dims : {1, 2, 3}, default=2
        Signals, images or volumes.

    Notes
    -----
    The blocks of the paper (Chen et al., ICCV 2021, supplement) are
    64-128-256-512: ``width=64, depth=4``. A patch is scored instead of the image
    as in P. Isola et al., "Image-to-Image Translation with Conditional Adversarial
    Networks", CVPR 2017. Images that are too small for all blocks get fewer: the
    stride stops where one pixel is left.
    """

    def __init__(self, in_channels=1, *, width=64, depth=4, n_spatial_dims=2):
        check_sizes(n_spatial_dims, in_channels=in_channels, width=width, depth=depth)
        super().__init__()
        conv, norm = _CONV[n_spatial_dims], _NORM[n_spatial_dims]
        layers = []
        for level in range(depth):
            n_out = width * 2**level
            for stride in (1, 2):
                # Batch normalisation has a bias of its own.
                layers += [
                    conv(in_channels, n_out, 3, stride, padding=1, bias=False),
                    norm(n_out, track_running_stats=False),
                    nn.LeakyReLU(0.2, inplace=True),
                ]
                in_channels = n_out
        self.layers = nn.Sequential(*layers, conv(in_channels, 1, 3, padding=1))

    def reset_parameters(self, generator):
        """Draw new weights.

        Parameters
        ----------
        generator : torch.Generator
            Their source, on the CPU.
        """
        reset_weights(self, generator)

    def forward(self, x):
        """Return scores (batch, 1, *patches) of images (batch, channel, *shape)."""
        for layer in self.layers:
            # One value a channel, as of one small image, has no variance.
            if not isinstance(layer, _NormBase) or x.numel() > x.shape[1]:
                x = layer(x)
        return x
