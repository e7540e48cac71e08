"""λ without ground truth: the search, and two errors to be searched over."""

import math

import numpy as np
import torch

from ..operators import RestrictedOperator, part_of
from ..utils.random import make_generator

_N_DRAWS = 4
_FRACTION = 0.1
_STEP = 10**0.5
_GAIN = 0.005  # what a step has to gain, so that flat errors do not lead away
_RANGE = (1e-8, 1e2)


def search(error, start):
    """Return λ of the least error, by steps of half a decade and a parabola.

    Steps go on as long as they gain at least 0.5 %, so that there is no grid whose
    edge could be mistaken for a minimum. The last one is refined by the parabola
    through the logarithms of three neighbouring errors.

    Parameters
    ----------
    error : callable
        Returns the error of a λ, positive; or None where λ cannot be used, such as
        one at which the solver does not converge.
    start : float
        Where the search starts.

    Returns
    -------
    best : float
        ``start``, if its error cannot be told.
    """
    known = {}

    def score(step):
        weight = start * _STEP**step
        if step not in known:
            value = error(weight) if _RANGE[0] <= weight <= _RANGE[1] else None
            usable = value is not None and value > 0 and math.isfinite(value)
            known[step] = math.log(value) if usable else math.inf
        return known[step]

    best = 0
    if math.isinf(score(best)):
        return start
    for direction in (-1, 1):
        while score(best + direction) < known[best] - _GAIN:
            best += direction
    below, here, above = (score(best + i) for i in (-1, 0, 1))
    bend = below - 2 * here + above
    shift = 0.0
    if math.isfinite(bend) and bend > 0:
        shift = min(0.5, max(-0.5, (below - above) / (2 * bend)))
    return start * _STEP ** (best + shift)


class HeldOutError:
    """The error in predicting a tenth of the measurements, by any solver.

    Drawn entries of up to four samples, or several draws of fewer. Whole views of
    tomography are further from what is kept than any image is known: on noise-free
    CT their error hardly depends on λ below ten times the best one.

    Parameters
    ----------
    minimise : callable
        Returns the solution for ``(y, A, regularization)``, with ``images`` and
        ``converged``; the weight of the data is proportional to the number of
        measurements.
    operator : ForwardOperator
        A, with its shapes fixed.
    y : torch.Tensor of shape (n_samples, channel, *measurement_shape)
        Measurements.
    """

    def __init__(self, minimise, operator, y):
        self.minimise = minimise
        self.operator = operator
        which = _spread(len(y))
        self.y = y[[which[i % len(which)] for i in range(_N_DRAWS)]]
        candidates = _candidates(operator, self.y)
        n_held_out = round(_FRACTION * len(candidates))
        kept = np.ones((_N_DRAWS, *operator.measurement_shape), dtype=bool)
        rng = np.random.default_rng(0)
        for mask in kept:
            mask.reshape(-1)[rng.permutation(candidates)[:n_held_out]] = False
        held_out = ~torch.from_numpy(kept)[:, None]
        holed = self.y.masked_fill(held_out, math.nan)
        self.part, self.of_kept = part_of(operator, holed)
        whole, self.y = part_of(operator, self.y)
        self.whole = whole
        self.not_compared = ~(held_out & ~_missing(whole, self.y))
        # Of fewer measurements λ has to be smaller to weigh as much.
        measured = torch.from_numpy(operator.measured_entries())
        n_measured = (measured & ~_missing(whole, self.y)).sum()
        self.share = 1 - int((~self.not_compared).sum()) / max(1, int(n_measured))
        self.energy = _energy(self.y.masked_fill(self.not_compared, 0))

    def __call__(self, regularization):
        """Return Σ‖(1 − M)(A x − y)‖² / Σ‖(1 − M) y‖², or None; see :func:`search`."""
        if self.energy == 0:
            return None
        solution = self.minimise(self.of_kept, self.part, regularization * self.share)
        if not bool(solution.converged.all()):
            return None
        miss = self.whole.forward(solution.images) - self.y
        return _energy(miss.masked_fill(self.not_compared, 0)) / self.energy


class GeneralisedCrossValidation:
    """GCV in the domain of images: leaving one out, in the limit of rotations.

    With the influence matrix H, A x_λ = H y, and B = A†,

        ‖B (y − H y)‖² / tr(Bᵀ B (I − H))²,

    the trace by Hutchinson's method from one vector of random signs for each sample.
    With B = I it is that of Golub, Heath and Wahba (1979), which favours images
    that predict measurements; where A smooths, as CT does, they are noisier than
    those that are nearest to the truth.

    Parameters
    ----------
    minimise, operator, y
        As in :class:`HeldOutError`.
        x has to be linear in y.
    """

    def __init__(self, minimise, operator, y):
        measured = torch.from_numpy(operator.measured_entries(each_channel=True))
        self.minimise = minimise
        self.part, y = part_of(operator, y[_spread(len(y))])
        self.y = torch.where(measured, y, 0)
        signs = torch.randint(0, 2, self.y.shape, generator=make_generator(0))
        signs = torch.where(measured, 2.0 * signs - 1.0, 0)
        self.signs = self.part.only_measured(signs)
        self.probe = self.part.pinv(self.signs)
        both = torch.arange(2 * len(y)) % len(y)
        self.of_both = self.part.take(both)

    def __call__(self, regularization):
        """Return the error of a λ, or None; see :func:`search`."""
        both = torch.cat([self.y, self.signs])
        solution = self.minimise(both, self.of_both, regularization)
        if not bool(solution.converged.all()):
            return None
        left = both - self.of_both.forward(solution.images)
        residual, left = (self.part.pinv(each) for each in left.chunk(2))
        trace = float((self.probe * left).sum(dtype=torch.float64))
        return _energy(residual) / trace**2 if trace > 0 else None


def _energy(z):
    return float(z.square().sum(dtype=torch.float64))


def _missing(part, y):
    """Return which measurements a part of an operator does not have, like y."""
    if isinstance(part, RestrictedOperator):
        return ~part.kept.expand(y.shape)
    return torch.zeros_like(y, dtype=torch.bool)


def _spread(n):
    """Return a few of n samples, evenly spread."""
    return np.linspace(0, n - 1, min(n, _N_DRAWS)).round().astype(int)


def _candidates(operator, y):
    """Return the entries that may be held out, by their places in C order."""
    seen = (~y.isnan()).any(1).numpy()
    measured = operator.measured_entries() & seen.any(0)
    if operator.natural_axis is not None:
        lines = np.moveaxis(measured, operator.natural_axis, 0)
        lines[operator.calibration_lines(seen.all(0))] = False
    return np.flatnonzero(measured)
