"""Which turned and mirrored copies of an image a scanner can't tell from its own."""

from dataclasses import dataclass
from itertools import product

import numpy as np
import torch
from scipy.spatial import cKDTree

_TOLERANCE = 1e-7  # of lines, in radians and in sizes of the image


@dataclass(frozen=True, eq=False)
class Symmetry:
    """A motion T of the image that only permutes measurements: A T x = P A x.

    Attributes
    ----------
    transpose : bool
        Whether T exchanges rows and columns (before mirroring).
    mirror : tuple of 2 bool
        Whether T then mirrors the rows (upside down) and the columns (left to
        right).
    views : torch.Tensor of shape (n_views,), int64
        View v of P y is view ``views[v]`` of y, ...
    reversed : torch.Tensor of shape (n_views,), bool
        ... with its bins in reverse order where ``reversed[v]``.

    Examples
    --------
    >>> import torch
    >>> from sklearn_ei.operators import ParallelBeamCT
    >>> operator = ParallelBeamCT(10, (16, 16))
    >>> symmetries = operator.symmetries()
    >>> len(symmetries)
    7
    >>> x = torch.rand(1, 1, 16, 16)
    >>> S = symmetries[0]
    >>> left, right = operator.forward(S.move(x)), S.permute(operator.forward(x))
    >>> torch.allclose(left, right, atol=1e-5)
    True
    """

    transpose: bool
    mirror: tuple
    views: torch.Tensor
    reversed: torch.Tensor

    def move(self, images):
        """Return T x for images (..., H, W)."""
        if self.transpose:
            images = images.transpose(-2, -1)
        return images.flip(self._mirrored_axes)

    def move_back(self, images):
        """Return T⁻¹ x for images (..., H, W)."""
        images = images.flip(self._mirrored_axes)
        return images.transpose(-2, -1) if self.transpose else images

    def permute(self, measurements):
        """Return P y for measurements (..., n_views, n_bins)."""
        views = self.views.to(measurements.device)
        reverse = self.reversed.to(measurements.device)[:, None]
        moved = measurements.index_select(-2, views)
        return torch.where(reverse, moved.flip(-1), moved)

    def permute_back(self, measurements):
        """Return P⁻¹ y for measurements (..., n_views, n_bins)."""
        reverse = self.reversed.to(measurements.device)[:, None]
        moved = torch.where(reverse, measurements.flip(-1), measurements)
        back = torch.argsort(self.views).to(measurements.device)
        return moved.index_select(-2, back)

    @property
    def _mirrored_axes(self):
        return [axis - 2 for axis in (0, 1) if self.mirror[axis]]


def symmetries_of(rays, shape, spacing):
    """Return the symmetries of rays through a 2-D grid, without the identity.

    Parameters
    ----------
    rays : Rays
        In the axes of the grid, which is centred on the origin.
    shape, spacing : tuples
        Of the grid.

    Returns
    -------
    symmetries : list of Symmetry
        Those that hold to rounding in the matrix of Joseph's method, of the
        (up to) seven mirrorings and quarter turns of the grid. Together with the
        identity they are a group.
    """
    points, directions = (t.numpy() for t in rays.between(0, len(rays)))
    size = 2.0 * max(n * s for n, s in zip(shape, spacing, strict=True))
    steep = np.abs(directions) / np.asarray(spacing)
    # On a diagonal, the matrix prefers one axis.
    undecided = np.abs(steep[:, 0] - steep[:, 1]) <= 1e-9 * steep.max(axis=1)
    square = shape[0] == shape[1] and spacing[0] == spacing[1] and not undecided.any()
    lines = _lines(points, directions, size).reshape(len(rays.references), -1, 4)
    found = []
    for transpose, rows, columns in product([False, True], repeat=3):
        if not (transpose or rows or columns) or (transpose and not square):
            continue
        matrix = np.diag([1 - 2.0 * rows, 1 - 2.0 * columns])
        if transpose:
            matrix = matrix[:, ::-1]
        moved = _lines(points @ matrix.T, directions @ matrix.T, size)
        images = _match(lines, moved.reshape(lines.shape))
        if images is not None:
            found.append(
                Symmetry(transpose, (rows, columns), *map(torch.from_numpy, images))
            )
    return found


