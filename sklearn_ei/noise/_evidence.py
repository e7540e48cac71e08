"""What measurements tell about their noise: by what no image can produce."""

from types import SimpleNamespace
from typing import NamedTuple

import numpy as np
import torch
from scipy import stats

from ._filtered import difference, excess_correlations, fits, middle

STEPS = (16, 32, 64, 128)  # after which the residual is looked at
SMALL = 2e-3  # of the root mean square: noise that costs little if it is overlooked
_SETTLED = 0.01  # relative change of the level
_MIN_KEPT = 1e-3  # share of the noise's energy; below, rounding errors count
_MAX_ERROR = 0.15  # statistical, relative, of a standard deviation
_MAX_GROUP_ERROR = 0.25  # likewise, where one filter tells of all groups
_CLEARLY = 0.75  # of one estimate, to be below it
_LIMIT = 2  # errors by which one may lie above what no image explains
_CAUTION = 2  # errors by which one estimate has to lie below another
_N_GROUPS = 8  # of entries with a similar signal ...
_GROUP_SIZE = 500  # ... and their least size
_MIN_SIZE = 20  # entries that one number is made from
_QUANTILE = 0.35
_ENERGY = {2: 6.0, 4: 70.0}  # of differences of unit white noise, by order


class Evidence(NamedTuple):
    """Standard deviations of the noise, by groups of entries with similar signal.

    Attributes
    ----------
    std : ndarray of shape (n_groups,)
        Of the noise in each group, or more where the operator is wrong.
    signal : ndarray of shape (n_groups,)
        Mean signal of the entries that the noise in a group came from.
    size : ndarray of shape (n_groups,)
        Entries of each group.
    unexplained : float
        Standard deviation of the noise if it were all that no image explains.
    change : float
        The level over that after half of the steps; below 1 while images are left.
    fall : float
        The level over that after the first steps.
    correlations : dict
        ``{axis: (excess, error)}`` of :func:`~._filtered.excess_correlations`.
    """

    std: np.ndarray
    signal: np.ndarray
    size: np.ndarray
    unexplained: float
    change: float
    fall: float
    correlations: dict

    @property
    def level(self):
        """Mean of the standard deviations over all entries.

        The mean square would be that of the groups which model errors spoil most.
        """
        return float(np.average(self.std, weights=self.size))


