"""Products of groups."""

import torch

from ..utils.params import brief
from ._base import Group


class ProductGroup(Group):
    """Compositions T_g T_h of the elements of two groups; made by ``*``.

    Parameters
    ----------
    first : Group
        Whose T_g acts last. A product of three groups has a product here.
    second : Group
        Whose T_h acts first.

    Attributes
    ----------
    n_elements : int or None
        Number of pairs (g, h). Pair (g, h) is element g · |H| + h. Groups that
        share more than the identity give some elements more than once.
    is_exact : bool
        Whether both groups are exact.

    Notes
    -----
    The inverse is T_h⁻¹ T_g⁻¹, which for groups that do not commute need not be
    T_{g⁻¹} T_{h⁻¹}; the transpose is T_hᵀ T_gᵀ. The compositions are a group if
    T_h T_g = T_g' T_h' for every pair and some other pair, as for rotations and
    reflections, or rotations and shifts.

    Products bracket to the left, ``a * b * c`` being ``(a * b) * c``, and ``a *
    (b * c)`` the same. Parameters are reached as ``first__n_elements`` and so on.

    Examples
    --------
    >>> from sklearn_ei.groups import Reflections, Rotations
    >>> group = Rotations(4) * Reflections()
    >>> group.n_elements
    8
    >>> group.set_params(first__n_elements=360).n_elements
    720
    """

    def __init__(self, first, second):
        self.first = first
        self.second = second

    @property
    def factors(self):
        """The groups multiplied, as a flat tuple."""
        if isinstance(self.first, ProductGroup):
            return (*self.first.factors, self.second)
        return (self.first, self.second)

    @property
    def is_exact(self):
        """Whether both groups are exact."""
        return self.first.is_exact and self.second.is_exact

    @property
    def n_elements(self):
        """Number of pairs, or None while one of the groups is open."""
        orders = self.first.n_elements, self.second.n_elements
        return None if None in orders else orders[0] * orders[1]

    def resolve(self, image_shape):
        """Return a copy that acts on images of one shape.

        Parameters
        ----------
        image_shape : tuple of int
            Spatial shape of the images.

        Returns
        -------
        group : ProductGroup
            The copy, of resolved groups.

        Raises
        ------
        TypeError, ValueError
            If one of the groups cannot act on such images.
        """
        resolved = super().resolve(image_shape)
        resolved.first = self.first.resolve(image_shape)
        resolved.second = self.second.resolve(image_shape)
        return resolved

    def _check_params(self, image_shape):
        for name in ("first", "second"):
            factor = getattr(self, name)
            if not isinstance(factor, Group):
                raise TypeError(
                    f"Got {name}={brief(factor)}, but expected a Group such as "
                    "Rotations(360)."
                )

    def split(self, g):
        """Return the elements of the first and of the second group."""
        order = self.second.n_elements
        g = torch.as_tensor(g)
        return g // order, g % order

    def generators(self):
        """Return the generators of both groups."""
        return torch.cat(
            [
                self.first.generators() * self.second.n_elements,
                self.second.generators(),
            ]
        ).unique()

    # The public methods of the factors: theirs may do more than _transform, such
    # as stopping gradients.
    def _transform(self, x, g):
        g, h = self.split(g)
        return self.first.transform(self.second.transform(x, h), g)

    def _inverse_transform(self, x, g):
        g, h = self.split(g)
        return self.second.inverse_transform(self.first.inverse_transform(x, g), h)

    def _adjoint(self, x, g):
        g, h = self.split(g)
        return self.second.adjoint(self.first.adjoint(x, g), h)
