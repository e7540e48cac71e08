"""Images to try things on."""

from ._fetchers import fetch_ct100, fetch_urban100
from ._folder import load_image_folder
from ._phantoms import make_thorax_phantoms

__all__ = ["fetch_ct100", "fetch_urban100", "load_image_folder", "make_thorax_phantoms"]
