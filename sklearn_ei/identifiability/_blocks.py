"""S, averaged over elements of the group, in the blocks of a quarter turn."""

import numpy as np
import torch
from scipy import linalg, sparse

from ..utils.spread import spread
from ._matrices import (
    batch_size,
    dense_transform_matrix,
    transform_matrix,
)
from ._system import relative_error

_ROUNDING = 1e-9
FULL_BLOCK = 1100  # up to this block size the whole spectrum takes seconds
_DENSE_PIXELS = 1024  # up to which T_g need not be sparse
# A sparse multiplication costs as much as so many dense ones.
_SPARSE_PRICE = 60
_FLOPS = 5e10  # of two cores in a second, to know what does not fit any more


class Blocks:
    """S = (1/|G'|) Σ T_gᵀ AᵀA T_g in blocks, for a growing subset G' of the group.

    Where T_g commutes with quarter turns R, and the subset holds T_g R with every
    T_g (or AᵀA commutes with R as well), S splits into the isotypic parts of C4:
    images with R x = iᵏ x, of n/4 numbers each. With orthonormal bases E_k,

        E_kᴴ S E_k = mean_g (E_kᴴ T_g E_k)ᴴ (A E_k)ᴴ (A E_k) (E_kᴴ T_g E_k),

    so that A is squared once, and every element costs two sparse products. The
    parts of k = 1 and 3 are conjugate; one is computed.
    """

    def __init__(self, system, budget):
        self.system, self.budget = system, budget
        order = system.group.n_elements
        self.step = system.group.quarter_turn_step
        # Products stay at the identity of their later factors if quartered, which
        # small images need not.
        quartered = order == self._first_order() or system.n > FULL_BLOCK
        self.reduced = quartered and self._commutes_with_quarter_turns()
        if self.reduced:
            stride = 4 * self.step // self._first_order()
            self.pool = [stride * g for g in range(self._first_order() // 4)]
        else:
            self.pool = list(range(order))
        self.bases = _c4_bases(system) if self.reduced else [_identity(system)]

    def _first_order(self):
        return self.system.group.parts[0].n_elements

    def _commutes_with_quarter_turns(self):
        system = self.system
        square = len(system.image_shape) == 2 and len(set(system.image_shape)) == 1
        if self.step is None or not square:
            return False
        w = system.randn()
        turned = _quarter_turn(system, w)
        stride = 4 * self.step // self._first_order()
        for g in spread(self._first_order() // 4, 3):
            later = system.transform(w, stride * g + self.step)
            for other in (
                system.transform(turned, stride * g),
                _quarter_turn(system, system.transform(w, stride * g)),
            ):
                if relative_error(other, later) > _ROUNDING:
                    return False
        return True

    @property
    def sizes(self):
        """Length of each block."""
        return [basis.shape[1] for basis in self.bases]

    @property
    def n_bytes(self):
        """Memory that two copies of all blocks, and two more of one, need."""
        each = [
            size * size * (16 if basis.dtype == complex else 8)
            for size, basis in zip(self.sizes, self.bases, strict=True)
        ]
        return 2 * sum(each) + 2 * max(each)

    def elements(self, count):
        """Return ``count`` spread elements whose cosets (if any) are added up."""
        return [self.pool[k] for k in spread(len(self.pool), count)]

    def names(self, chosen):
        """Return all elements that are added up with ``chosen``."""
        if not self.reduced:
            return list(chosen)
        return sorted(g + k * self.step for g in chosen for k in range(4))

    def transforms(self, chosen):
        """Return T_g as sparse matrices, or None if one is not sparse."""
        matrices = []
        for g in chosen:
            self.budget.need()
            matrix = None
            if not self.system.group.mixes_channels:
                matrix = transform_matrix(self.system, g)
            if matrix is None and self.system.pixels <= _DENSE_PIXELS:
                matrix = dense_transform_matrix(self.system, g)
            if matrix is None:
                return None
            if not self.system.group.mixes_channels:
                channels = sparse.eye_array(self.system.channels)
                matrix = sparse.kron(channels, matrix, format="csr")
            matrices.append(matrix)
        return matrices

    def squares(self, matrix, basis):
        """Return (A E)ᴴ(A E), Hermitian and full."""
        rows = (matrix @ basis).tocsr()
        sparse_cost = _SPARSE_PRICE * np.square(np.diff(rows.indptr), dtype=float).sum()
        if sparse_cost < rows.shape[0] * float(basis.shape[1]) ** 2:
            self.budget.need(sparse_cost / _FLOPS)
            return (rows.conj().T.tocsr() @ rows).toarray(order="F")
        return self._dense_squares(rows)

    def _dense_squares(self, rows):
        size = rows.shape[1]
        is_complex = rows.dtype == complex
        herk = linalg.blas.zherk if is_complex else linalg.blas.dsyrk
        square = np.zeros((size, size), dtype=rows.dtype, order="F")
        if size == 0:  # of a single pixel, all may have been split off
            return square
        step = batch_size(2 * size)
        for start in range(0, rows.shape[0], step):
            self.budget.need(min(step, rows.shape[0]) * float(size) ** 2 / _FLOPS)
            block = np.asfortranarray(rows[start : start + step].toarray())
            square = herk(
                1.0,
                block,
                beta=1.0,
                c=square,
                trans=2 if is_complex else 1,
                lower=1,
                overwrite_c=1,
            )
            self.budget.tell(
                f"Gram matrix of size {size}: {start + len(block)} of "
                f"{rows.shape[0]} rows",
                every=2,
            )
        _mirror(square)
        return square

    def average(self, square, basis, transforms):
        """Return mean_g (EᴴT_g E)ᴴ square (EᴴT_g E)."""
        total = np.zeros_like(square)
        adjoint = basis.conj().T.tocsr()
        for number, transform in enumerate(transforms):
            self.budget.need()
            t = (adjoint @ transform @ basis).tocsr()
            left = (t.conj().T.tocsr() @ square).conj().T  # square · t
            total += t.conj().T.tocsr() @ np.ascontiguousarray(left)
            self.budget.tell(
                f"block of size {len(square)}: {number + 1} of {len(transforms)} "
                "elements",
                every=2,
            )
        total /= len(transforms)
        total[np.diag_indices(len(total))] = total.diagonal().real
        return total


def _identity(system):
    return sparse.eye_array(system.n, format="csr")


def _quarter_turn(system, x):
    return torch.rot90(system.images(x), 1, (-2, -1)).flatten(1)


def _c4_bases(system):
    """Return orthonormal bases of the images with R x = iᵏ x, for k = 0, 1, 2."""
    number = torch.arange(system.n, dtype=torch.float64)[None]
    turns = [number[0].long().numpy()]
    for _ in range(3):
        number = _quarter_turn(system, number)
        turns.append(number[0].long().numpy())
    orbit = np.stack(turns)
    first = orbit.min(0) == orbit[0]
    fixed = orbit[0] == orbit[1]
    bases = []
    for k in range(3):
        heads = np.flatnonzero(first & ~fixed)
        phases = np.array([1j ** (k * turn) for turn in range(4)])
        values = np.repeat(phases[:, None] / 2, len(heads), axis=1)
        rows, columns = orbit[:, heads], np.tile(np.arange(len(heads)), (4, 1))
        basis = sparse.coo_array(
            (values.ravel(), (rows.ravel(), columns.ravel())),
            shape=(system.n, len(heads)),
        ).tocsr()
        if k == 0 and fixed.any():
            centre = np.flatnonzero(fixed)
            ones = sparse.coo_array(
                (np.ones(len(centre)), (centre, np.arange(len(centre)))),
                shape=(system.n, len(centre)),
            )
            basis = sparse.hstack([basis, ones], format="csr")
        bases.append(basis if k == 1 else basis.real.tocsr())
    return bases


def _mirror(square, step=1024):
    """Fill the upper triangle of a Hermitian matrix from the lower one."""
    for start in range(0, len(square), step):
        stop = start + step
        block = square[start:stop, start:stop]
        square[start:stop, start:stop] = np.tril(block) + np.tril(block, -1).conj().T
        square[start:stop, stop:] = square[stop:, start:stop].conj().T


def multiplicity(basis):
    """Return how often the eigenvalues of a block occur: complex ones twice."""
    return 2 if basis.dtype == complex else 1
