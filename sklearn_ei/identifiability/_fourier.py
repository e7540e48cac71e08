"""Cyclic shifts: the discrete Fourier transform diagonalises S."""

import math
import time

import numpy as np
import torch
from scipy import stats

from ._diagonal import pixel_weights
from ._matrices import batch_size, matrix_rows
from ._spectrum import ZERO, from_values
from ._system import relative_error

_EXACT_SECONDS = 20.0  # what m transforms may take before probes are drawn
_N_PROBES = 64
_FAILURE = 1e-6
_N_DIRECTIONS = 6


def other_factors(group):
    """Return the rest of a group that contains all cyclic shifts, or None.

    Elements T_h T_s, shifts first, make S commute with shifts. T_s T_h is the
    same set where h permutes pixels and maps shifts to shifts, as exact affine
    maps do: reflections and quarter turns. What acts on channels alone, such as
    phases, commutes with shifts.
    """
    identity = torch.zeros(1, dtype=torch.int64)
    for k, part in enumerate(group.parts):
        before, after = group.parts[:k], group.parts[k + 1 :]
        turns = all(
            p.is_exact and (p.mixes_channels or p.affine_map(identity) is not None)
            for p in after
        )
        if part.is_all_shifts and turns:
            return [*before, *after]
    return None


def fourier_spectrum(system, others, tol, budget):
    """Return the spectrum of S for all cyclic shifts, times ``others``.

    With the rows a_i of A, per frequency ω and for C channels the C × C Gram

        S(ω) = (1/N) Σ_i â_i(ω) â_i(ω)ᴴ,

    â_i being the discrete Fourier transform of a_i and N the number of pixels.
    Closed forms where AᵀA multiplies pixels (a constant: the mean) or commutes
    with shifts (the transfer function of AᵀA); both are found out with random
    images, which no other operator passes. Else the sum over all m rows if it
    takes seconds, and Gaussian probes, S(ω) = E ŵ ŵᴴ/N for ŵ = F Aᵀw, if not.
    """
    if not others:
        gram = _closed_form(system)
        if gram is not None:
            return _finish(system, gram, tol, method="Fourier, closed form")
        gram = _row_by_row(system, budget)
        if gram is not None:
            return _finish(system, gram, tol, method="Fourier, all rows of A")
    gram = _probe(system, others, budget)
    return _finish_probed(system, gram, tol)


def _fft(system, x):
    """Return (k, C, N) transforms of rows."""
    axes = tuple(range(2, 2 + len(system.image_shape)))
    return torch.fft.fftn(system.images(x), dim=axes).flatten(2)


def _closed_form(system):
    weights = pixel_weights(system)
    if weights is not None:
        mean = weights.reshape(system.channels, -1).mean(1).to(torch.complex128)
        return torch.diag(mean).expand(system.pixels, -1, -1)
    if all(
        system.null_space_moves_with(g) < system.identity_tolerance
        for g in system.group.generators().tolist()
    ):
        return _transfer(system)
    return None


def _transfer(system):
    """Return the transfer function of AᵀA, which commutes with shifts."""
    impulses = torch.zeros(
        (system.channels, system.channels, system.pixels), dtype=torch.float64
    )
    for c in range(system.channels):
        impulses[c, c, 0] = 1
    response = _fft(system, system.normal(impulses.flatten(1)))
    # response[c', c, ω] = S(ω)[c, c'].
    gram = response.permute(2, 1, 0)
    return (gram + gram.mH) / 2


def shift_invariant_spectrum(system, tol):
    """Return the exact spectrum of S = AᵀA without a group, or None.

    For S that commutes with cyclic shifts, which random images tell, as for lines of
    k-space: its eigenvalues are those of its transfer function.
    """
    w = system.images(system.randn())
    for axis in range(2, w.ndim):
        first, second = (
            system.normal(w.roll(1, axis).flatten(1)),
            system.images(system.normal(w.flatten(1))).roll(1, axis).flatten(1),
        )
        if not relative_error(first, second) < system.identity_tolerance:
            return None
    return _finish(system, _transfer(system), tol, method="Fourier, closed form")


def _accumulate(gram, transforms):
    """Add Σ_i â_i(ω) â_i(ω)ᴴ."""
    if gram.shape[1] == 1:
        gram[:, 0, 0] += transforms[:, 0].abs().square().sum(0)
    else:
        gram += torch.einsum("icw,idw->wcd", transforms, transforms.conj())


