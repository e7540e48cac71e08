"""Does an operator explain the measurements? Wrong set-ups give plausible images."""

import math
import time
from dataclasses import dataclass, field

import numpy as np
import torch

from ..utils.stack import is_lazy
from ..utils.stack_check import check_stack, check_tensor, filled
from ..utils.torch_state import own_torch
from ._checks import check_operator
from ._dead_entries import find_dead_entries
from ._mask_mistakes import find_mask_mistake
from ._misfit import misfit_of, squared_misfit
from ._stuck import mask_of, say_stuck, without_stuck
from ._suspects import counted_twice, find_causes

_MAX_SAMPLES = 4
_MANY_STEPS = 100  # before no cause at all is named
_MAX_ENTRIES = 2_000_000  # of all samples that are looked at
# Unexplained parts, relative to the measurements. Real data of the right geometry
# leave up to 0.025 (an air value that drifts); wrong ones from 0.015 on.
_CERTAIN = 0.05
_SUSPICIOUS = 0.01
_CLIPPED = 0.03  # objects that reach out; the air around them may drift
# Beside noise, only what stands out counts.
_OF_NOISE = 0.3
_UNEVEN = 2.5  # ratio of the noise along two axes
_UNKNOWN = (
    "the geometry, the order or the unit of the measurements is not what the operator "
    "says, or the object reaches out of the image"
)


class ModelMismatchWarning(UserWarning):
    """The operator does not explain the measurements; the message says how much.

    See :func:`sklearn_ei.operators.check_consistency`.
    """


@dataclass
class ConsistencyReport:
    """How much of the measurements an operator explains.

    Attributes
    ----------
    is_consistent : bool
        Whether nothing speaks against the operator.
    sentence : str
        The answer in words.
    causes : list of str
        What is likely wrong, the likeliest first.
    unexplained : float
        ‖r‖/‖y‖ of the part r of y that neither A x nor noise explains, after 12 steps
        of conjugate gradients, or after 100 where no cause is found.
    misfit : float
        ‖y − A x‖/‖y‖ after 12 steps of conjugate gradients, noise included.
    noise : float
        What of ``misfit`` is like noise: white along the axes of y.
    elsewhere : float
        Share of ‖y‖² in entries that A never measures.
    seconds : float
        How long it took.
    stuck : ndarray of bool, of the shape of Y, or None
        True where tomographs have dead bins, or lost views. A tensor where Y is one;
        None if there are none, or Y is not in memory.
    """

    is_consistent: bool = True
    sentence: str = ""
    causes: list = field(default_factory=list)
    unexplained: float = 0.0
    misfit: float = 0.0
    noise: float = 0.0
    elsewhere: float = 0.0
    seconds: float = 0.0
    stuck: object = None

    def __str__(self):
        return self.sentence

    def to_dict(self):
        """Return everything but ``stuck`` as a dictionary that JSON can hold."""
        return {name: value for name, value in vars(self).items() if name != "stuck"}


