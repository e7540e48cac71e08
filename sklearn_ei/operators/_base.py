"""The forward operator's contract: every check once, the mathematics below it."""

import math
from abc import ABCMeta, abstractmethod
from typing import Any, Self

import numpy as np
import torch
from sklearn.base import BaseEstimator, clone

from ..utils.arrays import array_to_tensor, split_channels, tensor_to_array
from ..utils.html import FactsMixin, shape_text
from ..utils.params import brief
from ..utils.random import make_generator
from ..utils.validation import check_stack

# The step of x += w·B(y − Ax) is stable below 2/‖BA‖; the margin covers what
# the power iteration leaves undecided.
_STEP_MARGIN = 0.9
_POWER_ITERATIONS = 30
_CHUNK = 64  # samples per call on the NumPy side
# What follows from the parameters, and is neither copied nor pickled.
_DERIVED = ("_built", "_step", "_twin", "_shapes")


class ForwardOperator(FactsMixin, BaseEstimator, metaclass=ABCMeta):
    """Base class of linear forward operators A, from images to measurements.

    Tensors are ``(batch, channel, *image_shape)`` and ``(batch, channel,
    *measurement_shape)``; A acts on every channel alike unless a subclass says
    otherwise. Shapes that the parameters leave open are ``None`` until
    :meth:`resolve` fixes them on a copy.

    A subclass supplies ``_infer_shapes``, ``_build``, ``_forward``,
    ``_adjoint`` and ``_pinv``; this class checks shapes, moves constants to the
    input's device and dtype, and keeps autocast away from the operator.
    """

    # Spatial dimensions that the physics fixes even while the shapes are open.
    _image_n_dims: int | None = None
    _measurement_n_dims: int | None = None

    # Channels on either side (complex images, coils), or None where A acts on
    # any number of channels alike.
    _image_channels: int | None = None
    _measurement_channels: int | None = None

    #: Steps x += w·B(y − Ax) that follow the plain approximate inverse B.
    n_refinements = 0

    # ------------------------------------------------------------------ shapes
    @abstractmethod
    def _infer_shapes(self, image_shape, measurement_shape):
        """Return both shapes, completed as far as the parameters allow.

        Raise ``ValueError`` when they contradict each other or the parameters.
        """

    @property
    def measurement_shape(self) -> tuple[int, ...] | None:
        """Shape of one measurement without channels, or None if still open."""
        return self._known_shapes[1]

    @property
    def _known_shapes(self):
        """Both shapes as far as the parameters tell; asked for at every step."""
        if "_shapes" not in self.__dict__:
            shapes = self._infer_shapes(self.image_shape, None)
            self.__dict__["_shapes"] = shapes
        return self.__dict__["_shapes"]

    def resolve(
        self,
        *,
        image_shape: tuple[int, ...] | None = None,
        measurement_shape: tuple[int, ...] | None = None,
    ) -> Self:
        """Return a copy whose shapes are fixed.

        Parameters
        ----------
        image_shape : tuple of int, default=None
            Spatial shape of the images.
        measurement_shape : tuple of int, default=None
            Shape of one measurement.

        Returns
        -------
        operator : ForwardOperator
            A copy with ``image_shape`` and ``measurement_shape`` known.

        Raises
        ------
        ValueError
            If the shapes contradict the parameters, or do not suffice.
        """
        if image_shape is None:
            image_shape = self.image_shape
        elif self.image_shape is not None and tuple(self.image_shape) != tuple(
            image_shape
        ):
            raise ValueError(
                f"{self} has image_shape={tuple(self.image_shape)}, but images of "
                f"shape {tuple(image_shape)} were given."
            )
        image_shape, measurement_shape = self._infer_shapes(
            image_shape, measurement_shape
        )
        if image_shape is None or measurement_shape is None:
            raise ValueError(
                f"The shapes of {self} are still open: pass image_shape, or "
                "measurement_shape where the images' shape follows from it."
            )
        resolved = clone(self)
        resolved._fix_shapes(image_shape, measurement_shape)
        return resolved

    def _fix_shapes(self, image_shape, measurement_shape):
        """Write resolved shapes into the constructor parameters."""
        self.image_shape = image_shape

    @property
    def _fixed(self):
        """The operator itself, or a copy with the shapes its parameters determine."""
        if "_twin" not in self.__dict__:
            fixed = None not in (self.image_shape, self.measurement_shape)
            self.__dict__["_twin"] = None if fixed else self.resolve()
        return self.__dict__["_twin"] or self

    # ---------------------------------------------------------------- built state
    @abstractmethod
    def _build(self, image_shape, measurement_shape):
        """Return the :class:`~sklearn_ei.utils.device.Constants` of A."""

    @property
    def _constants(self):
        fixed = self._fixed
        if fixed is not self:
            return fixed._constants
        if "_built" not in self.__dict__:
            self.__dict__["_built"] = self._build(
                self.image_shape, self.measurement_shape
            )
        return self.__dict__["_built"]

    def __str__(self):
        return brief(self, 200)  # messages are one line

    def __dir__(self):
        # scikit-learn's asks for every attribute, and some are long computations.
        return object.__dir__(self)

    def __setattr__(self, name, value):
        # A changed parameter is a different operator: forget what was built.
        for derived in _DERIVED:
            self.__dict__.pop(derived, None)
        super().__setattr__(name, value)

    def __getstate__(self):
        state = super().__getstate__().copy()
        for derived in _DERIVED:
            state.pop(derived, None)
        return state

    def _n_measurements(self):
        """Return m, the number of measurements of one image that are not always 0."""
        return math.prod(self.measurement_shape) * (self._measurement_channels or 1)

    def _facts(self):
        image_shape, measurement_shape = self._known_shapes
        yield "images", shape_text(image_shape, self._image_channels)
        yield "measurements", shape_text(measurement_shape, self._measurement_channels)
        if None not in (image_shape, measurement_shape):
            n = math.prod(image_shape) * (self._image_channels or 1)
            m = self._fixed._n_measurements()
            yield "m / n", f"{m} / {n} = {m / n:.3g}"

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
        if what == "images":
            shape, n_channels = self.image_shape, self._image_channels
        else:
            shape, n_channels = self.measurement_shape, self._measurement_channels
        fits = tensor.ndim == len(shape) + 2 and tuple(tensor.shape[2:]) == tuple(shape)
        if not fits or n_channels not in (None, tensor.shape[1]):
            channels = "channel" if n_channels is None else n_channels
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
        x = self._apply("_pinv", y, "measurements")
        for _ in range(self.n_refinements):
            x = self.refine(x, y)
        return x

    def refine(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """Return x + w·B(y − A x), one step of ``x`` towards the measurements.

        Parameters
        ----------
        x : torch.Tensor of shape (batch, channel, *image_shape)
            Images.
        y : torch.Tensor of shape (batch, channel, *measurement_shape)
            Measurements.

        Returns
        -------
        x : torch.Tensor of shape (batch, channel, *image_shape)
            Images whose measurements are closer to ``y``.

        Notes
        -----
        B is the plain approximate inverse and w = min(1, 1.8/‖B A‖), with the
        norm from a power iteration. Where B is the exact pseudo-inverse, w = 1
        and the step is the projection onto ``{x: A x = y}``.
        """
        residual = y - self.forward(x)
        correction = self._apply("_pinv", residual, "measurements")
        return x + self.refinement_step * correction

    @property
    def refinement_step(self):
        """The step w of :meth:`refine`."""
        if "_step" not in self.__dict__:
            self.__dict__["_step"] = self._compute_step()
        return self.__dict__["_step"]

    @property
    def _tensor_shape(self):
        """Shape of one image tensor, with as few channels as A accepts."""
        return (self._image_channels or 1, *self._fixed.image_shape)

    @torch.no_grad()
    def _compute_step(self):
        x = torch.randn((1, *self._tensor_shape), generator=make_generator(0))
        norm = torch.tensor(1.0)
        for _ in range(_POWER_ITERATIONS):
            x = x / torch.linalg.vector_norm(x).clamp_min(1e-30)
            y = self.forward(x)
            x = self._apply("_pinv", y, "measurements")
            norm = torch.linalg.vector_norm(x)
        return min(1.0, 2 * _STEP_MARGIN / max(float(norm), 1e-30))

    @torch.no_grad()
    def mean_squared_row_norm(self):
        """Return ‖A‖_F²/m, the scale between both terms of the EI objective.

        Estimated by Hutchinson's method, E‖A z‖² = ‖A‖_F² for random signs z,
        with 32 probes and a fixed seed; exact in subclasses that know better.
        """
        signs = torch.randint(
            0, 2, (32, *self._tensor_shape), generator=make_generator(0)
        )
        return float(self.forward(2.0 * signs - 1.0).square().mean())

    # ------------------------------------------------------------------ NumPy side
    def measure(self, images: Any) -> np.ndarray:
        """Simulate noise-free measurements of NumPy images.

        Parameters
        ----------
        images : array-like of shape (n_samples, *image_shape) or \
                (n_samples, *image_shape, n_channels)
            Images, in the units that the operator expects.

        Returns
        -------
        Y : ndarray of shape (n_samples, *measurement_shape) or \
                (n_samples, *measurement_shape, n_channels)
            Measurements, float32.

        Raises
        ------
        TypeError, ValueError
            If ``images`` is not a finite, real stack, or does not fit.
        """
        return self._map_array(images, "image", "forward")

    def reconstruct(self, Y: Any) -> np.ndarray:
        """Reconstruct NumPy measurements linearly, by A†.

        Parameters
        ----------
        Y : array-like of shape (n_samples, *measurement_shape) or \
                (n_samples, *measurement_shape, n_channels)
            Measurements.

        Returns
        -------
        images : ndarray of shape (n_samples, *image_shape) or \
                (n_samples, *image_shape, n_channels)
            Images, float32.

        Raises
        ------
        TypeError, ValueError
            If ``Y`` is not a finite, real stack, or does not fit.
        """
        return self._map_array(Y, "measurement", "pinv")

    def channels_of_images(self, n_channels):
        """Return the image channels that belong to ``n_channels`` measured ones.

        Channels are counted as users see them: None is data without a channel
        axis. Raises ``ValueError`` if A expects another number.
        """
        return self._translate_channels(
            n_channels, self._measurement_channels, self._image_channels, "measurements"
        )

    def channels_of_measurements(self, n_channels):
        """Return the measured channels that belong to ``n_channels`` of images.

        The counterpart of :meth:`channels_of_images`.
        """
        return self._translate_channels(
            n_channels, self._image_channels, self._measurement_channels, "images"
        )

    def _translate_channels(self, n_channels, expected, other, what):
        if expected is None:
            return n_channels
        if n_channels != expected:
            got = "no channel axis" if n_channels is None else f"{n_channels} channels"
            raise ValueError(
                f"{type(self).__name__} got {what} with {got}, but expected "
                f"{expected} channels along the last axis."
            )
        return other

    def split_channels(self, sample_shape, what):
        """Split the shape of one sample, as users pass it, from its channels.

        Parameters
        ----------
        sample_shape : tuple of int
            Shape of one image or measurement, channels (if any) last.
        what : {"image", "measurement"}
            What it is a sample of.

        Returns
        -------
        shape : tuple of int
            Spatial shape; whether it is the right one, :meth:`resolve` tells.
        n_channels : int or None
            None for samples without a channel axis.

        Raises
        ------
        ValueError
            If the number of axes cannot be right.
        """
        shape = self._known_shapes[what != "image"]
        n_dims = self._image_n_dims if what == "image" else self._measurement_n_dims
        n_dims = n_dims if shape is None else len(shape)
        if shape is None and n_dims in (None, 2):
            self._refuse_channels_first(sample_shape, what)
        try:
            return split_channels(sample_shape, n_dims)
        except ValueError as error:
            raise ValueError(f"{type(self).__name__} {error}") from None

    def _refuse_channels_first(self, sample_shape, what):
        """Refuse (3, H, W), which would be taken as 3 rows with W channels."""
        if len(sample_shape) == 3 and sample_shape[0] <= 4 < sample_shape[-1]:
            rows, _, channels = sample_shape
            raise ValueError(
                f"{type(self).__name__} got {what}s of shape {tuple(sample_shape)}, "
                "which look channels first, but expected channels last, as "
                f"np.moveaxis(array, 1, -1) makes them; if they are {what}s of {rows} "
                f"rows with {channels} channels, pass image_shape to the operator."
            )

    def _resolved_for(self, array, what):
        """Return the operator for a NumPy stack, and its channel count."""
        spatial, n_channels = self.split_channels(array.shape[1:], what)
        if spatial == self._known_shapes[what != "image"]:
            return self, n_channels
        return self.resolve(**{f"{what}_shape": spatial}), n_channels

    @torch.no_grad()
    def _map_array(self, array, what, method):
        array = check_stack(array, "images" if what == "image" else "Y", f"{what}s")
        operator, n_channels = self._resolved_for(array, what)
        translate = (
            operator.channels_of_measurements
            if what == "image"
            else operator.channels_of_images
        )
        n_results = translate(n_channels)
        results = [
            getattr(operator, method)(array_to_tensor(chunk, n_channels is not None))
            for chunk in np.array_split(array, -(-len(array) // _CHUNK))
        ]
        return tensor_to_array(torch.cat(results), n_results is not None)
