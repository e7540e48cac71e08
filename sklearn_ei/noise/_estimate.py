"""Noise levels from measurements alone."""

from typing import NamedTuple

import numpy as np
from scipy.optimize import nnls

from ..utils.warn import warn
from ._evidence import SMALL, STEPS, Evidence, gather_evidence
from ._filtered import Measurements, blur_width
from ._input import as_tensor

# Of the measurements' root mean square: below is no noise that would be seen.
_NEGLIGIBLE = 6e-4
_FALLING = 0.95  # of the level, by twice as many steps
_FALLEN = 0.9  # likewise, by eight times as many
_UNSETTLED = 0.8
_LITTLE, _MELTED = 5e-3, 0.7  # of the root mean square, and of the first level
_CORRELATED = 0.12  # excess correlation of neighbours that means something
_SURE = 3  # statistical errors


class UnknownNoiseError(ValueError):
    """Measurements do not tell noise from images.

    Raised by :meth:`~sklearn_ei.noise.NoiseModel.resolve` where a parameter is
    ``"auto"``, and A could have produced any measurement (lost pixels, downsampling,
    compressed sensing, k-space of a single coil), or almost.
    """


class Findings(NamedTuple):
    """What was found before a model of the noise is chosen.

    Attributes
    ----------
    evidence : Evidence
        Standard deviations by groups.
    rms : float
        Root mean square of the measurements.
    n_samples : int
        Measurements that were looked at.
    is_noise_free : bool
        Whether the level is too low to tell from nothing.
    blur : tuple (axis, width) or None
        Of the noise, along a measurement axis; None if it is independent.
    """

    evidence: Evidence
    rms: float
    n_samples: int
    is_noise_free: bool
    blur: tuple | None

    @property
    def correlation(self):
        """Correlation of neighbours that such a blur makes."""
        if self.blur is None:
            return 0.0
        n = np.arange(-20, 21)
        kernel = np.exp(-0.5 * (n / self.blur[1]) ** 2)
        return float((kernel[1:] * kernel[:-1]).sum() / (kernel**2).sum())


def examine(operator, y):
    """Return the :class:`Findings` of measurements.

    Parameters
    ----------
    operator : ForwardOperator
        A.
    y : array-like or tensor
        Noisy measurements, as for :func:`estimate_noise`.

    Returns
    -------
    findings : Findings

    Raises
    ------
    TypeError, ValueError
        If the measurements are zero, or not finite, wherever A measures.
    UnknownNoiseError
        If noise cannot be told from images.
    """
    operator, y = as_tensor(operator, y)
    measurements = Measurements(operator, y)
    evidence = gather_evidence(measurements)
    if evidence is None:
        raise UnknownNoiseError(_unknown(operator))
    relative = evidence.level / measurements.rms
    falls = evidence.change < _FALLING or evidence.fall < _FALLEN
    is_noise_free = relative < _NEGLIGIBLE or (relative < SMALL and falls)
    blur = _blur(measurements, evidence)
    if blur is not None:
        blurred = gather_evidence(measurements, blur)
        # What is left of images may correlate, too, but still falls.
        if blurred is None or (is_noise_free and blurred.change < _FALLING):
            blur = None
        else:
            evidence, is_noise_free = blurred, False
    relative = evidence.level / measurements.rms
    melts = relative < _LITTLE and evidence.fall < _MELTED
    if not is_noise_free and (evidence.change < _UNSETTLED or melts):
        raise UnknownNoiseError(_unknown(operator, evidence.level))
    return Findings(
        evidence,
        measurements.rms,
        len(measurements.y),
        is_noise_free,
        None if blur is None else (blur[0] - 2, blur[1]),
    )


def name_of(operator):
    """Return the name of an operator's class; of a part of one, that of the whole."""
    whole = operator.operator if hasattr(operator, "kept") else operator
    return type(whole).__name__


