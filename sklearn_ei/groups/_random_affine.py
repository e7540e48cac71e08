"""Random tilts, zooms, shears, shifts and mirror images."""

import math
from functools import lru_cache
from numbers import Integral, Real

import numpy as np
import torch
from sklearn.utils import check_random_state, check_scalar

from ..utils.device import settled
from ..utils.params import brief
from ._affine import AffineGroup


# Shared by clones and rebuilt rather than pickled.
@lru_cache(maxsize=16)
def _draw_maps(device, *, n_elements, tilt, zoom, shear, shifts, mirror, seed):
    """Return M and b of all elements, shape (n, d, d + 1), the identity first.

    ``shifts`` are the largest ones in pixels, one for each axis.
    """
    n_dims = len(shifts)
    # A row for each element, whose columns have their meanings for good: an
    # element stays what it is if there are more of them, or more is varied.
    u = check_random_state(seed).uniform(size=(n_elements - 1, 6))

    def between(bounds, column):
        low, high = bounds
        return low + (high - low) * u[:, column]

    content = np.zeros((len(u), n_dims, n_dims))
    content[:] = np.eye(n_dims)
    if mirror:
        content[:, -1, -1] = np.where(u[:, 3] < 0.5, -1.0, 1.0)
    if n_dims == 2:
        angle = np.deg2rad(between(tilt, 0))
        cos, sin = np.cos(angle), np.sin(angle)
        rotation = np.moveaxis(np.array([[cos, -sin], [sin, cos]]), -1, 0)
        slope = np.tan(np.deg2rad(between(shear, 2)))
        one, zero = np.ones_like(slope), np.zeros_like(slope)
        sheared = np.moveaxis(np.array([[one, zero], [-slope, one]]), -1, 0)
        content = rotation @ sheared @ content
    content *= between(zoom, 1)[:, None, None]
    shift = np.stack([between((-s, s), 4 + k) for k, s in enumerate(shifts)], -1)
    matrix = np.linalg.inv(content)
    maps = np.concatenate([matrix, -matrix @ shift[..., None]], -1)
    identity = np.eye(n_dims, n_dims + 1)[None]
    return settled(torch.from_numpy(np.concatenate([identity, maps])).to(device))