@torch.no_grad()
def gather_evidence(measurements, blur=None):
    """Compare filtered measurements with filtered random numbers.

    Parameters
    ----------
    measurements : Measurements
        What is looked at.
    blur : tuple (axis, width), default=None
        Of a Gaussian that the noise went through. None: it is independent from
        entry to entry.

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
    wy = w * y.repeat(len(w) // len(y), *(1 for _ in y.shape[1:]))
    tensors = [y, w, wy]
    filters = _filters(y.ndim, None if blur is None else blur[0])
    previous, first, change, told = None, None, 1.0, False
    for n_steps, residuals in measurements.residuals(tensors, STEPS):
        r, p, *_ = residuals
        if n_steps == STEPS[0]:
            groups = _Groups(y - r, live)
            counts = groups.sizes
            estimates = _Estimates(counts)
            correlations = excess_correlations(r, p)
            # High-pass filters of y itself stand where A does not fit at all.
            _compare(estimates, groups, tensors, filters[1:])
        _compare(estimates, groups, residuals, filters)
        if float(p.square().sum()) > _MIN_KEPT * float(w.square().sum()):
            told = True
            unexplained = float(r.square().mean() / p.square().mean()) ** 0.5
        std, signal, known = estimates.summary()
        if not told or counts[known].sum() < 0.5 * counts.sum():
            continue
        level = np.average(std, weights=counts[known])
        # All that no image explains is the most that noise can be.
        most = unexplained / max(1 - _LIMIT * _scatter(p) / len(y) ** 0.5, 0.5)
        if level > most:
            std, level = std * (most / level), most
        if previous is not None:
            change = level / max(previous[0], 1e-30)
            settled = unexplained >= (1 - 5 * _SETTLED) * previous[1]
            # Next to nothing may still be what images leave.
            settled &= level > SMALL * measurements.rms
            if settled and change >= 1 - _SETTLED:
                break
        previous, first = (level, unexplained), first or level
    if previous is None:
        return None
    change, fall = float(min(change, 1)), float(level / max(first, 1e-30))
    return Evidence(std, signal, counts[known], unexplained, change, fall, correlations)


def _scatter(p):
    """Return the relative error of a standard deviation from one filtered probe."""
    energy = p.double().square().flatten(1).sum(dim=1)
    return float(energy.std() / energy.mean()) / 2


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


class _Estimates:
    """Estimates of the standard deviation in each group, with errors and signals."""

    def __init__(self, counts):
        self.counts = counts
        self.of_groups = [[] for _ in counts]
        self.of_filters = []  # all groups by one filter, and the mean square

    def add(self, i, std, error, signal):
        """Add an estimate of the i-th group."""
        if error <= _MAX_ERROR:
            self.of_groups[i].append((std, error, signal))

    def add_filter(self, std, error, signal):
        """Add estimates of all groups, NaN where there are none."""
        std = np.where(error <= _MAX_GROUP_ERROR, std, np.nan)
        known = np.isfinite(std)
        if self.counts[known].sum() < 0.5 * self.counts.sum():
            return
        parts = self.counts[known] * std[known]
        spread = np.linalg.norm(parts * error[known]) / max(parts.sum(), 1e-300)
        level = parts.sum() / self.counts[known].sum()
        self.of_filters.append((level * (1 + _CAUTION * spread), std, signal))

    def summary(self):
        """Return std and signal of the groups of which something is known, and these.

        The best single filter, which needs no choice among many for each group,
        unless something in the group is clearly lower: what a wrong model leaves
        only ever adds.
        """
        found = {i: _lowest(group) for i, group in enumerate(self.of_groups) if group}
        if self.of_filters:
            _, std, signal = min(self.of_filters, key=lambda f: f[0])
            for i in np.flatnonzero(np.isfinite(std)):
                if i not in found or found[i][0] > _CLEARLY * std[i]:
                    found[i] = std[i], signal[i]
        known = sorted(found)
        std, signal = np.array([found[i] for i in known]).reshape(-1, 2).T
        return std, signal, known


def _lowest(estimates):
    """Return std and signal of the most precise estimate that none is below.

    Of many estimates, the lowest is so by chance.
    """
    limit = min(std * (1 + _CAUTION * error) for std, error, _ in estimates)
    std, _, signal = min((e for e in estimates if e[0] <= limit), key=lambda e: e[1])
    return std, signal


def _compare(estimates, groups, tensors, filters):
    """Add estimates that compare filtered measurements with filtered probes."""
    _compare_stack(estimates, groups.single, tensors, filters, True)
    if len(tensors[0]) > 1:
        _compare_stack(estimates, groups.pairs, _pairs(tensors), filters, False)


def _compare_stack(estimates, groups, tensors, filters, single):
    r, p, weighted = tensors
    m, n_groups = len(p), len(estimates.counts)
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
        sums = _GroupSums(where, n_groups, m)
        power = sums.compare(P.square(), energy)
        below = sums.compare((P.abs() < normal * scale).float(), _QUANTILE)
        errors = power.error / 2, below.error * _QUANTILE / slope
        signals = sums.of(P * Q).sum(axis=0) / power.total
        plain = np.full(n_groups, np.nan)
        for i in range(n_groups):
            chosen = where == i
            if int(chosen.sum()) < _MIN_SIZE:
                continue
            own, expected = R[chosen], energy.expand_as(R)[chosen]
            ratio = float(own.double().square().sum() / expected.double().sum())
            plain[i] = ratio**0.5
            lower = _quantile(own.abs() / expected.sqrt()) / normal
            for std, error in zip((plain[i], lower), errors, strict=True):
                estimates.add(i, std, error[i], signals[i])
        if single:
            estimates.add_filter(plain, errors[0], signals)


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

    def compare(self, values, mean):
        """Return totals of the mean, and the relative error of a sum over n samples."""
        expected = self.of(torch.as_tensor(mean).to(values).expand_as(values))
        total = np.maximum(expected.sum(axis=0), 1e-300)
        scatter = np.square(self.of(values) - expected).sum(axis=0)
        scatter *= self.m / (self.m - 1)  # the mean was estimated from the same
        # Errors of n samples, and of the m probes that they are compared with.
        error = np.sqrt(scatter) / total * (self.m / self.n + 1) ** 0.5
        return SimpleNamespace(total=total, error=error)
