"""A score from measurements that f was not shown."""

from numbers import Integral, Real
from typing import Any

import numpy as np
import torch
from sklearn.utils import check_random_state, check_scalar

from ..operators import MRI, ODLOperator
from ..operators._ray_transform import RayTransformOperator
from ..utils.cgls import minimum_norm_solution
from ..utils.params import check_option
from ..utils.random import draw_seed, make_generator
from ._estimators import batches, relative_energy, unwrap, with_operator
from ._self_consistency import check_group, transform_and_repeat

_PROBES = 4
_CGLS_STEPS = 15


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
    masks = _masks(operator, fraction, n_splits, axis, random_state)
    if isinstance(round_trip, str):
        check_option("round_trip", round_trip, ("auto",))
        round_trip = getattr(reconstructor, "group_", None) is not None
    if round_trip:
        check_group(reconstructor)
    generator = make_generator(draw_seed(random_state))

    def pairs():
        for kept in masks:
            sub_operator = KeptMeasurements(operator, kept)
            reconstruct = with_operator(reconstructor, sub_operator)
            for batch in batches(reconstructor, Y):
                keep = kept.to(batch)
                x = reconstruct(keep * batch)
                if round_trip:
                    x = transform_and_repeat(reconstructor, x, generator)
                yield (1 - keep) * (operator.forward(x) - batch), (1 - keep) * batch

    return -relative_energy(pairs())


class KeptMeasurements:
    """The part M A of an operator, in its place within f.

    Parameters
    ----------
    operator : ForwardOperator
        A, resolved.
    kept : torch.Tensor of shape measurement_shape
        M, one where a measurement is kept and zero elsewhere.
    """

    def __init__(self, operator, kept):
        self.operator = operator
        self.kept = kept

    def __getattr__(self, name):
        if name.startswith("__") or name == "operator":
            raise AttributeError(name)
        return getattr(self.operator, name)

    def forward(self, x):
        """Return M A x."""
        y = self.operator.forward(x)
        return self.kept.to(y) * y

    def adjoint(self, y):
        """Return Aᵀ M y."""
        return self.operator.adjoint(self.kept.to(y) * y)

    def pinv(self, y):
        """Return A† of the kept measurements, completed by A (M A)†y."""
        return self.operator.pinv(self._completed(y))

    def refine(self, x, y):
        """Return x + (M A)†(y − M A x), or a step towards it."""
        residual = self.kept.to(y) * y - self.forward(x)
        correction = self.operator._apply(
            "_pinv", self._completed(residual), "measurements"
        )
        return x + self.operator.refinement_step * correction

    def _completed(self, y):
        """Return y with A (M A)†y in the place of what is not kept."""
        x = minimum_norm_solution(self.forward, self.adjoint, y, _CGLS_STEPS)
        kept = self.kept.to(y)
        return kept * y + (1 - kept) * self.operator.forward(x)


def _masks(operator, fraction, n_splits, axis, random_state):
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
        axis = _natural_axis(operator)
    elif axis is not None:
        check_scalar(axis, "axis", Integral, min_val=0, max_val=len(shape) - 1)
    measured = _measured_entries(operator)
    if axis is None:
        candidates = np.flatnonzero(measured)
        # Entries have no order that would spread them: draw.
        candidates = check_random_state(random_state).permutation(candidates)
    else:
        others = tuple(i for i in range(len(shape)) if i != axis)
        candidates = np.flatnonzero(measured.any(axis=others))
        if automatic and isinstance(operator, MRI):
            candidates = _without_centre(candidates, shape[axis] // 2)
    n_folds = max(1, min(n_folds, len(candidates)))
    masks = []
    for fold in np.unique(np.arange(n_splits) * n_folds // n_splits):
        kept = np.ones(shape, dtype=np.float32)
        held_out = candidates[fold::n_folds]
        if axis is None:
            kept.reshape(-1)[held_out] = 0
        else:
            np.moveaxis(kept, axis, 0)[held_out] = 0
        masks.append(torch.from_numpy(kept))
    return masks


def _natural_axis(operator):
    """Axis along which an instrument takes its measurements, or None."""
    if isinstance(operator, RayTransformOperator):
        return 0
    if isinstance(operator, ODLOperator) and len(operator.measurement_shape) > 1:
        return 0
    if isinstance(operator, MRI) and (
        operator.mask is None or np.ndim(operator.mask) == 1
    ):
        return 1
    return None


def _measured_entries(operator):
    """Return where A has a row other than zero, found with random images."""
    generator = make_generator(0)
    channels = operator._image_channels or 1
    x = torch.randn((_PROBES, channels, *operator.image_shape), generator=generator)
    y = operator.forward(x).abs().amax(dim=(0, 1))
    # Fourier transforms leave rounding errors where nothing is measured.
    return (y > 1e-6 * y.max()).numpy()


def _without_centre(lines, centre):
    """Drop the run of adjacent lines about the centre of k-space."""
    measured, first, last = set(lines.tolist()), centre, centre
    if centre not in measured:
        return lines
    while first - 1 in measured:
        first -= 1
    while last + 1 in measured:
        last += 1
    return lines[(lines < first) | (lines > last)]
