"""What measurements tell about their noise: by what no image can produce."""

from types import SimpleNamespace
from typing import NamedTuple

import numpy as np
import torch
from scipy import stats

from ._filtered import difference, excess_correlations, fits, middle

STEPS = (16, 32, 64, 128)  # after which the residual is looked at
_SETTLED = 0.01  # relative change of the level
_MIN_KEPT = 1e-3  # share of the noise's energy; below, rounding errors count
_MAX_ERROR = 0.15  # statistical, relative, of a standard deviation
_CAUTION = 2  # errors by which one estimate has to lie below another
_N_GROUPS = 8  # of entries with a similar signal ...
_GROUP_SIZE = 500  # ... and their least size
_MIN_SIZE = 20  # entries that one number is made from
_QUANTILE = 0.25
_ENERGY = {2: 6.0, 4: 70.0}  # of differences of unit white noise, by order


class Evidence(NamedTuple):
    """Standard deviations of the noise, by groups of entries with similar signal.

    Attributes
    ----------
    std : ndarray of shape (n_groups,)
        Of the noise in each group, or more where the operator is wrong.
    signal : ndarray of shape (n_groups,)
        Mean signal of the entries that the noise in a group came from.
    count : ndarray of shape (n_groups,)
        Entries of each group.
    unexplained : float
        Standard deviation of the noise if it were all that no image explains.
    change : float
        The level over that after half of the steps; below 1 while images are left.
    correlations : dict
        ``{axis: (excess, error)}`` of :func:`~._filtered.excess_correlations`.
    """

    std: np.ndarray
    signal: np.ndarray
    count: np.ndarray
    unexplained: float
    change: float
    correlations: dict

    @property
    def level(self):
        """Mean of the standard deviations over all entries.

        The mean square would be that of the groups which model errors spoil most.
        """
        return float(np.average(self.std, weights=self.count))


@torch.no_grad()
def gather_evidence(measurements, blur=None, levels=None):
    """Compare filtered measurements with filtered random numbers.

    Parameters
    ----------
    measurements : Measurements
        What is looked at.
    blur : tuple (axis, width), default=None
        Of a Gaussian that the noise went through. None: it is independent from
        entry to entry.
    levels : dict, default=None
        Rough values of ``sigma`` and ``gain``, where the variance follows the signal.
        The lower quartile of a mixture of variances is below that of their mean; with
        these, by how much is told from probes. None: one variance in each group.

    Returns
    -------
    evidence : Evidence or None
        None where the measurements are not redundant enough.

    Notes
    -----
    See :func:`~sklearn_ei.noise.estimate_noise`.
    """
    y, live = measurements.y, measurements.live
    w = measurements.probes(blur)
    wy = w * y.repeat(*_repeats(w, y))
    tensors = [y, w, wy]
    if levels is not None:
        tensors.append(w * measurements.rough_std(**levels).repeat(*_repeats(w, y)))
    filters = _filters(y.ndim, None if blur is None else blur[0])
    previous, change, told = None, 1.0, False
    for n_steps, residuals in measurements.residuals(tensors, STEPS):
        r, p, *_ = residuals
        if n_steps == STEPS[0]:
            groups = _Groups(y - r, live)
            counts = groups.sizes
            estimates: list[list] = [[] for _ in counts]
            correlations = excess_correlations(r, p)
            # High-pass filters of y itself stand where A does not fit at all.
            _compare(estimates, groups, tensors, filters[1:])
        _compare(estimates, groups, residuals, filters)
        if float(p.square().sum()) > _MIN_KEPT * float(w.square().sum()):
            told = True
            unexplained = float(r.square().mean() / p.square().mean()) ** 0.5
        known = [i for i, group in enumerate(estimates) if group]
        if not told or counts[known].sum() < 0.5 * counts.sum():
            continue
        std, signal = np.array([_lowest(estimates[i]) for i in known]).T
        level = np.average(std, weights=counts[known])
        if previous is not None:
            change = level / max(previous[0], 1e-30)
            settled = unexplained >= (1 - 5 * _SETTLED) * previous[1]
            if settled and change >= 1 - _SETTLED:
                break
        previous = level, unexplained
    if previous is None:
        return None
    return Evidence(
        std, signal, counts[known], unexplained, float(min(change, 1)), correlations
    )


def _repeats(w, y):
    return len(w) // len(y), *(1 for _ in y.shape[1:])


def _filters(n_dims, blurred_axis):
    """Return the differences that are tried, ``{axis: order}``; none at first."""
    axes = [axis for axis in range(2, n_dims) if axis != blurred_axis]
    filters = [{}, *({axis: order} for axis in axes for order in (2, 4))]
    if len(axes) > 1:
        filters.append(dict.fromkeys(axes, 2))
    return filters


