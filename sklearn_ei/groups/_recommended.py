"""Which group for which instrument: the one table, of code and documentation."""

from typing import NamedTuple

from ._base import Group
from ._random_affine import RandomAffine
from ._rotations import Rotations
from ._scalings import Scalings
from ._shifts import Shifts


class Recommendation(NamedTuple):
    """What to begin with, where an instrument loses one kind of thing.

    Attributes
    ----------
    instrument : str
        Which ones do.
    groups : dict of int to Group
        By the number of axes of an image.
    because : str
        Why these.
    """

    instrument: str
    groups: dict[int, Group]
    because: str


#: By what the instrument loses, as operators say (``operator.loses``).
RECOMMENDED = {
    "views": Recommendation(
        "CT, any geometry",
        {2: RandomAffine(degrees=180)},
        "rays of a turned image fall between those of the views, and coarse detail, "
        "which is known well, comes to where fine detail was lost when images are "
        "shrunk",
    ),
    "pixels": Recommendation(
        "lost pixels, every n-th pixel",
        {1: Shifts(), 2: Shifts(), 3: Shifts()},
        "every pixel comes to a place that is kept",
    ),
    "k-space": Recommendation(
        "MRI",
        {2: Rotations(360)},
        "lines turn in k-space; shifts change phases alone",
    ),
    "projections": Recommendation(
        "random projections",
        {1: Shifts(), 2: Shifts(), 3: Shifts()},
        "nearly everything moves the null space of a random matrix, and shifts do so "
        "exactly, without interpolation",
    ),
    "detail": Recommendation(
        "blur",
        {1: RandomAffine(scale=(0.5, 1.0)), 2: Scalings()},
        "shifts and turns leave a round blur as it is; zooms move lost frequencies",
    ),
    "averages": Recommendation(
        "means over blocks of pixels",
        {1: RandomAffine(scale=(0.5, 1.0)), 2: Rotations(360)},
        "frequencies that averaging removes stay removed under shifts",
    ),
}


def recommended_group(loses: str | None, n_spatial_dims: int) -> Group | None:
    """Return the group to begin with, or None if there is no recommendation.

    Parameters
    ----------
    loses : str or None
        What the instrument loses: ``loses`` of a
        :class:`~sklearn_ei.operators.ForwardOperator`.
    n_spatial_dims : int
        Axes of an image, without channels.

    Returns
    -------
    group : Group or None
        Not resolved.

    Notes
    -----
    That the *images* are invariant to it is assumed, and only you can judge: the
    guide *Which group for which instrument* has the reasons.

    Examples
    --------
    >>> from sklearn_ei.groups import recommended_group
    >>> recommended_group("pixels", 2)
    Shifts()
    """
    found = None if loses is None else RECOMMENDED.get(loses)
    return None if found is None else found.groups.get(n_spatial_dims)
