"""A and T_g as explicit matrices, where they are sparse enough to be written down."""

import numpy as np
import torch
from scipy import sparse

from ..utils.random import make_generator
from ._system import relative_error

_BATCH_BYTES = 2**27
_ROUNDING = 1e-10
# Entries below this share of the largest are rounding errors of an FFT.
_NOTHING = 1e-13
_MAX_STRIDE = 6


def batch_size(n):
    """Return how many rows of ``n`` numbers are computed with at a time."""
    return max(1, _BATCH_BYTES // (8 * max(n, 1)))


def matrix_rows(system, budget):
    """Yield blocks of rows of A as dense float64 arrays.

    The operator's own sparse matrix is read where there is one; else rows are
    Aᵀ of unit vectors.
    """
    own = _own_matrix(system)
    size = batch_size(max(system.n, len(system.rows)))
    for start in range(0, system.m, size):
        budget.need()
        stop = min(start + size, system.m)
        if own is not None:
            yield own[start:stop].toarray()
            continue
        unit = torch.zeros((stop - start, system.m), dtype=torch.float64)
        unit[torch.arange(stop - start), torch.arange(start, stop)] = 1
        yield system.adjoint(unit).numpy()


def operator_matrix(system, budget):
    """Return A as a SciPy CSR array (m, n) in float64."""
    own = _own_matrix(system)
    if own is not None:
        return own
    blocks = []
    for block in matrix_rows(system, budget):
        block[np.abs(block) < _NOTHING * np.abs(block).max()] = 0
        blocks.append(sparse.csr_array(block))
    return sparse.vstack(blocks, format="csr")


def _own_matrix(system):
    """Return the sparse matrix of the operator in float64, if it has one.

    It is tried out: a subclass may compute something else.
    """
    matrix = system.operator.as_sparse()
    if matrix is None or matrix.shape != (len(system.rows), system.n):
        return None
    matrix = system.weight_rows(sparse.csr_array(matrix, dtype=np.float64)).tocsr()
    # Numbers of its own: what is drawn later does not depend on how A is stored.
    w = torch.randn((1, system.n), generator=make_generator(0), dtype=torch.float64)
    expected = system.forward(w)[0]
    actual = torch.from_numpy(matrix @ w[0].numpy())
    return matrix if relative_error(actual, expected) < _ROUNDING else None


def transform_matrix(system, g):
    """Return T_g on one channel as a SciPy CSR array, or None if it is not local.

    Pixels are moved in classes, i ≡ c modulo a stride along every axis, once
    with weight 1 and once with their number. Where every output pixel takes from
    one pixel of a class at most, the quotient says which, and one transform a
    class, not one a pixel, writes T_g down. That this was so is tested, and the
    stride raised if not; T_g in Fourier space is nowhere local, and None.
    """
    n = system.pixels
    number = torch.arange(n, dtype=torch.float64)
    axes = torch.meshgrid(
        *(torch.arange(size) for size in system.image_shape), indexing="ij"
    )
    w = torch.randn(n, generator=system.generator, dtype=torch.float64)
    expected = _move(system, w[None], g)[0]
    for stride in range(1, _MAX_STRIDE + 1):
        label = sum((axis % stride) * stride**k for k, axis in enumerate(axes)).reshape(
            -1
        )
        entries = [
            _entries(system, (label == c).double(), number, g)
            for c in range(stride ** len(axes))
        ]
        rows, columns, values = (
            np.concatenate(part) for part in zip(*entries, strict=True)
        )
        matrix = sparse.csr_array((values, (rows, columns)), shape=(n, n))
        actual = torch.from_numpy(matrix @ w.numpy())
        if relative_error(actual, expected) < _ROUNDING:
            return matrix
    return None


def dense_transform_matrix(system, g):
    """Return T_g from the images of all pixels, on all channels if it mixes them.

    On one channel otherwise.
    """
    if system.group.mixes_channels:
        identity = torch.eye(system.n, dtype=torch.float64)
        return sparse.csr_array(system.transform(identity, g).numpy().T)
    identity = torch.eye(system.pixels, dtype=torch.float64)
    return sparse.csr_array(_move(system, identity, g).numpy().T)


def _move(system, x, g):
    images = x.reshape(len(x), 1, *system.image_shape)
    return system.group.transform(images, g).detach().reshape(len(x), -1)


def _entries(system, members, number, g):
    # Numbered from 1, so that pixel 0 does not vanish.
    moved = _move(system, torch.stack([members, members * (number + 1)]), g)
    hit = moved[0].abs() > _NOTHING
    source = (moved[1][hit] / moved[0][hit]).round().long() - 1
    rows = torch.nonzero(hit)[:, 0]
    inside = (source >= 0) & (source < system.pixels)
    return (
        rows[inside].numpy(),
        source[inside].numpy(),
        moved[0][hit][inside].numpy(),
    )
