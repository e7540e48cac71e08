"""Joseph's projector: line integrals through a regular grid, with any device."""

import itertools

import numpy as np
import torch
from scipy import sparse

# Corners per piece of work: what a core's cache holds, what fills a GPU.
_CHUNK_CPU = 1 << 18
_CHUNK_GPU = 1 << 25


def n_corners(shape):
    """Return how many grid points Joseph's method reads on each ray, at most."""
    return max(shape) * 2 ** (len(shape) - 1)


def joseph_weights(points, directions, shape, spacing, dtype=torch.float32):
    """Yield the grid points that rays meet, and their weights.

    Each ray advances by one grid plane at a time along its driving axis k (the
    one with the largest ``|d_k| / spacing_k``) and interpolates linearly in the
    others, so that

        (A x)_r = Σ_planes (spacing_k / |d_k|) Σ_corners w_corner · x_corner,

    which is Joseph's method (P. M. Joseph, "An improved algorithm for
    reprojecting rays through pixel images", IEEE Trans. Med. Imaging, 1982).
    The grid is centred on the origin; outside it the image is zero.

    Parameters
    ----------
    points : torch.Tensor of shape (n_rays, d), float64
        One point on each ray, in the length unit of ``spacing``.
    directions : torch.Tensor of shape (n_rays, d), float64
        Unit vectors along the rays.
    shape : tuple of d int
        Grid size along each coordinate axis.
    spacing : sequence of d float
        Grid spacing along each coordinate axis.
    dtype : torch.dtype, default=torch.float32
        Of the weights. Positions are always computed in float64.

    Yields
    ------
    rays : torch.Tensor of shape (n,), int64
        The rays that share a driving axis.
    columns : torch.Tensor of shape (n, n_planes * 2**(d-1)), int32 or int64
        Grid points in C order; corners outside the grid repeat a point inside.
    weights : torch.Tensor of the shape of ``columns``
        Zero outside the grid.
    """
    n_dims, device = len(shape), points.device
    small = int(np.prod(shape)) <= np.iinfo(np.int32).max
    integer = torch.int32 if small else torch.int64
    steepness = directions.abs() / directions.new_tensor(spacing)
    driving = steepness.argmax(dim=1)
    strides = [int(np.prod(shape[j + 1 :])) for j in range(n_dims)]
    for k in range(n_dims):
        rays = torch.nonzero(driving == k).squeeze(1)
        if not len(rays):
            continue
        origin, direction = points[rays], directions[rays]
        plane = torch.arange(shape[k], dtype=integer, device=device)
        centre = (shape[k] - 1) / 2
        step = (spacing[k] / direction[:, k].abs()).to(dtype)[:, None]
        sides = []  # for each other axis: (index, weight) of both neighbours
        for j in (axis for axis in range(n_dims) if axis != k):
            slope = direction[:, j] / direction[:, k]
            start = (origin[:, j] - slope * origin[:, k]) / spacing[j]
            start = (start + (shape[j] - 1) / 2)[:, None]
            rate = (slope * spacing[k] / spacing[j])[:, None]
            position = torch.addcmul(start, rate, (plane - centre)[None, :])
            floor = position.floor()
            upper = (position - floor).to(dtype)
            # Far rays: keep the integers small before they are converted.
            index = floor.clamp_(-2, shape[j]).to(integer)
            neighbours = []
            for there, weight in ((index, 1 - upper), (index + 1, upper)):
                inside = there.clamp(0, shape[j] - 1)
                weight.masked_fill_(inside != there, 0)
                neighbours.append((inside.mul_(strides[j]), weight))
            sides.append(neighbours)
        corners = list(itertools.product(*sides))
        extent = (len(rays), shape[k], len(corners))
        columns = torch.empty(extent, dtype=integer, device=device)
        weights = torch.empty(extent, dtype=dtype, device=device)
        base = (plane * strides[k])[None, :]
        for c, corner in enumerate(corners):
            column, weight = base, step
            for index, share in corner:
                column = column + index
                weight = weight * share
            columns[..., c] = column
            weights[..., c] = weight
        yield rays, columns.flatten(1), weights.flatten(1)


