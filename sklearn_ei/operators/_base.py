"""The forward operator's contract: every check once, the mathematics below it."""

import math
from abc import ABCMeta, abstractmethod
from typing import Any, Self

import numpy as np
import torch
from sklearn.base import BaseEstimator, clone

from ..utils.derived import DerivedState
from ..utils.html import FactsMixin, shape_text
from ..utils.layout import Layout
from ..utils.params import brief
from ..utils.random import make_generator
from ..utils.validation import check_stack
from ._iterative import squared_norm_bound

# The step of x += w·B(y − Ax) is stable below 2/‖BA‖; the margin covers what
# the power iteration leaves undecided.
_STEP_MARGIN = 0.9
_POWER_ITERATIONS = 30
_CHUNK = 64  # samples per call on the NumPy side
_PROBES = 4
# Fourier transforms leave rounding errors where nothing is measured.
_NOTHING = 1e-6


class ForwardOperator(FactsMixin, BaseEstimator, metaclass=ABCMeta):
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
    n_refinements : int
        Steps x += w·B(y − A x) that follow the plain approximate inverse B.
    natural_axis : int or None
        Axis of a measurement along which the instrument takes it, such as the
        views of a sinogram; None if there is none.
    has_orthogonal_rows : bool
        Whether A Aᵀ is diagonal and :meth:`pinv` exact, as for masks: A† of a part
        of the measurements is then A† of the others set to zero.

    Notes
    -----
    What ``_build`` returns has to follow from constructor parameters and shapes
    alone: copies, and operators with equal parameters, share it. Arrays that are
    parameters are not to be changed in place after first use.
    """

    # Spatial dimensions that the physics fixes even while the shapes are open.
    _image_n_dims: int | None = None
    _measurement_n_dims: int | None = None

    image_channels: int | str = "any"
    measurement_channels: int | str = "any"

    n_refinements = 0
    natural_axis: int | None = None
    has_orthogonal_rows = False

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
        return self._derived(
            "shapes",
            lambda: self._infer_shapes(self.image_shape, None),
            self._get_param_names,
        )

    @property
    def image_layout(self) -> Layout:
        """Shape (None if still open) and channels of one image."""
        return self._layout(0)

    @property
    def measurement_layout(self) -> Layout:
        """Shape (None if still open) and channels of one measurement."""
        return self._layout(1)

    def _layout(self, side):
        shape = self._known_shapes[side]  # refuses wrong parameters
        declared = self.image_channels, self.measurement_channels
        if declared.count("any") == 1:
            raise ValueError(
                f"{type(self).__name__} declares image_channels={declared[0]!r} and "
                f"measurement_channels={declared[1]!r}, but expected 'any' on both "
                "sides, for an A that acts on every channel alike, or on neither."
            )
        return Layout(shape, declared[side])

    def layouts(
        self,
        *,
        image: tuple[int, ...] | None = None,
        measurement: tuple[int, ...] | None = None,
    ) -> tuple[Layout, Layout]:
        """Return how images and measurements lie, given the shape of a sample.

        Parameters
        ----------
        image : tuple of int, default=None
            Shape of one image as users pass it, channels (if any) last.
        measurement : tuple of int, default=None
            Shape of one measurement, likewise.

        Returns
        -------
        image_layout, measurement_layout : Layout
            With the channels settled, as far as a sample was given, and with its
            spatial shape; whether that is the right one, :meth:`resolve` tells.

        Raises
        ------
        ValueError
            If the number of axes or of channels cannot be right.
        """
        layouts = [self.image_layout, self.measurement_layout]
        for side, sample in enumerate((image, measurement)):
            if sample is None:
                continue
            shape, channels = self._split(tuple(sample), side, layouts[side])
            layouts[side] = layouts[side].settle(shape=shape, channels=channels)
            if layouts[1 - side].channels == "any":
                layouts[1 - side] = layouts[1 - side].settle(channels=channels)
        return layouts[0], layouts[1]

    def _split(self, sample, side, layout):
        """Split the shape of a sample from its channels, and refuse what cannot be."""
        name, what = type(self).__name__, ("image", "measurement")[side]
        n_dims = (self._image_n_dims, self._measurement_n_dims)[side]
        n_dims = n_dims if layout.shape is None else len(layout.shape)
        if layout.shape is None and n_dims in (None, 2):
            self._refuse_channels_first(sample, what)
        if n_dims is None:
            # One axis is a signal, two are an image, three an image with channels.
            n_dims = min(len(sample), 2)
            if layout.channels != "any":
                n_dims = max(len(sample) - layout.has_channel_axis, 1)
        shape, last = sample[:n_dims], sample[n_dims:]
        if len(shape) != n_dims or len(last) > 1 or 0 in sample:
            hint = ""
            if len(sample) == n_dims - 1:
                hint = "; a single sample has to be passed as a stack of one"
            raise ValueError(
                f"{name} got samples of shape {sample}, but expected {n_dims} axes, "
                f"with at most one channel axis behind{hint}."
            )
        channels = int(last[0]) if last else "none"
        if layout.channels not in ("any", channels):
            got = f"{channels} channels" if last else "no channel axis"
            expected = (
                f"{layout.channels} channels along the last axis"
                if layout.has_channel_axis
                else "no channel axis"
            )
            raise ValueError(f"{name} got {what}s with {got}, but expected {expected}.")
        return shape, channels

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
        twin = self._derived("fixed", self._resolved_twin, self._get_param_names)
        return self if twin is None else twin

    def _resolved_twin(self):
        fixed = None not in (self.image_shape, self.measurement_shape)
        return None if fixed else self.resolve()

    # -------------------------------------------------------------- derived state
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

    def _derived(self, name, build, depends_on=None):
        """Return what follows from parameters, all of A's if not said otherwise."""
        state = self.__dict__.get("_state")
        if state is None:
            state = self.__dict__.setdefault("_state", DerivedState())
        return state.get(self, name, build, depends_on or self._parameters_of_A)

    def _parameters_of_A(self):
        return [name for name in self._get_param_names() if name != "n_refinements"]

    def __str__(self):
        return brief(self, 200)  # messages are one line

    def __dir__(self):
        # scikit-learn's asks for every attribute, and some are long computations.
        return object.__dir__(self)

    def __setattr__(self, name, value):
        same = self.__dict__.get(name, self) is value
        super().__setattr__(name, value)
        if "_state" in self.__dict__ and not same:
            self.__dict__["_state"].forget(name)

    def __getstate__(self):
        state = super().__getstate__().copy()
        state.pop("_state", None)
        return state

    def _facts(self):
        image, measurement = self.image_layout, self.measurement_layout
        yield "images", _layout_text(image)
        yield "measurements", _layout_text(measurement)
        if None not in (image.shape, measurement.shape):
            n, m = math.prod(image.tensor_shape), self._fixed.n_measurements
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
        return x + self.refinement_step * self._plain_pinv(residual)

    def _plain_pinv(self, y):
        """Return B y, the approximate inverse without refining steps."""
        return self._apply("_pinv", y, "measurements")

    @property
    def refinement_step(self):
        """The step w of :meth:`refine`."""
        return self._derived("step", self._compute_step)

    @torch.no_grad()
    def _compute_step(self):
        x = torch.randn((1, *self._image_tensor_shape), generator=make_generator(0))
        norm = torch.tensor(1.0)
        for _ in range(_POWER_ITERATIONS):
            x = x / torch.linalg.vector_norm(x).clamp_min(1e-30)
            y = self.forward(x)
            x = self._plain_pinv(y)
            norm = torch.linalg.vector_norm(x)
        return min(1.0, 2 * _STEP_MARGIN / max(float(norm), 1e-30))

    @property
    def _image_tensor_shape(self):
        """Shape of one image tensor, with as few channels as A accepts."""
        return self._fixed.image_layout.tensor_shape

    # ----------------------------------------------------------- facts about A
    @property
    def n_measurements(self) -> int:
        """m, the measurements of one image that are not always zero.

        Of one channel, where A acts on every channel alike.
        """
        return math.prod(self._fixed.measurement_layout.tensor_shape)

    @torch.no_grad()
    def mean_squared_row_norm(self) -> float:
        """Return ‖A‖_F²/m, the scale between both terms of the EI objective.

        Estimated by Hutchinson's method, E‖A z‖² = ‖A‖_F² for random signs z,
        with 32 probes and a fixed seed; exact in subclasses that know better.
        """
        signs = torch.randint(
            0, 2, (32, *self._image_tensor_shape), generator=make_generator(0)
        )
        return float(self.forward(2.0 * signs - 1.0).square().mean())

    def squared_norm(self) -> float:
        """Return an upper bound on ‖A‖², the largest eigenvalue of AᵀA.

        By 100 power iterations from a fixed seed, plus 10 %; computed once.
        """
        return self._derived(
            "squared norm",
            lambda: squared_norm_bound(
                self.forward, self.adjoint, (1, *self._image_tensor_shape)
            ),
        )

    def as_sparse(self) -> Any:
        """Return A as a SciPy sparse matrix, where it is one.

        Returns
        -------
        matrix : scipy.sparse.csr_array of shape (m, n) or None
            From the pixels of one channel to its measurements, both in C order;
            not to be changed. None where A is not stored as such a matrix.
        """
        return None

    @torch.no_grad()
    def measured_entries(self, *, each_channel: bool = False) -> np.ndarray:
        """Return where A measures: the entries that are not always zero.

        Parameters
        ----------
        each_channel : bool, default=False
            Whether to tell the channels of a measurement apart.

        Returns
        -------
        measured : bool ndarray of shape measurement_shape
            True where any channel is measured; with ``each_channel``, of shape
            ``(n_channels, *measurement_shape)``, as in tensors, where n_channels is
            1 if A acts on every channel alike.

        Notes
        -----
        From the rows of :meth:`as_sparse`, or from four random images, where no
        subclass knows better.
        """
        measured = self._measured()
        return measured if each_channel else measured.any(axis=0)

    def _measured(self):
        """Return :meth:`measured_entries` of each channel."""
        layout = self._fixed.measurement_layout
        matrix = self.as_sparse()
        if matrix is not None:
            return (abs(matrix).sum(axis=1) > 0).reshape(layout.tensor_shape)
        shape = (_PROBES, *self._image_tensor_shape)
        y = self.forward(torch.randn(shape, generator=make_generator(0)))
        size = y.abs().amax(dim=0)
        return (size > _NOTHING * size.max()).numpy()

    def calibration_lines(self) -> np.ndarray:
        """Return indices along :attr:`natural_axis` that no method may do without.

        Returns
        -------
        lines : int ndarray
            Empty but for instruments that say otherwise, such as the lines in the
            middle of k-space, which :class:`~sklearn_ei.operators.MRI` measures all.
        """
        return np.arange(0)

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

    @torch.no_grad()
    def _map_array(self, array, what, method):
        array = check_stack(array, "images" if what == "image" else "Y", f"{what}s")
        layouts = self.layouts(**{what: array.shape[1:]})
        source, target = layouts if what == "image" else layouts[::-1]
        operator = self
        if source.shape != self._known_shapes[what != "image"]:
            operator = self.resolve(**{f"{what}_shape": source.shape})
        results = [
            getattr(operator, method)(source.to_tensor(chunk))
            for chunk in np.array_split(array, -(-len(array) // _CHUNK))
        ]
        return target.to_array(torch.cat(results))

    # -------------------- until the rooms above ask for layouts; then this goes
    def split_channels(self, shape, what):
        layout = self.layouts(**{what: shape})[what != "image"]
        return layout.shape, layout.channels if layout.has_channel_axis else None

    def channels_of_images(self, n_channels):
        return self._translated(n_channels, self.image_channels)

    def channels_of_measurements(self, n_channels):
        return self._translated(n_channels, self.measurement_channels)

    def _translated(self, n_channels, other):
        return {"any": n_channels, "none": None}.get(other, other)

    @property
    def _image_channels(self):
        return {"any": None, "none": None}.get(self.image_channels, self.image_channels)

    @property
    def _measurement_channels(self):
        own = self.measurement_channels
        return {"any": None, "none": None}.get(own, own)

    @property
    def _tensor_shape(self):
        return self._image_tensor_shape


def _layout_text(layout):
    """Return a layout as people write it."""
    return shape_text(
        layout.shape, layout.channels if layout.has_channel_axis else None
    )
