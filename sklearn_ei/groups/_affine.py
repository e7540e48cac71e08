"""Groups that move pixels by affine maps, interpolating once."""

from abc import abstractmethod

from ..utils.params import check_option
from ._base import Group
from ._resample import INTERPOLATIONS, invert, resample


class AffineGroup(Group):
    """Base class of groups that act by affine maps of coordinates, interpolated.

    A subclass supplies ``n_elements`` and :meth:`affine_map`, the identity being
    element 0; ``interpolation`` is ``"bilinear"`` unless it says otherwise. T_g⁻¹
    interpolates with the inverse map.

    Notes
    -----
    (T_g x)(r) = x(M_g r + b_g), with r from the image's centre and zero outside.
    No filter against aliasing is applied where images shrink. Images have one,
    two or three axes, with ``"bicubic"`` one or two. That is cubic convolution
    (R. Keys, IEEE Transactions on Acoustics, Speech, and Signal Processing
    29(6), 1981) with a = −0.75, torch's.

    Products of affine groups interpolate once, with the product of their maps.

    Examples
    --------
    Signals whose length is known within ten percent:

    >>> import torch
    >>> from sklearn_ei.groups import AffineGroup
    >>> class Stretches(AffineGroup):
    ...     n_elements = 3
    ...
    ...     def affine_map(self, g):
    ...         stretch = torch.tensor([1, 1.1, 1 / 1.1], dtype=torch.float64)
    ...         stretch = stretch.to(g.device)[g]
    ...         return torch.stack([1 / stretch, 0 * stretch], -1)[:, None]
    >>> group = Stretches().resolve((5,))
    >>> y = group.transform(torch.arange(5.0).reshape(1, 1, 5), 1)
    >>> y.flatten().round(decimals=2)
    tensor([0.1800, 1.0900, 2.0000, 2.9100, 3.8200])
    """

    interpolation = "bilinear"

    @abstractmethod
    def affine_map(self, g):
        """Return M and b of (T_g x)(r) = x(M r + b).

        Parameters
        ----------
        g : torch.Tensor of shape (n,)
            Elements.

        Returns
        -------
        maps : torch.Tensor of shape (n, d, d + 1), float64
            M and, in the last column, b, on the device of ``g``; see
            :meth:`Group.affine_map`.
        """

    def _check_params(self, image_shape):
        check_option("interpolation", self.interpolation, INTERPOLATIONS)
        most = 2 if self.interpolation == "bicubic" else 3
        if len(image_shape) > most:
            raise ValueError(
                f"{self} with interpolation={self.interpolation!r} got images of shape "
                f"{image_shape}, but expected at most {most} axes."
            )

    def _transform(self, x, g):
        return resample(x, self.affine_map(g), self.interpolation)

    def _inverse_transform(self, x, g):
        return resample(x, invert(self.affine_map(g)), self.interpolation)
