"""What measurements tell about their noise: by what no image can produce."""

from types import SimpleNamespace
from typing import NamedTuple

import numpy as np
import torch
from scipy import stats
from scipy.ndimage import gaussian_filter1d

from ..utils.random import make_generator

_N_ENTRIES = 200_000  # of measurements looked at, in whole samples
_MAX_SAMPLES = 32
_N_PROBES = 16  # at least, unless they would take more than ...
_PROBE_ENTRIES = 2_000_000
_STEPS = (16, 32, 64, 128)  # after which the residual is looked at
_SETTLED = 0.01  # relative change of the level
_MIN_KEPT = 1e-3  # share of the noise's energy; below, rounding errors count
_MAX_ERROR = 0.15  # statistical, relative, of a standard deviation
_CAUTION = 4  # errors by which one estimate has to lie below another
_N_GROUPS = 8  # of entries with a similar signal ...
_GROUP_SIZE = 500  # ... and their least size
_QUANTILE = 0.25
_ENERGY = {1: 2.0, 2: 6.0, 4: 70.0}  # of differences of unit white noise, by order


class Evidence(NamedTuple):
    """Standard deviations of the noise, by groups of entries with similar signal.

    Attributes
    ----------
    std : ndarray of shape (n_groups,)
        Of the noise in each group, or more where the operator is wrong.
    signal : ndarray of shape (n_groups,)
        Mean signal from which noise that is still in the residual came.
    count : ndarray of shape (n_groups,)
        Entries of each group.
    rms : float
        Root mean square of the measurements.
    unexplained : float
        Standard deviation of the noise if it were all that no image explains.
    change : float
        The level over that after half of the steps. Below 1, images may be left.
    correlation : ndarray of shape (n_axes,)
        Correlation of neighbouring filtered residuals along each measurement axis,
        less what independent noise has there.
    correlation_error : ndarray of shape (n_axes,)
        Its statistical error.
    """

    std: np.ndarray
    signal: np.ndarray
    count: np.ndarray
    rms: float
    unexplained: float
    change: float
    correlation: np.ndarray
    correlation_error: np.ndarray

    @property
    def level(self):
        """Mean of the standard deviations over all entries."""
        return float(np.average(self.std, weights=self.count))


@torch.no_grad()
def gather_evidence(operator, y, blur=None):
    """Compare filtered measurements with filtered random numbers.

    Parameters
    ----------
    operator : ForwardOperator
        A, resolved.
    y : torch.Tensor or LazyTensor of shape (batch, channel, *measurement_shape)
        Noisy measurements, up to 32 of which are looked at.
    blur : tuple (axis, width), default=None
        Axis of ``y``, and standard deviation in entries, of a Gaussian blur that
        the noise went through. None: it is independent from entry to entry.

    Returns
    -------
    evidence : Evidence or None
        None where no measurement is redundant enough.

    Raises
    ------
    ValueError
        If the measurements never vary.

    Notes
    -----
    See :func:`~sklearn_ei.noise.estimate_noise`.
    """
    y, live = _prepare(operator, y)
    probes = _draw_probes(y, live, blur)
    best: list[dict] = []
    previous, change, told, unexplained = None, 1.0, False, np.inf
    for n_steps, (r, p, pw) in _residuals(operator, y, probes):
        if n_steps == _STEPS[0]:
            groups, counts = _groups(y - r, live)
            best = [{"bound": np.inf} for _ in counts]
            correlation = _excess_correlations(r, p)
            # High-pass filters of y itself stand where A does not fit at all.
            _compare(best, groups, y, *probes, axes_tried=_filters(y.ndim)[1:])
        kept = float(p.square().sum() / probes[0].square().sum())
        if kept > _MIN_KEPT:
            told = True
            unexplained = float(r.square().mean() / p.square().mean()) ** 0.5
        _compare(best, groups, r, p, pw, axes_tried=_filters(y.ndim))
        known = [i for i, group in enumerate(best) if np.isfinite(group["bound"])]
        if not told or counts[known].sum() < 0.5 * counts.sum():
            continue
        std, signal = (np.array([best[i][k] for i in known]) for k in ("std", "signal"))
        level = np.average(std, weights=counts[known])
        if previous is not None:
            change = level / max(previous, 1e-30)
            if change >= 1 - _SETTLED:
                break
        previous = level
    if previous is None:
        return None
    rms = float(y[:, live].square().mean()) ** 0.5
    return Evidence(
        std, signal, counts[known], rms, unexplained, min(change, 1.0), *correlation
    )


