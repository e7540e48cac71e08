"""Mirror images."""

from numbers import Integral

import torch
import torch.nn.functional as F

from ..utils.params import brief
from ._base import Group


class Reflections(Group):
    """Reflections of signals and images about their centre, along chosen axes.

    Parameters
    ----------
    axes : int or tuple of int, default=-1
        Spatial axes along which images may be reversed; negative ones count
        from the last. The default swaps left and right; ``(-2, -1)`` has all
        four combinations of upside down and left-right.

    Attributes
    ----------
    n_elements : int
        Order of the group, 2ᵏ for k axes.
    is_exact : bool
        True: reflections permute pixels.

    Notes
    -----
    (T_g x)[i] = x[N − 1 − i] along the j-th of the ``axes`` where bit j of g is
    set.

    Examples
    --------
    >>> import torch
    >>> from sklearn_ei.groups import Reflections
    >>> x = torch.arange(4.0).reshape(1, 1, 2, 2)
    >>> Reflections().transform(x, 1)[0, 0].tolist()
    [[1.0, 0.0], [3.0, 2.0]]
    >>> Reflections(axes=(0, 1)).transform(x, 3)[0, 0].tolist()
    [[3.0, 2.0], [1.0, 0.0]]
    """

    is_exact = True

    def __init__(self, axes=-1):
        self.axes = axes

    @property
    def _axes(self):
        return (self.axes,) if isinstance(self.axes, Integral) else tuple(self.axes)

    @property
    def n_elements(self):
        """Order of the group."""
        return 2 ** len(self._axes)

    def _check_params(self, image_shape):
        n_dims = len(image_shape)
        try:
            valid = all(
                isinstance(axis, Integral)
                and not isinstance(axis, bool)
                and -n_dims <= axis < n_dims
                for axis in self._axes
            )
        except TypeError:
            valid = False
        if not valid:
            raise ValueError(
                f"Got axes={brief(self.axes)}, but expected axes from {-n_dims} to "
                f"{n_dims - 1} of images of shape {image_shape}."
            )
        if not 0 < len({axis % n_dims for axis in self._axes}) == len(self._axes):
            raise ValueError(
                f"Got axes={brief(self.axes)}, but expected one or more different axes "
                f"of images of shape {image_shape}."
            )

    def generators(self):
        """Return the reflections along one axis each."""
        return 2 ** torch.arange(len(self._axes))

    def affine_map(self, g):
        """Return M and b of (T_g x)(r) = x(M r + b): M = diag(±1), b = 0.

        Parameters
        ----------
        g : int or torch.Tensor of shape (n,)
            Elements of a group whose ``image_shape`` is known.

        Returns
        -------
        maps : torch.Tensor of shape (n, d, d + 1), float64
            See :meth:`Group.affine_map`.
        """
        g, n_dims = torch.as_tensor(g).reshape(-1), len(self._fixed_shape())
        signs = torch.ones((len(g), n_dims), dtype=torch.float64, device=g.device)
        for bit, axis in enumerate(self._axes):
            signs[:, axis] = 1.0 - 2 * ((g >> bit) % 2)
        return F.pad(torch.diag_embed(signs), (0, 1))

    def _transform(self, x, g):
        n_dims = x.ndim - 2
        for bit, axis in enumerate(self._axes):
            reverse = (g >> bit) % 2 == 1
            x = torch.where(
                reverse.reshape(-1, *[1] * (x.ndim - 1)), x.flip(2 + axis % n_dims), x
            )
        return x