def _row_by_row(system, budget):
    shape = (system.pixels, system.channels, system.channels)
    gram = torch.zeros(shape, dtype=torch.complex128)
    start, done = time.perf_counter(), 0
    for rows in matrix_rows(system, budget):
        _accumulate(gram, _fft(system, torch.from_numpy(rows)))
        done += len(rows)
        needed = (time.perf_counter() - start) * system.m / done
        if needed > min(_EXACT_SECONDS, budget.left + time.perf_counter() - start):
            return None
        budget.tell(f"{done} of {system.m} rows transformed", every=2)
    return gram / system.pixels


def _probe(system, others, budget):
    shape = (system.pixels, system.channels, system.channels)
    gram = torch.zeros(shape, dtype=torch.complex128)
    n_probes = _N_PROBES * system.channels
    size = min(batch_size(4 * system.n), n_probes)
    for start in range(0, n_probes, size):
        budget.need()
        k = min(size, n_probes - start)
        w = torch.randn((k, system.m), generator=system.generator, dtype=torch.float64)
        x = system.images(system.adjoint(w))
        for part in others:
            g = torch.randint(part.n_elements, (k,), generator=system.generator)
            x = part.adjoint(x, g).detach()
        _accumulate(gram, _fft(system, x.flatten(1)))
        budget.tell(f"{start + k} of {n_probes} probes", every=2)
    return gram / (n_probes * system.pixels)


def _eigenvalues(gram):
    """Return the eigenvalues of each C × C Gram, in increasing order.

    In closed form for C = 1 and 2: calling LAPACK for every pixel takes seconds.
    """
    diagonal = gram.diagonal(dim1=1, dim2=2).real
    if gram.shape[1] == 1:
        return diagonal.numpy()
    if gram.shape[1] > 2:
        return torch.linalg.eigvalsh(gram).numpy()
    mean = diagonal.mean(1)
    half = (diagonal[:, 0] - diagonal[:, 1]) / 2
    root = (half.square() + gram[:, 0, 1].abs().square()).sqrt()
    return torch.stack([mean - root, mean + root], dim=1).numpy()


def _finish(system, gram, tol, method, **fields):
    values = _eigenvalues(gram)
    spectrum = from_values(method, values.reshape(-1), tol, **fields)
    spectrum.directions = _waves(system, values, gram)
    return spectrum


def _finish_probed(system, gram, tol):
    """Bound every amplitude from probes, all frequencies at once.

    For one channel ratio · Q of estimate to value is, in the worst case of a
    real ω, χ² with Q degrees of freedom; others scatter less. With C channels
    Q/C probes a direction are left. The union over all n eigenvalues fails with
    probability 1e-6.
    """
    spectrum = _finish(system, gram, tol, method="Fourier, random probes")
    chance = _FAILURE / (2 * system.n)
    low = stats.chi2.ppf(chance, _N_PROBES) / _N_PROBES
    high = stats.chi2.isf(chance, _N_PROBES) / _N_PROBES
    values = spectrum.values
    top_least, top_most = values[-1] / high, values[-1] / low
    surely_below = int((values / low < tol**2 * top_least).sum())
    maybe_below = int((values / high < tol**2 * top_most).sum())
    zero = ZERO**2 * spectrum.largest
    spectrum.n_below = (surely_below, maybe_below)
    spectrum.n_zero = (int((values < zero).sum()),) * 2
    spectrum.lower = float(np.sqrt(values[0] / high / top_most))
    spectrum.kind = "estimate"
    spectrum.certificate = "probabilistic"
    spectrum.failure_probability = _FAILURE
    return spectrum


def _waves(system, values, gram):
    """Return the weakest plane waves as real images, rows (k, n)."""
    order = np.argsort(values, axis=None, kind="stable")
    seen, waves = set(), []
    shape = system.image_shape
    for flat in order[: 4 * _N_DIRECTIONS]:
        frequency, which = divmod(int(flat), system.channels)
        k = np.unravel_index(frequency, shape)
        mirror = tuple(-i % size for i, size in zip(k, shape, strict=True))
        if (mirror, which) in seen:
            continue
        seen.add((tuple(k), which))
        axes = np.meshgrid(*(np.arange(size) / size for size in shape), indexing="ij")
        phase = np.exp(
            2j * math.pi * sum(i * axis for i, axis in zip(k, axes, strict=True))
        )
        # AᵀA f_ω v = S(ω) v f_ω for the conjugate convention of the Gram above.
        v = torch.linalg.eigh(gram[frequency])[1][:, which].numpy()
        wave = np.real(v[:, None] * phase.reshape(1, -1)).reshape(-1)
        norm = np.linalg.norm(wave)
        if norm > 1e-8:
            waves.append(wave / norm)
        if len(waves) == _N_DIRECTIONS:
            break
    return np.array(waves)
