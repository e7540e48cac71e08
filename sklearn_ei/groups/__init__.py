"""Groups of symmetries under which the set of images is invariant."""

from ._affine import AffineGroup
from ._base import Group
from ._permutations import Permutations
from ._phases import Conjugation, Phases
from ._product import ProductGroup
from ._random_affine import RandomAffine
from ._recommended import RECOMMENDED, Recommendation, recommended_group
from ._reflections import Reflections
from ._rotations import Rotations
from ._scalings import Scalings
from ._shifts import Shifts

__all__ = [
    "RECOMMENDED",
    "AffineGroup",
    "Conjugation",
    "Group",
    "Permutations",
    "Phases",
    "ProductGroup",
    "RandomAffine",
    "Recommendation",
    "Reflections",
    "Rotations",
    "Scalings",
    "Shifts",
    "recommended_group",
]
