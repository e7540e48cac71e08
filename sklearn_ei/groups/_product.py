"""Products of groups."""

from itertools import groupby

import torch

from ..utils.params import brief
from ._base import Group
from ._resample import compose, finest, invert, resample


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
    T_{g⁻¹} T_{h⁻¹}; the transpose is T_hᵀ T_gᵀ.

    Neighbours that act by affine maps of coordinates (:meth:`Group.affine_map`:
    rotations, scalings, :class:`RandomAffine`, reflections) interpolate once,
    with the product of their maps and the finest interpolation among them
    (bicubic, then bilinear, then nearest). That is sharper than one after the
    other, costs as much as one alone, and what would leave the image in between
    is not lost. If all of them are exact, pixels are permuted, by one after the
    other. Cyclic shifts and ``"fft"`` rotations are no such maps, and act by
    themselves.

    The compositions are a group if T_h T_g = T_g' T_h' for every pair and some
    other pair, as for rotations and reflections, or rotations and shifts.

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
    def parts(self):
        """The groups multiplied, as a flat tuple, the last acting first."""
        return (*self.first.parts, *self.second.parts)

    @property
    def is_exact(self):
        """Whether both groups are exact."""
        return self.first.is_exact and self.second.is_exact

    @property
    def mixes_channels(self):
        """Whether one of the groups does."""
        return self.first.mixes_channels or self.second.mixes_channels

    @property
    def interpolation(self):
        """The finest interpolation among groups that interpolate, or None."""
        return finest(self.parts)

    @property
    def quarter_turn_step(self):
        """The step of the first group, the second staying at its element."""
        step = self.first.quarter_turn_step
        return None if step is None else step * self.second.n_elements

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

    def representative_elements(self):
        """Return those of both groups, the other staying at its identity."""
        first = self.first.representative_elements() * self.second.n_elements
        return torch.cat([first, self.second.representative_elements()])

    def affine_map(self, g):
        """Return M and b of (T_g x)(r) = x(M r + b), or None.

        Parameters
        ----------
        g : int or torch.Tensor of shape (n,)
            Elements.

        Returns
        -------
        maps : torch.Tensor of shape (n, d, d + 1), float64, or None
            The product of the maps of all groups, if they have them; see
            :meth:`Group.affine_map`.
        """
        maps = [part.affine_map(h) for part, h in self._pairs(g)]
        return None if any(m is None for m in maps) else compose(maps)

    def _pairs(self, g):
        """Return the parts, each with its elements."""
        elements, g = [], torch.as_tensor(g).reshape(-1)
        for part in reversed(self.parts):
            elements.append(g % part.n_elements)
            g = g // part.n_elements
        return list(zip(self.parts, reversed(elements), strict=True))

    def _steps(self, g):
        """Return (groups, elements, map), the last of them acting first.

        Either a group and its elements, or several that interpolate once by a map.
        """
        actions = [(part, h, part.affine_map(h)) for part, h in self._pairs(g)]
        steps = []
        for affine, neighbours in groupby(actions, lambda a: a[2] is not None):
            run = list(neighbours)
            parts = [part for part, _, _ in run]
            if affine and len(run) > 1 and not all(part.is_exact for part in parts):
                steps.append((parts, None, compose(maps for _, _, maps in run)))
            else:
                steps += [([part], h, None) for part, h, _ in run]
        return steps

    def _transform(self, x, g):
        for parts, h, maps in reversed(self._steps(g)):
            if maps is None:
                x = parts[0]._transform(x, h)
            else:
                x = resample(x, maps, finest(parts) or "bilinear")
        return x

    def _inverse_transform(self, x, g):
        for parts, h, maps in self._steps(g):
            if maps is None:
                x = parts[0]._inverse_transform(x, h)
            else:
                x = resample(x, invert(maps), finest(parts) or "bilinear")
        return x
