"""Networks, in pure torch."""

from ._discriminator import PatchDiscriminator
from ._encoder_decoder import EncoderDecoder
from ._unet import ResidualUNet

__all__ = ["EncoderDecoder", "PatchDiscriminator", "ResidualUNet"]
