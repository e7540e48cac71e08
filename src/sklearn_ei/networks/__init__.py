"""Networks, in pure torch."""

from ._encoder_decoder import EncoderDecoder
from ._unet import ResidualUNet

__all__ = ["EncoderDecoder", "ResidualUNet"]
