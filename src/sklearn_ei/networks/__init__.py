"""Networks, in pure torch."""

from ._discriminator import PatchDiscriminator
from ._unet import ResidualUNet

__all__ = ["PatchDiscriminator", "ResidualUNet"]
