"""Joseph's projector: straight rays through a regular grid, as a sparse matrix."""

import itertools

import numpy as np
from scipy import sparse

_CHUNK_NONZEROS = 4_000_000


def joseph_matrix(points, directions, shape, spacing, dtype=np.float32):
    """Build the matrix of line integrals along rays through a pixel grid.

    Each ray advances by one grid plane at a time along its driving axis k (the
    one with the largest ``|d_k| / spacing_k``) and interpolates linearly in the
    others, so that

        (A x)_r = Σ_planes (spacing_k / |d_k|) Σ_corners w_corner · x_corner,

    which is Joseph's method (P. M. Joseph, "An improved algorithm for
    reprojecting rays through pixel images", IEEE Trans. Med. Imaging, 1982).
    The grid is centred on the origin; outside it the image is zero.

    Parameters
    ----------
    points : ndarray of shape (n_rays, d)
        One point on each ray, in the length unit of ``spacing``.
    directions : ndarray of shape (n_rays, d)
        Unit vectors along the rays.
    shape : tuple of d int
        Grid size along each coordinate axis.
    spacing : sequence of d float
        Grid spacing along each coordinate axis.
    dtype : numpy dtype, default=np.float32
        Of the matrix's values.

    Returns
    -------
    A : scipy.sparse.csr_array of shape (n_rays, prod(shape)), int32 indices
        Columns number the grid in C order.
    """
    points = np.asarray(points, dtype=np.float64)
    directions = np.asarray(directions, dtype=np.float64)
    spacing = np.asarray(spacing, dtype=np.float64)
    n_corners = 2 ** (len(shape) - 1)
    chunk = max(1, _CHUNK_NONZEROS // (max(shape) * n_corners))
    blocks = [
        _joseph_block(
            points[start : start + chunk],
            directions[start : start + chunk],
            shape,
            spacing,
            dtype,
        )
        for start in range(0, len(points), chunk)
    ]
    return sparse.csr_array(sparse.vstack(blocks, format="csr"))


def _joseph_block(points, directions, shape, spacing, dtype):
    """Rows of :func:`joseph_matrix` for some rays, sorted by ray."""
    n_rays, n_dims = points.shape
    driving = np.argmax(np.abs(directions) / spacing, axis=1)
    strides = np.array([int(np.prod(shape[k + 1 :])) for k in range(n_dims)])
    rows, columns, values = [], [], []
    for k in range(n_dims):
        rays = np.flatnonzero(driving == k)
        if rays.size == 0:
            continue
        origin, direction = points[rays], directions[rays]
        planes = (np.arange(shape[k]) - (shape[k] - 1) / 2) * spacing[k]
        time = (planes[None, :] - origin[:, k, None]) / direction[:, k, None]
        step = spacing[k] / np.abs(direction[:, k])
        others = [j for j in range(n_dims) if j != k]
        floors, fractions = [], []
        for j in others:
            position = origin[:, j, None] + time * direction[:, j, None]
            position = position / spacing[j] + (shape[j] - 1) / 2
            floor = np.floor(position)
            floors.append(floor.astype(np.int64))
            fractions.append(position - floor)
        base = np.arange(shape[k], dtype=np.int64)[None, :] * strides[k]
        row = np.broadcast_to(rays[:, None], time.shape)
        for corner in itertools.product((0, 1), repeat=n_dims - 1):
            index = np.broadcast_to(base, time.shape)
            weight = np.broadcast_to(step[:, None], time.shape)
            inside = np.ones(time.shape, dtype=bool)
            for j, floor, fraction, upper in zip(
                others, floors, fractions, corner, strict=True
            ):
                neighbour = floor + upper
                inside &= (neighbour >= 0) & (neighbour < shape[j])
                index = index + neighbour * strides[j]
                weight = weight * (fraction if upper else 1 - fraction)
            inside &= weight != 0
            rows.append(row[inside])
            columns.append(index[inside].astype(np.int32))
            values.append(weight[inside].astype(dtype))
    coo = sparse.coo_array(
        (
            np.concatenate(values),
            (np.concatenate(rows).astype(np.int32), np.concatenate(columns)),
        ),
        shape=(n_rays, int(np.prod(shape))),
    )
    return coo.tocsr()
