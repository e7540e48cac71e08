"""Networks, in pure torch."""

from ._unet import ResidualUNet

__all__ = ["ResidualUNet"]
