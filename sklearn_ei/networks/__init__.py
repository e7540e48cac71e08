"""Networks in pure torch, their descriptions, and f made of them."""

from ._average import GroupAverage, GroupAveraged
from ._discriminator import PatchDiscriminator
from ._encoder_decoder import EncoderDecoder
from ._function import ReconstructionFunction
from ._specs import (
    NetworkSpec,
    UNet,
    Unrolled,
    build_average,
    build_stages,
    check_network,
    is_described,
)
from ._unet import ResidualUNet
from ._weights import build_module

__all__ = [
    "EncoderDecoder",
    "GroupAverage",
    "GroupAveraged",
    "NetworkSpec",
    "PatchDiscriminator",
    "ReconstructionFunction",
    "ResidualUNet",
    "UNet",
    "Unrolled",
    "build_average",
    "build_module",
    "build_stages",
    "check_network",
    "is_described",
]
