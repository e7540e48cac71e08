"""A and Aᵀ of rays as sparse matrices, of one ray from each set of equivalent ones."""

from types import SimpleNamespace

import numpy as np
import torch
from scipy import sparse

from ..utils.device import Constants, settled
from ._joseph import joseph_matrix
from ._sparse import (
    apply_linear,
    apply_sparse,
    as_columns,
    scipy_csr,
    sparse_product,
    take_rows,
    torch_csr,
)
from ._symmetries import orbits


class _Pair:
    """A and Aᵀ as sparse matrices, on one device and in one dtype."""

    def __init__(self, A, At):
        self.A, self.At = A, At

    def n_bytes(self):
        """Return the memory that both matrices take."""
        parts = (
            part
            for matrix in (self.A, self.At)
            for part in (matrix.values(), matrix.col_indices(), matrix.crow_indices())
        )
        return sum(part.nbytes for part in parts)

    def forward(self, x):
        return apply_sparse(x, self.A, self.At)

    def adjoint(self, y):
        return apply_sparse(y, self.At, self.A)

    def scipy_csr(self):
        """Return A as a SciPy array, not to be changed."""
        return scipy_csr(self.A)

    def mean_squared_row_norm(self):
        return float(self.A.values().double().square().sum() / self.A.shape[0])


class _SymmetricPair(_Pair):
    """A few rows of A, applied to k turned copies of the images at once.

    With A T = P A for each motion T, a ray that T⁻¹ takes onto a kept one is the
    kept one through the copy T⁻¹ x. On k times as many columns the product is
    hardly slower, and there are k times fewer rows.
    """

    def __init__(self, A, At, *, slots, rays, sources, targets):
        super().__init__(A, At)
        self._slots, self._rays = slots, rays
        self._sources, self._targets = sources, targets
        self._n_copies = targets.shape[1]
        self._has_gaps = len(rays) > len(slots)

    def n_bytes(self):
        indices = self._slots, self._rays, self._sources, self._targets
        return super().n_bytes() + sum(index.nbytes for index in indices)

    def forward(self, x):
        return apply_linear(x, self._project, self._backproject)

    def adjoint(self, y):
        return apply_linear(y, self._backproject, self._project)

    def _project(self, x):
        copies = take_rows(as_columns(x), self._sources)
        y = sparse_product(self.A, copies.view(x.shape[1], -1))
        return take_rows(y.view(-1, len(x)), self._slots).t()

    def _backproject(self, y):
        rays = as_columns(y)
        if self._has_gaps:
            # Slots that no ray is taken from get the zero behind the last ray.
            rays = torch.cat([rays, rays.new_zeros((1, len(y)))])
        slots = take_rows(rays, self._rays)
        x = sparse_product(self.At, slots.view(self.A.shape[0], -1)).view(-1, len(y))
        targets = self._targets
        if y.device.type == "cpu":
            return torch.nn.functional.embedding_bag(targets, x, mode="sum").t()
        copies = take_rows(x, targets.flatten())
        return copies.view(-1, self._n_copies, len(y)).sum(1).t()

    def scipy_csr(self):
        kept = scipy_csr(self.A)
        # A kept ray through copy c looks at the pixels that were turned onto its own.
        sources = self._sources.numpy().reshape(-1, self._n_copies)
        copies = [
            sparse.csr_array(
                (kept.data, sources[kept.indices, c], kept.indptr), shape=kept.shape
            )
            for c in range(self._n_copies)
        ]
        kept_ray, copy = divmod(self._slots.numpy(), self._n_copies)
        matrix = sparse.vstack(copies, format="csr")[copy * kept.shape[0] + kept_ray]
        matrix.sort_indices()
        return matrix

    def mean_squared_row_norm(self):
        lengths = self.A.crow_indices().diff()
        rows = torch.arange(len(lengths), device=lengths.device)
        rows = rows.repeat_interleave(lengths.long())
        norms = torch.zeros(len(lengths), dtype=torch.float64, device=lengths.device)
        norms.index_add_(0, rows, self.A.values().double().square())
        kept = self._slots.long() // self._n_copies
        return float(norms[kept].mean())


class StoredProjector:
    """The matrix pair of some rays, handed out on any device and dtype.

    Parameters
    ----------
    rays : Rays
        In the axes of the grid.
    shape, spacing : tuples
        Of the grid.
    symmetries : list of Symmetry
        Which form a group with the identity. Only one ray of each of its orbits
        is kept.
    """

    def __init__(self, rays, shape, spacing, symmetries):
        self._indices, self._variants, kept = None, {}, None
        if symmetries:
            n_views = len(rays.references)
            kept, slots, sources = orbits(
                symmetries, shape, n_views, len(rays) // n_views
            )
            self._indices = _indices(kept, slots, sources)
        matrix, transpose = joseph_matrix(rays, shape, spacing, kept)
        self._matrices = Constants(A=torch_csr(matrix), At=torch_csr(transpose))

    def like(self, x):
        """Return a namespace with the ``projector`` for a tensor."""
        key = x.device, x.dtype
        if key not in self._variants:
            constants = self._matrices.like(x)
            if self._indices is None:
                pair = _Pair(constants.A, constants.At)
            else:
                indices = {
                    name: settled(index.to(x.device))
                    for name, index in self._indices.items()
                }
                pair = _SymmetricPair(constants.A, constants.At, **indices)
            self._variants[key] = pair
        return SimpleNamespace(projector=self._variants[key])


def _indices(kept, slots, sources):
    """Return all that is looked up in a product, as int32 tensors."""
    n_copies = sources.shape[1]
    rays = np.full(len(kept) * n_copies, len(slots))
    rays[slots] = np.arange(len(slots))
    # Where in the copies, pixel by pixel, the parts of each pixel are.
    targets = np.argsort(sources, axis=0) * n_copies + np.arange(n_copies)
    arrays = {
        "slots": slots,
        "rays": rays,
        "sources": sources.ravel(),
        "targets": targets,
    }
    return {
        name: torch.from_numpy(array.astype(np.int32)) for name, array in arrays.items()
    }
