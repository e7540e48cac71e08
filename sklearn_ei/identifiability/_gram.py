"""Images of up to 16384 pixels: S as a matrix, in blocks where it has them."""

import numpy as np
from scipy import linalg
from scipy.sparse.linalg import LinearOperator, eigsh

from . import _blocks
from ._blocks import Blocks, multiplicity
from ._matrices import (
    operator_matrix,
)
from ._spectrum import Spectrum, from_values

_MAX_ELEMENTS = 512
_FIRST_ELEMENTS = 16  # of larger groups: where these have full rank, so has the group
_FIRST_SUBSET, _MAX_SUBSET = 4, 64
_MAX_BYTES = 3e9
_N_DIRECTIONS = 4
_RITZ = 1e-3  # of vectors; eigenvalues are known to its square
_ALMOST = 1e-6  # margin of the bound on λ_max


def gram_spectrum(system, tol, budget):
    """Return the spectrum of S, or bounds of it from a subset; None if too large.

    Small blocks: all elements and all eigenvalues. Of a group with more than 512
    elements a spread subset G', fourfold until it has full rank at the tolerance, or
    512 elements: M of the whole group has the rows of G', so that its rank is no
    less. Large blocks: a spread subset G', and Cholesky's factorisation in float64 of
    S − τ²·λ·I with λ ≥ λ_max shown in the same way. That it succeeds proves
    σ_min/σ_max ≥ τ up to rounding, for G', and so the rank of the whole group. If it
    fails, the subset is doubled until it is the whole group.
    """
    blocks = Blocks(system, budget)
    if blocks.n_bytes > _MAX_BYTES:
        return None
    small = max(blocks.sizes) <= _blocks.FULL_BLOCK
    first = _FIRST_ELEMENTS if len(blocks.pool) > _MAX_ELEMENTS else _MAX_ELEMENTS
    chosen = blocks.elements(first if small else _FIRST_SUBSET)
    transforms = blocks.transforms(chosen)
    if transforms is None:
        return None
    matrix = operator_matrix(system, budget)
    if small:
        return _grown(blocks, matrix, chosen, transforms, tol)
    return _certified(blocks, matrix, chosen, transforms, tol)


def _fields(blocks, chosen):
    names = blocks.names(chosen)
    return {
        "elements": names,
        "whole_group": len(names) == blocks.system.group.n_elements,
    }


def _grown(blocks, matrix, chosen, transforms, tol):
    """Return all eigenvalues of a subset that is large enough to have full rank."""
    squares = [blocks.squares(matrix, basis) for basis in blocks.bases]
    most = min(len(blocks.pool), _MAX_ELEMENTS)
    while True:
        found = _full(blocks, squares, chosen, transforms, tol)
        if found.n_below == (0, 0) or len(chosen) >= most:
            return found
        blocks.budget.tell(f"{len(chosen)} elements do not have full rank: fourfold")
        count = 4 * len(chosen)
        chosen, transforms = _enlarged(blocks, chosen, transforms, count, most)


def _enlarged(blocks, chosen, transforms, count, most):
    """Return a larger spread subset with its transforms, of which some are known."""
    known = dict(zip(chosen, transforms, strict=True))
    chosen = blocks.elements(min(count, most))
    added = [g for g in chosen if g not in known]
    known.update(zip(added, blocks.transforms(added), strict=True))
    return chosen, [known[g] for g in chosen]


def _full(blocks, squares, chosen, transforms, tol):
    values, low = [], []
    for square, basis in zip(squares, blocks.bases, strict=True):
        S = blocks.average(square, basis, transforms)
        eigenvalues, vectors = linalg.eigh(S, overwrite_a=True, check_finite=False)
        values += [eigenvalues] * multiplicity(basis)
        low += _candidates(eigenvalues, vectors, basis)
    name = "Gram matrix, all eigenvalues" + (", in C4 blocks" * blocks.reduced)
    spectrum = from_values(name, np.concatenate(values), tol, **_fields(blocks, chosen))
    spectrum.directions = _best(low)
    return spectrum


def _candidates(eigenvalues, vectors, basis):
    pairs = []
    for k in range(min(_N_DIRECTIONS, len(eigenvalues))):
        image = basis @ vectors[:, k]
        for part in (image.real, image.imag):
            norm = np.linalg.norm(part)
            if norm > 1e-6:
                pairs.append((float(eigenvalues[k]), part / norm))
    return pairs


