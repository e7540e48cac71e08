"""What all tomography shares: rays of an ODL geometry, A, Aᵀ and FBP."""

import math
from abc import abstractmethod
from numbers import Integral
from types import SimpleNamespace

import numpy as np
import torch
from sklearn.utils import check_scalar

from ..utils.derived import shared
from ..utils.device import Constants
from ..utils.odl import import_odl
from ..utils.params import check_memory, check_option, check_real, check_shape
from ._base import ForwardOperator
from ._checks import refuse_other_than_number
from ._filters import FILTERS, fbp_filter
from ._joseph import JosephProjector, joseph_matrix, n_corners
from ._rays import Rays
from ._sparse import apply_sparse, scipy_csr, torch_csr

# A nonzero of A and of Aᵀ: a float32 value and an int32 index each.
_BYTES_PER_NONZERO = 16


class _MatrixPair:
    """A and Aᵀ as sparse matrices, on one device and in one dtype."""

    def __init__(self, A, At):
        self.A, self.At = A, At

    def forward(self, x):
        return apply_sparse(x, self.A, self.At)

    def adjoint(self, y):
        return apply_sparse(y, self.At, self.A)

    def mean_squared_row_norm(self):
        return float(self.A.values().double().square().sum() / self.A.shape[0])


class _StoredProjector:
    """The matrix pair of some rays, handed out on any device and dtype."""

    def __init__(self, rays, shape, spacing):
        matrix, transpose = joseph_matrix(rays, shape, spacing)
        self._matrices = Constants(A=torch_csr(matrix), At=torch_csr(transpose))

    def like(self, x):
        constants = self._matrices.like(x)
        return SimpleNamespace(projector=_MatrixPair(constants.A, constants.At))


class _WalkingProjector:
    """A projector that stores no matrix, handed out on any device."""

    def __init__(self, rays, shape, spacing):
        self._rays, self._grid, self._variants = rays, (shape, spacing), {}

    def like(self, x):
        if x.device not in self._variants:
            rays = self._rays.to(x.device)
            self._variants[x.device] = JosephProjector(rays, *self._grid)
        return SimpleNamespace(projector=self._variants[x.device])


def shared_projector(rays, shape, spacing, memory_budget):
    """Return the projector of rays through a grid, the same one for equal rays.

    Parameters
    ----------
    rays : Rays
        In the axes of the grid, which is centred on the origin.
    shape, spacing : tuples
        Of the grid.
    memory_budget : float
        In bytes. A projector whose pair of matrices could be larger, at 16
        bytes for each of at most n_rays · n · 2^(d−1) nonzeros, stores none.

    Returns
    -------
    projector : object with ``like(tensor)``
        Which returns a namespace with the ``projector`` for that tensor.
    """
    size = _BYTES_PER_NONZERO * len(rays) * n_corners(shape)
    indexable = math.prod(shape) <= np.iinfo(np.int32).max
    kind = (
        _StoredProjector if size <= memory_budget and indexable else _WalkingProjector
    )
    key = rays.digest(kind.__name__, tuple(shape), tuple(map(float, spacing)))
    return shared(key, lambda: kind(rays, tuple(shape), tuple(spacing)))


def stored_matrix(projector):
    """Return the CSR array that a projector stores, or None."""
    return scipy_csr(projector.A) if hasattr(projector, "A") else None


def largest_image(n_bins, bins_of):
    """Return the largest square image that ``n_bins`` bins cover, or None.

    ``bins_of(size)`` is the number of bins that cover a square of that size,
    infinite where the square does not fit into the scanner. Of the sizes that
    need equally many bins, the largest even one is taken.
    """
    fitting = [size for size in range(1, n_bins + 1) if bins_of(size) <= n_bins]
    if not fitting:
        return None
    candidates = [size for size in fitting if bins_of(size) == bins_of(fitting[-1])]
    even = [size for size in candidates if size % 2 == 0]
    return (even or candidates)[-1]


def view_partition(angles):
    """Return ODL's partition of the distinct views, increasing as it requires."""
    odl, _ = import_odl()
    angles = np.unique(angles)
    if len(angles) > 1:
        return odl.nonuniform_partition(angles)
    return odl.uniform_partition(angles[0] - 0.5, angles[0] + 0.5, 1)


def project(operator, x, constants):
    """Return A x for images (batch, channel, *image_shape)."""
    y = constants.projector.forward(x.reshape(-1, math.prod(operator.image_shape)))
    return y.reshape(*x.shape[:2], *operator.measurement_shape)


def backproject(operator, y, constants):
    """Return Aᵀ y for measurements (batch, channel, *measurement_shape)."""
    n_rays = math.prod(operator.measurement_shape)
    x = constants.projector.adjoint(y.reshape(-1, n_rays))
    return x.reshape(*y.shape[:2], *operator.image_shape)


