"""Large images: Lanczos' method on S, without a matrix."""

import math

import numpy as np
import torch
from scipy import linalg

from ..utils.spread import spread
from ._spectrum import ZERO, Spectrum

_N_ELEMENTS = 8
_MAX_STEPS = 400
_MAX_BYTES = 1.2e9
_FAILURE = 1e-3
_CHECK_EVERY = 50
_MANY = 360  # elements that a few directions are shown to
_N_DIRECTIONS = 6


def apply_average(system, x, elements):
    """Return mean_g T_gᵀ AᵀA T_g x for one row x."""
    g = torch.tensor(elements)
    moved = system.transform(x.expand(len(g), -1), g)
    return system.transpose(system.normal(moved), g).mean(0, keepdim=True)


def lanczos_spectrum(system, tol, budget):
    """Return bounds on the ends of the spectrum of S for a spread subset.

    Every vector is orthogonalised twice against all before. Ritz values are
    Rayleigh quotients, so the smallest is an upper bound of λ_min and, by
    Cauchy's interlacing, as many eigenvalues as Ritz values lie below any
    number. From the other side: with the start vector uniform on the sphere, q
    an eigenvector and p_j Lanczos' orthonormal polynomials, v_j = p_j(S) v_0 and

        1 = ‖q‖² ≥ Σ_j ⟨q, v_j⟩² = ⟨q, v_0⟩² Σ_j p_j(λ)²,

    and below the smallest Ritz value every p_j² falls with λ. So λ_min ≥ μ unless
    ⟨q, v_0⟩² ≤ 1/Σ_j p_j(μ)², whose probability is at most √(2n/π) (Σ_j
    p_j(μ)²)^(−1/2): bisection on μ makes it 1e-3. This is the bound of [1]_; that
    of [2]_ follows by replacing p_j by Chebyshev's polynomials, and is weaker.

    References
    ----------
    .. [1] J. van Dorsselaer, M. Hochstenbach and H. van der Vorst, "Computing
       probabilistic bounds for extreme eigenvalues of symmetric matrices with
       the Lanczos method", SIAM J. Matrix Anal. Appl. 22, 2000.
    .. [2] J. Kuczyński and H. Woźniakowski, "Estimating the largest eigenvalue by
       the power and Lanczos algorithms with a random start", SIAM J. Matrix Anal.
       Appl. 13, 1992.
    """
    elements = spread(system.group.n_elements, _N_ELEMENTS)
    n_steps = int(min(_MAX_STEPS, system.n, _MAX_BYTES // (8 * system.n)))
    basis = torch.empty((n_steps, system.n), dtype=torch.float64)
    v = system.randn()
    basis[0] = v / v.norm()
    diagonal, off = [], []
    for k in range(n_steps):
        w = apply_average(system, basis[k : k + 1], elements)[0]
        diagonal.append(float(w @ basis[k]))
        for _ in range(2):
            w -= basis[: k + 1].T @ (basis[: k + 1] @ w)
        norm = float(w.norm())
        if norm <= 1e-13 * max(map(abs, diagonal)) or k + 1 == n_steps:
            break
        if budget.left <= 0 or (k % _CHECK_EVERY == 0 and budget.left < 1):
            break
        off.append(norm)
        basis[k + 1] = w / norm
        budget.tell(f"Lanczos step {k + 1} of {n_steps}", every=5)
    n_steps = len(diagonal)
    ritz, vectors = linalg.eigh_tridiagonal(diagonal, off[: n_steps - 1])
    largest = float(ritz[-1])
    lower = _probable_lower_bound(diagonal, off[: n_steps - 1], ritz, system.n)
    directions = (basis[:n_steps].T @ torch.from_numpy(vectors[:, :_N_DIRECTIONS])).T
    ratio = max(lower, 0.0) / largest
    order = system.group.n_elements
    found = ritz
    if len(elements) < order:
        # What few elements miss others may see: the whole group's quotients.
        ends = torch.stack([directions[0], basis[:n_steps].T @ _last(vectors)])
        found = np.array(_quotients(system, ends, budget))
        largest = float(found[-1])
    return Spectrum(
        method=f"Lanczos, {n_steps} steps",
        smallest=max(float(found[0]), 0.0),
        largest=largest,
        kind="upper bound",
        lower=math.sqrt(ratio),
        n_below=(int((found < tol**2 * largest).sum()), 0 if ratio >= tol**2 else None),
        n_zero=(int((found < ZERO**2 * largest).sum()), 0 if ratio > ZERO**2 else None),
        directions=directions.numpy(),
        elements=elements,
        whole_group=order <= max(_MANY, len(elements)),
        certificate="probabilistic" if ratio > 0 else "Ritz bounds",
        failure_probability=_FAILURE if ratio > 0 else 0.0,
    )


def _last(vectors):
    return torch.from_numpy(np.ascontiguousarray(vectors[:, -1]))


def _quotients(system, x, budget):
    """Return mean_g ‖A T_g x‖²/‖x‖² for rows x, over the group or 360 of it."""
    total = torch.zeros(len(x), dtype=torch.float64)
    elements = spread(system.group.n_elements, _MANY)
    for start in range(0, len(elements), _N_ELEMENTS):
        budget.need()
        g = torch.tensor(elements[start : start + _N_ELEMENTS])
        for k, row in enumerate(x):
            moved = system.transform(row.expand(len(g), -1), g)
            total[k] += system.forward(moved).square().sum()
        budget.tell(f"Rayleigh quotients: {start} of {len(elements)} elements", every=5)
    return (total / len(elements) / x.square().sum(1)).tolist()


def _log_sum_of_squares(mu, diagonal, off):
    """Return log Σ_j p_j(μ)², by the three-term recurrence, scaled as it grows."""
    before, now, scale, total = 0.0, 1.0, 0.0, 1.0
    for j, b in enumerate(off):
        last = off[j - 1] if j else 0.0
        before, now = now, ((mu - diagonal[j]) * now - last * before) / b
        total += now * now
        if total > 1e100:
            before, now, total = before * 1e-50, now * 1e-50, total * 1e-100
            scale += 100 * math.log(10)
    return scale + math.log(total)


def _probable_lower_bound(diagonal, off, ritz, n):
    """Return μ with λ_min ≥ μ up to a probability of 1e-3."""
    wanted = 2 * math.log(math.sqrt(2 * n / math.pi) / _FAILURE)
    low, high = -float(ritz[-1]), float(ritz[0])
    for _ in range(100):
        mu = (low + high) / 2
        if _log_sum_of_squares(mu, diagonal, off) >= wanted:
            low = mu
        else:
            high = mu
    return np.float64(low)
