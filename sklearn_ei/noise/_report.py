"""A noise model for measurements of which nothing is known, and why this one."""

from dataclasses import dataclass

import numpy as np

from ..utils.params import brief
from ._base import NoiseModel
from ._estimate import UnknownNoiseError, examine, fit_levels, name_of
from ._gaussian import GaussianNoise
from ._poisson_gaussian import PoissonGaussianNoise

_FOLLOWS = 2.0  # largest over least variance, of a signal-dependent model
_EXPLAINS = 0.25  # of the squared errors of log σ that one level leaves
_TRUSTED = 4.0  # unexplained over noise; beyond, groups tell of the wrong operator
_WRONG = 1.5  # likewise; beyond, it is worth a sentence
_MIN_GROUPS = 4


class NoiseWarning(UserWarning):
    """The noise of measurements is not known, or not what is assumed of it.

    Raised in ``fit`` with ``noise="auto"``; see :func:`estimate_noise`.
    """


@dataclass(frozen=True)
class NoiseEstimate:
    """What :func:`estimate_noise` found.

    Attributes
    ----------
    noise : NoiseModel or None
        With numbers for parameters; levels of 0 where the measurements were found
        noise-free, and None where nothing could be told.
    statement : str
        What was found and what is assumed, in words.
    level : float
        Mean standard deviation of the noise, in the units of the measurements; NaN
        where nothing could be told.
    model_error : float
        Standard deviation of what no image explains beyond the noise: of a wrong
        centre, air that is not zero, rings, an object that is clipped; NaN likewise.
    correlation : float
        Correlation of the noise of neighbouring entries, 0 where it is independent.
    correlated_axis : int or None
        The axis of a measurement along which they are neighbours.
    """

    noise: NoiseModel | None
    statement: str
    level: float = float("nan")
    model_error: float = float("nan")
    correlation: float = 0.0
    correlated_axis: int | None = None


def estimate_noise(operator, y):
    """Find out which noise measurements have, as ``noise="auto"`` does.

    Parameters
    ----------
    operator : ForwardOperator
        A. It need not be quite right. Shapes that it leaves open are taken from ``y``.
    y : array-like of shape (n_samples, *measurement_shape[, n_channels]) or \
            torch.Tensor of shape (n_samples, n_channels, *measurement_shape)
        Noisy measurements. Entries that A does not measure are ignored. Of those with
        NaN elsewhere: one sample as a tensor, and A as the part that measured it, from
        :func:`~sklearn_ei.operators.part_of`.

    Returns
    -------
    estimate : NoiseEstimate
        With a :class:`GaussianNoise`; or a :class:`PoissonGaussianNoise` where the
        variance clearly follows the signal: it doubles at least from dark to bright,
        a straight line explains that four times better than one level, and the
        operator fits well enough to say so.

    Raises
    ------
    TypeError, ValueError
        If ``y`` is no stack of numbers, or does not fit the operator, or the
        measurements are zero, or infinite, wherever A measures, or NaN anywhere there.

    See Also
    --------
    NoiseModel.resolve : Levels of a given model, or an error.

    Notes
    -----
    *Filter.* The residual y − A x_k of k steps x ← x + w·B(y − A x) from x = 0 is
    F y with F = (I − w A B)^k, a fixed linear filter. What images produce vanishes
    with k; noise in the left null space of A, and where the measurements are
    redundant or B damps, remains. As F is linear, random probes w ~ N(0, I) tell
    what noise becomes: for entry i

        E (F y)_i² = σ² E (F w)_i² + gain · E (F w)_i (F (y ⊙ w))_i.

    *Robustness.* What images and a wrong A leave behind only ever adds, and mostly
    in few entries, smooth along some axis, or common to neighbouring samples (rows
    of a volume). So several estimates compete: without and with second and fourth
    differences along each axis (a fixed pattern of the bins is gone in differences
    along views); of single samples and of differences between samples that follow
    each other; by the mean square, and by a low quantile (0.35) of |F y|_i over its
    expectation, which large errors in half of the entries hardly change. Where A
    fits too badly, high-pass filters of y itself are better than F, and are among
    them. Entries are put into groups of similar signal. The filter with the lowest
    level gives the standard deviation of every group by the mean square; where
    another estimate of a group is clearly lower (by a quarter, and by more than two
    of its statistical errors), that one counts. σ is the mean of the groups' standard
    deviations. k doubles from 16 to 128 until the level stays within 1 %.

    *Noise-free* is what lies below 6·10⁻⁴ of the root mean square of the
    measurements, or below 2·10⁻³ if it falls, as images do and noise does not: by 5 %
    in the last doubling of k, or by 10 % from 16 to 128. Below 5·10⁻³ that has fallen
    by 30 %, nothing is told. No estimate is above the mean
    square of F y by more than its error: all that no image explains is the most that
    noise can be.

    *Correlated noise*, as of a blurred detector, is told by the correlation of
    neighbouring entries of F y (fourth differences along the axis, first ones along
    the others, signs only), beyond that of F w. The width of the Gaussian that makes
    it follows from blurred probes, which then calibrate the level as well.

    Where F leaves nothing (A with full row rank, such as lost pixels) nothing is
    told. High-pass filters of y itself cannot replace F there: of inpainting data
    they take far too much.

    References
    ----------
    D. L. Donoho and I. M. Johnstone, "Ideal spatial adaptation by wavelet shrinkage",
    Biometrika 81(3), 1994: noise levels from quantiles of differences.

    Examples
    --------
    >>> from sklearn_ei.datasets import make_thorax_phantoms
    >>> from sklearn_ei.noise import GaussianNoise, estimate_noise
    >>> from sklearn_ei.operators import ParallelBeamCT
    >>> operator = ParallelBeamCT(n_views=40, image_shape=(48, 48))
    >>> Y = operator.measure(make_thorax_phantoms(4, (48, 48), random_state=0))
    >>> noisy = GaussianNoise(0.1).add(Y, random_state=0)
    >>> estimate = estimate_noise(operator, noisy)
    >>> round(estimate.noise.sigma, 1)
    0.1
    """
    if not hasattr(operator, "pinv"):
        raise TypeError(
            f"Got operator={brief(operator)}, but expected a ForwardOperator such as "
            "ParallelBeamCT(n_views=50)."
        )
    try:
        findings = examine(operator, y)
    except UnknownNoiseError:
        return NoiseEstimate(
            None,
            f"{name_of(operator)} could have produced any measurement, or "
            "almost: noise cannot be told from images, and none is assumed.",
        )
    noise = _choose(findings)
    evidence = findings.evidence
    error = float(np.sqrt(max(evidence.unexplained**2 - evidence.level**2, 0)))
    return NoiseEstimate(
        noise,
        _statement(findings, noise, error),
        0.0 if findings.is_noise_free else evidence.level,
        error,
        findings.correlation,
        None if findings.blur is None else findings.blur[0],
    )


