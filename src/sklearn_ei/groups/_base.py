"""The contract of symmetry groups, and what every one of them shares."""

from abc import ABCMeta, abstractmethod

import torch
from sklearn.base import BaseEstimator, clone


class Group(BaseEstimator, metaclass=ABCMeta):
    """Base class of finite groups {T_1, …, T_|G|} that act on images.

    Elements are numbered 0 … ``n_elements`` − 1, 0 being the identity, and are
    passed as an integer tensor with one element per sample. Images are tensors
    ``(batch, channel, *image_shape)``; channels move together.

    A subclass supplies ``n_elements``, ``_transform``, ``inverse``,
    ``generators`` and, where the image's shape matters, ``_check_shape``.
    """

    #: Whether T is a true unitary representation, rather than interpolated.
    is_exact = False

    _image_shape = None

    # ------------------------------------------------------------------ shapes
    def resolve(self, image_shape):
        """Return a copy that acts on images of one shape.

        Parameters
        ----------
        image_shape : tuple of int
            Spatial shape of the images.

        Returns
        -------
        group : Group
            The copy, whose ``n_elements`` is known.

        Raises
        ------
        ValueError
            If the group cannot act on such images.
        """
        self._check_params(tuple(image_shape))
        resolved = clone(self)
        resolved._image_shape = tuple(image_shape)
        return resolved

    @abstractmethod
    def _check_params(self, image_shape):
        """Refuse wrong parameters, and images the group cannot act on."""

    # ---------------------------------------------------------------- elements
    def sample(self, generator, size, n_transforms=1):
        """Draw elements other than the identity, for each of ``size`` samples.

        Parameters
        ----------
        generator : torch.Generator
            Source of randomness, on the CPU.
        size : int
            Number of samples.
        n_transforms : int, default=1
            Elements for each sample. They differ from each other: the elements
            are cut into ``n_transforms`` equal runs, and one is drawn from each.

        Returns
        -------
        g : torch.Tensor of shape (size * n_transforms,), int64
            The ``n_transforms`` elements of one sample are adjacent.

        Raises
        ------
        ValueError
            If the group has fewer elements than asked for.
        """
        n_others = self.n_elements - 1
        if not 1 <= n_transforms <= n_others:
            raise ValueError(
                f"{self} has {n_others} element(s) besides the identity, but "
                f"n_transforms={n_transforms} different ones were asked for."
            )
        bounds = torch.arange(n_transforms + 1) * n_others // n_transforms
        uniform = torch.rand(
            (size, n_transforms), generator=generator, dtype=torch.float64
        )
        widths = (bounds[1:] - bounds[:-1]).double()
        return (1 + bounds[:-1] + (uniform * widths).long()).reshape(-1)

    @abstractmethod
    def inverse(self, g):
        """Return the elements inverse to ``g``, an integer tensor."""

    @abstractmethod
    def generators(self):
        """Return elements that generate the group, as an integer tensor."""

    # ------------------------------------------------------------------ action
    @abstractmethod
    def _transform(self, x, g):
        """T_g x with one element per sample."""

    def _checked(self, x, g):
        g = torch.as_tensor(g, dtype=torch.int64).reshape(-1)
        if len(g) not in (1, len(x)):
            raise ValueError(
                f"{type(self).__name__} got {len(g)} elements for {len(x)} samples, "
                "but expected one element for each sample, or one for all."
            )
        if self._image_shape is not None and tuple(x.shape[2:]) != self._image_shape:
            raise ValueError(
                f"{type(self).__name__} got images of shape {tuple(x.shape)}, but "
                f"expected (batch, channel, *{self._image_shape})."
            )
        return g.expand(len(x)).to(x.device)

    def transform(self, x, g):
        """Return T_g x.

        Parameters
        ----------
        x : torch.Tensor of shape (batch, channel, *image_shape)
            Images.
        g : int or torch.Tensor of shape (batch,) or (1,)
            Elements, one for each sample or one for all.

        Returns
        -------
        torch.Tensor of the shape of ``x``
        """
        return self._transform(x, self._checked(x, g))

    def adjoint(self, x, g):
        """Return T_gᵀ x, with the Euclidean transpose of :meth:`transform`.

        For interpolated actions this is not the action of the inverse. The
        default takes it from autograd, exactly, since T_g is linear.

        Parameters
        ----------
        x : torch.Tensor of shape (batch, channel, *image_shape)
            Images.
        g : int or torch.Tensor of shape (batch,) or (1,)
            Elements, one for each sample or one for all.

        Returns
        -------
        torch.Tensor of the shape of ``x``
        """
        g = self._checked(x, g)
        with torch.enable_grad():
            point = torch.zeros_like(x, requires_grad=True)
            image = self._transform(point, g)
            (result,) = torch.autograd.grad(
                image, point, x, create_graph=x.requires_grad
            )
        return result
