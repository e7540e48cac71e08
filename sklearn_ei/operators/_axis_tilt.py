"""An axis of rotation that leans in the plane of the detector."""

import math
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np
import torch
from scipy.interpolate import make_interp_spline
from scipy.stats import theilslopes
from sklearn.base import clone
from sklearn.utils import check_scalar

from ..utils.params import check_real
from ..utils.stack_check import check_stack
from ..utils.warn import warn
from ._base import ForwardOperator
from ._consistency import ModelMismatchWarning
from ._search import search_offset
from ._stuck import say_stuck, without_stuck

_LEAST_ROWS = 3
_ONE_SIGMA = 0.683  # level of confidence


@dataclass(frozen=True)
class AxisTilt:
    """How the axis of rotation leans, from the rows of a volume.

    Attributes
    ----------
    operator : ForwardOperator
        A copy with the offset of the middle row.
    degrees : float
        By which the axis leans against the columns of the detector: positive if the
        offset grows with the number of the row.
    error : float
        Standard deviation of ``degrees``, half of the interval that holds 68 % of the
        slopes between two rows.
    slope : float
        Change of the offset from row to row, in the units of ``bin_size``.
    n_rows : int
        Of the volume.
    rows, offsets : ndarray of shape (n,)
        Rows that were looked at, and their offsets.
    """

    operator: Any
    degrees: float
    error: float
    slope: float
    n_rows: int
    rows: np.ndarray
    offsets: np.ndarray

    @property
    def sentence(self):
        """What was found, in words."""
        return (
            f"The axis leans by {self.degrees:.3g} ± {self.error:.1g} degrees: "
            f"detector_offset is {self.operator.detector_offset:.4g} in the middle of "
            f"{self.n_rows} rows and changes by {self.slope:.3g} from row to row, as "
            f"{len(self.rows)} of them tell."
        )

    def __str__(self):
        return self.sentence

    __repr__ = __str__

    def straighten(self, Y: Any) -> np.ndarray:
        """Return sinograms as an upright axis would have given them.

        Parameters
        ----------
        Y : array-like of shape (n_rows, n_views, n_bins)
            All rows of the volume, in order.

        Returns
        -------
        Y : ndarray of shape (n_rows, n_views, n_bins), float32
            Bins of each row moved by what its offset differs from that of the middle
            row, interpolated by cubic splines, or linearly in rows with NaN, which
            spreads to its neighbours; what comes from beyond the detector repeats its
            last bin.

        Raises
        ------
        ValueError
            If there are more or fewer rows than those of the volume.
        """
        Y = _volume(Y)
        if len(Y) != self.n_rows:
            raise ValueError(
                f"Got Y of {len(Y)} rows, but expected all {self.n_rows} of the volume "
                "in order: how far a row is moved follows from its number."
            )
        width = getattr(self.operator, "bin_size", None) or 1.0
        moves = self.slope / width * (np.arange(len(Y)) - (len(Y) - 1) / 2)
        bins = np.arange(Y.shape[2])
        straight = np.empty(Y.shape, dtype=np.float32)
        for row, (sinogram, move) in enumerate(zip(Y, moves, strict=True)):
            order = 1 if np.isnan(sinogram).any() else 3
            spline = make_interp_spline(bins, sinogram.T, k=order, check_finite=False)
            straight[row] = spline(np.clip(bins - move, 0, bins[-1])).T
        return straight