def _choose(findings):
    """Return the model, resolved."""
    evidence = findings.evidence
    if findings.is_noise_free:
        return GaussianNoise(0.0)
    gaussian = GaussianNoise(fit_levels(evidence, sigma="auto", gain=0.0)["sigma"])
    if (
        findings.blur is not None
        or len(evidence.std) < _MIN_GROUPS
        or evidence.unexplained > _TRUSTED * evidence.level
    ):
        return gaussian
    levels = fit_levels(evidence, sigma="auto", gain="auto")
    line = levels["sigma"] ** 2 + levels["gain"] * np.maximum(evidence.signal, 0)
    if line.max() < _FOLLOWS * line.min():
        return gaussian
    floor = 0.05 * evidence.level  # a group without noise is as good as that
    logs = np.log(np.maximum(evidence.std, floor))
    errors = logs - np.log(np.maximum(np.sqrt(line), floor))
    weights = evidence.size / evidence.size.sum()
    one = weights @ np.square(logs - weights @ logs)
    if weights @ np.square(errors) > _EXPLAINS * one:
        return gaussian
    return PoissonGaussianNoise(**levels)


def _statement(findings, noise, error):
    """Say what was found, and what is assumed."""
    evidence, level = findings.evidence, findings.evidence.level
    n = findings.n_samples
    looked_at = f"{n} measurement{'s' if n > 1 else ''}"
    if findings.is_noise_free:
        return (
            f"No noise was found in {looked_at}: at most {level / findings.rms:.1g} of "
            "their root mean square. They are taken as noise-free."
        )
    if isinstance(noise, PoissonGaussianNoise):
        what = (
            f"Noise whose variance follows the signal, {noise.sigma:.3g}² + "
            f"{noise.gain:.3g} · A x,"
        )
    else:
        what = f"Gaussian noise with a standard deviation of {noise.sigma:.3g}"
    parts = [f"{what} was found in {looked_at}; it is taken as independent."]
    if findings.blur is not None:
        parts[0] = (
            f"{what} was found in {looked_at}. It is not independent: neighbours along "
            f"axis {findings.blur[0]} correlate by {findings.correlation:.2f}, as "
            "behind a blurred detector, and the risk estimates of SURE, UNSURE and R2R "
            "are wrong."
        )
    if evidence.unexplained > _WRONG * level:
        parts.append(
            f"Besides, no image explains {error / findings.rms:.1%} of the "
            "measurements (root mean square): the operator does not quite fit (centre "
            "of rotation, air that is not zero, a clipped object, rings)."
        )
    return " ".join(parts)
