"""The contract of symmetry groups, and what every one of them shares."""

from abc import ABCMeta, abstractmethod
from typing import Self

import torch
from sklearn.base import BaseEstimator, clone

from ..utils.html import FactsMixin, shape_text
from ..utils.params import brief
from ..utils.spread import spread

_SAME_SIZE = 1e-6


class _Adjoint(torch.autograd.Function):
    """T_gᵀ x from autograd, differentiable in x: its derivative is T_g again."""

    @staticmethod
    def forward(ctx, x, group, g):
        ctx.group, ctx.g = group, g
        with torch.enable_grad():
            point = torch.zeros_like(x, requires_grad=True)
            image = group._transform(point, g)
            return torch.autograd.grad(image, point, x)[0]

    @staticmethod
    def backward(ctx, grad):
        return ctx.group._transform(grad, ctx.g), None, None


class Group(FactsMixin, BaseEstimator, metaclass=ABCMeta):
    """Base class of finite groups {T_1, …, T_|G|} that act on images.

    Elements are numbered 0 … ``n_elements`` − 1, 0 being the identity, and are
    passed as an integer tensor with one element per sample. Images are tensors
    ``(batch, channel, *image_shape)``; channels move together, but for groups that say
    ``mixes_channels``. Groups multiply:
    ``Rotations(360) * Reflections()`` is a :class:`ProductGroup`.

    A subclass supplies ``n_elements`` and ``_transform``, which sees checked
    elements on the device of the images, and

    - ``is_exact = True`` if T is unitary, T_g⁻¹ = T_gᵀ. If not, T_g⁻¹, exact
      or interpolated, as ``_inverse_transform``;
    - ``generators``, if fewer elements than all generate the group;
    - ``_check_params``, if parameters or the shape of images can be wrong;
    - ``affine_map``, if T_g moves pixels by an affine map of their coordinates,
      so that products resample once. Where T_g is nothing but that, subclass
      :class:`AffineGroup`;
    - what :func:`~sklearn_ei.check_group_rank` may use to be faster:
      ``is_cyclic``, ``is_all_shifts``, ``quarter_turn_step`` and
      ``representative_elements``.

    Attributes
    ----------
    image_shape : tuple of int or None
        Spatial shape of the images; None until :meth:`resolve` has fixed it.
    n_elements : int or None
        Order of the group. May be None until :meth:`resolve` has fixed the
        images' shape.
    is_exact : bool
        Whether T is a true unitary representation, rather than interpolated:
        T_g⁻¹ = T_gᵀ, and T_g T_h = T_gh wherever gh is an element.
    interpolation : {"nearest", "bilinear", "bicubic", "fft"} or None
        How values between pixels are found; None where none are needed.
    parts : tuple of Group
        The groups of a product, the last acting first; else the group alone.
    is_cyclic : bool
        Whether one element generates the group.
    mixes_channels : bool
        Whether T_g computes with channels, as phases of complex images do, rather than
        doing the same in each.
    is_all_shifts : bool
        Whether the elements are the cyclic shifts by whole pixels, all of them.
    quarter_turn_step : int or None
        k such that T_{g+k} turns square images by 90° (as ``torch.rot90``) after
        T_g, for every g below n_elements − k; None if there is none.

    Examples
    --------
    A group of one's own: images that stay plausible when rows and columns are
    swapped.

    >>> import torch
    >>> from sklearn_ei.groups import Group, Reflections
    >>> class Transpositions(Group):
    ...     n_elements = 2
    ...     is_exact = True
    ...
    ...     def _check_params(self, image_shape):
    ...         if len(image_shape) != 2 or image_shape[0] != image_shape[1]:
    ...             raise ValueError(f"Got {image_shape}, expected square images.")
    ...
    ...     def _transform(self, x, g):
    ...         return torch.where((g == 1).reshape(-1, 1, 1, 1), x.mT, x)
    >>> group = Transpositions().resolve((2, 2))
    >>> x = torch.arange(4.0).reshape(1, 1, 2, 2)
    >>> group.transform(x, 1)[0, 0].tolist()
    [[0.0, 2.0], [1.0, 3.0]]
    >>> group.inverse_transform(group.transform(x, 1), 1).equal(x)
    True
    >>> (Transpositions() * Reflections()).n_elements
    4
    """

    is_exact = False
    interpolation: str | None = None
    mixes_channels: bool = False
    is_all_shifts: bool = False
    quarter_turn_step: int | None = None

    _image_shape = None

    def __str__(self):
        return brief(self, 200)  # messages are one line

    def __dir__(self):
        # scikit-learn's asks for every attribute, and some need correct parameters.
        return object.__dir__(self)

    def _facts(self):
        order = self.n_elements
        yield "elements |G|", "open until the data is seen" if order is None else order
        exact = "exact: T_g⁻¹ = T_gᵀ, and composition holds"
        yield "action", exact if self.is_exact else "interpolated"
        yield "images", shape_text(self._image_shape)

    # ------------------------------------------------------------------ shapes
    @property
    def image_shape(self):
        """Spatial shape of the images, None while it is open."""
        return self._image_shape

    @image_shape.setter
    def image_shape(self, shape):
        self._image_shape = None if shape is None else tuple(shape)

    def resolve(self, image_shape: tuple[int, ...]) -> Self:
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
        resolved.image_shape = image_shape
        return resolved

    def _fixed_shape(self):
        """Return ``image_shape``, refusing if it is open."""
        if self._image_shape is None:
            raise ValueError(
                f"{self} does not know the shape of the images yet: expected a group "
                "returned by resolve(image_shape)."
            )
        return self._image_shape

    def _check_params(self, image_shape):
        """Refuse wrong parameters, and images the group cannot act on."""

    def _resolved(self, x):
        """Return the group for the images ``x``."""
        if self._image_shape is None:
            return self.resolve(x.shape[2:])
        return self

    # ---------------------------------------------------------------- elements
    def sample(
        self, generator: torch.Generator, size: int, n_transforms: int = 1
    ) -> torch.Tensor:
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
            If the group has fewer elements than asked for, or how many it has
            is open until :meth:`resolve`.
        """
        if self.n_elements is None:
            raise ValueError(
                f"{self} does not know its number of elements yet: expected a group "
                "returned by resolve(image_shape)."
            )
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

    def generators(self):
        """Return elements that generate the group, as an integer tensor.

        Where the elements are only a set, not closed under composition, their
        compositions contain all of it.
        """
        return torch.arange(min(1, self.n_elements - 1), self.n_elements)

    @property
    def is_cyclic(self):
        """Whether one element generates the group."""
        return len(self.generators()) == 1

    @property
    def changes_scale(self):
        """Whether T_g shrinks or enlarges what is in an image, as zooms do.

        Of a group whose ``image_shape`` is known, by the maps of its elements.
        """
        sizes = [torch.linalg.det(m).abs() for m in self._representative_matrices()]
        return any(bool(((s - 1).abs() > _SAME_SIZE).any()) for s in sizes)

    @property
    def largest_turn(self):
        """How far the elements turn 2-D images, in degrees from 0 to 180.

        Of a group whose ``image_shape`` is known, by the maps of elements that are
        spread over it; 0 where it does not turn images.
        """
        turns = [0.0]
        for matrices in self._representative_matrices():
            m = matrices[torch.linalg.det(matrices) > 0]  # mirror images are not turned
            if m.shape[-1] == 2 and len(m):
                y, x = m[:, 1, 0] - m[:, 0, 1], m[:, 0, 0] + m[:, 1, 1]
                turns.append(float(torch.rad2deg(torch.atan2(y, x)).abs().max()))
        return max(turns)

    def _representative_matrices(self):
        """Yield the matrices M of representative elements of each part that has any."""
        for part in self.parts:
            g = part.representative_elements()
            maps = part.affine_map(g) if len(g) else None
            if maps is not None:
                yield maps[..., :-1].double()

    def representative_elements(self):
        """Return elements whose action shows what the group is like.

        Up to four generators (of a hundred permutations they would be many), and
        seven elements that are spread over all; never the identity.

        Returns
        -------
        g : torch.Tensor of shape (n,), int64
        """
        chosen = [*self.generators()[:4].tolist(), *spread(self.n_elements, 7)]
        chosen = [g for g in dict.fromkeys(chosen) if g != 0]
        return torch.tensor(chosen, dtype=torch.int64)

    @property
    def parts(self):
        """The groups of a product, the last acting first; else the group alone."""
        return (self,)

    def __mul__(self, other):
        """Return the product, whose elements act as T_g T_h, ``other`` first."""
        from ._product import ProductGroup

        if not isinstance(other, Group):
            return NotImplemented
        # Every way to bracket a product gives the same one.
        product = self
        for part in other.parts:
            product = ProductGroup(product, part)
        return product

    # ------------------------------------------------------------------ action
    @abstractmethod
    def _transform(self, x, g):
        """T_g x with one element per sample."""

    def affine_map(self, g: torch.Tensor) -> torch.Tensor | None:
        """Return M and b of (T_g x)(r) = x(M r + b), if the action is such.

        Products of groups that have them interpolate once, with one map.

        Parameters
        ----------
        g : torch.Tensor of shape (n,), int64
            Elements of a group whose ``image_shape`` is known.

        Returns
        -------
        maps : torch.Tensor of shape (n, d, d + 1), float64, or None
            M and, in the last column, b, on the device of ``g``, for images with
            d axes. r is in pixels from the image's centre, axes in the order of
            ``image_shape``, as :func:`scipy.ndimage.affine_transform` has it.
            Images are zero outside. None: T_g is no affine map of coordinates,
            as for cyclic shifts.
        """
        return None

    def _checked(self, x, g):
        g = torch.as_tensor(g, dtype=torch.int64).reshape(-1)
        if len(g) not in (1, len(x)):
            raise ValueError(
                f"{type(self).__name__} got {len(g)} elements for {len(x)} samples, "
                "but expected one element for each sample, or one for all."
            )
        if tuple(x.shape[2:]) != self._image_shape:
            raise ValueError(
                f"{type(self).__name__} got images of shape {tuple(x.shape)}, but "
                f"expected (batch, channel, *{self._image_shape})."
            )
        # Looking at numbers on a GPU would wait for it.
        if g.device.type == "cpu" and len(g):
            outside = g[(g < 0) | (g >= self.n_elements)]
            if len(outside):
                raise ValueError(
                    f"{type(self).__name__} got element {int(outside[0])}, but "
                    f"expected numbers from 0 to {self.n_elements - 1}."
                )
        return g.expand(len(x)).to(x.device)

    def _inverse_transform(self, x, g):
        """T_g⁻¹ x with one element per sample."""
        if not self.is_exact:
            raise NotImplementedError(
                f"{type(self).__name__} does not say how to undo T_g: expected "
                "is_exact = True if T is unitary, or a method _inverse_transform."
            )
        return self._adjoint(x, g)

    def _adjoint(self, x, g):
        """T_gᵀ x with one element per sample."""
        return _Adjoint.apply(x, self, g)

    def transform(self, x: torch.Tensor, g: torch.Tensor) -> torch.Tensor:
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
        group = self._resolved(x)
        return _of_shape(group._transform(x, group._checked(x, g)), x, group)

    def inverse_transform(self, x: torch.Tensor, g: torch.Tensor) -> torch.Tensor:
        """Return T_g⁻¹ x.

        For interpolated actions, the interpolated action of the inverse, which
        undoes T_g approximately.

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
        group = self._resolved(x)
        return _of_shape(group._inverse_transform(x, group._checked(x, g)), x, group)

    def adjoint(self, x: torch.Tensor, g: torch.Tensor) -> torch.Tensor:
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
        group = self._resolved(x)
        return _of_shape(group._adjoint(x, group._checked(x, g)), x, group)


def _of_shape(result, x, group):
    """Refuse an action that changes the shape of images."""
    if result.shape != x.shape:
        raise ValueError(
            f"{type(group).__name__} made images of shape {tuple(result.shape)} of "
            f"{tuple(x.shape)}, but expected the same shape; images that the group "
            "cannot act on are refused in _check_params(image_shape)."
        )
    return result