def estimate_axis_tilt(
    operator: ForwardOperator,
    Y: Any,
    *,
    n_rows: int = 8,
    row_height: float | None = None,
    largest: float | None = None,
) -> AxisTilt:
    """Find how the axis of rotation leans in the plane of the detector.

    Parameters
    ----------
    operator : ParallelBeamCT or FanBeamCT
        That of a row; its ``detector_offset`` is a first guess.
    Y : array-like of shape (n_rows, n_views, n_bins)
        Sinograms of all rows of a volume, in order.
    n_rows : int, default=8
        How many of them are looked at, evenly spread; at least three.
    row_height : float, default=None
        From row to row, in the units of ``bin_size``. None: as much as a bin.
    largest : float, default=None
        As for :func:`estimate_detector_offset`.

    Returns
    -------
    tilt : AxisTilt
        ``tilt.straighten(Y)`` are sinograms that ``tilt.operator`` explains.

    Raises
    ------
    ValueError
        If there are fewer than three rows, or the operator has no detector that could
        be displaced.

    Warns
    -----
    ModelMismatchWarning
        If bins or views are stuck; they are left out. Mask them before ``straighten``,
        which would move them as well.

    See Also
    --------
    estimate_detector_offset : The offset of a single row.

    Notes
    -----
    Each row has the offset o_r = o + s (r − r₀) with s = tan(tilt) · ``row_height``, to
    first order in the tilt; o_r is found by :func:`estimate_detector_offset`, and the
    line is Theil's and Sen's, through the median of the slopes between two rows, which
    a few rows with a wrong offset do not move. Rows that show nothing, whose offset has
    no minimum inside the range, are left out. An axis that leans along the beam does
    not displace rows.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_ei.datasets import make_thorax_phantoms
    >>> from sklearn_ei.operators import ParallelBeamCT, estimate_axis_tilt
    >>> images = make_thorax_phantoms(5, (24, 24), random_state=0)
    >>> rows = [
    ...     ParallelBeamCT(20, n_bins=41, detector_offset=0.5 * row).measure(x[None])
    ...     for row, x in enumerate(images)
    ... ]
    >>> Y = np.concatenate(rows)
    >>> tilt = estimate_axis_tilt(ParallelBeamCT(20, (24, 24), n_bins=41), Y)
    >>> abs(tilt.slope - 0.5) < 0.05
    True
    """
    Y = _volume(Y)
    check_scalar(n_rows, "n_rows", Integral, min_val=_LEAST_ROWS)
    width = getattr(operator, "bin_size", None) or 1.0
    height = width if row_height is None else row_height
    check_real("row_height", height, min_val=0, include_boundaries="neither")
    rows = np.unique(np.linspace(0, len(Y) - 1, n_rows).round().astype(int))
    sinograms, stuck = without_stuck(operator, torch.from_numpy(Y[rows])[:, None], Y)
    if stuck:
        warn(f"{say_stuck(stuck, Y)} Here that is left out.", ModelMismatchWarning)
    searches = [search_offset(operator, row.numpy(), largest) for row in sinograms]
    found = [estimate for estimate, _ in searches]
    said = next((text for _, text in searches if text), None)  # once for all rows
    if said:
        warn(said, ModelMismatchWarning)
    errors = np.array([one.errors["detector_offset"] for one in found])
    offsets = np.array([one.values["detector_offset"] for one in found])
    seen = np.isfinite(errors)
    if seen.sum() < _LEAST_ROWS:
        raise ValueError(
            f"Got Y of {len(Y)} rows, of which {seen.sum()} of {len(rows)} looked at "
            "tell their offset, but expected three: pass more n_rows, or a larger "
            "largest."
        )
    rows, offsets = rows[seen], offsets[seen]
    line = theilslopes(offsets, rows - (len(Y) - 1) / 2, alpha=_ONE_SIGMA)
    slope, spread = float(line.slope), float(line.high_slope - line.low_slope) / 2
    upright = clone(operator).set_params(detector_offset=float(line.intercept))
    return AxisTilt(
        operator=upright,
        degrees=math.degrees(math.atan(slope / height)),
        error=math.degrees(spread / height),
        slope=slope,
        n_rows=len(Y),
        rows=rows,
        offsets=offsets,
    )


def _volume(Y):
    Y = check_stack(Y, "Y", "sinograms", missing_ok=True)
    if Y.ndim != 3 or len(Y) < _LEAST_ROWS:
        raise ValueError(
            f"Got Y of shape {Y.shape}, but expected (n_rows, n_views, n_bins) with at "
            "least three rows."
        )
    return Y
