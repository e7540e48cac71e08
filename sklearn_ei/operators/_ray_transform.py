"""What all tomography shares: rays of an ODL geometry, A, Aᵀ and FBP."""

import math
from abc import abstractmethod
from copy import copy
from functools import partial
from numbers import Integral
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from sklearn.utils import check_scalar

from ..utils.derived import shared
from ..utils.device import Constants, settled
from ..utils.odl import import_odl
from ..utils.params import brief, check_memory, check_option, check_real, check_shape
from ..utils.warn import warn
from ._base import ForwardOperator
from ._checks import refuse_other_than_number
from ._filters import FILTERS, ViewGeometry, fbp_filter
from ._joseph import JosephProjector, n_corners
from ._lost_rays import LostRays
from ._rays import Rays
from ._stored import StoredProjector
from ._symmetries import quarter, symmetries_of

# A nonzero of A and of Aᵀ: a float32 value and an int32 index each.
_BYTES_PER_NONZERO = 16
# Of an image: less, beyond what all views see, hardly changes what is inside.
_IN_CORNERS = 0.02
_N_VIEWS = 50  # by default: whether it was written as well cannot be told


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
        bytes for each of at most n_kept · n · 2^(d−1) nonzeros, stores none.
        All rays are kept unless the scan is symmetric (2-D): then half or a
        quarter of them.

    Returns
    -------
    projector : object with ``like(tensor)``
        Which returns a namespace with the ``projector`` for that tensor.
    """
    size = _BYTES_PER_NONZERO * len(rays) * n_corners(shape)
    if len(shape) == 2 and size / 4 <= memory_budget:
        symmetries = quarter(symmetries_of(rays, shape, spacing))
        size = size / (1 + len(symmetries))
    else:
        symmetries = []
    indexable = math.prod(shape) <= np.iinfo(np.int32).max
    is_stored = size <= memory_budget and indexable
    kind = partial(StoredProjector, symmetries=symmetries)
    kind = kind if is_stored else _WalkingProjector
    key = rays.digest(str(is_stored), tuple(shape), tuple(map(float, spacing)))
    return shared(key, lambda: kind(rays, tuple(shape), tuple(spacing)))


def stored_matrix(projector):
    """Return the CSR array of A that a projector stores, or None."""
    return projector.scipy_csr() if hasattr(projector, "A") else None


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
    """Return Σ_k m_k Aᵀ(v_k a K w a C y), with those of :func:`fbp_constants`."""
    n_bins, (n_left, n_right) = operator.measurement_shape[1], constants.n_beyond
    if n_left or n_right:
        y = _continued(y, constants)
    filtered = constants.after * ((constants.before * y) @ constants.kernel)
    weights = constants.of_pixels
    if len(weights) > 1:
        filtered = filtered.unsqueeze(2) * constants.of_views.unsqueeze(-1)
    samples = filtered.shape[:-2]
    inside = filtered[..., n_left : n_left + n_bins]
    x = constants.projector.adjoint(inside.reshape(samples.numel(), -1))
    if n_left or n_right:
        beyond = [filtered[..., :n_left], filtered[..., n_left + n_bins :]]
        beyond = torch.cat(beyond, dim=-1).reshape(samples.numel(), -1)
        x = x + constants.beyond.adjoint(beyond)
    x = x.reshape(*samples, *operator.image_shape) * weights
    return x.sum(2) if len(weights) > 1 else x


def _continued(y, constants):
    """Return views beyond the edge of a displaced detector: C y."""
    n_left, n_right = constants.n_beyond
    if constants.opposite is None:
        return torch.nn.functional.pad(y, (n_left, n_right))
    rays = y.flatten(-2)[..., constants.opposite]
    missing = (constants.opposite_weights * rays).sum(-3)
    return torch.cat([missing[..., :n_left], y, missing[..., n_left:]], dim=-1)


def fbp_constants(geometry, angles, pixels, spacing, *, filter, projector_of_bins):
    """Return the constants of A and of filtered back-projection.

    Parameters
    ----------
    geometry : odl.applications.tomo.Geometry
        2-D parallel or fan beam.
    angles : ndarray of shape (n_views,)
        Views in radians.
    pixels : ndarray of shape (2, H, W)
        Positions of the pixels in ODL's axes, seen from the centre of rotation.
    spacing : tuple of 2 float
        Sides of a pixel.
    filter : str
        Window on the ramp.
    projector_of_bins : callable
        Returns the shared projector of detector bins at given positions, None
        being those of the geometry.

    Returns
    -------
    constants : Constants
    """
    fbp = fbp_filter(geometry, angles, pixels, spacing, filter)
    beyond = fbp.bins_beyond(np.asarray(geometry.det_grid.coord_vectors[0]))
    names = "kernel", "before", "after", "of_pixels", "of_views"
    arrays = {name: getattr(fbp, name) for name in names}
    opposite = None
    if fbp.opposite is not None:
        opposite, arrays["opposite_weights"] = fbp.opposite
    return Constants(
        _Projectors(
            projector_of_bins(None),
            projector_of_bins(beyond) if len(beyond) else None,
            (fbp.n_left, fbp.n_right),
            None if opposite is None else torch.from_numpy(opposite),
        ),
        **{name: torch.from_numpy(array).float() for name, array in arrays.items()},
    )


def pixel_positions(shape, spacing):
    """Return the positions of pixels around the middle of a grid, (2, H, W)."""
    return np.stack(
        np.meshgrid(
            *(
                (np.arange(n) - (n - 1) / 2) * step
                for n, step in zip(shape, spacing, strict=True)
            ),
            indexing="ij",
        )
    )


class _Projectors:
    """The projector of the detector, and what continues it where it is displaced."""

    def __init__(self, projector, beyond, n_beyond, opposite):
        self._projectors, self._n_beyond = (projector, beyond), n_beyond
        self._opposite = opposite

    def like(self, x):
        projector, beyond = (
            None if each is None else each.like(x).projector
            for each in self._projectors
        )
        opposite = self._opposite
        if opposite is not None:
            opposite = settled(opposite.to(x.device))
        return SimpleNamespace(
            projector=projector,
            beyond=beyond,
            n_beyond=self._n_beyond,
            opposite=opposite,
        )


def with_hann_window(operator):
    """Return a copy with a Hann window on the ramp, or what has a window already."""
    if operator.filter != "auto":
        return operator
    smooth = copy(operator)
    smooth.filter = "hann"
    return smooth


class RayTransformOperator(ForwardOperator):
    """Base class of 2-D tomography: rows of an image run downwards.

    A subclass supplies the ODL geometry, the views in radians, and how many
    bins cover an image. Where both shapes are open, bins brought back to the
    centre of rotation and pixels correspond: an image that is reconstructed from
    any number of bins is measured with as many again.
    """

    _image_n_dims = 2
    _measurement_n_dims = 2

    natural_axis = 0  # views
    loses = "views"

    def suited_to_noise(self):
        """Return an operator with a Hann window, if ``filter`` is ``"auto"``."""
        return with_hann_window(self)

    @abstractmethod
    def geometry(self):
        """Return the ODL geometry whose rays this operator integrates along."""

    @property
    @abstractmethod
    def _angles_rad(self):
        """Views in radians, in the order of the measurements."""

    @abstractmethod
    def _covering(self, image_shape):
        """Return the odd number of bins that cover an image, or refuse it."""

    #: How much larger than at the centre of rotation the detector sees things.
    _magnification = 1.0
    #: Side of the largest square image that fits into the scanner.
    _largest_side = math.inf

    @property
    def _pixel(self):
        """Side of a pixel."""
        if self.pixel_size is not None:
            return float(self.pixel_size)
        if self.bin_size is not None:
            return self.bin_size / self._magnification
        return 1.0

    @property
    def _bin_width(self):
        """Width of a bin along the detector."""
        if self.bin_size is not None:
            return float(self.bin_size)
        return self._pixel * self._magnification

    def _size_of(self, n_bins):
        """Return the size of the square image that holds all that bins see."""
        reach = n_bins * self._bin_width / 2 + abs(self.detector_offset)
        size = math.ceil(2 * reach / self._magnification / self._pixel - 1e-6)
        if size * self._pixel >= self._largest_side:
            size = max(1, math.ceil(self._largest_side / self._pixel) - 1)
        return size

    def _bins_across(self, image_shape):
        """Return how many bins see a square image from side to side."""
        reach = max(image_shape) * self._pixel * self._magnification / 2
        reach -= abs(self.detector_offset)
        return max(1, math.floor(2 * reach / self._bin_width + 1e-6))

    @property
    def _n_views(self):
        return self.n_views if self.angles is None else len(self.angles)

    def measure(self, images: Any) -> np.ndarray:
        """Simulate noise-free measurements of NumPy images.

        Parameters
        ----------
        images : array-like of shape (n_samples, H, W[, n_channels])
            Images, attenuation for a unit of length.

        Returns
        -------
        Y : ndarray of shape (n_samples, n_views, n_bins[, n_channels])
            Line integrals, float32.

        Raises
        ------
        TypeError, ValueError
            If ``images`` is not a finite stack, or does not fit.

        Warns
        -----
        UserWarning
            If neither ``image_shape`` nor ``n_bins`` is given, so that the detector
            sees an image from side to side, and corners hold more than a fiftieth of
            images without negative values (A†y has some).
        """
        Y = super().measure(images)
        if self.image_shape is None and self.n_bins is None:
            self._say_corners(np.asarray(images, dtype=np.float32), Y.shape[2])
        return Y

    def _say_corners(self, images, n_bins):
        """Warn of what lies beyond the circle that all views see."""
        shape = images.shape[1:3]
        reach = n_bins * self._bin_width / 2 + abs(self.detector_offset)
        reach /= self._magnification
        radius = np.hypot(*pixel_positions(shape, (self._pixel,) * 2))
        total = images.sum(axis=(0, *range(3, images.ndim)))
        share = total[radius > reach].sum() / max(total.sum(), 1e-30)
        if share > _IN_CORNERS and images.min() >= 0:
            name = type(self).__name__
            warn(
                f"{name} without image_shape measures images of {shape} from side to "
                f"side, on {n_bins} bins, and {share:.1%} of what they hold is in "
                "corners that not all views see; to simulate a detector that sees all, "
                f"pass image_shape={tuple(map(int, shape))}."
            )

    def _infer_shapes(self, image_shape, measurement_shape):
        self._check_params()
        name = type(self).__name__
        n_views = self._n_views
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
            covering = self._covering(image_shape)
            if n_bins is None:
                # Where the parameters leave both open, bins and pixels correspond.
                is_open = self.image_shape is None
                n_bins = self._bins_across(image_shape) if is_open else covering
        elif n_bins is not None:
            image_shape = (self._size_of(n_bins),) * 2
        if image_shape is None:
            return None, None
        return image_shape, (int(n_views), int(n_bins))

    def _fix_shapes(self, image_shape, measurement_shape):
        self.image_shape = image_shape
        self.n_bins = measurement_shape[1]

    def _check_params(self):
        positive = {"min_val": 0, "include_boundaries": "neither"}
        if self.pixel_size is not None:
            check_real("pixel_size", self.pixel_size, **positive)
        check_real("detector_offset", self.detector_offset)
        check_scalar(self.n_refinements, "n_refinements", Integral, min_val=0)
        check_option("filter", self.filter, FILTERS)
        check_memory("memory_budget", self.memory_budget)
        if self.bin_size is not None:
            check_real("bin_size", self.bin_size, **positive)
        if self.n_bins is not None:
            check_scalar(self.n_bins, "n_bins", Integral, min_val=1)
        refuse_other_than_number("n_views", self.n_views, "view angles as angles=…")
        if self.angles is None:
            check_scalar(self.n_views, "n_views", Integral, min_val=1)
            return
        angles = np.asarray(self.angles)
        if angles.ndim != 1 or not angles.size or not np.isfinite(angles).all():
            raise ValueError(
                f"Got angles of shape {angles.shape}, but expected a 1-D array of "
                "finite angles in degrees."
            )
        if self.n_views not in (None, _N_VIEWS, len(angles)):
            raise ValueError(
                f"Got n_views={brief(self.n_views)} and {len(angles)} angles, but "
                "expected as many of both; n_views can be left out where angles are "
                "given."
            )

    def _build(self, image_shape, measurement_shape):
        geometry, angles = self.geometry(), self._angles_rad
        grid = image_shape, (self._pixel,) * 2
        budget = check_memory("memory_budget", self.memory_budget)

        def projector_of_bins(bins):
            return shared_projector(self._rays(bins), *grid, budget)

        return fbp_constants(
            geometry,
            angles,
            self._pixels_around_axis(),
            grid[1],
            filter=self.filter,
            projector_of_bins=projector_of_bins,
        )

    def _pixels_around_axis(self):
        """Return the positions of pixels in ODL's axes, (2, H, W)."""
        rows, columns = pixel_positions(self.image_shape, (self._pixel,) * 2)
        return np.stack([columns, -rows])

    def part_filling(self, kept):
        """Return what prepares sinograms with holes for filtered back-projection.

        Parameters
        ----------
        kept : torch.Tensor of bool, (..., n_views, n_bins)
            True where there is a measurement.

        Returns
        -------
        fill, fill_step : callable
            Lost bins are interpolated from their neighbours, and views weighted by
            the gaps that are left; not in a step, which could grow with such weights.
        """
        return self._derived("lost_rays", self._lost_rays).filling(kept)

    def _lost_rays(self):
        fixed = self._fixed
        return LostRays(
            ViewGeometry(
                fixed.geometry(),
                fixed._angles_rad,
                fixed._pixels_around_axis(),
                (fixed._pixel,) * 2,
            ),
            fixed.measured_entries(),
        )

    def _rays(self, bins=None):
        """Return the rays in the axes of the image, which run (down, right)."""
        rays = Rays.of_geometry(self.geometry(), self._angles_rad, bins)
        # Rows run downwards: in the order (row, column) the coordinates of a
        # pixel are (−y, x), which keeps the columns in NumPy's C order.
        return rays.moved([[0, -1], [1, 0]], [0, 0])

    def symmetries(self):
        """Return the motions of an image that only permute its measurements.

        Returns
        -------
        symmetries : list of Symmetry
            Up to seven mirrorings and quarter turns T of the image with
            A T x = P A x for a permutation P, to rounding; with the identity they
            are a group. Views spread evenly over a half or a full turn have
            three, or seven if neither the detector is aside nor a ray on a
            diagonal; uneven ones with a centred detector have the half turn.
            Empty where there are none.
        """
        return list(self._fixed._derived("symmetries", self._fixed._find_symmetries))

    def _find_symmetries(self):
        return symmetries_of(self._rays(), self.image_shape, (self._pixel,) * 2)

    _forward = project
    _adjoint = backproject
    _pinv = filtered_backprojection

    def as_sparse(self):
        """Return the matrix of A in float32, or None where the rays are walked."""
        return stored_matrix(self._constants.like(torch.empty(0)).projector)

    def mean_squared_row_norm(self):
        """Return ‖A‖_F²/m, exactly."""
        return self._constants.like(torch.empty(0)).projector.mean_squared_row_norm()
