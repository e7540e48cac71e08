"""Several operators M_1 A, …, M_N A: which measurements each of them keeps."""

import numpy as np
import torch

from ..groups import Group
from ..utils.layout import unknown_in_both
from ..utils.params import brief
from ..utils.stack_check import filled

_CHUNK = 64  # samples looked at together: stacks may be memory maps


class NoGroup(Group):
    """The identity alone, in the place of a group where there is none."""

    n_elements = 1
    is_exact = True

    def _transform(self, x, g):
        return x


class Masks:
    """How often each measurement is kept.

    Parameters
    ----------
    masks : array-like of shape (n_masks, *measurement_shape[, n_channels])
        Bools, true where measured; or measurements, NaN or masked where not. Of
        complex ones, coils may be the second axis.
    in_pairs : bool, default=False
        Whether channels of real ones are pairs, which are missing together.

    Attributes
    ----------
    share : ndarray of the shape of a mask
        Of the masks that keep a measurement, the diagonal of the mean mask.
    n_masks : int
    is_complex : bool
    """

    def __init__(self, masks, in_pairs=False):
        if isinstance(masks, np.ma.MaskedArray) and masks.dtype == bool:
            masks = masks.filled(False)
        masks = filled(masks)
        stack = masks if hasattr(masks, "shape") else np.asarray(masks)
        if len(stack.shape) < 2 or 0 in stack.shape:
            raise ValueError(
                f"Got masks of shape {tuple(stack.shape)}, but expected (n_masks, "
                "*measurement_shape), one for each operator."
            )
        self.n_masks = len(stack)
        total, binary = np.zeros(stack.shape[1:]), True
        for start in range(0, self.n_masks, _CHUNK):
            chunk = np.asarray(stack[start : start + _CHUNK])
            if in_pairs and chunk.dtype.kind == "f":
                chunk = unknown_in_both(chunk)
            kept = _kept(chunk)
            empty = ~kept.reshape(len(kept), -1).any(axis=1)
            if empty.any():
                raise ValueError(
                    f"Mask {start + int(np.argmax(empty))} keeps no measurement, but "
                    "expected at least one in each."
                )
            total += kept.sum(axis=0)
            binary = binary and chunk.dtype != bool
            binary = binary and bool(np.isin(chunk, (0, 1)).all())
        if binary:
            raise ValueError(
                "Got masks of zeros and ones that are no bools, but expected bools, or "
                "measurements with NaN where there are none; pass masks.astype(bool)."
            )
        self.share = total / self.n_masks
        self.is_complex = chunk.dtype.kind == "c"

    def layouts(self, operator):
        """Return layouts of images and measurements that the masks' shape settles.

        Masks may leave out a channel axis of the measurements.
        """
        shape = self.share.shape
        try:
            return operator.layouts(measurement=shape)
        except ValueError:
            channels = operator.measurement_layout.channels
            if not isinstance(channels, int):
                raise
            if self._has_coils(channels):
                shape = shape[1:]
            return operator.layouts(measurement=(*shape, channels))

    def _has_coils(self, channels):
        """Whether masks are of coils, each with a real and an imaginary part."""
        return self.is_complex and 2 * len(self.share) == channels

    def weights(self, layout):
        """Return ``share`` as a tensor (channel, *measurement_shape), float64.

        One channel stands for all where masks are the same in each.

        Parameters
        ----------
        layout : Layout
            Of the operator's measurements, with its shape.
        """
        share, shape = self.share, layout.shape
        if share.shape[1:] == shape and self._has_coils(layout.channels):
            share = np.moveaxis(np.repeat(share, 2, axis=0), 0, -1)
        extra = share.shape[len(shape) :]
        fits = layout.channels == "any" or extra in ((), (layout.channels,))
        if share.shape[: len(shape)] != shape or len(extra) > 1 or not fits:
            raise ValueError(
                f"Got masks of shape {(self.n_masks, *share.shape)}, but expected "
                f"(n_masks, {', '.join(map(str, layout.array_shape))}), as "
                "measurements have."
            )
        share = np.moveaxis(share, -1, 0) if extra else share[None]
        if (share == share[:1]).all():
            share = share[:1]
        return torch.from_numpy(np.ascontiguousarray(share))


def _kept(chunk):
    if chunk.dtype == bool:
        return chunk
    if chunk.dtype.kind not in "fc":
        raise TypeError(
            f"Got masks={brief(chunk)} of dtype {chunk.dtype}, but expected bools, "
            "true where measured, or measurements with NaN where there are none."
        )
    return ~np.isnan(chunk)


def masks_of(operator, masks):
    """Return :class:`Masks` of what a user passed for an operator, or None for None."""
    if masks is None:
        return None
    return Masks(masks, getattr(operator, "has_complex_channels", False))
