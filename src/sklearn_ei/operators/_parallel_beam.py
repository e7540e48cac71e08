"""2-D parallel-beam computed tomography on an ODL geometry."""

import hashlib
import math
import weakref
from numbers import Integral, Real

import numpy as np
import torch
from sklearn.utils import check_scalar

from ..utils._device import Constants
from ..utils._odl import import_odl
from ..utils._params import check_option, check_shape
from ._base import ForwardOperator
from ._filters import FILTERS, ramp_filter_matrix, view_weights
from ._joseph import joseph_matrix
from ._sparse import apply_sparse, torch_csr

# Clones and copies of one geometry share one pair of matrices.
_MATRICES = weakref.WeakValueDictionary()


def _default_n_bins(image_shape):
    """Odd number of bins, one pixel wide, that covers the image's diagonal."""
    return 2 * math.ceil(math.hypot(*image_shape) / 2) + 1


def _image_size_of(n_bins):
    """Largest square image whose diagonal ``n_bins`` bins cover, even if possible."""
    fitting = [
        size for size in range(1, n_bins + 1) if _default_n_bins((size, size)) <= n_bins
    ]
    if not fitting:
        return None
    largest = _default_n_bins((fitting[-1], fitting[-1]))
    candidates = [s for s in fitting if _default_n_bins((s, s)) == largest]
    even = [s for s in candidates if s % 2 == 0]
    return (even or candidates)[-1]