def joseph_matrix(rays, shape, spacing, kept=None):
    """Build the matrix of line integrals, and its transpose.

    Parameters
    ----------
    rays : Rays
        The rays, in the axes of the grid.
    shape, spacing : tuples
        As in :func:`joseph_weights`.
    kept : ndarray of shape (n_rays,), default=None
        Numbers of the rays that become rows, in this order. None: all.

    Returns
    -------
    A : scipy.sparse.csr_array of shape (n_rays, prod(shape))
        float32 with int32 indices; columns number the grid in C order.
    At : scipy.sparse.csr_array of shape (prod(shape), n_rays)
        The transpose.
    """
    # Filled front to back, so that memory beyond the last value is never
    # touched; anything that collects blocks and joins them needs it twice.
    n_rays = len(rays) if kept is None else len(kept)
    bound = n_rays * n_corners(shape)
    columns = np.empty(bound, dtype=np.int32)
    values = np.empty(bound, dtype=np.float32)
    indptr = np.zeros(n_rays + 1, dtype=np.int64)
    n_values = 0
    chunk = max(1, _CHUNK_CPU // n_corners(shape))
    for start in range(0, n_rays, chunk):
        stop = min(start + chunk, n_rays)
        if kept is None:
            some = rays.between(start, stop)
        else:
            some = rays.at(torch.from_numpy(kept[start:stop]))
        groups = []
        for of_chunk, index, weight in joseph_weights(*some, shape, spacing):
            nonzero = (weight != 0).numpy()
            counts = np.count_nonzero(nonzero, axis=1)
            indptr[start + 1 + of_chunk.numpy()] = counts
            groups.append(
                (
                    of_chunk.numpy(),
                    counts,
                    np.compress(nonzero.ravel(), index.flatten().numpy()),
                    np.compress(nonzero.ravel(), weight.flatten().numpy()),
                )
            )
        ends = n_values + np.cumsum(indptr[start + 1 : stop + 1])
        for of_chunk, counts, index, weight in groups:
            if len(groups) == 1:
                place = slice(n_values, ends[-1])
            else:
                firsts = ends[of_chunk] - np.cumsum(counts)
                place = np.repeat(firsts, counts) + np.arange(len(index))
            columns[place] = index
            values[place] = weight
        indptr[start + 1 : stop + 1] = ends
        n_values = ends[-1]
    columns.resize(n_values, refcheck=False)
    values.resize(n_values, refcheck=False)
    if n_values <= np.iinfo(np.int32).max:
        indptr = indptr.astype(np.int32)
    matrix = sparse.csr_array(
        (values, columns, indptr), shape=(n_rays, int(np.prod(shape)))
    )
    return matrix, matrix.T.tocsr()


class JosephProjector:
    """A and Aᵀ without a stored matrix: every call walks along the rays again.

    Parameters
    ----------
    rays : Rays
        On the device where the projector works.
    shape, spacing : tuples
        As in :func:`joseph_weights`.
    """

    def __init__(self, rays, shape, spacing):
        self.rays, self.shape, self.spacing = rays, tuple(shape), tuple(spacing)

    def _pieces(self, dtype, batch=1):
        budget = _CHUNK_CPU if self.rays.device.type == "cpu" else _CHUNK_GPU
        chunk = max(1, budget // (n_corners(self.shape) * batch))
        for start in range(0, len(self.rays), chunk):
            stop = min(start + chunk, len(self.rays))
            points, directions = self.rays.between(start, stop)
            for of_chunk, columns, weights in joseph_weights(
                points, directions, self.shape, self.spacing, dtype
            ):
                yield start + of_chunk, columns, weights

    def forward(self, x):
        """Return A x for rows ``x`` of shape (batch, prod(shape))."""
        return _Walk.apply(x, self, False)

    def adjoint(self, y):
        """Return Aᵀ y for rows ``y`` of shape (batch, n_rays)."""
        return _Walk.apply(y, self, True)

    def mean_squared_row_norm(self):
        """Return ‖A‖_F² divided by the number of rays."""
        total = sum(
            float(weights.square().sum())
            for _, _, weights in self._pieces(torch.float64)
        )
        return total / len(self.rays)

    def _project(self, x):
        x = x.t().contiguous()
        y = x.new_zeros((len(self.rays), x.shape[1]))
        for rays, columns, weights in self._pieces(x.dtype):
            y[rays] = torch.nn.functional.embedding_bag(
                columns, x, per_sample_weights=weights, mode="sum"
            )
        return y.t()

    def _backproject(self, y):
        y = y.t().contiguous()
        x = y.new_zeros((int(np.prod(self.shape)), y.shape[1]))
        for rays, columns, weights in self._pieces(y.dtype, batch=y.shape[1]):
            shares = weights[:, :, None] * y[rays][:, None, :]
            x.index_add_(0, columns.flatten(), shares.flatten(0, 1))
        return x.t()


class _Walk(torch.autograd.Function):
    """A or Aᵀ of a :class:`JosephProjector`; the gradient is the other one."""

    @staticmethod
    def forward(ctx, tensor, projector, transpose):
        ctx.projector, ctx.transpose = projector, transpose
        return (projector._backproject if transpose else projector._project)(tensor)

    @staticmethod
    def backward(ctx, grad):
        return _Walk.apply(grad, ctx.projector, not ctx.transpose), None, None
