"""Noise levels from measurements alone: by what no image can produce."""

import numpy as np
import torch
from scipy.optimize import nnls

from ..utils.random import make_generator

_N_ENTRIES = 300_000  # of measurements looked at, in whole samples
_MAX_SAMPLES = 32
_MIN_PROBES = 16
_STEPS = (16, 32, 64, 128)  # after which the estimate is looked at
_CONVERGED = 0.01  # relative change of the standard deviation
_MIN_KEPT = 1e-3  # share of the noise's energy; below, rounding errors count
_MAX_ERROR = 0.05  # statistical, relative, of the standard deviation
_CAUTION = 5  # errors by which one estimate has to lie below another
_N_GROUPS = 12  # of entries with a similar signal


@torch.no_grad()
def estimate_levels(operator, y, *, sigma, gain):
    """Estimate σ and gain of noise with variance σ² + gain · A x.

    Parameters
    ----------
    operator : ForwardOperator
        A, resolved.
    y : torch.Tensor of shape (batch, channel, *measurement_shape)
        Noisy measurements, up to 32 of which are looked at.
    sigma, gain : float or "auto"
        Known levels, 0 for what is absent; ``"auto"`` for what is asked for.

    Returns
    -------
    levels : dict
        ``{"sigma": float, "gain": float}``.

    Raises
    ------
    ValueError
        If ``y`` does not tell noise from images.

    Notes
    -----
    The residual y − A x_k of k steps x ← x + w·B(y − A x) from x = 0 is
    F y with F = (I − w A B)^k, a fixed linear filter. What images produce
    vanishes with k; noise in the left null space of A, and where the
    measurements are redundant or B damps, remains. As F is linear, random probes
    w ~ N(0, I) tell what noise becomes: for entry i

        E (F y)_i² = σ² E (F w)_i² + gain · E (F w)_i (F (y ⊙ w))_i.

    Sums over all entries give σ or gain; for both, entries are put into groups
    of similar signal, whose sums make a non-negative least-squares problem. A
    model A that does not quite fit leaves smooth errors; so second differences
    along each axis of F y are tried besides. What images leave behind only ever
    adds: the smallest estimate is taken. k doubles until it stays within 1 %.

    Where F leaves nothing (A with full row rank, such as lost pixels) this
    refuses. High-pass filters of y itself, as denoisers use them, cannot replace
    it: what images have at high frequencies is taken for noise. Measured, at 0.5 %
    of the largest measurement: 1.4 to 4 times too much for inpainting.

    Entries that are the same in all samples (dead, or not sampled) are taken to
    have no noise; in a single sample, those that are zero.
    """
    y = y[:_MAX_SAMPLES]
    y = y[: max(1, _N_ENTRIES // y[0].numel())].float()
    live = (y != y[:1]).any(dim=0) if len(y) > 1 else (y != 0)[0]
    if not live.any():
        raise ValueError(
            "Got measurements that never vary, but expected noisy ones to estimate "
            "the noise from; pass its level as a number."
        )
    generator = make_generator(0)
    n_probes = -(-_MIN_PROBES // len(y)) * len(y)
    w = torch.randn((n_probes, *y.shape[1:]), generator=generator).to(y.device) * live
    shot = gain == "auto" or gain > 0
    weighted = w * y.repeat(n_probes // len(y), *(1 for _ in y.shape[1:]))

    known = {"sigma": sigma, "gain": gain}
    batches = [y, w, weighted] if shot else [y, w]

    previous = None
    for residuals in _filtered(operator, batches):
        signal = y - residuals[0]
        fits = []
        for axes in _axes_to_difference(y.ndim):
            filtered = [_difference(r, axes) for r in residuals]
            white = 6.0 ** len(axes) * int(live.sum())  # energy of white noise
            fit = _fit(*filtered, _inner(signal, axes), white=white, known=known)
            if fit is not None:
                level = _mean_std(fit["sigma"], fit["gain"], y, live)
                fits.append({**fit, "std": level, "bound": level * fit["margin"]})
        if not fits:
            break
        best = min(fits, key=lambda fit: fit["bound"])
        if previous is not None and best["std"] >= (1 - _CONVERGED) * previous:
            return {name: best[name] for name in known}
        previous = best["std"]
    raise ValueError(
        f"Got {type(operator).__name__} measurements in which noise cannot be told "
        "from images, but expected some redundancy to estimate the noise from; pass "
        "its level as a number, or data_term='unsure'."
    )


def _filtered(operator, batches):
    """Yield F applied to each of the tensors, after each number of steps."""
    images = [torch.zeros_like(operator.pinv(batch)) for batch in batches]
    done = 0
    for n_steps in _STEPS:
        for _ in range(n_steps - done):
            images = [
                operator.refine(x, batch)
                for x, batch in zip(images, batches, strict=True)
            ]
        done = n_steps
        yield [
            batch - operator.forward(x)
            for x, batch in zip(images, batches, strict=True)
        ]


def _axes_to_difference(n_dims):
    """Return the axes along which second differences are tried, none at first."""
    axes = range(2, n_dims)
    return [(), *((axis,) for axis in axes), *([tuple(axes)] if n_dims > 3 else [])]


def _difference(r, axes, order=2):
    for axis in axes:
        r = r.diff(n=order, dim=axis)
    return r


def _inner(r, axes):
    """Return the middle entry of every second difference."""
    for axis in axes:
        r = r.narrow(axis, 1, max(r.shape[axis] - 2, 0))
    return r


def _mean_std(sigma, gain, y, live):
    mean = float(y[:, live].double().mean())
    return float(np.sqrt(max(sigma**2 + gain * mean, 0.0)))


def _fit(r, probe, *rest, white, known):
    """Return the levels that explain the energy of ``r``, or None if none can.

    Parameters
    ----------
    r, probe : torch.Tensor
        Filtered measurements and filtered unit noise.
    *rest : torch.Tensor
        Filtered noise weighted by the measurements, if asked for, and the signal.
    white : float
        Energy of ``probe`` if nothing were filtered out.
    known : dict
        As for :func:`estimate_levels`.
    """
    *weighted, signal = rest
    products = [probe * probe, *(probe * other for other in weighted)]
    energies = [t.double().flatten(1).sum(dim=1) for t in products]
    if float(energies[0].mean()) < _MIN_KEPT * white:
        return None
    # Noise in r and in the probes; half, as a standard deviation is a root.
    brightness = signal.double().flatten(1).mean(dim=1).repeat(len(probe) // len(r))
    expected = [torch.ones_like(brightness), brightness / brightness.mean()]
    spread = max(
        float((e / e.mean() - x).std())
        for e, x in zip(energies, expected, strict=False)
    )
    error = spread * (1 / len(r) + 1 / len(probe)) ** 0.5 / 2
    if not error <= _MAX_ERROR:
        return None

    asked = [name for name in known if known[name] == "auto"]
    if len(asked) == 2:
        sums = _grouped_sums(signal, r * r, products)
    else:
        sums = np.array(
            [[float(t.double().sum()) / len(t)] for t in (r * r, *products)]
        )
    energy, gaussian = sums[0], sums[1]
    poisson = sums[2] if weighted else np.zeros_like(gaussian)
    columns = {"sigma": gaussian, "gain": poisson}
    levels = {name: 0.0 if name in asked else known[name] for name in known}
    energy = energy - levels["sigma"] ** 2 * gaussian - levels["gain"] * poisson
    solution = _least_squares(np.stack([columns[name] for name in asked], 1), energy)
    if solution is None:
        return None
    for name, value in zip(asked, solution, strict=True):
        levels[name] = float(np.sqrt(value)) if name == "sigma" else float(value)
    return {**levels, "margin": 1 + _CAUTION * error}


def _grouped_sums(signal, energy, products):
    """Return sums per sample of each tensor, over groups of similar signal."""
    edges = np.quantile(signal.cpu().numpy(), np.linspace(0, 1, _N_GROUPS + 1)[1:-1])
    group = torch.bucketize(
        signal.contiguous(), torch.from_numpy(edges).to(signal)
    ).flatten()
    sums = []
    for tensor in (energy, *products):
        groups = group.repeat(len(tensor) // len(energy))
        totals = torch.zeros(_N_GROUPS, dtype=torch.float64, device=tensor.device)
        totals.index_add_(0, groups, tensor.double().flatten())
        sums.append(totals.cpu().numpy() / len(tensor))
    return np.array(sums)


def _least_squares(columns, energy):
    """Solve for levels ≥ 0; the error of an energy is relative to its size."""
    if not (columns.sum(axis=0) > 0).all():
        return None
    if columns.shape[1] == 1:
        return np.maximum(energy.sum() / columns.sum(), 0.0)[np.newaxis]
    size = np.maximum(energy, 1e-3 * energy.max())
    for _ in range(5):
        scaled = columns / size[:, np.newaxis]
        norms = np.linalg.norm(scaled, axis=0)
        solution = nnls(scaled / norms, energy / size)[0] / norms
        size = np.maximum(columns @ solution, 1e-3 * energy.max())
    return solution
