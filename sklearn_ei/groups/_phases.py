"""Symmetries of complex images: global phases, and conjugation."""

import math
from numbers import Integral

import torch
from sklearn.utils import check_scalar

from ._base import Group


class _OfComplexImages(Group):
    """Groups that act on real and imaginary part, and move no pixel."""

    is_exact = True
    mixes_channels = True

    def _parts(self, x):
        """Return the real and the imaginary parts of images."""
        if x.shape[1] % 2:
            raise ValueError(
                f"{type(self).__name__} got images with {x.shape[1]} channel(s), but "
                "expected complex images: an even number, real and imaginary parts."
            )
        return x[:, ::2], x[:, 1::2]

    @staticmethod
    def _channels(real, imaginary):
        return torch.stack([real, imaginary], dim=2).flatten(1, 2)


class Phases(_OfComplexImages):
    """Global phases of complex images, T_g x = e^{iφ} x with φ = 2πg/n_elements.

    The phase of a scan as a whole is an accident: of the receiver, of when it began.

    Parameters
    ----------
    n_elements : int, default=8
        Number of equally spaced phases.

    Attributes
    ----------
    is_exact : bool
        True: phases are unitary, and multiply exactly.

    Notes
    -----
    With channels (a, b) for a + ib,

        (a, b) → (a cos φ − b sin φ, a sin φ + b cos φ),

    the same for every pair of channels. Operators that are linear over the complex
    numbers, such as :class:`~sklearn_ei.operators.MRI`, commute with phases: alone
    they teach nothing about the null space, as :func:`~sklearn_ei.check_group_rank`
    says. In products such as ``Rotations(360) * Phases()`` they make f learn that
    the phase of an image does not matter.

    Examples
    --------
    >>> import torch
    >>> from sklearn_ei.groups import Phases
    >>> x = torch.tensor([3.0, 4.0]).reshape(1, 2, 1, 1)  # 3 + 4i
    >>> Phases(4).transform(x, 1).flatten().round().tolist()  # times i
    [-4.0, 3.0]
    """

    def __init__(self, n_elements=8):
        self.n_elements = n_elements

    def _check_params(self, image_shape):
        check_scalar(self.n_elements, "n_elements", Integral, min_val=1)

    def generators(self):
        """Return the smallest phase, which generates the group."""
        return torch.arange(min(1, self.n_elements - 1), min(2, self.n_elements))

    def _transform(self, x, g):
        real, imaginary = self._parts(x)
        angle = g.double() * (2 * math.pi / self.n_elements)
        shape = (-1, *[1] * (x.ndim - 1))
        cos, sin = (f(angle).to(x.dtype).reshape(shape) for f in (torch.cos, torch.sin))
        return self._channels(
            real * cos - imaginary * sin, real * sin + imaginary * cos
        )


class Conjugation(_OfComplexImages):
    """Complex conjugation of images: element 1 changes the sign of imaginary parts.

    Where phases of images are as likely as their opposites. In k-space, conjugation
    carries what was measured at a frequency to the opposite one: it teaches
    something where the mask is not symmetric about the centre.

    Attributes
    ----------
    n_elements : int
        2.
    is_exact : bool
        True: conjugation is its own inverse and, over the real numbers, linear.

    Examples
    --------
    >>> import torch
    >>> from sklearn_ei.groups import Conjugation
    >>> x = torch.tensor([3.0, 4.0]).reshape(1, 2, 1, 1)  # 3 + 4i
    >>> Conjugation().transform(x, 1).flatten().tolist()
    [3.0, -4.0]
    """

    n_elements = 2

    def _transform(self, x, g):
        real, imaginary = self._parts(x)
        sign = (1 - 2 * g).to(x.dtype).reshape(-1, *[1] * (x.ndim - 1))
        return self._channels(real, imaginary * sign)