def _unknown(operator, level=None):
    bound = "" if level is None else f" (its level is {level:.2g} at most)"
    return (
        f"Got {name_of(operator)} measurements in which noise cannot be told "
        f"from images{bound}, but expected some redundancy to estimate the noise "
        "from; pass its level as a number, or data_term='unsure'."
    )


def _blur(measurements, evidence):
    """Return axis and width of the blur that the noise went through, or None."""
    sure = {
        axis: excess
        for axis, (excess, error) in evidence.correlations.items()
        if excess > _CORRELATED + _SURE * error
    }
    if not sure:
        return None
    axis = max(sure, key=sure.get)
    return axis, blur_width(measurements, axis, STEPS[0])


def estimate_levels(operator, y, *, sigma, gain):
    """Estimate σ and gain of noise with variance σ² + gain · A x.

    Parameters
    ----------
    operator : ForwardOperator
        A.
    y : array-like or tensor
        Noisy measurements, as for :func:`estimate_noise`.
    sigma, gain : float or "auto"
        Known levels, 0 for what is absent; ``"auto"`` for what is asked for.

    Returns
    -------
    levels : dict
        ``{"sigma": float, "gain": float}``.

    Raises
    ------
    ValueError, UnknownNoiseError
        As :func:`examine`.

    Warns
    -----
    UserWarning
        If the noise is correlated, which no noise model is made for.
    """
    findings = examine(operator, y)
    if findings.blur is not None:
        warn(
            f"Got measurements whose noise correlates by {findings.correlation:.2f} "
            f"between neighbours along axis {findings.blur[0]}, but expected "
            "independent noise: the risk estimates of SURE, UNSURE and R2R are wrong.",
        )
    if findings.is_noise_free:
        return {
            n: 0.0 if v == "auto" else v for n, v in [("sigma", sigma), ("gain", gain)]
        }
    return fit_levels(findings.evidence, sigma=sigma, gain=gain)


def fit_levels(evidence, *, sigma, gain):
    """Return σ and gain that the evidence amounts to.

    Parameters
    ----------
    evidence : Evidence
        What is to be explained.
    sigma, gain : float or "auto"
        As in :func:`estimate_levels`.

    Returns
    -------
    levels : dict
        ``{"sigma": float, "gain": float}``. Where nothing is known of the other, one
        parameter is the mean over groups of std divided by that of √(its share);
        else a non-negative least-squares problem of relative errors is solved.
    """
    known = {"sigma": sigma, "gain": gain}
    levels = {name: 0.0 if v == "auto" else float(v) for name, v in known.items()}
    asked = [name for name, value in known.items() if value == "auto"]
    signal = np.maximum(evidence.signal, 0)
    columns = {"sigma": np.ones_like(signal), "gain": signal}
    weights = evidence.size / evidence.size.sum()
    if len(asked) == 1 and not any(levels.values()):
        share = float(weights @ np.sqrt(columns[asked[0]]))
        solution = [(evidence.level / max(share, 1e-30)) ** 2]
    else:
        rest = levels["sigma"] ** 2 + levels["gain"] * signal
        matrix = np.stack([columns[name] for name in asked], axis=1)
        solution = _least_squares(matrix, evidence.std**2, rest, weights)
    for name, value in zip(asked, solution, strict=True):
        levels[name] = float(np.sqrt(value)) if name == "sigma" else float(value)
    return levels


def _least_squares(columns, variance, rest, weights):
    """Solve variance = rest + columns · x for x ≥ 0, with errors of its size."""
    size = np.maximum(variance, 1e-3 * variance.max())
    for _ in range(5):
        scale = np.sqrt(weights) / size
        scaled = columns * scale[:, np.newaxis]
        norms = np.maximum(np.linalg.norm(scaled, axis=0), 1e-30)
        solution = nnls(scaled / norms, (variance - rest) * scale)[0] / norms
        size = np.maximum(columns @ solution + rest, 1e-3 * variance.max())
    return solution