def _lines(points, directions, size):
    """Return four numbers that are equal for equal lines, whatever their sense."""
    along = np.sum(points * directions, axis=1, keepdims=True)
    foot = (points - along * directions) / size
    double = (directions[:, 0] + 1j * directions[:, 1]) ** 2
    return np.column_stack([double.real, double.imag, foot])


def _match(lines, moved):
    """Return where the views of moved lines come from, or None.

    Parameters
    ----------
    lines, moved : ndarrays of shape (n_views, n_bins, 4)
        Of the scan, and after the motion.

    Returns
    -------
    views : ndarray of shape (n_views,), int64
    reversed : ndarray of shape (n_views,), bool
        View v of the scan sees the moved lines of ``views[v]``.
    """
    n_views = len(lines)

    def ends(lines):
        return np.concatenate([lines[:, 0], lines[:, -1]], axis=1)

    tree = cKDTree(ends(lines))
    forth, target = tree.query(ends(moved))
    back, reverse_target = tree.query(ends(moved[:, ::-1]))
    reverse = (forth > _TOLERANCE) & (back <= _TOLERANCE)
    if np.minimum(forth, back).max() > _TOLERANCE:
        return None
    target = np.where(reverse, reverse_target, target)
    # Views that are taken several times: the first onto the first, and so on.
    rank = _rank_among_equals(tree)
    equal = [tree.query_ball_point(tree.data[t], _TOLERANCE) for t in target]
    target = np.array(
        [sorted(e)[min(r, len(e) - 1)] for e, r in zip(equal, rank, strict=True)]
    )
    if len(np.unique(target)) < n_views:
        return None
    seen = np.where(reverse[:, None, None], moved[:, ::-1], moved)
    if np.abs(lines[target] - seen).max() > _TOLERANCE:
        return None
    views = np.empty(n_views, dtype=np.int64)
    views[target] = np.arange(n_views)
    return views, reverse[views]


def _rank_among_equals(tree):
    """Return how many equal rows come before each row of a tree."""
    rank = np.zeros(len(tree.data), dtype=np.int64)
    for first, second in tree.query_pairs(_TOLERANCE):
        rank[max(first, second)] += 1
    return rank


def quarter(symmetries):
    """Return up to three symmetries that form a group of 2 or 4 with the identity.

    More copies cost more in moving images than they save in the product.
    Mirrored copies come first, as they keep the axis along which rays advance.
    """
    upright = [s for s in symmetries if not s.transpose]
    if len(upright) == 3 or len(symmetries) not in (1, 3):
        return upright
    return symmetries


def orbits(symmetries, shape, n_views, n_bins):
    """Return which rays are kept, and which copy of them each ray is.

    Parameters
    ----------
    symmetries : list of Symmetry
        Which form a group together with the identity.
    shape : tuple of int
        Of the image.
    n_views, n_bins : int

    Returns
    -------
    kept : ndarray of shape (n_kept,)
        Numbers of one ray from every orbit.
    slots : ndarray of shape (n_rays,)
        Where ray r is found among the products of kept rays with copies of the
        image, k · copy + position in ``kept`` · (number of copies).
    sources : ndarray of shape (n_pixels, n_copies)
        Copy c of an image x is ``x[sources[:, c]]``.
    """
    numbers = torch.arange(n_views * n_bins).reshape(n_views, n_bins)
    pixels = torch.arange(shape[0] * shape[1]).reshape(shape)
    # Ray r of A x is ray ``permute_back(r)`` ... of A T⁻¹ x: (A x) = P (A T⁻¹ x).
    origins = [numbers.flatten()]
    sources = [pixels.flatten()]
    for symmetry in symmetries:
        origins.append(symmetry.permute(numbers).flatten())
        sources.append(symmetry.move_back(pixels).flatten())
    origins = torch.stack(origins).numpy()
    copy = origins.argmin(axis=0)
    kept, position = np.unique(origins.min(axis=0), return_inverse=True)
    slots = position * len(origins) + copy
    return kept, slots, torch.stack(sources, dim=1).numpy()
