"""The rays of an ODL geometry, in a form small enough to keep."""

import copy
import hashlib
from dataclasses import dataclass, replace

import numpy as np
import torch


@dataclass(frozen=True)
class Rays:
    """All rays of a scan: one per view and detector bin, views first.

    Every ODL geometry moves a rigid detector, so that a view needs no more
    than a rotation, a reference point and the source (or the one direction of
    a parallel beam): 512 views of a 512 × 512 detector take 6 MB rather than
    6 GB. All tensors are float64.

    Parameters
    ----------
    surface : torch.Tensor of shape (n_bins, d)
        Detector bins in the detector's own axes.
    rotations : torch.Tensor of shape (n_views, d, d)
        From the detector's axes to those of the grid.
    references : torch.Tensor of shape (n_views, d)
        Where the detector's origin is.
    emitters : torch.Tensor of shape (n_views, d)
        Source positions, or beam directions if ``parallel``.
    parallel : bool
        Whether the rays of a view are parallel.
    """

    surface: torch.Tensor
    rotations: torch.Tensor
    references: torch.Tensor
    emitters: torch.Tensor
    parallel: bool

    @classmethod
    def of_geometry(cls, geometry, angles=None, bins=None):
        """Return the rays of an ODL geometry, in ODL's axes.

        Parameters
        ----------
        geometry : odl.applications.tomo.Geometry
            Parallel, fan or cone beam, in two or three dimensions.
        angles : ndarray of shape (n_views,), default=None
            Views in radians, in any order and inside the bounds of the
            geometry. None: those of the geometry.
        bins : ndarray of shape (n_bins,), default=None
            Positions on a detector in two dimensions, also beyond its edges.
            None: those of the geometry.
        """
        views = geometry.motion_grid.points() if angles is None else angles
        views = np.asarray(views, dtype=np.float64)
        # ODL takes several Euler angles as a tuple, and a single one as it is.
        views = views.reshape(len(views), -1)
        views = views[:, 0] if views.shape[1] == 1 else tuple(views.T)
        detector, mesh = geometry.detector, geometry.det_grid.meshgrid
        if bins is not None:
            detector = _unbounded(detector)
        else:
            bins = mesh if len(mesh) > 1 else mesh[0]
        parallel = not hasattr(geometry, "src_position")
        rotations = geometry.rotation_matrix(views)
        if parallel:
            middle = tuple(axis[0] for axis in geometry.det_grid.coord_vectors)
            normal = geometry.detector.surface_normal(
                middle if len(middle) > 1 else middle[0]
            )
            emitters = rotations @ np.asarray(normal)
        else:
            emitters = geometry.src_position(views)
        arrays = (
            np.reshape(detector.surface(bins), (-1, geometry.ndim)),
            rotations,
            geometry.det_refpoint(views),
            emitters,
        )
        return cls(
            *(torch.from_numpy(np.array(a, np.float64)) for a in arrays), parallel
        )

    def __len__(self):
        return len(self.references) * len(self.surface)

    @property
    def device(self):
        """Where the tensors are."""
        return self.surface.device

    def to(self, device):
        """Return the same rays on ``device``."""
        return replace(
            self,
            surface=self.surface.to(device),
            rotations=self.rotations.to(device),
            references=self.references.to(device),
            emitters=self.emitters.to(device),
        )

    def moved(self, matrix, origin):
        """Return the rays in other axes: p ↦ matrix · (p − origin)."""
        matrix = torch.as_tensor(np.asarray(matrix, dtype=np.float64))
        origin = torch.as_tensor(np.asarray(origin, dtype=np.float64))
        shift = 0 if self.parallel else origin
        return replace(
            self,
            rotations=matrix @ self.rotations,
            references=(self.references - origin) @ matrix.T,
            emitters=(self.emitters - shift) @ matrix.T,
        )

    def between(self, start, stop):
        """Return a point on, and the unit direction of, each ray of a range."""
        return self.at(torch.arange(start, stop, device=self.device))

    def at(self, ray):
        """Return a point on, and the unit direction of, rays of given numbers."""
        view = torch.div(ray, len(self.surface), rounding_mode="floor")
        offset = self.surface[ray - view * len(self.surface)]
        rotated = torch.einsum("rij,rj->ri", self.rotations[view], offset)
        points = self.references[view] + rotated
        emitters = self.emitters[view]
        directions = emitters if self.parallel else emitters - points
        return points, directions / torch.linalg.vector_norm(
            directions, dim=1, keepdim=True
        )

    def digest(self, *others):
        """Return a key that equal rays (and equal ``others``) share."""
        digest = hashlib.sha256(repr((self.parallel, *others)).encode())
        for tensor in (self.surface, self.rotations, self.references, self.emitters):
            digest.update(tensor.numpy().tobytes())
        return digest.hexdigest()


def _unbounded(detector):
    """Return ODL's flat or circular detector without its edges."""
    arguments = (detector.partition, detector.axis)
    if hasattr(detector, "radius"):
        arguments = (*arguments, detector.radius)
    return type(detector)(*arguments, check_bounds=False)


class _NoShift:
    """The shift of a source or detector that does not leave its circle."""

    def __init__(self, n_dims):
        self.n_dims = n_dims

    def __call__(self, angle):
        return np.zeros((1, self.n_dims))


def picklable_geometry(geometry):
    """Return an ODL geometry without the lambdas that stand for "no shift".

    Fan and cone beams are built with them, and cannot be pickled otherwise.
    Shift functions of the user's own stay, and have to be importable.
    """
    geometry = copy.copy(geometry)
    for name, value in vars(geometry).items():
        of_odl = getattr(value, "__module__", "") or ""
        if name.endswith("_shift_func") and of_odl.startswith("odl."):
            setattr(geometry, name, _NoShift(geometry.ndim))
    return geometry
