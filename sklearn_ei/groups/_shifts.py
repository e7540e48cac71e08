"""Cyclic shifts of signals and images."""

import math
from numbers import Integral

import torch
from sklearn.utils import check_scalar

from ._base import Group


class Shifts(Group):
    """Cyclic shifts by whole pixels, along every spatial axis.

    Parameters
    ----------
    max_shift : int, default=None
        Largest shift along each axis, in pixels and in either direction. None:
        all shifts, which makes the group whole.

    Attributes
    ----------
    n_elements : int or None
        Order of the group, ``prod(image_shape)`` for all shifts. None until
        :meth:`resolve` has fixed the images' shape.
    is_exact : bool
        True: shifts permute pixels.

    Notes
    -----
    (T_g x)[i] = x[(i − g) mod N]. Chen et al. (ICCV 2021) use shifts for
    inpainting. With ``max_shift`` the elements are a set that holds its
    inverses, but not its products.

    Examples
    --------
    >>> import torch
    >>> from sklearn_ei.groups import Shifts
    >>> group = Shifts().resolve((5,))
    >>> group.n_elements
    5
    >>> group.transform(torch.arange(5.0).reshape(1, 1, 5), 2).flatten().tolist()
    [3.0, 4.0, 0.0, 1.0, 2.0]
    """

    is_exact = True

    def __init__(self, max_shift=None):
        self.max_shift = max_shift

    def _check_params(self, image_shape):
        if self.max_shift is not None:
            check_scalar(self.max_shift, "max_shift", Integral, min_val=1)

    @property
    def _counts(self):
        """Number of different shifts along each axis."""
        if self.max_shift is None:
            return self._image_shape
        return tuple(min(n, 2 * self.max_shift + 1) for n in self._image_shape)

    @property
    def is_all_shifts(self):
        """Whether the elements are the cyclic shifts by whole pixels, all of them."""
        return self._image_shape is not None and self._counts == self._image_shape

    @property
    def n_elements(self):
        """Order of the group, or None while the images' shape is open."""
        return None if self._image_shape is None else math.prod(self._counts)

    def offsets(self, g):
        """Return the shifts of elements ``g`` in pixels, shape (len(g), n_axes).

        Offsets 0, 1, … come before the negative ones, as in ``numpy.fft.fftfreq``.
        """
        g = torch.as_tensor(g)
        offsets = []
        for count in reversed(self._counts):
            offset = g % count
            offsets.append(offset - count * (offset > count // 2))
            g = g // count
        return torch.stack(offsets[::-1], -1)

    def elements(self, offsets):
        """Return the elements that shift by ``offsets``, shape (n, n_axes)."""
        g = 0
        for count, offset in zip(
            self._counts, torch.as_tensor(offsets).unbind(-1), strict=True
        ):
            g = g * count + offset % count
        return g

    def generators(self):
        """Return the shifts by one pixel along each axis."""
        return self.elements(torch.eye(len(self._counts), dtype=torch.int64))

    def representative_elements(self):
        """Return shifts by one, two and four pixels along each axis.

        Small ones: large ones move the image across its border, which
        instruments do not.

        Returns
        -------
        g : torch.Tensor of shape (n,), int64
        """
        offsets = self.offsets(self.generators())
        chosen = torch.cat([self.elements(k * offsets) for k in (1, 2, 4)])
        chosen = [g for g in dict.fromkeys(chosen.tolist()) if g != 0]
        return torch.tensor(chosen, dtype=torch.int64)

    def _transform(self, x, g):
        offsets = self.offsets(g)
        for axis, offset in enumerate(offsets.unbind(-1), start=2):
            size = x.shape[axis]
            index = (torch.arange(size, device=x.device) - offset[:, None]) % size
            shape = [1] * x.ndim
            shape[0], shape[axis] = len(x), size
            x = x.gather(axis, index.reshape(shape).expand_as(x))
        return x