def filtered_backprojection(operator, y, constants):
    """Return Aᵀ b K a y, with the constants of :func:`fbp_constants`."""
    filtered = constants.after * ((constants.before * y) @ constants.kernel)
    return backproject(operator, filtered, constants)


def fbp_constants(*args):
    """Return the results of :func:`fbp_filter` as named float32 tensors."""
    arrays = zip(("kernel", "before", "after"), fbp_filter(*args), strict=True)
    return {name: torch.from_numpy(array).float() for name, array in arrays}


class RayTransformOperator(ForwardOperator):
    """Base class of 2-D tomography: rows of an image run downwards.

    A subclass supplies the ODL geometry, the views in radians, and how many
    bins cover an image.
    """

    _image_n_dims = 2
    _measurement_n_dims = 2

    natural_axis = 0  # views

    @abstractmethod
    def geometry(self):
        """Return the ODL geometry whose rays this operator integrates along."""

    @property
    @abstractmethod
    def _angles_rad(self):
        """Views in radians, in the order of the measurements."""

    @abstractmethod
    def _bins_of(self, image_shape):
        """Return how many bins cover an image, or refuse it."""

    @abstractmethod
    def _size_of(self, n_bins):
        """Return the size of the square image that belongs to bins, or None."""

    def _infer_shapes(self, image_shape, measurement_shape):
        self._check_params()
        name = type(self).__name__
        n_views = self.n_views if self.angles is None else len(self.angles)
        n_bins = self.n_bins
        if measurement_shape is not None:
            fits = len(measurement_shape) == 2 and measurement_shape[0] == n_views
            if not fits or n_bins not in (None, measurement_shape[1]):
                raise ValueError(
                    f"{name} with {n_views} views got measurements of shape "
                    f"{tuple(measurement_shape)}, but expected "
                    f"({n_views}, {'n_bins' if n_bins is None else n_bins})."
                )
            n_bins = int(measurement_shape[1])
        if image_shape is not None:
            image_shape = check_shape("image_shape", image_shape, n_dims=2)
            covering = self._bins_of(image_shape)
            n_bins = covering if n_bins is None else n_bins
        elif n_bins is not None:
            size = self._size_of(n_bins)
            if size is None:
                raise ValueError(
                    f"{name} got n_bins={n_bins}, too few to cover an image of one "
                    "pixel; expected at least 3."
                )
            image_shape = (size, size)
        if image_shape is None:
            return None, None
        return image_shape, (int(n_views), int(n_bins))

    def _fix_shapes(self, image_shape, measurement_shape):
        self.image_shape = image_shape
        self.n_bins = measurement_shape[1]

    def _check_params(self):
        positive = {"min_val": 0, "include_boundaries": "neither"}
        check_real("pixel_size", self.pixel_size, **positive)
        check_real("detector_offset", self.detector_offset)
        check_scalar(self.n_refinements, "n_refinements", Integral, min_val=0)
        check_option("filter", self.filter, FILTERS)
        check_memory("memory_budget", self.memory_budget)
        if self.bin_size is not None:
            check_real("bin_size", self.bin_size, **positive)
        if self.n_bins is not None:
            check_scalar(self.n_bins, "n_bins", Integral, min_val=1)
        if self.angles is None:
            refuse_other_than_number("n_views", self.n_views, "view angles as angles=…")
            check_scalar(self.n_views, "n_views", Integral, min_val=1)
            return
        angles = np.asarray(self.angles)
        if angles.ndim != 1 or not angles.size or not np.isfinite(angles).all():
            raise ValueError(
                f"Got angles of shape {angles.shape}, but expected a 1-D array of "
                "finite angles in degrees."
            )

    def _build(self, image_shape, measurement_shape):
        geometry, angles = self.geometry(), self._angles_rad
        # Rows run downwards: in the order (row, column) the coordinates of a
        # pixel are (−y, x), which keeps the columns in NumPy's C order.
        rays = Rays.of_geometry(geometry, angles).moved([[0, -1], [1, 0]], [0, 0])
        spacing = (float(self.pixel_size),) * 2
        budget = check_memory("memory_budget", self.memory_budget)
        radius = self.pixel_size * math.hypot(*image_shape) / 2
        return Constants(
            shared_projector(rays, image_shape, spacing, budget),
            **fbp_constants(geometry, angles, self.pixel_size**2, radius, self.filter),
        )

    _forward = project
    _adjoint = backproject
    _pinv = filtered_backprojection

    def as_sparse(self):
        """Return the matrix of A in float32, or None where the rays are walked."""
        return stored_matrix(self._constants.like(torch.empty(0)).projector)

    def mean_squared_row_norm(self):
        """Return ‖A‖_F²/m, exactly."""
        return self._constants.like(torch.empty(0)).projector.mean_squared_row_norm()
