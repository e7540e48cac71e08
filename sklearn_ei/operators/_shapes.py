"""Shapes and layouts: what an operator takes and gives, known at once or later."""

from abc import abstractmethod
from typing import Self

from sklearn.base import BaseEstimator, clone

from ..utils.derived import DerivedMixin
from ..utils.layout import Layout


class Shapes(DerivedMixin, BaseEstimator):
    """The part of a forward operator that knows shapes and channels."""

    # Spatial dimensions that the physics fixes even while the shapes are open.
    _image_n_dims: int | None = None
    _measurement_n_dims: int | None = None

    image_channels: int | str = "any"
    measurement_channels: int | str = "any"
    has_complex_channels: bool = False

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
            self._all_parameters,
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
        is_complex: bool = False,
    ) -> tuple[Layout, Layout]:
        """Return how images and measurements lie, given the shape of a sample.

        Parameters
        ----------
        image : tuple of int, default=None
            Shape of one image as users pass it, channels (if any) last.
        measurement : tuple of int, default=None
            Shape of one measurement, likewise.
        is_complex : bool, default=False
            Whether arrays are complex; those of both, images and measurements.

        Returns
        -------
        image_layout, measurement_layout : Layout
            With the channels settled, as far as a sample was given, and with its
            spatial shape; whether that is the right one, :meth:`resolve` tells.

        Raises
        ------
        ValueError
            If the number of axes or of channels cannot be right, or arrays are
            complex, and channels are not declared as ``has_complex_channels``.
        """
        layouts = [self.image_layout, self.measurement_layout]
        if is_complex:
            if not self.has_complex_channels:
                raise ValueError(
                    f"{type(self).__name__} got complex arrays, but expected real ones."
                )
            layouts = [layout.settle(is_complex=True) for layout in layouts]
        n_dims = self._image_n_dims, self._measurement_n_dims
        for side, sample in enumerate((image, measurement)):
            if sample is None:
                continue
            layout, what = layouts[side], ("image", "measurement")[side]
            if not is_complex and layout.shape is None and n_dims[side] in (None, 2):
                self._refuse_channels_first(tuple(sample), what)
            try:
                layouts[side] = layout.of_sample(sample, what, n_dims[side])
            except ValueError as error:
                said = f"{type(self).__name__} {error}"
                without = len(sample) in (n_dims[side], len(layout.shape or ()))
                if self.has_complex_channels and not is_complex and without:
                    said = f"{said[:-1]}, or complex {what}s without them."
                raise ValueError(said) from None
            if layouts[1 - side].channels == "any":
                channels = layouts[side].channels
                layouts[1 - side] = layouts[1 - side].settle(channels=channels)
        return layouts[0], layouts[1]

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
        try:
            image_shape, measurement_shape = self._infer_shapes(
                image_shape, measurement_shape
            )
        except ValueError as error:
            if self._would_fit_transposed(image_shape, measurement_shape):
                text = str(error).removesuffix(".")
                how = "np.swapaxes(Y, 1, 2) does"
                if self.has_complex_channels and self.measurement_channels not in (
                    "any",
                    2,
                ):
                    how = "np.swapaxes(Y, 2, 3) does, or of real Y np.swapaxes(Y, 1, 2)"
                raise ValueError(
                    f"{text}; transposed they would fit, as {how}."
                ) from None
            if self._may_have_views_first(image_shape, measurement_shape):
                text = str(error).removesuffix(".")
                raise ValueError(
                    f"{text}; if Y has views first, (n_views, n_rows, n_bins), rows "
                    "become samples by np.moveaxis(Y, 0, 1)."
                ) from None
            raise
        if image_shape is None or measurement_shape is None:
            raise ValueError(
                f"The shapes of {self} are still open: pass image_shape, or "
                "measurement_shape where the images' shape follows from it."
            )
        resolved = clone(self)
        resolved._fix_shapes(image_shape, measurement_shape)
        return resolved

    def _would_fit_transposed(self, image_shape, measurement_shape):
        if measurement_shape is None or len(measurement_shape) != 2:
            return False
        try:
            self._infer_shapes(image_shape, tuple(measurement_shape)[::-1])
        except ValueError:
            return False
        return True

    def _may_have_views_first(self, image_shape, measurement_shape):
        """Whether a measurement may be that of a row, in a stack of views."""
        n_views = getattr(self, "_n_views", None)
        if n_views is None or measurement_shape is None or len(measurement_shape) != 2:
            return False
        try:
            self._infer_shapes(image_shape, (n_views, measurement_shape[1]))
        except ValueError:
            return False
        return measurement_shape[0] != n_views

    def _fix_shapes(self, image_shape, measurement_shape):
        """Write resolved shapes into the constructor parameters."""
        self.image_shape = image_shape

    @property
    def _fixed(self):
        """The operator itself, or a copy with the shapes its parameters determine."""
        twin = self._derived("fixed", self._resolved_twin, self._all_parameters)
        return self if twin is None else twin

    def _all_parameters(self):
        return list(self.get_params(deep=False))

    def _depends_on(self):
        return [name for name in self._all_parameters() if name != "n_refinements"]

    def _resolved_twin(self):
        fixed = None not in (self.image_shape, self.measurement_shape)
        return None if fixed else self.resolve()

    @property
    def _image_tensor_shape(self):
        """Shape of one image tensor, with as few channels as A accepts."""
        return self._fixed.image_layout.tensor_shape