class ParallelBeamCT(ForwardOperator):
    """Parallel-beam CT: line integrals of a 2-D image.

    The geometry is ODL's ``Parallel2dGeometry``; the rays that it defines are
    integrated by Joseph's method and kept as a sparse matrix A and its exact
    transpose.

    Parameters
    ----------
    n_views : int, default=50
        Number of views, spread evenly over the half circle: view v stands at
        v · 180°/n_views.
    image_shape : tuple (H, W), default=None
        Shape of the images. None: the largest square whose diagonal the
        detector covers, even if possible, e.g. 128 × 128 for 183 bins.
    n_bins : int, default=None
        Number of detector bins. None: as many as cover the image's diagonal.
    angles : array-like of shape (n_views,), default=None
        View angles in degrees, in place of even spacing; ``n_views`` is then
        ignored.
    pixel_size : float, default=1.0
        Side of a pixel. Its unit is the length unit of the line integrals:
        with ``pixel_size`` in cm, images are attenuations in 1/cm.
    bin_size : float, default=None
        Width of a detector bin, in the unit of ``pixel_size``. None: one pixel.
    filter : {"ram-lak", "shepp-logan", "cosine", "hamming", "hann"}, \
            default="ram-lak"
        Window on the ramp of the filtered back-projection A†. ``"hann"``
        suppresses noise best.
    n_refinements : int, default=1
        Steps x += w·FBP(y − A x) that follow the filtered back-projection.

    Attributes
    ----------
    measurement_shape : tuple (n_views, n_bins) or None
        Shape of a sinogram; None while the image shape is open.

    Notes
    -----
    With the ray of view θ and bin position t, x(s) along it, and Joseph's
    interpolation (see :func:`~sklearn_ei.operators._joseph.joseph_matrix`),

    - forward: (A x)(θ, t) = ∫ x(t·(cos θ, sin θ) + s·(sin θ, −cos θ)) ds;
    - adjoint: Aᵀ, the transpose of that matrix;
    - pseudo-inverse: FBP(y) = (τ/p²) Aᵀ(Δθ K y), with the band-limited ramp K
      (Kak and Slaney, 1988, section 3.3), bins τ, pixels p and view weights Δθ.

    Row 0 of an image is its top: angles and orientation are those of
    ``skimage.transform.radon``. In ODL's axes (x, y upward) the image is
    ``np.rot90(image, -1)``.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_ei.operators import ParallelBeamCT
    >>> operator = ParallelBeamCT(n_views=30, image_shape=(32, 32))
    >>> operator.measurement_shape
    (30, 47)
    >>> operator.measure(np.ones((2, 32, 32))).shape
    (2, 30, 47)
    """

    _image_n_dims = 2
    _measurement_n_dims = 2

    def __init__(
        self,
        n_views=50,
        image_shape=None,
        *,
        n_bins=None,
        angles=None,
        pixel_size=1.0,
        bin_size=None,
        filter="ram-lak",
        n_refinements=1,
    ):
        self.n_views = n_views
        self.image_shape = image_shape
        self.n_bins = n_bins
        self.angles = angles
        self.pixel_size = pixel_size
        self.bin_size = bin_size
        self.filter = filter
        self.n_refinements = n_refinements

    def _infer_shapes(self, image_shape, measurement_shape):
        self._check_params()
        n_views, n_bins = len(self._angles_rad), self.n_bins
        if measurement_shape is not None:
            fits = len(measurement_shape) == 2 and measurement_shape[0] == n_views
            if not fits or n_bins not in (None, measurement_shape[1]):
                expected = (n_views, "n_bins" if n_bins is None else n_bins)
                raise ValueError(
                    f"ParallelBeamCT with {n_views} views got measurements of shape "
                    f"{tuple(measurement_shape)}, but expected "
                    f"({expected[0]}, {expected[1]})."
                )
            n_bins = int(measurement_shape[1])
        if image_shape is not None:
            image_shape = check_shape("image_shape", image_shape, n_dims=2)
            if n_bins is None:
                n_bins = _default_n_bins(
                    np.asarray(image_shape) * self.pixel_size / self._bin_width
                )
        elif n_bins is not None:
            size = _image_size_of(int(n_bins * self._bin_width / self.pixel_size))
            if size is None:
                raise ValueError(
                    f"ParallelBeamCT got n_bins={n_bins}, too few to cover an image of "
                    "one pixel; expected at least 3."
                )
            image_shape = (size, size)
        if image_shape is None:
            return None, None
        return image_shape, (n_views, int(n_bins))

    def _fix_shapes(self, image_shape, measurement_shape):
        self.image_shape = image_shape
        self.n_bins = measurement_shape[1]

    def _check_params(self):
        check_scalar(
            self.pixel_size, "pixel_size", Real, min_val=0, include_boundaries="neither"
        )
        check_scalar(self.n_refinements, "n_refinements", Integral, min_val=0)
        check_option("filter", self.filter, FILTERS)
        if self.bin_size is not None:
            check_scalar(
                self.bin_size, "bin_size", Real, min_val=0, include_boundaries="neither"
            )
        if self.n_bins is not None:
            check_scalar(self.n_bins, "n_bins", Integral, min_val=1)
        if self.angles is None:
            check_scalar(self.n_views, "n_views", Integral, min_val=1)
        elif np.ndim(self.angles) != 1 or not np.isfinite(self.angles).all():
            raise ValueError(
                f"Got angles of shape {np.shape(self.angles)}, but expected a 1-D "
                "array of finite angles in degrees."
            )

    @property
    def _bin_width(self):
        return float(self.pixel_size if self.bin_size is None else self.bin_size)

    @property
    def _angles_rad(self):
        if self.angles is None:
            return np.arange(self.n_views) * (np.pi / self.n_views)
        return np.deg2rad(np.asarray(self.angles, dtype=np.float64))

    def geometry(self):
        """Return the ODL geometry whose rays this operator integrates along.

        Returns
        -------
        geometry : odl.applications.tomo.Parallel2dGeometry
            With the distinct view angles in increasing order, as ODL requires.
        """
        odl, tomo = import_odl()
        n_bins = self.measurement_shape[1]
        half = n_bins * self._bin_width / 2
        angles = np.unique(self._angles_rad)
        if len(angles) > 1:
            views = odl.nonuniform_partition(angles)
        else:
            views = odl.uniform_partition(angles[0] - 0.5, angles[0] + 0.5, 1)
        return tomo.Parallel2dGeometry(
            views, odl.uniform_partition(-half, half, n_bins)
        )

    def _rays(self):
        """Points on, and unit directions of, all rays, in (x, y upward)."""
        geometry = self.geometry()
        angles = self._angles_rad[:, None]
        bins = geometry.det_partition.grid.coord_vectors[0][None, :]
        points = geometry.det_point_position(angles, bins)
        directions = geometry.det_to_src(angles, bins)
        return points.reshape(-1, 2), directions.reshape(-1, 2)

    def _matrix_pair(self):
        points, directions = self._rays()
        height, width = self.image_shape
        grid = np.array([height, width, self.pixel_size], dtype=np.float64)
        digest = hashlib.sha256()
        for array in (points, directions, grid):
            digest.update(np.ascontiguousarray(array).tobytes())
        key = digest.hexdigest()
        pair = _MATRICES.get(key)
        if pair is None:
            # Rows run downwards: in the order (row, column) the coordinates of
            # a pixel are (−y, x), which keeps the columns in NumPy's C order.
            flip = np.array([-1.0, 1.0])
            matrix = joseph_matrix(
                points[:, ::-1] * flip,
                directions[:, ::-1] * flip,
                (height, width),
                (self.pixel_size, self.pixel_size),
            )
            pair = Constants(A=torch_csr(matrix), At=torch_csr(matrix.T.tocsr()))
            _MATRICES[key] = pair
        return pair

    def _build(self, image_shape, measurement_shape):
        scale = self._bin_width / self.pixel_size**2
        kernel = ramp_filter_matrix(measurement_shape[1], self._bin_width, self.filter)
        return Constants(
            self._matrix_pair(),
            kernel=torch.from_numpy(scale * kernel).float(),
            weights=torch.from_numpy(view_weights(self._angles_rad)).float()[:, None],
        )

    def _forward(self, x, constants):
        flat = apply_sparse(
            x.reshape(-1, math.prod(self.image_shape)), constants.A, constants.At
        )
        return flat.reshape(*x.shape[:2], *self.measurement_shape)

    def _adjoint(self, y, constants):
        flat = apply_sparse(
            y.reshape(-1, math.prod(self.measurement_shape)), constants.At, constants.A
        )
        return flat.reshape(*y.shape[:2], *self.image_shape)

    def _pinv(self, y, constants):
        return self._adjoint((constants.weights * y) @ constants.kernel, constants)

    def mean_squared_row_norm(self):
        """Return ‖A‖_F²/m, exactly."""
        matrix = self._constants.like(torch.empty(0)).A
        return float(matrix.values().double().square().sum() / matrix.shape[0])
