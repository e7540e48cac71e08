"""What an operator explains of measurements, and what may be wrong where it fails."""

import math
from dataclasses import dataclass, field

import torch

from ._mask_mistakes import find_mask_mistake
from ._misfit import misfit_of, squared_misfit
from ._suspects import find_causes, find_steps

_MANY_STEPS = 100  # before no cause at all is named
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

_NEGATIVE = "Y is negative, but attenuation is −log(I/I₀), with a minus sign"


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
    steps = None if report.causes else find_steps(operator, y)
    report.causes += [steps] if steps else []
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
    if report.is_consistent and _is_negative(operator, known):
        report.is_consistent, report.causes = False, [_NEGATIVE]
        report.sentence = (
            "Only images of negative values have such measurements. Likely: "
            f"{_NEGATIVE}."
        )
    elif report.is_consistent:
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


def _is_negative(operator, known):
    """Whether attenuations are, in the main."""
    total = float(known.sum())
    return operator.loses == "views" and total < -0.5 * float(known.abs().sum())


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