class _Groups:
    """Groups of entries with a similar signal, of about equal sizes."""

    def __init__(self, signal, live):
        self.live = live
        values = signal[:, live].cpu().numpy()
        n_groups = int(np.clip(values.size // _GROUP_SIZE, 1, _N_GROUPS))
        edges = np.unique(np.quantile(values, np.linspace(0, 1, n_groups + 1)[1:-1]))
        self.edges = torch.from_numpy(edges).to(signal)
        self.single = self._number(signal)
        # By the mean: that of the noise does not depend on its difference.
        self.pairs = self._number((signal[1:] + signal[:-1]) / 2)
        members = self.single[self.single >= 0]
        self.sizes = torch.bincount(members, minlength=len(edges) + 1).cpu().numpy()

    def _number(self, signal):
        """Return the group of each entry, −1 where not live."""
        found = torch.bucketize(signal.contiguous(), self.edges)
        return torch.where(self.live, found, -1)


def _lowest(estimates):
    """Return std and signal of the most precise estimate that none is below.

    Model errors only ever add, but of many estimates the lowest is so by chance.
    """
    limit = min(std * (1 + _CAUTION * error) for std, error, _ in estimates)
    std, _, signal = min((e for e in estimates if e[0] <= limit), key=lambda e: e[1])
    return std, signal


def _compare(estimates, groups, tensors, filters):
    """Append estimates (std, error, signal) to those of each group."""
    _compare_stack(estimates, groups.single, tensors, filters)
    if len(tensors[0]) > 1:
        _compare_stack(estimates, groups.pairs, _pairs(tensors), filters)


def _compare_stack(estimates, groups, tensors, filters):
    r, p, weighted, *mixed = tensors
    m = len(p)
    # A ratio to the root of m squares has Student's distribution.
    normal = stats.t.ppf((1 + _QUANTILE) / 2, m)
    slope = 2 * stats.t.pdf(normal, m) * normal
    for orders in filters:
        if not fits(r, orders):
            continue
        R, P, Q = (difference(t, orders) for t in (r, p, weighted))
        white = float(np.prod([_ENERGY[order] for order in orders.values()]))
        energy = P.square().mean(dim=0)
        if float(energy.mean()) < _MIN_KEPT * white:
            continue
        where = torch.where(energy > _MIN_KEPT * white, middle(groups, orders), -1)
        scale = energy.sqrt().clamp_min(1e-30)
        sums = _GroupSums(where, len(estimates), m)
        power = sums.compare(P.square(), energy)
        below = sums.compare((P.abs() < normal * scale).float(), _QUANTILE)
        errors = power.error / 2, below.error * _QUANTILE / slope
        signals = sums.of(P * Q).sum(axis=0) / power.total
        quartiles = np.full(len(estimates), normal)
        if mixed:
            H = difference(mixed[0], orders)
            own = sums.quantiles(H.abs() / scale, _QUANTILE)
            root = np.sqrt(sums.of(H.square()).sum(axis=0) / power.total)
            quartiles = np.where(own > 0, own / np.maximum(root, 1e-30), normal)
        for i, found in enumerate(estimates):
            chosen = where == i
            if int(chosen.sum()) < _MIN_SIZE:
                continue
            own, expected = R[chosen], energy.expand_as(R)[chosen]
            stds = (
                float(own.double().square().sum() / expected.double().sum()) ** 0.5,
                _quantile(own.abs() / expected.sqrt()) / quartiles[i],
            )
            for std, error in zip(stds, errors, strict=True):
                if error[i] <= _MAX_ERROR:
                    found.append((std, error[i], signals[i]))


def _pairs(tensors):
    """Return differences of samples in a row, of unit noise again of unit variance.

    Neighbouring samples, such as the rows of a volume, share what images and a wrong
    model leave.
    """
    n = len(tensors[0])
    stacks = [t.reshape(-1, n, *t.shape[1:]) for t in tensors]
    return [(t.diff(dim=1) / 2**0.5).flatten(0, 1) for t in stacks]


def _quantile(values):
    return float(np.quantile(values.cpu().numpy(), _QUANTILE))


class _GroupSums:
    """Sums over groups of what is known of m probes, and their statistical errors."""

    def __init__(self, where, n_groups, m):
        self.n, self.m = len(where), m
        ones = [1] * (where.ndim - 1)
        row = torch.arange(m, device=where.device).reshape(m, *ones) * (n_groups + 1)
        self.index = (
            (row + 1 + where.repeat(m // self.n, *ones)).flatten().cpu().numpy()
        )
        self.shape = (m, n_groups + 1)

    def of(self, values):
        """Return the sums of values, of shape (m, n_groups)."""
        values = values.flatten().double().cpu().numpy()
        sums = np.bincount(self.index, values, self.shape[0] * self.shape[1])
        return sums.reshape(self.shape)[:, 1:]

    def quantiles(self, values, q):
        """Return the quantile of all values of each group."""
        values, n_groups = values.flatten().cpu().numpy(), self.shape[1] - 1
        group = self.index % (n_groups + 1)
        found = [values[group == i + 1] for i in range(n_groups)]
        return np.array([np.quantile(v, q) if v.size else 0.0 for v in found])

    def compare(self, values, mean):
        """Return totals of the mean, and the relative error of a sum over n samples."""
        expected = self.of(torch.as_tensor(mean).to(values).expand_as(values))
        total = np.maximum(expected.sum(axis=0), 1e-300)
        scatter = np.square(self.of(values) - expected).sum(axis=0)
        scatter *= self.m / (self.m - 1)  # the mean was estimated from the same
        # Errors of n samples, and of the m probes that they are compared with.
        error = np.sqrt(scatter) / total * (self.m / self.n + 1) ** 0.5
        return SimpleNamespace(total=total, error=error)
