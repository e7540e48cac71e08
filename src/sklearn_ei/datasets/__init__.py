"""Images to try things on."""

from ._phantoms import make_thorax_phantoms

__all__ = ["make_thorax_phantoms"]