def _prepare(operator, y):
    """Return some of the measurements, zero where not live, and where they are."""
    y = y[:_MAX_SAMPLES]
    y = y[: max(1, _N_ENTRIES // y[0].numel())].float()
    live = (y != y[:1]).any(dim=0) if len(y) > 1 else (y != 0)[0]
    live &= y.isfinite().all(dim=0) & _measured(operator, y)
    if not live.any():
        raise ValueError(
            "Got measurements that never vary, but expected noisy ones to estimate "
            "the noise from; pass its level as a number."
        )
    varying_or_constant = y.isfinite().all(dim=0) & _measured(operator, y)
    return torch.where(varying_or_constant, y, 0.0), live


def _measured(operator, y):
    """Return where A has a row other than zero, of the shape of one sample."""
    generator = make_generator(0)
    image = torch.zeros_like(operator.pinv(y[:1].nan_to_num()))
    x = torch.randn((4, *image.shape[1:]), generator=generator).to(image)
    rows = operator.forward(x).abs().amax(dim=0)
    # Fourier transforms leave rounding errors where nothing is measured.
    return rows > 1e-6 * rows.max()


def _draw_probes(y, live, blur):
    """Return unit noise, and the same times y, of a multiple of len(y) samples."""
    wanted = min(_N_PROBES, max(4, _PROBE_ENTRIES // y[0].numel()))
    repeats = -(-wanted // len(y))
    w = torch.randn((repeats * len(y), *y.shape[1:]), generator=make_generator(0))
    if blur is not None:
        blurred = gaussian_filter1d(w.numpy(), blur[1], axis=blur[0], mode="wrap")
        w = torch.from_numpy(blurred / blurred.std())
    w = w.to(y.device) * live
    return w, w * y.repeat(repeats, *(1 for _ in y.shape[1:]))


def _residuals(operator, y, probes):
    """Yield numbers of steps k, and F = (I − w A B)^k of y and of each probe."""
    batches = [y, *probes]
    images = [torch.zeros_like(operator.pinv(batch)) for batch in batches]
    done = 0
    for n_steps in _STEPS:
        for _ in range(n_steps - done):
            images = [
                operator.refine(x, batch)
                for x, batch in zip(images, batches, strict=True)
            ]
        done = n_steps
        yield (
            n_steps,
            [
                batch - operator.forward(x)
                for x, batch in zip(images, batches, strict=True)
            ],
        )


def _filters(n_dims):
    """Return the differences that are tried, ``{axis: order}``; none at first."""
    axes = range(2, n_dims)
    filters = [{}, *({axis: order} for axis in axes for order in (2, 4))]
    if len(axes) > 1:
        filters.append(dict.fromkeys(axes, 2))
    return filters


def _difference(r, orders):
    for axis, order in orders.items():
        r = r.diff(n=order, dim=axis)
    return r


def _inner(r, orders):
    """Return the middle entry of every difference."""
    for axis, order in orders.items():
        r = r.narrow(axis, order // 2, r.shape[axis] - order)
    return r


def _groups(signal, live):
    """Return the group of each entry, −1 where not live, and the groups' sizes."""
    values = signal[:, live].cpu().numpy()
    n_groups = int(np.clip(values.size // _GROUP_SIZE, 1, _N_GROUPS))
    edges = np.quantile(values, np.linspace(0, 1, n_groups + 1)[1:-1])
    edges = torch.from_numpy(np.unique(edges)).to(signal)
    groups = torch.bucketize(signal.contiguous(), edges)
    groups = torch.where(live, groups, -1)
    counts = torch.bincount(groups[groups >= 0], minlength=len(edges) + 1)
    return groups, counts.cpu().numpy()


def _compare(best, groups, r, p, pw, axes_tried):
    """Replace estimates in ``best`` by those that are lower beyond doubt."""
    m = len(p)
    # A ratio to the root of m squares has Student's distribution.
    normal = stats.t.ppf((1 + _QUANTILE) / 2, m)
    slope = 2 * stats.t.pdf(normal, m) * normal
    for orders in axes_tried:
        if any(r.shape[axis] < order + 4 for axis, order in orders.items()):
            continue
        R, P, Q = (_difference(t, orders) for t in (r, p, pw))
        white = float(np.prod([_ENERGY[order] for order in orders.values()]))
        energy = P.square().mean(dim=0)
        usable = energy > _MIN_KEPT * white
        if float(energy.mean()) < _MIN_KEPT * white:
            continue
        where = torch.where(usable, _inner(groups, orders), -1)
        scale = energy.sqrt().clamp_min(1e-30)
        sums = _Sums(where, len(best), m)
        power = sums.of(P.square(), energy)
        below = sums.of((P.abs() < normal * scale).float(), _QUANTILE)
        errors = power.error / 2, below.error * _QUANTILE / slope
        signals = sums.of(P * Q).total / power.total
        for paired in (False, True)[: 2 if len(r) > 1 else 1]:
            # Samples such as the rows of a volume have much in common.
            if paired:
                R, where = (R[1:] - R[:-1]) / 2**0.5, where[:-1]
            lost = (1.5 * len(r) / len(R)) ** 0.5 if paired else 1.0
            for i, group in enumerate(best):
                chosen = where == i
                if int(chosen.sum()) < 20:
                    continue
                own, expected = R[chosen], energy.expand_as(R)[chosen]
                estimates = (
                    float(own.double().square().sum() / expected.double().sum()) ** 0.5,
                    _quantile(own.abs() / expected.sqrt()) / normal,
                )
                for std, error in zip(estimates, errors, strict=True):
                    bound = std * (1 + _CAUTION * error[i] * lost)
                    if error[i] * lost <= _MAX_ERROR and bound < group["bound"]:
                        group.update(bound=bound, std=std, signal=signals[i])


class _Sums:
    """Sums over groups of what is known of m probes, and their statistical errors."""

    def __init__(self, where, n_groups, m):
        self.n, self.m = len(where), m
        repeats = m // self.n
        index = torch.arange(m).reshape(m, *[1] * (where.ndim - 1)) * (n_groups + 1)
        index = index.to(where) + (where + 1).repeat(repeats, *[1] * (where.ndim - 1))
        self.index, self.shape = index.flatten().cpu().numpy(), (m, n_groups + 1)

    def of(self, values, expected=None):
        """Return the total over all probes, and the relative error from n samples."""
        sums = self._sum(values)
        if expected is None:
            return SimpleNamespace(total=sums.sum(axis=0))
        means = torch.as_tensor(expected).to(values).expand_as(values)
        means = self._sum(means)
        total = np.maximum(means.sum(axis=0), 1e-300)
        scatter = np.square(sums - means).sum(axis=0) * self.m / (self.m - 1)
        # n of m probes are a sample's worth; the m that calibrate have errors, too.
        error = np.sqrt(scatter) / total * (self.m / self.n + 1) ** 0.5
        return SimpleNamespace(total=total, error=error)

    def _sum(self, values):
        weights = values.flatten().double().cpu().numpy()
        size = self.shape[0] * self.shape[1]
        return np.bincount(self.index, weights, size).reshape(self.shape)[:, 1:]


def _quantile(values):
    return float(np.quantile(values.cpu().numpy(), _QUANTILE))


def _excess_correlations(r, p):
    """Return correlations of neighbours beyond those of filtered unit noise."""
    found = []
    for axis in range(2, r.ndim):
        orders = {other: 1 for other in range(2, r.ndim) if other != axis} | {axis: 4}
        if any(r.shape[a] < order + 4 for a, order in orders.items()):
            found.append((0.0, np.inf))
            continue
        own = neighbour_correlation(_difference(r, orders), axis)
        reference = neighbour_correlation(_difference(p, orders), axis)
        error = float(reference.std()) * (1 / len(r) + 1 / len(p)) ** 0.5
        found.append((float(own.mean() - reference.mean()), error))
    return np.array(found).T


def neighbour_correlation(r, axis):
    """Return the correlation of neighbours along an axis, one for each sample.

    Of signs, sin(π/2 · mean sign(r_i r_{i+1})), which few large values do not
    change (the quadrant correlation, exact for normal r).
    """
    n = r.shape[axis]
    signs = torch.sign(r.narrow(axis, 0, n - 1) * r.narrow(axis, 1, n - 1))
    return torch.sin(signs.flatten(1).mean(dim=1) * (np.pi / 2))
