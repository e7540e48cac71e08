"""Rotations of 2-D images about their centre."""

from functools import lru_cache
from numbers import Integral

import numpy as np
import torch
from sklearn.utils import check_scalar

from ..utils.device import settled, table
from ..utils.params import brief, check_option
from ._affine import AffineGroup
from ._resample import INTERPOLATIONS, quarter_turns, rotate_by_shears

_DEFAULT_ORDER = 360


@lru_cache(maxsize=64)
def _even_degrees(order):
    return tuple(k * (360 / order) for k in range(order))


@lru_cache(maxsize=64)
def _maps(degrees, device):
    """Return R_{−g} and no shift for angles, on (row, column); (n, 2, 3)."""
    angles = np.deg2rad(degrees)
    cos, sin = np.cos(angles), np.sin(angles)
    # Of whole quarter turns, without their rounding errors.
    whole = np.mod(degrees, 90) == 0
    cos[whole], sin[whole] = cos[whole].round(), sin[whole].round()
    rows = np.array([[cos, sin, 0 * cos], [-sin, cos, 0 * cos]])
    return settled(torch.from_numpy(np.moveaxis(rows, -1, 0).copy()).to(device))


class Rotations(AffineGroup):
    """Rotations of 2-D images, by multiples of 360°/n_elements or given angles.

    Parameters
    ----------
    n_elements : int, default=None
        Order of the group: element k turns by k · 360°/n_elements, counter-
        clockwise as displayed (as ``numpy.rot90`` and
        ``skimage.transform.rotate`` do). None: 360, or as many as ``angles``
        make; :meth:`resolve` fills it in.
    angles : array-like of shape (n_angles,), default=None
        Angles in degrees of the elements 1, 2, …, for a set that need not be
        evenly spread. The identity, element 0, is added to them.
    interpolation : {"bilinear", "bicubic", "nearest", "fft"}, default="bilinear"
        How values between pixels are found. ``"fft"`` (square images) shears
        three times in Fourier space: orthogonal, so that T_g⁻¹ = T_gᵀ to
        rounding, but the image is taken as periodic: what leaves it, in the
        corners, comes in at the other side, and sharp edges ring. For the
        others, the image is zero outside.

    Attributes
    ----------
    is_exact : bool
        True if there are only half turns, or quarter turns of square images,
        which permute pixels. All others are interpolated: composition holds
        approximately and, but for ``"fft"``, T_gᵀ differs from T_g⁻¹.

    Notes
    -----
    (T_g x)(r) = x(R_{−g} r), with r from the image's centre. Chen et al. (ICCV
    2021) use 360 rotations, bilinear, for computed tomography. T_g⁻¹ turns by
    the opposite angle, whether or not ``angles`` holds it.

    Examples
    --------
    >>> import torch
    >>> from sklearn_ei.groups import Rotations
    >>> x = torch.arange(4.0).reshape(1, 1, 2, 2)
    >>> Rotations(4).transform(x, 1)[0, 0].tolist()
    [[1.0, 3.0], [0.0, 2.0]]
    >>> Rotations(angles=[-10, 10, 35]).resolve((64, 64)).n_elements
    4
    """

    def __init__(self, n_elements=None, *, angles=None, interpolation="bilinear"):
        self.n_elements = n_elements
        self.angles = angles
        self.interpolation = interpolation

    @property
    def is_exact(self):
        """Whether the action is an exact, unitary representation."""
        shape = self._image_shape
        step = 90 if shape is None or shape[0] == shape[1] else 180
        return not any(angle % step for angle in self._degrees())

    def _degrees(self):
        """Return the angles of all elements in degrees, as a tuple."""
        if self.angles is None:
            return _even_degrees(self.n_elements or _DEFAULT_ORDER)
        return (0.0, *np.asarray(self.angles, dtype=float).tolist())

    def resolve(self, image_shape):
        """Return a copy that acts on images of one shape.

        Parameters
        ----------
        image_shape : tuple of int
            Spatial shape (H, W) of the images.

        Returns
        -------
        group : Rotations
            The copy, whose ``n_elements`` is known.

        Raises
        ------
        TypeError, ValueError
            If a parameter is wrong, or the images are not 2-D (for ``"fft"``,
            not square).
        """
        resolved = super().resolve(image_shape)
        resolved.n_elements = len(self._degrees())
        return resolved

    def _check_params(self, image_shape):
        if self.n_elements is not None:
            check_scalar(self.n_elements, "n_elements", Integral, min_val=1)
        check_option("interpolation", self.interpolation, (*INTERPOLATIONS, "fft"))
        if self.angles is not None:
            self._check_angles()
        if len(image_shape) != 2:
            raise ValueError(
                f"Rotations act on 2-D images, but got images of shape {image_shape}; "
                "use Shifts for 1-D signals."
            )
        if self.interpolation == "fft" and image_shape[0] != image_shape[1]:
            raise ValueError(
                f"Rotations with interpolation='fft' got images of shape {image_shape}"
                ", but expected square ones; 'bilinear' and 'bicubic' take any."
            )

    def _check_angles(self):
        try:
            angles = np.asarray(self.angles, dtype=float)
        except (TypeError, ValueError):
            angles = None
        if angles is None or angles.ndim != 1 or not angles.size:
            raise ValueError(
                f"Got angles={brief(self.angles)}, but expected a list of angles in "
                "degrees."
            )
        if not np.isfinite(angles).all():
            raise ValueError(
                f"Got angles={brief(self.angles)}, but expected finite angles in "
                "degrees."
            )
        turned = angles % 360
        if not turned.all():
            raise ValueError(
                f"Got {angles[turned == 0][0]:g} among the angles, but expected none "
                "that turns by nothing: the identity is element 0 already."
            )
        if len(np.unique(turned)) != len(angles):
            raise ValueError(
                f"Got angles={brief(self.angles)}, but expected them to differ by more "
                "than full turns."
            )
        if self.n_elements not in (None, len(angles) + 1):
            raise ValueError(
                f"Got n_elements={self.n_elements} with {len(angles)} angle(s), but "
                f"expected None, or {len(angles) + 1} with the identity."
            )

    def degrees(self, g):
        """Return the angles of elements ``g`` in degrees."""
        g = torch.as_tensor(g)
        return table(self._degrees(), g.device)[g]

    def generators(self):
        """Return the smallest rotation, or all of given ``angles``."""
        if self.angles is not None:
            return super().generators()
        return torch.tensor([min(1, self.n_elements - 1)])

    @property
    def quarter_turn_step(self):
        """A quarter of the order where that is whole, else None.

        None for ``"fft"`` too, whose shears do not commute with quarter turns.
        """
        order = len(self._degrees())
        sheared = self.interpolation == "fft" and not self.is_exact
        if sheared or self.angles is not None or order % 4:
            return None
        return order // 4

    def affine_map(self, g):
        """Return M and b of (T_g x)(r) = x(M r + b): M = R_{−g}, b = 0.

        Parameters
        ----------
        g : int or torch.Tensor of shape (n,)
            Elements.

        Returns
        -------
        maps : torch.Tensor of shape (n, 2, 3), float64, or None
            See :meth:`Group.affine_map`. None for ``"fft"``, which is periodic.
        """
        if self.interpolation == "fft" and not self.is_exact:
            return None
        g = torch.as_tensor(g).reshape(-1)
        return _maps(self._degrees(), g.device)[g]

    def _rotate(self, x, degrees):
        if self.is_exact:
            return quarter_turns(x, (degrees / 90).round())
        return rotate_by_shears(x, degrees)

    def _transform(self, x, g):
        if self.is_exact or self.interpolation == "fft":
            return self._rotate(x, self.degrees(g))
        return super()._transform(x, g)

    def _inverse_transform(self, x, g):
        if self.is_exact or self.interpolation == "fft":
            return self._rotate(x, -self.degrees(g))
        return super()._inverse_transform(x, g)
