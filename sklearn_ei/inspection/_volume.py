"""Three orthogonal slices of a volume, and how far to trust them."""

from numbers import Integral

import numpy as np

from ..model_selection import unwrap
from ..utils.params import brief
from ._drawing import take_axes, without_ticks

_PLANES = ("Slice", "Row", "Column")


class VolumeDisplay:
    """Orthogonal slices of a volume, an error map of them below.

    The samples of a tomographic scan are the rows of its detector, and the images of
    these rows are the slices of a volume. What goes wrong from row to row shows in
    slices across them. Only the three slices are read, so that a volume may be a
    memory map. It is recommended to use :meth:`from_estimator` or
    :meth:`from_predictions`.

    Parameters
    ----------
    volume : array-like of shape (n_slices, H, W)
        Images of the rows of a detector, one above the other. Anything that has
        ``shape`` and is indexed like an array.
    std : array-like of the shape of ``volume``, default=None
        Error map.
    index : tuple (slice, row, column), default=None
        Point that the three slices go through; negative numbers count from the end.
        None: the middle.
    spacing : tuple (slice, row, column), default=(1.0, 1.0, 1.0)
        Of the voxels, in any one unit: for the proportions.

    Attributes
    ----------
    figure_ : matplotlib Figure
        After :meth:`plot`.
    axes_ : ndarray of shape (1, 3) or (2, 3) of matplotlib Axes
        After :meth:`plot`: one slice, one row of all slices, one column of all
        slices; their error maps below.

    See Also
    --------
    UncertaintyDisplay : One image, its error map and what of it was measured.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_ei import VolumeDisplay
    >>> volume = np.random.default_rng(0).random((5, 8, 8))
    >>> display = VolumeDisplay.from_predictions(volume, index=(2, 4, 4))
    >>> [axes.get_title() for axes in display.axes_[0]]  # doctest: +SKIP
    ['Slice 2', 'Row 4', 'Column 4']
    """

    def __init__(self, volume, std=None, *, index=None, spacing=(1.0, 1.0, 1.0)):
        self.volume = volume
        self.std = std
        self.index = index
        self.spacing = spacing

    @classmethod
    def from_estimator(
        cls,
        estimator,
        Y,
        *,
        error_map=True,
        n_bootstrap=16,
        random_state=0,
        index=None,
        spacing=(1.0, 1.0, 1.0),
        ax=None,
        **imshow_kwargs,
    ):
        """Reconstruct all rows of a detector and show three slices.

        Parameters
        ----------
        estimator : estimator
            Fitted; may be a pipeline that ends in such an estimator.
        Y : array-like of shape (n_rows, *measurement_shape)
            Measurements, rows of the detector first.
        error_map : bool, default=True
            Whether to show how far each voxel may be off. Needs an estimator whose
            ``predict`` takes ``return_std``, and takes as long as ``n_bootstrap``
            reconstructions.
        n_bootstrap : int, default=16
            Transformed images behind the error map.
        random_state : int, RandomState instance or None, default=0
            Of the error map.
        index, spacing, ax
            As for :meth:`from_predictions`.
        **imshow_kwargs
            Passed to ``imshow`` for the slices of the volume.

        Returns
        -------
        display : VolumeDisplay
        """
        reconstructor, measurements = unwrap(estimator, Y)
        std = None
        if error_map:
            volume, std = reconstructor.predict(
                measurements, True, n_bootstrap=n_bootstrap, random_state=random_state
            )
        else:
            volume = reconstructor.predict(measurements)
        display = cls(volume, std, index=index, spacing=spacing)
        return display.plot(ax=ax, **imshow_kwargs)

    @classmethod
    def from_predictions(
        cls,
        volume,
        std=None,
        *,
        index=None,
        spacing=(1.0, 1.0, 1.0),
        ax=None,
        **imshow_kwargs,
    ):
        """Show a volume that is there already.

        Parameters
        ----------
        volume, std, index, spacing
            As for the class.
        ax : array of 3 or 6 matplotlib Axes, default=None
            Where to draw; None makes a figure.
        **imshow_kwargs
            Passed to ``imshow`` for the slices of the volume.

        Returns
        -------
        display : VolumeDisplay
        """
        display = cls(volume, std, index=index, spacing=spacing)
        return display.plot(ax=ax, **imshow_kwargs)

    def plot(self, *, ax=None, **imshow_kwargs):
        """Draw the slices.

        Parameters
        ----------
        ax : array of 3 or 6 matplotlib Axes, default=None
            Where to draw; None makes a figure.
        **imshow_kwargs
            Passed to ``imshow`` for the slices of the volume.

        Returns
        -------
        display : VolumeDisplay

        Raises
        ------
        TypeError, ValueError
            If there is no volume, its error map has another shape, or the point is
            outside.
        """
        point, spacing = self._checked()
        stacks = [self.volume] if self.std is None else [self.volume, self.std]
        self.axes_ = take_axes(ax, (len(stacks), 3), figsize=(10, 3.2 * len(stacks)))
        self.figure_ = self.axes_[0, 0].figure
        for row, stack in enumerate(stacks):
            planes = _through(stack, point)
            low = min(np.nanmin(plane) for plane in planes)
            high = max(np.nanmax(plane) for plane in planes)
            options = {"cmap": "gray", "vmin": low, "vmax": high, **imshow_kwargs}
            if row == 1:
                options = {"cmap": "magma", "vmin": 0.0, "vmax": high}
            for axes, plane, (down, across) in zip(
                self.axes_[row], planes, ((1, 2), (0, 2), (0, 1)), strict=True
            ):
                aspect = spacing[down] / spacing[across]
                drawn = axes.imshow(plane, **{"aspect": aspect, **options})
                axes.axhline(point[down], color="tab:orange", linewidth=0.5)
                axes.axvline(point[across], color="tab:orange", linewidth=0.5)
                without_ticks(axes)
            label = "error map" if row == 1 else None
            self.figure_.colorbar(
                drawn, ax=self.axes_[row].tolist(), pad=0.02, label=label
            )
        for axes, plane, number in zip(self.axes_[0], _PLANES, point, strict=True):
            axes.set_title(f"{plane} {number}")
        return self

    def _checked(self):
        """Return the point as non-negative numbers, and the spacing."""
        shape = tuple(getattr(self.volume, "shape", np.shape(self.volume)))
        if len(shape) != 3 or 0 in shape:
            raise ValueError(
                f"Got a volume of shape {shape}, but expected (n_slices, H, W); of "
                "complex images show the magnitude."
            )
        if self.std is not None and tuple(np.shape(self.std)) != shape:
            raise ValueError(
                f"Got an error map of shape {tuple(np.shape(self.std))}, but expected "
                f"that of the volume, {shape}."
            )
        index = tuple(n // 2 for n in shape) if self.index is None else self.index
        valid = isinstance(index, tuple | list) and len(index) == 3
        valid = valid and all(
            isinstance(i, Integral) and not isinstance(i, bool) and -n <= i < n
            for i, n in zip(index, shape, strict=True)
        )
        if not valid:
            raise ValueError(
                f"Got index={brief(self.index)}, but expected (slice, row, column) "
                f"inside of {shape}."
            )
        try:
            spacing = tuple(float(value) for value in self.spacing)
        except (TypeError, ValueError):
            spacing = ()
        if len(spacing) != 3 or not all(0 < value < np.inf for value in spacing):
            raise ValueError(
                f"Got spacing={brief(self.spacing)}, but expected three positive "
                "numbers: between slices, rows and columns."
            )
        return tuple(int(i) % n for i, n in zip(index, shape, strict=True)), spacing


def _through(stack, point):
    """Return the three slices through a point, and read nothing else."""
    if not hasattr(stack, "shape"):
        stack = np.asarray(stack)
    i, j, k = point
    return [np.asarray(p) for p in (stack[i], stack[:, j], stack[:, :, k])]