def _best(pairs):
    pairs = sorted(pairs, key=lambda pair: pair[0])[:_N_DIRECTIONS]
    return np.array([image for _, image in pairs])


def _certified(blocks, matrix, chosen, transforms, tol):
    squares = [blocks.squares(matrix, basis) for basis in blocks.bases]
    while True:
        found = _try_subset(blocks, squares, chosen, transforms, tol)
        if found.n_below == (0, 0) or len(chosen) in (len(blocks.pool), _MAX_SUBSET):
            return found
        blocks.budget.tell(f"{len(chosen)} elements do not certify it: doubled")
        count = 2 * len(chosen)
        chosen, transforms = _enlarged(blocks, chosen, transforms, count, _MAX_SUBSET)


def _try_subset(blocks, squares, chosen, transforms, tol):
    budget = blocks.budget
    averages = [
        blocks.average(square, basis, transforms)
        for square, basis in zip(squares, blocks.bases, strict=True)
    ]
    largest = max(_upper_bound(S, budget) for S in averages)
    n_below, smallest, low = 0, np.inf, []
    for basis in blocks.bases:
        S = averages.pop(0)
        below, values, vectors = _factor(S, tol**2 * largest, budget)
        n_below += multiplicity(basis) * below
        smallest = min(smallest, float(values[0]))
        low += _candidates(values, vectors, basis)
        budget.tell(f"block of size {len(S)} factorised: {below} below the tolerance")
    certified = n_below == 0
    return Spectrum(
        method="shifted Cholesky" + (", in C4 blocks" * blocks.reduced),
        smallest=smallest,
        largest=largest,
        lower=tol if certified else 0.0,
        n_below=(n_below, n_below),
        n_zero=(0, n_below),
        directions=_best(low),
        certificate="Cholesky in float64",
        **_fields(blocks, chosen),
    )


def _upper_bound(S, budget):
    """Return λ ≥ λ_max, proved by a factorisation of λ I − S."""
    budget.need()
    start = np.ones(len(S), dtype=S.dtype)
    top = float(
        eigsh(S, k=1, which="LA", v0=start, tol=_RITZ, return_eigenvectors=False)[0]
    )
    top *= 1 + _ALMOST
    while _cholesky(-S, -top) is None:
        top *= 1.01
    return top


def _cholesky(S, shift):
    """Return the factor of S − shift·I, or None if it is not positive definite."""
    shifted = np.array(S, order="F")
    shifted[np.diag_indices(len(S))] -= shift
    try:
        return linalg.cholesky(
            shifted, lower=True, overwrite_a=True, check_finite=False
        )
    except linalg.LinAlgError:
        return None


def _factor(S, shift, budget):
    """Return how many eigenvalues lie below ``shift``, and the smallest ones.

    Cholesky's factorisation proves none; else Sylvester's law of inertia counts
    them from LDLᴴ. The smallest come from inverse iteration with the factor.
    """
    budget.need()
    factor = _cholesky(S, shift)
    below, sigma = 0, shift
    if factor is None:
        below = _inertia(S, shift)
        sigma = -shift
        factor = _cholesky(S, sigma)
    solve = LinearOperator(
        S.shape,
        matvec=lambda x: linalg.cho_solve((factor, True), x, check_finite=False),
        dtype=S.dtype,
    )
    count = min(_N_DIRECTIONS, len(S) - 2)
    start = np.random.default_rng(0).standard_normal(len(S)).astype(S.dtype)
    values, vectors = eigsh(
        S, k=count, sigma=sigma, which="LM", OPinv=solve, v0=start, tol=_RITZ
    )
    order = np.argsort(values)
    values = values[order]
    return below, values, vectors[:, order]


def _inertia(S, shift):
    shifted = np.array(S, order="F")
    shifted[np.diag_indices(len(S))] -= shift
    _, d, _ = linalg.ldl(
        shifted, lower=True, hermitian=True, overwrite_a=True, check_finite=False
    )
    diagonal = np.real(np.diag(d)).copy()
    off = np.diag(d, -1)
    pairs = np.flatnonzero(np.abs(off) > 0)
    negative = int((diagonal < 0).sum())
    for k in pairs:
        block = d[k : k + 2, k : k + 2]
        negative -= int((diagonal[k : k + 2] < 0).sum())
        negative += int((np.linalg.eigvalsh(block) < 0).sum())
    return negative