@own_torch()
def check_consistency(operator, Y):
    """Say how much of the measurements an operator explains, and what may be wrong.

    A wrong angle unit, centre, order or mask gives a plausible, wrong image. But
    no image has such measurements: y − A x does not vanish, whatever x is.

    Parameters
    ----------
    operator : ForwardOperator
        A. Shapes that it leaves open are taken from ``Y``.
    Y : array-like of shape (n_samples, *measurement_shape[, n_channels]) or \
            torch.Tensor of shape (n_samples, n_channels, *measurement_shape)
        Measurements, of which up to four are looked at; NaN where there are none. For
        bins that are stuck, all that are in memory.

    Returns
    -------
    report : ConsistencyReport

    Raises
    ------
    TypeError, ValueError
        If ``Y`` is not a real stack, or does not fit the operator.

    See Also
    --------
    estimate_detector_offset : Finds the centre of rotation.
    estimate_parameters : Finds any other number.

    Notes
    -----
    12 steps of conjugate gradients on ‖y − A x‖² leave a residual F y. The same
    steps, with the same coefficients, turn white noise w into F w; second
    differences of both along each axis of y tell the level of the noise in F y,
    and what it adds to ‖F y‖². The rest is ``unexplained``, and so is what rays of a
    tomograph that miss the image have seen, noise apart.

    Above 5 % the operator is wrong, if a common mistake is found or 100 steps leave
    as much. Between 1 % and 5 % it is if one of the common mistakes, put right,
    explains clearly more; real data with the right geometry can be there. Where A has
    full row rank (compressed sensing, decimation), or there are few views of a large
    image, every y is explained, right or wrong.

    Bins of a tomograph that read the same in nine of ten views, and views that do in
    nine of ten bins, are named, and left out of all that follows, if no object in air
    reads so. Not told are those in the air, or at the end of a detector, that read
    much like their neighbours, three or more adjacent ones near the axis that nothing
    gets through, as in a metal core, views that read as air does where the object
    reaches an end of the detector in others, and fewer than eight views.

    *Masks.* Energy where A never measures is told if all of it comes to where A does
    once the axes are exchanged, an axis is reversed or shifted by half, or the mask is
    inverted; if what A measures is missing; or if it goes with what is measured beside
    it, as noise and the rubbish of dead pixels do not. k-space is told whose energy is
    around a corner and not around its middle, and images in its place: usual ones have
    their energy at zero frequency. Entries that are zero in all samples (of up to 256)
    are told if they are between others that are not: black background is not.

    A mirrored image cannot be told: with parallel beams the wrong sense of
    rotation, or the detector read from the other end, explain y as well.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_ei.datasets import make_thorax_phantoms
    >>> from sklearn_ei.operators import ParallelBeamCT, check_consistency
    >>> images = make_thorax_phantoms(2, (32, 32), random_state=0)
    >>> Y = ParallelBeamCT(30, (32, 32), detector_offset=3.0).measure(images)
    >>> report = check_consistency(ParallelBeamCT(30, (32, 32)), Y)
    >>> report.is_consistent
    False
    >>> report.causes[0]
    'detector_offset is about 2.9 rather than 0'
    """
    start = time.perf_counter()
    check_operator(operator)
    Y = _as_stack(operator, Y)
    operator, y = some_samples(operator, Y)
    y, stuck = without_stuck(operator, y, Y)
    report = explain(operator, y, axes_of(operator, Y))
    dead = find_dead_entries(operator, Y, y) if report.is_consistent else None
    if dead:
        report.is_consistent, report.sentence = False, dead
        report.causes = ["zeros stand where nothing was measured"]
    if stuck:
        report.is_consistent = False
        report.causes = [f"{stuck.names}: dead, stuck or lost", *report.causes]
        report.sentence = f"{say_stuck(stuck, Y)} Without that: {report.sentence}"
        report.stuck = mask_of(stuck, Y)
    report.seconds = time.perf_counter() - start
    return report


def explain(operator, y, axes):
    """Return what an operator explains of measurements, stuck ones apart.

    Parameters
    ----------
    operator : ForwardOperator
        With its shapes fixed.
    y : torch.Tensor of shape (batch, channel, *measurement_shape)
        NaN where there are none.
    axes : tuple of int
        Those of a measurement in the user's array, for messages.

    Returns
    -------
    report : ConsistencyReport
    """
    known = y.nan_to_num()
    energy = float(known.double().square().sum())
    if energy == 0:
        return ConsistencyReport(sentence="All measurements are zero.")
    measured = operator.measured_entries(each_channel=True)
    reached = torch.from_numpy(measured).to(y.device).expand_as(y[0])
    elsewhere = float(known.square().sum(0)[~reached].sum()) / energy
    sentence, cause = find_mask_mistake(operator, y, reached, elsewhere, axes)
    if sentence:
        left = math.sqrt(elsewhere)
        return ConsistencyReport(
            False, sentence, [cause], left, left, elsewhere=elsewhere
        )
    if not bool((known * reached).any()):
        sentence = (
            "No image has such measurements: all that is not zero is where the "
            f"operator never measures. Likely: {_UNKNOWN}."
        )
        return ConsistencyReport(False, sentence, [], 1.0, 1.0, elsewhere=1.0)
    misfit = misfit_of(operator, y)
    beyond = _beyond_the_image(operator, y, reached)
    within = math.sqrt(max(1 - elsewhere, 0.0)) if beyond else 1.0  # of ‖y‖
    report = ConsistencyReport(
        unexplained=math.hypot(within * misfit.unexplained, beyond),
        misfit=misfit.share,
        noise=misfit.noise,
        elsewhere=elsewhere,
    )
    measured = misfit.residual * reached
    only_elsewhere = float(measured.square().sum()) < 1e-6 * energy
    if only_elsewhere and elsewhere > 0 and operator.loses != "views":
        # Readings left where pixels are lost: nobody uses them.
        report.unexplained = report.misfit = report.noise = 0.0
        report.sentence = (
            f"The operator explains the measurements, but for {elsewhere:.0%} of their "
            "energy that is where it never measures."
        )
        return report
    report.causes = _causes(operator, y, misfit, report.unexplained)
    twice = counted_twice(operator, y)
    report.causes += [twice] if twice and not report.causes else []
    certain = _is_certain(report.unexplained, misfit.noise)
    if certain and not report.causes:
        # Where A is ill-conditioned, a few steps do not explain all that it can. After
        # many, what is left of a probe tells nothing of what is left of the noise; but
        # that is no more than it was.
        left = squared_misfit(operator, y, _MANY_STEPS) - misfit.noise**2
        left = within * math.sqrt(max(left, 0.0))
        report.unexplained = math.hypot(left, beyond)
        certain = _is_certain(report.unexplained, misfit.noise)
    report.is_consistent = not (certain or report.causes)
    if report.is_consistent:
        report.sentence = (
            f"The operator explains the measurements but for {report.unexplained:.1%}, "
            f"beside noise of {misfit.noise:.1%}."
        )
    else:
        causes = ", or ".join(report.causes) or _UNKNOWN
        left = report.unexplained or misfit.share
        report.sentence = (
            f"No image has such measurements: {left:.1%} of them (root mean square) is "
            f"left unexplained, noise apart. Likely: {causes}."
        )
    return report


