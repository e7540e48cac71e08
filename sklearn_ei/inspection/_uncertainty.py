"""One image, how far to trust it, and what of it was measured."""

import numpy as np

from ..model_selection import unwrap
from ._drawing import magnitude, shown, without_ticks

_TITLES = ("Image", "Error map", "Measured part")


class UncertaintyDisplay:
    """Image, error map and measured part side by side.

    What the image shows and the measured part does not was learned. It is
    recommended to use :meth:`from_estimator`.

    Parameters
    ----------
    image : ndarray of shape image_shape or (*image_shape, n_channels)
        The reconstruction: a signal, or a 2-D image; complex numbers, or two channels,
        are a complex image, three channels a colour one.
    std : ndarray of the shape of ``image``
        Its error map.
    measured : ndarray of the shape of ``image``
        Its part A†A x in the range space of A†.
    has_channels : bool, default=False
        Whether the last axis is that of channels.

    Attributes
    ----------
    figure_ : matplotlib Figure
        After :meth:`plot`.
    ax_ : ndarray of three matplotlib Axes
        After :meth:`plot`.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_ei import UncertaintyDisplay
    >>> image = np.eye(8)
    >>> display = UncertaintyDisplay.from_predictions(image, 0.1 * image, 0.5 * image)
    >>> [ax.get_title() for ax in display.ax_]  # doctest: +SKIP
    ['Image', 'Error map', 'Measured part']
    """

    def __init__(self, image, std, measured, *, has_channels=False):
        self.image = image
        self.std = std
        self.measured = measured
        self.has_channels = has_channels

    @classmethod
    def from_estimator(
        cls,
        estimator,
        Y,
        *,
        index=0,
        n_bootstrap=32,
        noise="auto",
        random_state=0,
        ax=None,
        **imshow_kwargs,
    ):
        """Reconstruct one measurement and show it.

        Parameters
        ----------
        estimator : estimator
            Fitted with a group; may be a pipeline that ends in such an estimator,
            or a :class:`~sklearn_ei.ConformalReconstructor`, whose error map is
            calibrated.
        Y : array-like of shape (n_samples, *measurement_shape[, n_channels])
            Measurements.
        index : int, default=0
            Which of them.
        n_bootstrap : int, default=32
            Transformed images behind the error map.
        noise : NoiseModel, float, None or "auto", default="auto"
            Noise of the measurements, as for
            :meth:`EquivariantReconstructor.predict`.
        random_state : int, RandomState instance or None, default=0
            Of the error map. A ConformalReconstructor has these three itself.
        ax : sequence of three matplotlib Axes, default=None
            Where to draw; None makes a figure.
        **imshow_kwargs
            Passed to ``imshow`` for the image and its measured part.

        Returns
        -------
        display : UncertaintyDisplay
        """
        chosen = Y[index : index + 1] if index >= 0 else Y[index:][:1]
        calibrated = hasattr(estimator, "factor_")
        inner = estimator.estimator if calibrated else estimator
        reconstructor, measurements = unwrap(inner, chosen)
        images, measured = reconstructor._measured_parts(measurements)
        if calibrated:
            _, std = estimator.predict(chosen, return_std=True)
        else:
            _, std = reconstructor.predict(
                measurements,
                True,
                n_bootstrap=n_bootstrap,
                noise=noise,
                random_state=random_state,
            )
        display = cls(
            images[0],
            std[0],
            measured[0],
            has_channels=reconstructor.image_layout_.has_channel_axis,
        )
        return display.plot(ax=ax, **imshow_kwargs)

    @classmethod
    def from_predictions(
        cls, image, std, measured, *, has_channels=False, ax=None, **imshow_kwargs
    ):
        """Show arrays that are there already.

        Parameters
        ----------
        image, std, measured : ndarrays of shape image_shape[, n_channels]
            As for the class.
        has_channels : bool, default=False
            Whether the last axis is that of channels.
        ax : sequence of three matplotlib Axes, default=None
            Where to draw; None makes a figure.
        **imshow_kwargs
            Passed to ``imshow`` for the image and its measured part.

        Returns
        -------
        display : UncertaintyDisplay
        """
        display = cls(image, std, measured, has_channels=has_channels)
        return display.plot(ax=ax, **imshow_kwargs)

    def plot(self, *, ax=None, **imshow_kwargs):
        """Draw the three.

        Parameters
        ----------
        ax : sequence of three matplotlib Axes, default=None
            Where to draw; None makes a figure.
        **imshow_kwargs
            Passed to ``imshow`` for the image and its measured part.

        Returns
        -------
        display : UncertaintyDisplay

        Raises
        ------
        ValueError
            If shapes differ, or there are neither signals nor 2-D images.
        """
        parts = [np.asarray(p) for p in (self.image, self.std, self.measured)]
        parts = [np.abs(p) if np.iscomplexobj(p) else p for p in parts]
        if len({part.shape for part in parts}) > 1:
            raise ValueError(
                f"Got shapes {[part.shape for part in parts]}, but expected an image, "
                "an error map and a measured part of one shape."
            )
        n_dims = parts[0].ndim - bool(self.has_channels)
        if n_dims not in (1, 2):
            raise ValueError(
                f"Got an image of shape {parts[0].shape}, but expected a signal or a "
                "2-D image; pass one slice of a volume to from_predictions."
            )
        import matplotlib.pyplot as plt

        if ax is None:
            _, ax = plt.subplots(1, 3, figsize=(10, 3), layout="constrained")
        self.ax_ = np.asarray(ax, dtype=object).reshape(-1)
        if len(self.ax_) != 3:
            raise ValueError(f"Got {len(self.ax_)} axes in ax, but expected three.")
        self.figure_ = self.ax_[0].figure
        draw = self._draw_signals if n_dims == 1 else self._draw_images
        draw(parts, imshow_kwargs)
        for axes, title in zip(self.ax_, _TITLES, strict=True):
            axes.set_title(title)
        return self

    def _draw_signals(self, parts, _):
        image, std, measured = (part.reshape(len(part), -1)[:, 0] for part in parts)
        positions = np.arange(len(image))
        self.ax_[0].plot(image)
        self.ax_[0].fill_between(positions, image - std, image + std, alpha=0.3)
        self.ax_[1].plot(std)
        self.ax_[2].plot(measured)

    def _draw_images(self, parts, imshow_kwargs):
        image, std, measured = parts
        if self.has_channels:
            std = magnitude(std)
            image, measured = shown(image), shown(measured)
        options = {"cmap": "gray", "vmin": image.min(), "vmax": image.max()}
        options.update(imshow_kwargs)
        self.ax_[0].imshow(image, **options)
        drawn = self.ax_[1].imshow(std, cmap="magma", vmin=0)
        self.figure_.colorbar(drawn, ax=self.ax_[1])
        self.ax_[2].imshow(measured, **options)
        for axes in self.ax_:
            without_ticks(axes)
