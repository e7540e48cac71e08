"""Zooms of 2-D images about their centre."""

from functools import lru_cache
from numbers import Real

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.utils import check_scalar

from ..utils.device import table
from ..utils.params import brief
from ._affine import AffineGroup


@lru_cache(maxsize=64)
def _with_reciprocals(factors, reciprocals):
    """Return 1, the factors and, if wanted, their reciprocals, each one once."""
    scales = [1.0]
    for factor in factors:
        pair = (factor, 1 / factor) if reciprocals else (factor,)
        scales += [s for s in pair if not np.isclose(s, scales).any()]
    return tuple(scales)


class Scalings(AffineGroup):
    """Zooms of 2-D images by a finite set of factors, and their reciprocals.

    Parameters
    ----------
    factors : array-like of shape (n_factors,), default=(0.5, 0.75)
        Factors s > 0: above 1 enlarges what is in the image, below 1 shrinks it.
        The identity is added.
    reciprocals : bool, default=True
        Whether the reciprocals 1/s that are missing are added as well. Without
        them, images are only shrunk (or only enlarged).
    interpolation : {"bilinear", "bicubic", "nearest"}, default="bilinear"
        How values between pixels are found; outside the image they are zero.

    Attributes
    ----------
    n_elements : int
        The identity, the factors and, with ``reciprocals``, theirs.
    is_exact : bool
        False: zooms are interpolated, and lose fine detail or borders.

    Notes
    -----
    (T_g x)(r) = x(r/s), with r from the image's centre, and no filter against
    aliasing. The elements are a set that holds its inverses (with
    ``reciprocals``; T_g⁻¹ is there in any case), but not its products. Images
    whose measurements lack high frequencies can be learnt from zooms, not from
    rotations or shifts [1]_; there, images are shrunk to 0.5 and 0.75. What is
    shrunk brings low frequencies, which are known well, to high ones.

    References
    ----------
    .. [1] J. Scanvic, M. Davies, P. Abry and J. Tachella, "Scale-Equivariant
       Imaging: Self-Supervised Learning for Image Super-Resolution and
       Deblurring", arXiv:2312.11232.

    Examples
    --------
    >>> import torch
    >>> from sklearn_ei.groups import Scalings
    >>> group = Scalings([0.5])
    >>> group.scales([0, 1, 2]).tolist()
    [1.0, 0.5, 2.0]
    >>> group.transform(torch.ones(1, 1, 4, 4), 1)[0, 0].tolist()
    [[0.0, 0.0, 0.0, 0.0],
     [0.0, 1.0, 1.0, 0.0],
     [0.0, 1.0, 1.0, 0.0],
     [0.0, 0.0, 0.0, 0.0]]
    """

    def __init__(
        self,
        factors=(0.5, 0.75),
        *,
        reciprocals=True,
        interpolation="bilinear",
    ):
        self.factors = factors
        self.reciprocals = reciprocals
        self.interpolation = interpolation

    @property
    def _scales(self):
        factors = np.asarray(self.factors, dtype=float).tolist()
        return _with_reciprocals(tuple(factors), self.reciprocals)

    @property
    def n_elements(self):
        """Number of elements."""
        return len(self._scales)

    def _check_params(self, image_shape):
        factors = self.factors
        try:
            valid = all(isinstance(s, Real) and 0 < s < np.inf for s in factors)
        except TypeError:
            valid = False
        if not valid or len(factors) == 0:
            raise ValueError(
                f"Got factors={brief(factors)}, but expected a list of finite positive "
                "numbers."
            )
        if np.isclose(factors, 1).any():
            raise ValueError(
                f"Got factors={brief(factors)}, but expected none equal to 1: the "
                "identity is element 0 already."
            )
        check_scalar(self.reciprocals, "reciprocals", bool)
        super()._check_params(image_shape)
        if len(image_shape) != 2:
            raise ValueError(
                f"Scalings act on 2-D images, but got images of shape {image_shape}; "
                "use Shifts or Reflections for 1-D signals."
            )

    def scales(self, g):
        """Return the factors s of elements ``g``."""
        g = torch.as_tensor(g)
        return table(self._scales, g.device)[g]

    def affine_map(self, g):
        """Return M and b of (T_g x)(r) = x(M r + b): M = I/s, b = 0.

        Parameters
        ----------
        g : int or torch.Tensor of shape (n,)
            Elements.

        Returns
        -------
        maps : torch.Tensor of shape (n, 2, 3), float64
            See :meth:`Group.affine_map`.
        """
        inverse = (1 / self.scales(g)).reshape(-1, 1).expand(-1, 2)
        return F.pad(torch.diag_embed(inverse), (0, 1))