def _is_certain(unexplained, noise):
    return unexplained > max(_CERTAIN, _OF_NOISE * noise)


def _beyond_the_image(operator, y, reached):
    """Return what rays that miss the image saw, noise apart, relative to ‖y‖."""
    beyond = ~reached & ~y.isnan()
    if operator.loses != "views" or not bool(beyond.any()):
        return 0.0
    noise = 0.0
    for axis in range(2, y.ndim):
        known = torch.where(beyond, y, torch.nan)
        curves = known.diff(n=2, dim=axis).square() / 6  # σ² of white noise
        if not bool(curves.isnan().all()):
            noise = max(noise, float(curves.nanmean()))
    energy = float(y[beyond].square().sum()) - noise * int(beyond.sum())
    return math.sqrt(max(energy, 0.0) / float(y.nan_to_num().square().sum()))


def _causes(operator, y, misfit, unexplained):
    """Look for causes where there is reason to."""
    suspicious = unexplained > max(_SUSPICIOUS, _OF_NOISE * misfit.noise)
    # In a wrong order, views differ like noise, but not the bins of a view.
    levels = misfit.levels or [0.0]
    shuffled = misfit.share > _CERTAIN and max(levels) > _UNEVEN * min(levels)
    if not suspicious and not shuffled:
        return []
    clipped = unexplained > _CLIPPED
    return find_causes(operator, y, clipped=clipped, shuffled=shuffled)


def _as_stack(operator, Y):
    """Return measurements that can be indexed, without a look at all of an array."""
    if isinstance(Y, torch.Tensor):
        check_tensor(Y, "Y", operator.measurement_layout.shape)
        return Y
    is_array = hasattr(Y, "dtype") and hasattr(Y, "shape") and hasattr(Y, "__getitem__")
    if is_array and np.dtype(Y.dtype).kind in "biufc" and np.prod(Y.shape[:1]):
        return Y
    if is_lazy(Y):
        return Y
    complex_ok = operator.has_complex_channels
    return check_stack(Y, "Y", "measurements", complex_ok=complex_ok, missing_ok=True)


def some_samples(operator, Y):
    """Return the resolved operator, and a few measurements as a tensor."""
    if isinstance(Y, torch.Tensor):
        operator = operator.resolve(measurement_shape=tuple(Y.shape[2:]))
        y = Y[:_MAX_SAMPLES].detach().float()
        return operator, y
    n_entries = max(1, int(np.prod(np.shape(Y)[1:])))
    size = max(1, min(_MAX_SAMPLES, _MAX_ENTRIES // n_entries))
    chosen = np.unique(np.linspace(0, len(Y) - 1, size).round().astype(int))
    few = np.stack([np.asarray(filled(Y[i])) for i in chosen])
    complex_ok = operator.has_complex_channels
    Y = check_stack(few, "Y", "measurements", complex_ok=complex_ok, missing_ok=True)
    is_complex = np.iscomplexobj(Y)
    _, layout = operator.layouts(measurement=Y.shape[1:], is_complex=is_complex)
    y, resolved = layout.to_tensor(Y), operator.resolve(measurement_shape=layout.shape)
    return resolved, y


def axes_of(operator, Y):
    """Return which axes of the user's array are those of a measurement."""
    n = len(operator.measurement_layout.shape)
    if isinstance(Y, torch.Tensor):
        return tuple(range(2, 2 + n))
    dtype = Y.dtype if hasattr(Y, "dtype") else np.asarray(Y[0]).dtype
    first = np.ndim(Y) - n if dtype.kind == "c" else 1  # coils stand before
    return tuple(range(first, first + n))
