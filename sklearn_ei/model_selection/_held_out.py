"""A score from measurements that f was not shown."""

from numbers import Integral, Real
from typing import Any

import numpy as np
import torch
from sklearn.utils import check_random_state, check_scalar

from ..operators import part_of
from ..utils.params import check_option
from ..utils.random import draw_seed, make_generator
from ..utils.torch_state import own_torch
from ._estimators import BATCH_SIZE, relative_energy, tensors, unwrap
from ._self_consistency import check_group, transform_and_repeat


@own_torch()
@torch.no_grad()
def held_out_score(
    estimator: Any,
    Y: Any,
    y: Any = None,
    *,
    fraction: float = 0.1,
    n_splits: int = 4,
    axis: int | str | None = "auto",
    round_trip: bool | str = "auto",
    random_state: int = 0,
) -> float:
    """Minus the relative error in predicting measurements kept from f.

    Parameters
    ----------
    estimator : estimator
        Fitted, or a pipeline that ends in such an estimator. Needs no group.
    Y : array-like of shape (n_samples, *measurement_shape[, n_channels])
        Measurements, better others than in ``fit``.
    y : object
        Ignored; here for scikit-learn.
    fraction : float in (0, 0.5], default=0.1
        Share of the measurements that are held out at a time.
    n_splits : int, default=4
        Times that another part is held out, at most ``1 / fraction``. The same
        parts for every sample.
    axis : int, None or "auto", default="auto"
        Axis of the measurements, without samples and channels, along which whole
        slices are held out: 0 for the views of a sinogram. None: single entries.
        ``"auto"`` holds out views of tomography, lines of
        :class:`~sklearn_ei.operators.MRI` (the fully sampled ones in the middle
        excepted), and single entries elsewhere.
    round_trip : bool or "auto", default="auto"
        Whether to compare not the image x₁ = f_M(M y) itself but T_g⁻¹ f(A T_g x₁)
        with a random g. ``"auto"``: if there is a group.
    random_state : int, default=0
        Seed of the drawn entries and elements, so that equal calls give equal scores.

    Returns
    -------
    score : float
        −Σ‖(1 − M)(A x − y)‖² / Σ‖(1 − M) y‖² over samples and splits, with
        x = T_g⁻¹ f(A T_g f_M(M y)), or f_M(M y), and M one where a measurement is
        kept; at most 0, higher is better.

    Raises
    ------
    TypeError, ValueError
        If a parameter is out of its range, or ``round_trip`` is True and there is
        no group.

    See Also
    --------
    round_trip_score : Needs a group, and measures simulated images again.

    Notes
    -----
    f_M is f with M A in the place of A: the network is the trained one, its
    input and the steps of data consistency use what is kept. The input is A† of
    the kept measurements, completed by those of the image of least norm that
    explains them (15 steps of CGLS). As f_M is not quite f, the score can favour
    an f that bears missing data well over one that is better with all of them.
    The second pass, with all the measurements of an image of its own, softens
    that, and is blind to noise in y as the first one is.

    Noise in the held-out measurements adds the same constant to every
    estimator's error, so that fitting the noise is not rewarded. If the
    held-out entries are a random part of all that could have been measured
    (lost pixels, random projections), the error estimates that of the images,
    up to the loss of ``fraction`` of the data [1]_. Where they are not (views
    between views), it is a guide alone.

    References
    ----------
    .. [1] R. Ward, "Compressed Sensing With Cross Validation", IEEE Trans. Inf.
       Theory 55(12), 2009.
    """
    reconstructor, Y = unwrap(estimator, Y)
    operator = reconstructor.operator_
    measured = _measured(reconstructor, Y)
    masks = _masks(operator, fraction, n_splits, axis, random_state, measured=measured)
    if isinstance(round_trip, str):
        check_option("round_trip", round_trip, ("auto",))
        round_trip = getattr(reconstructor, "group_", None) is not None
    if round_trip:
        check_group(reconstructor)
    generator = make_generator(draw_seed(random_state))
    f = reconstructor.reconstruct_tensors

    def pairs():
        for kept in masks:
            for batch in tensors(reconstructor, Y, BATCH_SIZE):
                whole, y = part_of(operator, batch)
                held_out = ~kept.to(y.device)
                x = f(batch.masked_fill(held_out, torch.nan), operator)
                if round_trip:
                    x = transform_and_repeat(
                        f, whole, reconstructor.group_, x, generator
                    )
                yield held_out * (whole.forward(x) - y), held_out * y

    return -relative_energy(pairs())


def _measured(reconstructor, Y):
    """Return which measurements any sample has, and which all of them have."""
    kept = reconstructor.operator_.measured_entries()
    by_any, by_all = np.zeros_like(kept), kept
    for batch in tensors(reconstructor, Y, BATCH_SIZE):
        seen = (~batch.isnan()).any(1).cpu().numpy()
        by_any, by_all = by_any | seen.any(0), by_all & seen.all(0)
    return kept & by_any, by_all


def _masks(operator, fraction, n_splits, axis, random_state, *, measured=None):
    """Return one mask of kept measurements for each split."""
    check_scalar(
        fraction,
        "fraction",
        Real,
        min_val=0,
        max_val=0.5,
        include_boundaries="right",
    )
    n_folds = max(2, round(1 / fraction))
    check_scalar(n_splits, "n_splits", Integral, min_val=1, max_val=n_folds)
    shape = operator.measurement_shape
    automatic = isinstance(axis, str) and axis == "auto"
    if automatic:
        axis = operator.natural_axis
    elif axis is not None:
        check_scalar(axis, "axis", Integral, min_val=0, max_val=len(shape) - 1)
    whole = operator.measured_entries()
    measured, by_all = measured or (whole, whole)
    if axis is None:
        candidates = np.flatnonzero(measured)
        # Entries have no order that would spread them: draw.
        candidates = check_random_state(random_state).permutation(candidates)
    else:
        others = tuple(i for i in range(len(shape)) if i != axis)
        candidates = np.flatnonzero(measured.any(axis=others))
        if automatic:
            candidates = np.setdiff1d(candidates, operator.calibration_lines(by_all))
    n_folds = max(1, min(n_folds, len(candidates)))
    masks = []
    for fold in np.unique(np.arange(n_splits) * n_folds // n_splits):
        kept = np.ones(shape, dtype=bool)
        held_out = candidates[fold::n_folds]
        if axis is None:
            kept.reshape(-1)[held_out] = 0
        else:
            np.moveaxis(kept, axis, 0)[held_out] = 0
        masks.append(torch.from_numpy(kept))
    return masks
