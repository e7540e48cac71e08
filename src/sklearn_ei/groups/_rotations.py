"""Rotations of 2-D images about their centre."""

from numbers import Integral

import torch
import torch.nn.functional as F
from sklearn.utils import check_scalar

from ..utils._params import check_option
from ._base import Group

_INTERPOLATIONS = ("bilinear", "bicubic", "nearest")


class Rotations(Group):
    """Rotations of 2-D images by multiples of 360°/n_elements.

    Parameters
    ----------
    n_elements : int, default=360
        Order of the group: element k turns by k · 360°/n_elements, counter-
        clockwise as displayed (as ``numpy.rot90`` and
        ``skimage.transform.rotate`` do).
    interpolation : {"bilinear", "bicubic", "nearest"}, default="bilinear"
        How values between pixels are found; outside the image they are zero.

    Attributes
    ----------
    is_exact : bool
        True for quarter turns (``n_elements`` 1, 2 or 4, square images), which
        only permute pixels. All others are interpolated: T_gᵀ differs from
        T_{−g}, and composition holds approximately.

    Notes
    -----
    (T_g x)(r) = x(R_{−g} r), with r from the image's centre. Chen et al. (ICCV
    2021) use 360 rotations, bilinear, for computed tomography.

    Examples
    --------
    >>> import torch
    >>> from sklearn_ei.groups import Rotations
    >>> x = torch.arange(4.0).reshape(1, 1, 2, 2)
    >>> Rotations(4).transform(x, 1)[0, 0].tolist()
    [[1.0, 3.0], [0.0, 2.0]]
    """

    def __init__(self, n_elements=360, *, interpolation="bilinear"):
        self.n_elements = n_elements
        self.interpolation = interpolation

    @property
    def is_exact(self):
        """Whether the action is an exact, unitary representation."""
        square = self._image_shape is None or len(set(self._image_shape)) == 1
        return self.n_elements in (1, 2) or (self.n_elements == 4 and square)

    def _check_params(self, image_shape):
        check_scalar(self.n_elements, "n_elements", Integral, min_val=1)
        check_option("interpolation", self.interpolation, _INTERPOLATIONS)
        if len(image_shape) != 2:
            raise ValueError(
                f"Rotations act on 2-D images, but got images of shape {image_shape}; "
                "use Shifts for 1-D signals."
            )

    def angles(self, g):
        """Return the angles of elements ``g`` in degrees."""
        return torch.as_tensor(g) * (360.0 / self.n_elements)

    def inverse(self, g):
        """Return the elements inverse to ``g``."""
        return (-torch.as_tensor(g)) % self.n_elements

    def generators(self):
        """Return the smallest rotation, which generates the group."""
        return torch.tensor([1 % self.n_elements])

    def _transform(self, x, g):
        if self.is_exact and x.shape[-1] == x.shape[-2]:
            quarter_turns = (g * (4 // self.n_elements)).tolist()
            return torch.stack(
                [
                    torch.rot90(image, k, (-2, -1))
                    for image, k in zip(x, quarter_turns, strict=True)
                ]
            )
        height, width = x.shape[-2:]
        angle = torch.deg2rad(self.angles(g).double())
        cos, sin, zero = angle.cos(), angle.sin(), torch.zeros_like(angle)
        # Sampling positions in grid_sample's units, where each axis runs from
        # −1 to 1 whatever its length.
        theta = torch.stack(
            [
                torch.stack([cos, -sin * (height / width), zero], dim=-1),
                torch.stack([sin * (width / height), cos, zero], dim=-1),
            ],
            dim=-2,
        )
        grid = F.affine_grid(theta.to(x.dtype), x.shape, align_corners=False)
        return F.grid_sample(
            x,
            grid,
            mode=self.interpolation,
            padding_mode="zeros",
            align_corners=False,
        )
