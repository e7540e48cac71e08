"""Groups of symmetries under which the set of images is invariant."""

from ._base import Group
from ._rotations import Rotations
from ._shifts import Shifts

__all__ = ["Group", "Rotations", "Shifts"]
