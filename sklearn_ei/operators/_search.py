"""Geometry found by what an operator cannot explain."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy.optimize import minimize_scalar
from sklearn.base import clone

from ..utils.params import brief, check_real
from ..utils.stack_check import check_stack
from ..utils.torch_state import own_torch
from ..utils.warn import warn
from ._base import ForwardOperator
from ._checks import check_operator
from ._consistency import ModelMismatchWarning, axes_of
from ._explain import explain
from ._misfit import squared_misfit
from ._stuck import say_stuck, without_stuck

_MOST_SAMPLES = 8
_COARSE = 17  # values of a range before the best of them is refined
_ROUNDS = 3  # over several parameters in turn
_PRECISION = 1e-3  # of a range, at which a search ends
_NEIGHBOUR = 0.02  # of a range, where the curvature is taken


@dataclass(frozen=True)
class ParameterEstimate:
    """Parameters of an operator that leave least of the measurements unexplained.

    Attributes
    ----------
    operator : ForwardOperator
        A copy with these parameters.
    values : dict of str to object
        The parameters found.
    errors : dict of str to float
        Standard deviations of the numeric ones, in their units, from the curvature of
        the misfit: as far as what is left unexplained is independent noise. Infinite
        where the misfit has no minimum inside the range.
    unexplained : float
        ‖y − A x‖/‖y‖ that is left.
    scans : dict of str to ndarray of shape (2, n)
        The values of each numeric parameter that were tried at first, and what each
        left unexplained: a curve to look at.
    """

    operator: Any
    values: dict
    errors: dict
    unexplained: float
    scans: dict

    @property
    def sentence(self):
        """What was found, in words."""
        return (
            f"{', '.join(map(self._said, self.values))}; {self.unexplained:.2%} of the "
            "measurements (root mean square) is left unexplained, noise included."
        )

    def _said(self, name):
        value, error = self.values[name], self.errors.get(name)
        if error is None:
            return f"{name}={brief(value, 60)}"
        if math.isinf(error):
            return f"{name}={value:.4g}, without a minimum inside the range"
        digits = max(0, 1 - math.floor(math.log10(error))) if error > 0 else 6
        return f"{name}={value:.{digits}f} ± {error:.{digits}f}"

    def __str__(self):
        return self.sentence

    __repr__ = __str__


@own_torch()
@torch.no_grad()
def estimate_parameters(
    operator: ForwardOperator, Y: Any, ranges: dict[str, Any]
) -> ParameterEstimate:
    """Find parameters of an instrument by the part of Y that A cannot explain.

    Parameters
    ----------
    operator : ForwardOperator
        With all other parameters right, and an image that covers what was measured.
    Y : array-like of shape (n_samples, *measurement_shape[, n_channels])
        Measurements; at most eight samples, evenly spread, are looked at.
    ranges : dict of str to (float, float) or list
        For each parameter the ends of the range of a number, as a tuple; or a list of
        values to choose from, such as ``[angles, -angles]`` for the sense of rotation.

    Returns
    -------
    estimate : ParameterEstimate

    Raises
    ------
    ValueError
        If a range is none, or the operator has no such parameter, or refuses a value.

    Warns
    -----
    ModelMismatchWarning
        If bins or views of a tomograph are stuck, as :func:`check_consistency` tells;
        they are left out. If even with the best values no image has such measurements.

    Notes
    -----
    The misfit ‖y − A x‖² after 12 steps of conjugate gradients is scanned at 17 values
    of a range and then minimised between the neighbours of the best by Brent's method.
    Several parameters take three turns. If what is left of m entries is independent
    noise, of variance S/m with the misfit S, a parameter has the standard deviation
    √(2 (S/m)/S″) with the second derivative of S. What is wrong besides, such as the
    pixels, adds to it.

    A parallel beam that turns the other way measures the mirror image, and cannot be
    told from this one.

    Examples
    --------
    >>> from sklearn_ei.datasets import make_thorax_phantoms
    >>> from sklearn_ei.operators import FanBeamCT, estimate_parameters
    >>> images = make_thorax_phantoms(1, (32, 32), random_state=0)
    >>> scanner = FanBeamCT(40, (32, 32), source_distance=60.0)
    >>> Y = scanner.measure(images)
    >>> guess = FanBeamCT(40, (32, 32), source_distance=70.0, n_bins=Y.shape[-1])
    >>> found = estimate_parameters(guess, Y, {"source_distance": (45.0, 90.0)})
    >>> abs(found.values["source_distance"] - 60.0) < 1.0
    True
    """
    estimate, said = search_parameters(operator, Y, ranges)
    if said:
        warn(said, ModelMismatchWarning)
    return estimate


def search_parameters(operator, Y, ranges):
    """Return what :func:`estimate_parameters` does, and of what it warns, or None."""
    known = check_operator(operator).get_params(deep=False)
    if not ranges:
        raise ValueError(
            "Got no ranges, but expected one for each parameter to be found, such as "
            "{'detector_offset': (-5, 5)}."
        )
    for name, choice in ranges.items():
        _check_range(name, choice, known, operator)
    complex_ok = operator.has_complex_channels
    Y = check_stack(Y, "Y", "measurements", complex_ok=complex_ok, missing_ok=True)
    is_complex = np.iscomplexobj(Y)
    _, layout = operator.layouts(measurement=Y.shape[1:], is_complex=is_complex)
    chosen = np.unique(np.linspace(0, len(Y) - 1, _MOST_SAMPLES).round().astype(int))
    y, stuck = without_stuck(operator, layout.to_tensor(Y[chosen]), Y)
    if stuck:
        warn(f"{say_stuck(stuck, Y)} Here that is left out.", ModelMismatchWarning)

    def misfit(values):
        changed = clone(operator).set_params(**values)
        resolved = changed.resolve(measurement_shape=layout.shape)
        return squared_misfit(resolved, y) ** 0.5

    values: dict = {}
    scans: dict = {}
    for turn in range(_ROUNDS if len(ranges) > 1 else 1):
        for name, choice in ranges.items():
            others = {k: v for k, v in values.items() if k != name}

            def along(value, name=name, others=others):
                return misfit({**others, name: value})

            if isinstance(choice, list):
                values[name] = min(choice, key=along)
            else:
                first = scans if turn == 0 else {}
                values[name] = _minimise(along, choice, name, first)
    share = misfit(values)
    errors = {
        name: _error(
            lambda value, name=name: misfit({**values, name: value}),
            values[name],
            choice,
            share,
            y.numel(),
        )
        for name, choice in ranges.items()
        if not isinstance(choice, list)
    }
    found = clone(operator).set_params(**values)
    estimate = ParameterEstimate(found, values, errors, share, scans)
    axes = axes_of(found, Y)
    report = explain(found.resolve(measurement_shape=layout.shape), y, axes)
    if report.is_consistent:
        return estimate, None
    # From where the search went astray to, the cause may no longer be seen.
    first = explain(operator.resolve(measurement_shape=layout.shape), y, axes)
    if any(not cause.startswith(tuple(ranges)) for cause in first.causes):
        report = first
    best = ", ".join(f"{name}={brief(value)}" for name, value in values.items())
    return estimate, (
        f"Even with the best values, {best}: {report.sentence} Until that is mended "
        "they may be wrong; see check_consistency."
    )


def _check_range(name, choice, known, operator):
    if name not in known:
        raise ValueError(
            f"Got a range for {name!r}, but expected parameters of "
            f"{type(operator).__name__}: {', '.join(known)}."
        )
    if isinstance(choice, list) and choice:
        return
    if not isinstance(choice, tuple) or len(choice) != 2:
        raise ValueError(
            f"Got {name}={brief(choice)} in ranges, but expected (lowest, highest), or "
            "a list of values to choose from."
        )
    lowest, highest = (check_real(f"range of {name}", end) for end in choice)
    if not lowest < highest:
        raise ValueError(
            f"Got {name}={brief(choice)} in ranges, but expected the lowest value "
            "before the highest."
        )


def _minimise(function, ends, name, scans):
    """Return the place of the least value between two ends."""
    grid = np.linspace(*ends, _COARSE)
    shares = np.array([function(float(value)) for value in grid])
    scans[name] = np.stack([grid, shares])
    best = int(np.argmin(shares))
    bounds = grid[max(best - 1, 0)], grid[min(best + 1, _COARSE - 1)]
    found = minimize_scalar(
        lambda value: function(float(value)),
        bounds=bounds,
        method="bounded",
        options={"xatol": _PRECISION * (ends[1] - ends[0])},
    )
    return float(found.x if found.fun < shares[best] else grid[best])


def _error(function, value, ends, share, n_entries):
    """Return the standard deviation of a value from the curvature of the misfit."""
    step = _NEIGHBOUR * (ends[1] - ends[0])
    inside = ends[0] + step < value < ends[1] - step
    around = [function(value - step) ** 2, function(value + step) ** 2]
    curvature = (sum(around) - 2 * share**2) / step**2
    if not inside or curvature <= 0:
        return math.inf
    return math.sqrt(2 * share**2 / n_entries / curvature)


def estimate_detector_offset(
    operator: ForwardOperator, Y: Any, *, largest: float | None = None
) -> ParameterEstimate:
    """Find where the axis of rotation is projected to (the centre of rotation).

    Parameters
    ----------
    operator : ParallelBeamCT or FanBeamCT
        With all other parameters right; its own ``detector_offset`` is a first guess.
    Y : array-like of shape (n_samples, n_views, n_bins)
        Sinograms.
    largest : float, default=None
        Largest change of the guess that is looked at, in the units of the offset.
        None: an eighth of the detector.

    Returns
    -------
    estimate : ParameterEstimate
        ``estimate.values["detector_offset"]``, in the units of ``bin_size``, and
        ``estimate.operator`` with it.

    Raises
    ------
    ValueError
        If the operator has no detector that could be displaced.

    Warns
    -----
    ModelMismatchWarning
        If bins or views are stuck; they are left out. If even with the best offset no
        image has such measurements: counts, for example, or angles in radians.

    See Also
    --------
    estimate_parameters : For any other parameter, and how it is done.

    Examples
    --------
    >>> from sklearn_ei.datasets import make_thorax_phantoms
    >>> from sklearn_ei.operators import ParallelBeamCT, estimate_detector_offset
    >>> scanner = ParallelBeamCT(30, (32, 32), n_bins=51, detector_offset=2.3)
    >>> Y = scanner.measure(make_thorax_phantoms(1, (32, 32), random_state=0))
    >>> guess = ParallelBeamCT(30, (32, 32), n_bins=51)
    >>> found = estimate_detector_offset(guess, Y)
    >>> abs(found.values["detector_offset"] - 2.3) < 0.05
    True
    """
    estimate, said = search_offset(operator, Y, largest)
    if said:
        warn(said, ModelMismatchWarning)
    return estimate


def search_offset(operator, Y, largest=None):
    """Return what :func:`estimate_detector_offset` does, and of what it warns."""
    if "detector_offset" not in check_operator(operator).get_params(deep=False):
        raise ValueError(
            f"Got {operator}, but expected an operator with a parameter "
            "detector_offset, such as ParallelBeamCT."
        )
    if largest is None:
        n_bins = np.shape(Y)[-1]
        width = operator.bin_size if operator.bin_size is not None else 1.0
        largest = n_bins * width / 8
    check_real("largest", largest, min_val=0, include_boundaries="neither")
    middle = operator.detector_offset
    ends = (middle - largest, middle + largest)
    return search_parameters(operator, Y, {"detector_offset": ends})
