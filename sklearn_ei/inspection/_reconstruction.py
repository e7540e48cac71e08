"""From the measurement to the image, and what is wrong with it."""

import numpy as np

from ..metrics import psnr
from ..model_selection import unwrap
from ..operators import check_operator
from ..utils.layout import as_channels
from ..utils.stack_check import check_stack
from ._drawing import (
    check_samples,
    count,
    magnitude,
    pick,
    shown,
    styles,
    symmetric_limit,
    take_axes,
    without_ticks,
)

# Colour images beyond this are taken to reach from 0 to their maximum, not to 1.
_COLOR_TOP = 2.0
# Magnitudes of a measurement this many times the median are shown in logarithms.
_OUTSHINES = 50.0


class ReconstructionDisplay:
    """Measurements, their linear and their learned reconstruction, and the error.

    Samples are rows. Images of all rows share one grey scale, that of the ground
    truth or, without it, of the reconstructions: what leaves it is clipped, as the
    arrow of the colour bar says. The error has a scale of its own, symmetric about
    zero. Measurements with channels that have a few outstanding values, such as
    k-space, are shown in logarithms. Signals are drawn as curves in three panels:
    the measurement; all images together; the error. It is recommended to use
    :meth:`from_estimator`.

    Parameters
    ----------
    measurements : array-like of shape (n_samples, *measurement_shape[, n_channels])
        y. NaN, where there are none, stays blank; with channels it is shown as 0.
    linear : array-like of shape (n_samples, *image_shape[, n_channels])
        A†y.
    images : array-like of the shape of ``linear``
        f(y): signals or 2-D images; complex numbers, or two channels, are a complex
        image, three channels a colour one.
    truth : array-like of the shape of ``linear``, default=None
        Ground truth x, if it is known. The error is then f(y) − x, and titles have
        the PSNR in dB; without it, what is shown is f(y) − A†y: what learning has
        changed.
    has_channels : bool, default=False
        Whether the last axis of real images and measurements is that of channels.

    Attributes
    ----------
    figure_ : matplotlib Figure
        After :meth:`plot`.
    axes_ : ndarray of shape (n_samples, n_panels) of matplotlib Axes
        After :meth:`plot`. Panels: measurement, A†y, reconstruction, ground truth
        if there is any, error; for signals measurement, images, error.

    See Also
    --------
    UncertaintyDisplay : How far to trust a reconstruction, without ground truth.

    Examples
    --------
    >>> from sklearn_ei import PseudoInverseReconstructor, ReconstructionDisplay
    >>> from sklearn_ei.datasets import make_thorax_phantoms
    >>> from sklearn_ei.operators import ParallelBeamCT
    >>> images = make_thorax_phantoms(3, (16, 16), random_state=0)
    >>> operator = ParallelBeamCT(n_views=12)
    >>> Y = operator.measure(images)
    >>> fbp = PseudoInverseReconstructor(operator).fit(Y)
    >>> display = ReconstructionDisplay.from_estimator(
    ...     fbp, Y, images, samples=[0, 2]
    ... )  # doctest: +SKIP
    >>> display.axes_.shape  # doctest: +SKIP
    (2, 5)
    """

    def __init__(self, measurements, linear, images, *, truth=None, has_channels=False):
        self.measurements = measurements
        self.linear = linear
        self.images = images
        self.truth = truth
        self.has_channels = has_channels or np.iscomplexobj(images)

    @classmethod
    def from_estimator(
        cls, estimator, Y, y=None, *, samples=0, ax=None, **imshow_kwargs
    ):
        """Reconstruct measurements and show them.

        Parameters
        ----------
        estimator : estimator
            A fitted reconstructor; may be a pipeline that ends in one, whose other
            steps' result is then the measurement shown, a search, or a
            :class:`~sklearn_ei.ConformalReconstructor`.
        Y : array-like of shape (n_samples, *measurement_shape[, n_channels])
            Measurements.
        y : array-like of shape (n_samples, *image_shape[, n_channels]), default=None
            Ground truth.
        samples : int or sequence of int, default=0
            Which samples to show, one a row; negative numbers count from the end.
        ax : array of (n_samples, n_panels) matplotlib Axes, default=None
            Where to draw; None makes a figure.
        **imshow_kwargs
            Passed to ``imshow`` for the images; ``vmin`` and ``vmax`` replace the
            common scale.

        Returns
        -------
        display : ReconstructionDisplay
        """
        chosen = check_samples(samples, count(Y, "Y"))
        truth = None if y is None else pick(y, chosen, "y")
        inner = estimator.estimator if hasattr(estimator, "factor_") else estimator
        reconstructor, measurements = unwrap(inner, pick(Y, chosen, "Y"))
        display = cls(
            measurements,
            reconstructor.operator_.reconstruct(measurements),
            reconstructor.predict(measurements),
            truth=truth,
            has_channels=reconstructor.image_layout_.has_channel_axis,
        )
        return display.plot(ax=ax, **imshow_kwargs)

    @classmethod
    def from_predictions(
        cls,
        operator,
        Y,
        images,
        y=None,
        *,
        samples=0,
        ax=None,
        **imshow_kwargs,
    ):
        """Show reconstructions that are there already, whoever made them.

        Parameters
        ----------
        operator : ForwardOperator
            Whose A†y is shown beside them.
        Y : array-like of shape (n_samples, *measurement_shape[, n_channels])
            Measurements.
        images : array-like of shape (n_samples, *image_shape[, n_channels])
            Reconstructions of all of them.
        y : array-like of shape (n_samples, *image_shape[, n_channels]), default=None
            Ground truth.
        samples : int or sequence of int, default=0
            Which samples to show, one a row.
        ax : array of (n_samples, n_panels) matplotlib Axes, default=None
            Where to draw; None makes a figure.
        **imshow_kwargs
            Passed to ``imshow`` for the images.

        Returns
        -------
        display : ReconstructionDisplay
        """
        check_operator(operator)
        chosen = check_samples(samples, count(Y, "Y"))
        complex_ok = operator.has_complex_channels
        measurements, images = (
            check_stack(
                pick(stack, chosen, name),
                name,
                what,
                missing_ok=what == "measurements",
                complex_ok=complex_ok,
            )
            for stack, name, what in (
                (Y, "Y", "measurements"),
                (images, "images", "images"),
            )
        )
        truth = None if y is None else pick(y, chosen, "y")
        is_complex = np.iscomplexobj(images)
        layout, _ = operator.layouts(image=images.shape[1:], is_complex=is_complex)
        if operator.image_shape is None:
            operator = operator.resolve(image_shape=layout.shape)
        display = cls(
            measurements,
            operator.reconstruct(measurements),
            images,
            truth=truth,
            has_channels=layout.has_channel_axis,
        )
        return display.plot(ax=ax, **imshow_kwargs)

    def plot(self, *, ax=None, **imshow_kwargs):
        """Draw one row a sample.

        Parameters
        ----------
        ax : array of (n_samples, n_panels) matplotlib Axes, default=None
            Where to draw; None makes a figure.
        **imshow_kwargs
            Passed to ``imshow`` for the images; ``vmin`` and ``vmax`` replace the
            common scale.

        Returns
        -------
        display : ReconstructionDisplay

        Raises
        ------
        TypeError, ValueError
            If shapes differ, values are not finite, or there are neither signals
            nor 2-D images.
        """
        measurements, columns = self._checked()
        images = columns["Reconstruction"]
        n_rows = len(images)
        is_signal = images.ndim - bool(self.has_channels) == 2
        n_panels = 3 if is_signal else len(columns) + 2
        size = (3.6, 2.3) if is_signal else (2.5, 2.5)
        figure_size = (size[0] * n_panels + 0.8, size[1] * n_rows + 0.5)
        layout = "constrained" if is_signal else "compressed"
        self.axes_ = take_axes(
            ax, (n_rows, n_panels), layout=layout, figsize=figure_size
        )
        self.figure_ = self.axes_[0, 0].figure
        quality = {
            name: None
            if self.truth is None or name == "Ground truth"
            else self._quality(columns["Ground truth"], stack)
            for name, stack in columns.items()
        }
        for axes, sample in zip(self.axes_[:, 0], measurements, strict=True):
            self._draw_measurement(axes, sample, not is_signal)
        draw = self._draw_signals if is_signal else self._draw_images
        draw(columns, quality, imshow_kwargs)
        self.axes_[0, 0].set_title("Measurement")
        return self

    def _checked(self):
        """Return the measurements, and all stacks of images by their titles."""
        measurements = check_stack(
            self.measurements,
            "measurements",
            "measurements",
            missing_ok=True,
            complex_ok=np.iscomplexobj(self.measurements),
        )
        columns = {"A†y": ("linear", self.linear)}
        columns["Reconstruction"] = ("images", self.images)
        if self.truth is not None:
            columns["Ground truth"] = ("truth", self.truth)
        columns = {
            title: check_stack(stack, name, "images", complex_ok=True)
            for title, (name, stack) in columns.items()
        }
        if np.iscomplexobj(self.images):
            several = measurements.ndim > np.ndim(self.images)  # coils
            measurements = as_channels(measurements, several)
            columns = {title: as_channels(stack) for title, stack in columns.items()}
        shapes = [stack.shape for stack in columns.values()]
        if len(set(shapes)) > 1 or len(measurements) != shapes[0][0]:
            raise ValueError(
                f"Got {len(measurements)} measurements and images of shapes {shapes}, "
                "but expected one image of each kind, of one shape, for each "
                "measurement."
            )
        if len(shapes[0]) - 1 - bool(self.has_channels) not in (1, 2):
            raise ValueError(
                f"Got images of shape {shapes[0][1:]}, but expected signals or 2-D "
                "images; pass one slice of each volume to ReconstructionDisplay."
            )
        return measurements, columns

    def _quality(self, truth, stack):
        """Return the PSNR of each image."""
        if np.iscomplexobj(self.images):
            truth, stack = (z[..., 0] + 1j * z[..., 1] for z in (truth, stack))
        return psnr(truth, stack, per_image=True)

    def _draw_measurement(self, axes, sample, square):
        if self.has_channels and sample.ndim > 1:
            sample = np.nan_to_num(sample)
            top = float(sample.max())
            sample = shown(sample, top if top > _COLOR_TOP else 1.0)
            if sample.ndim == 2:
                sample = _compressed(sample)
        colored = self.has_channels and sample.ndim == 3
        if sample.ndim == 1:
            axes.plot(sample, color="black", linewidth=0.8)
            if square:
                axes.set_box_aspect(1)
            return
        if sample.ndim > 2 and not colored:
            sample = sample.reshape(len(sample), -1)
        # A sinogram fills its panel; pixels of a frame stay square.
        aspect = "equal" if sample.shape[:2] == self.images[0].shape[:2] else "auto"
        axes.imshow(sample, cmap="gray", aspect=aspect)
        axes.set_box_aspect(1 if aspect == "auto" else None)
        without_ticks(axes)

    def _draw_signals(self, columns, quality, _):
        error_title, error = self._error(columns)
        for row, axes in enumerate(self.axes_):
            looks = styles()
            for name, stack in columns.items():
                look = {**next(looks), "marker": None}
                if name == "Ground truth":
                    look.update(color="black", linestyle=":")
                values = stack[row]
                if self.has_channels:
                    values = magnitude(values)
                score = quality[name]
                label = name if score is None else f"{name}, {_decibels(score[row])}"
                axes[1].plot(values, label=label, **look)
            axes[1].legend(fontsize="x-small")
            axes[2].axhline(0, color="0.6", linewidth=0.8)
            axes[2].plot(error[row], color="black", linewidth=0.8)
            limit = 1.05 * symmetric_limit(error)
            axes[2].set_ylim(-limit, limit)
        self.axes_[0, 1].set_title("Images")
        self.axes_[0, 2].set_title(error_title)

    def _draw_images(self, columns, quality, imshow_kwargs):
        reference = columns.get("Ground truth", columns["Reconstruction"])
        top = float(reference.max())
        top = top if top > _COLOR_TOP else 1.0
        panels = {
            name: shown(stack, top) if self.has_channels else stack
            for name, stack in columns.items()
        }
        reference = panels.get("Ground truth", panels["Reconstruction"])
        low, high = float(reference.min()), float(reference.max())
        if low == high:
            low, high = low - 0.5, high + 0.5
        options = {"cmap": "gray", "vmin": low, "vmax": high, **imshow_kwargs}
        for column, (name, stack) in enumerate(panels.items(), start=1):
            for row, axes in enumerate(self.axes_[:, column]):
                drawn = axes.imshow(stack[row], **options)
                without_ticks(axes)
                heading = [name] if row == 0 else []
                if quality[name] is not None:
                    heading.append(_decibels(quality[name][row]))
                axes.set_title("\n".join(heading))
        if reference.ndim == 3:  # not in colour
            values = np.stack(list(panels.values()))
            self._add_bar(drawn, self.axes_[:, 1:-1], values)
        title, error = self._error(columns)
        limit = symmetric_limit(error)
        for row, axes in enumerate(self.axes_[:, -1]):
            drawn = axes.imshow(error[row], cmap="RdBu_r", vmin=-limit, vmax=limit)
            without_ticks(axes)
        self._add_bar(drawn, self.axes_[:, -1:], error)
        self.axes_[0, -1].set_title(title)

    def _add_bar(self, drawn, axes, values):
        """Add the colour bar of some panels, with arrows where values are clipped."""
        low, high = drawn.get_clim()
        below, above = values.min() < low, values.max() > high
        extend = {(True, True): "both", (True, False): "min", (False, True): "max"}
        self.figure_.colorbar(
            drawn,
            ax=axes.ravel().tolist(),
            extend=extend.get((bool(below), bool(above)), "neither"),
            pad=0.02,
            aspect=15 * len(self.axes_),
        )

    def _error(self, columns):
        """Return the title and the values of the last panel."""
        has_truth = self.truth is not None
        image = columns["Reconstruction"]
        other = columns["Ground truth" if has_truth else "A†y"]
        if not self.has_channels:
            error = image - other
        elif image.shape[-1] == 3:
            # The channel that is furthest off, with its sign.
            error = image - other
            furthest = np.abs(error).argmax(axis=-1, keepdims=True)
            error = np.take_along_axis(error, furthest, axis=-1)[..., 0]
        else:
            error = magnitude(image) - magnitude(other)
        return ("Error" if has_truth else "Reconstruction − A†y"), error


def _compressed(values):
    """Return magnitudes, or their logarithm where few of them outshine the rest.

    So does the middle of k-space.
    """
    typical = np.median(values[values > 0]) if values.any() else 1.0
    if values.max() <= _OUTSHINES * typical:
        return values
    return np.log10(np.maximum(values, 0.1 * typical))


def _decibels(score):
    return f"{score:.1f} dB" if np.isfinite(score) else "exact"
