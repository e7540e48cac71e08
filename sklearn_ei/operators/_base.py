"""The forward operator's contract: every check once, the mathematics below it."""

from abc import ABCMeta, abstractmethod
from typing import Any

import numpy as np
import torch

from ..utils.params import brief
from ..utils.stack_check import check_stack
from ._facts import Facts
from ._refinement import Refinement
from ._restricted import completed, part_of

_CHUNK = 64  # samples per call on the NumPy side


class ForwardOperator(Facts, Refinement, metaclass=ABCMeta):
    """Base class of linear forward operators A, from images to measurements.

    Tensors are ``(batch, channel, *image_shape)`` and ``(batch, channel,
    *measurement_shape)``. Shapes that the parameters leave open are ``None`` until
    :meth:`resolve` fixes them on a copy.

    A subclass supplies ``_infer_shapes``, ``_build``, ``_forward``,
    ``_adjoint`` and ``_pinv``, and declares its channels where A does not act on
    each alike. This class checks shapes, moves constants to the input's device and
    dtype, and keeps autocast away from the operator.

    Attributes
    ----------
    image_channels, measurement_channels : {"any", "none"} or int
        Declared by the class, or as properties. ``"any"``, the default, on both
        sides: A acts on every channel alike. ``"none"``: arrays without a channel
        axis, tensors with a single channel. A number: so many.
    has_complex_channels : bool
        Whether channels are pairs, the real and the imaginary part of a complex
        number. Users may then pass complex arrays, and get complex ones back.
    n_refinements : int
        Steps x += w·B(y − A x) that follow the plain approximate inverse B.
    natural_axis : int or None
        Axis of a measurement along which the instrument takes it, such as the
        views of a sinogram; None if there is none.
    loses : str or None
        What A loses of an image, from which a group follows
        (:func:`~sklearn_ei.groups.recommended_group`): ``"views"``, ``"pixels"``,
        ``"k-space"``, ``"projections"``, ``"detail"`` or ``"averages"``. None: it
        does not say.
    mixing_radius : float or None
        How far A mixes pixels: the distance from a pixel, in pixels, of what AᵀA
        makes of it alone, as root mean square weighted with energy. 0 for masks.
        None: everywhere, or unknown.
    has_orthogonal_rows : bool
        Whether A Aᵀ is diagonal and :meth:`pinv` exact, as for masks: A† of a part
        of the measurements is then A† of the others set to zero.

    Notes
    -----
    What ``_build`` returns has to follow from constructor parameters and shapes
    alone: copies, and operators with equal parameters, share it. Arrays that are
    parameters are not to be changed in place after first use.
    """

    n_refinements = 0

    @abstractmethod
    def _build(self, image_shape, measurement_shape):
        """Return the :class:`~sklearn_ei.operators.Constants` of A."""

    @property
    def _constants(self):
        fixed = self._fixed
        return fixed._derived(
            "constants",
            lambda: fixed._build(fixed.image_shape, fixed.measurement_shape),
        )

    def __str__(self):
        return brief(self, 200)  # messages are one line

    def __dir__(self):
        # scikit-learn's asks for every attribute, and some are long computations.
        return object.__dir__(self)

    # ------------------------------------------------------------- the mathematics
    @abstractmethod
    def _forward(self, x, constants):
        """Return A x for a checked tensor."""

    @abstractmethod
    def _adjoint(self, y, constants):
        """Return Aᵀ y for a checked tensor: the Euclidean transpose."""

    @abstractmethod
    def _pinv(self, y, constants):
        """Return B y for a checked tensor: a cheap linear approximation of A†."""

    def _checked(self, tensor, what):
        layout = self.image_layout if what == "images" else self.measurement_layout
        shape = layout.shape
        fits = tensor.ndim == len(shape) + 2 and tuple(tensor.shape[2:]) == shape
        if not fits or (
            layout.channels != "any" and tensor.shape[1] != layout.n_channels
        ):
            channels = "channel" if layout.channels == "any" else layout.n_channels
            raise ValueError(
                f"{type(self).__name__} got {what} of shape {tuple(tensor.shape)}, but "
                f"expected (batch, {channels}, {', '.join(map(str, shape))})."
            )
        if tensor.dtype in (torch.bfloat16, torch.float16):
            tensor = tensor.float()
        if not tensor.is_floating_point():
            raise ValueError(
                f"{type(self).__name__} got {what} of dtype {tensor.dtype}, but "
                "expected a real floating-point dtype."
            )
        return tensor

    def _apply(self, method, tensor, what):
        """Call ``_forward``, ``_adjoint`` or ``_pinv`` on a tensor to be checked."""
        operator = self._fixed
        tensor = operator._checked(tensor, what)
        constants = operator._constants.like(tensor)
        with torch.autocast(device_type=tensor.device.type, enabled=False):
            return getattr(operator, method)(tensor, constants)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return A x.

        Parameters
        ----------
        x : torch.Tensor of shape (batch, channel, *image_shape)
            Images.

        Returns
        -------
        y : torch.Tensor of shape (batch, channel, *measurement_shape)
            Measurements, on the device and in the dtype of ``x``.
        """
        return self._apply("_forward", x, "images")

    def adjoint(self, y: torch.Tensor) -> torch.Tensor:
        """Return Aᵀ y, with the Euclidean transpose of :meth:`forward`.

        Parameters
        ----------
        y : torch.Tensor of shape (batch, channel, *measurement_shape)
            Measurements.

        Returns
        -------
        x : torch.Tensor of shape (batch, channel, *image_shape)
            Back-projected images.
        """
        return self._apply("_adjoint", y, "measurements")

    def pinv(self, y: torch.Tensor) -> torch.Tensor:
        """Return A† y, a cheap linear reconstruction.

        Parameters
        ----------
        y : torch.Tensor of shape (batch, channel, *measurement_shape)
            Measurements.

        Returns
        -------
        x : torch.Tensor of shape (batch, channel, *image_shape)
            Reconstructed images: B y, followed by ``n_refinements`` calls of
            :meth:`refine`.
        """
        x = self._plain_pinv(y)
        for _ in range(self.n_refinements):
            x = self.refine(x, y)
        return x

    @property
    def depends_on_measurements(self):
        """Whether A is known beside measurements only: :meth:`for_measurements`."""
        return False

    def for_measurements(self, y: torch.Tensor) -> "ForwardOperator":
        """Return A for a batch of measurements, where it depends on them.

        Parameters
        ----------
        y : torch.Tensor of shape (batch, channel, *measurement_shape)
            Measurements, NaN where there is none.

        Returns
        -------
        operator : ForwardOperator
            The operator itself, unless a subclass says otherwise, such as
            :class:`~sklearn_ei.operators.MRI` with estimated sensitivities.
        """
        return self

    def _plain_pinv(self, y):
        """Return B y, the approximate inverse without refining steps."""
        return self._apply("_pinv", y, "measurements")

    def part_filling(self, kept):
        """Return what prepares a part of the measurements for A†.

        Parameters
        ----------
        kept : torch.Tensor of bool, (batch, channel, *measurement_shape) or \
                measurement_shape
            M, true where there is a measurement.

        Returns
        -------
        fill, fill_step : callable
            From measurements that are zero elsewhere, and from what a step of
            :meth:`refine` leaves of them, to what B is applied to by a
            :class:`RestrictedOperator`. Here both are as they are, where A has
            orthogonal rows; elsewhere M y + (1 − M) A (M A)†y.
        """
        if self.has_orthogonal_rows:
            return (lambda y: y,) * 2
        return (lambda y: completed(self, y, kept),) * 2

    def take(self, samples):
        """Return the operator of some samples of a batch: itself."""
        return self

    # ------------------------------------------------------------------ NumPy side
    def measure(self, images: Any) -> np.ndarray:
        """Simulate noise-free measurements of NumPy images.

        Parameters
        ----------
        images : array-like of shape (n_samples, *image_shape) or \
                (n_samples, *image_shape, n_channels)
            Images, in the units that the operator expects. Complex ones where
            ``has_complex_channels``.

        Returns
        -------
        Y : ndarray of shape (n_samples, *measurement_shape) or \
                (n_samples, *measurement_shape, n_channels)
            Measurements, float32, or complex64 of complex images.

        Raises
        ------
        TypeError, ValueError
            If ``images`` is not a finite stack, or does not fit.
        """
        return self._map_array(images, "image", "forward")

    def reconstruct(self, Y: Any) -> np.ndarray:
        """Reconstruct NumPy measurements linearly, by A†.

        Parameters
        ----------
        Y : array-like of shape (n_samples, *measurement_shape) or \
                (n_samples, *measurement_shape, n_channels)
            Measurements. NaN, or masked, where there is none: A† is then that of a
            :class:`RestrictedOperator`.

        Returns
        -------
        images : ndarray of shape (n_samples, *image_shape) or \
                (n_samples, *image_shape, n_channels)
            Images, float32, or complex64 of complex measurements.

        Raises
        ------
        TypeError, ValueError
            If ``Y`` is not a stack of numbers, has infinity or a sample without any
            measurement, or does not fit.
        """
        return self._map_array(Y, "measurement", "pinv")

    @torch.no_grad()
    def _map_array(self, array, what, method):
        array = check_stack(
            array,
            "images" if what == "image" else "Y",
            f"{what}s",
            missing_ok=what == "measurement",
            complex_ok=self.has_complex_channels,
        )
        is_complex = np.iscomplexobj(array)
        layouts = self.layouts(**{what: array.shape[1:]}, is_complex=is_complex)
        source, target = layouts if what == "image" else layouts[::-1]
        operator = self
        if source.shape != self._known_shapes[what != "image"]:
            operator = self.resolve(**{f"{what}_shape": source.shape})
        results = []
        for chunk in np.array_split(array, -(-len(array) // _CHUNK)):
            tensor = source.to_tensor(chunk)
            own = operator
            if what == "measurement":
                own, tensor = part_of(operator, tensor)
            results.append(getattr(own, method)(tensor))
        return target.to_array(torch.cat(results))