class RandomAffine(AffineGroup):
    """Random affine maps of images and signals: tilts, zooms, shears, shifts.

    Every element does all of it at once, by one interpolation.

    Parameters
    ----------
    n_elements : int, default=4096
        Number of elements, with the identity.
    degrees : float or (float, float), default=12
        Range of the angles, counter-clockwise, in degrees; a number d means
        (−d, d). Images only: signals are not turned.
    scale : (float, float), default=(0.7, 1.0)
        Range of the zooms s > 0: below 1 shrinks what is in the image.
    shear : float or (float, float), default=0
        Range of the shears in degrees; a number d means (−d, d). By an angle φ,
        what lies h pixels above the centre moves h · tan φ to the right. Images
        only.
    translate : float or tuple of float, default=0
        Largest shift, in either direction, as a share of the image's length:
        one number for every axis, or one for each, in the order of their axes.
        What leaves the image is lost, as nothing is known beyond the border; for
        cyclic shifts, multiply by :class:`Shifts`.
    mirror : bool, default=False
        Whether half of the elements swap left and right, to begin with.
    interpolation : {"bicubic", "bilinear", "nearest"}, default="bicubic"
        How values between pixels are found; outside the image they are zero.
    random_state : int, default=0
        Seed of the maps. An integer, so that clones have the same ones.

    Attributes
    ----------
    is_exact : bool
        False: the action is interpolated, and loses fine detail or borders.

    Notes
    -----
    What is at r, in pixels from the centre, moves to A_g r + t_g with

        A_g = s R_θ H_φ F,

    a mirror image F or not, then a shear H_φ, a rotation R_θ and a zoom s; so
    (T_g x)(r) = x(A_g⁻¹ (r − t_g)). All are drawn uniformly, independently of
    each other. No filter against aliasing is applied.

    The maps are too many to number: the elements are a random sample of them.
    It holds neither inverses nor products, but T_g⁻¹ interpolates with the
    inverse map. Element k is the same map however many elements there are.

    The names are those of ``torchvision.transforms.RandomAffine``. Zooms of 0.7
    to 1 and tilts of up to 12° are what taught most on CT slices that all lie
    alike. Shrinking brings coarse detail, which is known well, to where fine
    detail was.

    Examples
    --------
    >>> import torch
    >>> from sklearn_ei.groups import RandomAffine
    >>> group = RandomAffine(degrees=30, scale=(0.5, 0.5)).resolve((64, 64))
    >>> group.affine_map(torch.tensor([0, 1])).round(decimals=2)
    tensor([[[ 1.0000,  0.0000,  0.0000],
             [ 0.0000,  1.0000,  0.0000]],
    ...
    >>> signals = torch.rand(3, 1, 50)
    >>> g = torch.tensor([1, 2, 3])
    >>> RandomAffine(translate=0.2).transform(signals, g).shape
    torch.Size([3, 1, 50])
    """

    def __init__(
        self,
        n_elements=4096,
        *,
        degrees=12,
        scale=(0.7, 1.0),
        shear=0,
        translate=0,
        mirror=False,
        interpolation="bicubic",
        random_state=0,
    ):
        self.n_elements = n_elements
        self.degrees = degrees
        self.scale = scale
        self.shear = shear
        self.translate = translate
        self.mirror = mirror
        self.interpolation = interpolation
        self.random_state = random_state

    def _check_params(self, image_shape):
        check_scalar(self.n_elements, "n_elements", Integral, min_val=1)
        check_scalar(self.mirror, "mirror", bool)
        check_scalar(self.random_state, "random_state", Integral, min_val=0)
        if len(image_shape) > 2:
            raise ValueError(
                "RandomAffine acts on 1-D signals and 2-D images, but got images of "
                f"shape {image_shape}."
            )
        super()._check_params(image_shape)
        tilt = _range("degrees", self.degrees)
        shear = _range("shear", self.shear, limit=90)
        zoom = _range("scale", self.scale, positive=True)
        shifts = self._shares(len(image_shape))
        varied = [zoom, *((-share, share) for share in shifts)]
        if len(image_shape) == 2:
            varied += [tilt, shear]
        if self.n_elements > 1 and all(low == high for low, high in varied):
            raise ValueError(
                f"Got {self}, whose elements are the same on images of shape "
                f"{image_shape}, but expected a range that is wider than one number; "
                "use Reflections for mirror images alone."
            )

    def _shares(self, n_dims):
        """Return ``translate`` for each axis."""
        shares = self.translate
        shares = (shares,) * n_dims if isinstance(shares, Real) else shares
        if not _are_numbers(shares, n_dims) or not all(0 <= s < 1 for s in shares):
            raise ValueError(
                f"Got translate={brief(self.translate)}, but expected a share of the "
                f"image's length from 0 to below 1, or {n_dims} of them, one for each "
                "axis."
            )
        return tuple(map(float, shares))

    def affine_map(self, g):
        """Return M and b of (T_g x)(r) = x(M r + b): M = A_g⁻¹, b = −A_g⁻¹ t_g.

        Parameters
        ----------
        g : int or torch.Tensor of shape (n,)
            Elements of a group whose ``image_shape`` is known.

        Returns
        -------
        maps : torch.Tensor of shape (n, d, d + 1), float64
            See :meth:`Group.affine_map`.
        """
        g, shape = torch.as_tensor(g).reshape(-1), self._fixed_shape()
        shares = self._shares(len(shape))
        maps = _draw_maps(
            g.device,
            n_elements=int(self.n_elements),
            tilt=_range("degrees", self.degrees),
            zoom=_range("scale", self.scale, positive=True),
            shear=_range("shear", self.shear, limit=90),
            shifts=tuple(s * size for s, size in zip(shares, shape, strict=True)),
            mirror=self.mirror,
            seed=int(self.random_state),
        )
        return maps[g]


def _are_numbers(values, count):
    try:
        values = tuple(values)
    except TypeError:
        return False
    return len(values) == count and all(
        isinstance(v, Real) and math.isfinite(v) for v in values
    )


def _range(name, value, limit=math.inf, positive=False):
    """Return (low, high), of which a number d means (−d, d)."""
    bounds = (-value, value) if isinstance(value, Real) and not positive else value
    if not _are_numbers(bounds, 2):
        valid = False
    else:
        low, high = map(float, bounds)
        valid = low <= high and max(-low, high) < limit and (low > 0 or not positive)
    if not valid:
        expected = (
            "a pair of positive numbers (low, high), the lower one first"
            if positive
            else "a number d for (-d, d), or a pair (low, high), the lower one first"
        )
        below = "" if limit == math.inf else f", between -{limit} and {limit}"
        raise ValueError(f"Got {name}={brief(value)}, but expected {expected}{below}.")
    return low, high
