"""Joseph's projector as a backend of ODL's ``RayTransform``."""

import numpy as np
import torch

from ..utils.params import check_memory
from ._ray_transform import shared_projector
from ._rays import Rays


def grid_of(space):
    """Return shape, spacing and centre of an ODL space with even spacing."""
    if not getattr(space, "is_uniform", False):
        raise ValueError(
            f"Got the ODL space {space!r}, but expected a uniformly discretised one."
        )
    return (
        tuple(space.shape),
        tuple(map(float, space.cell_sides)),
        np.asarray(space.domain.mid_pt, dtype=np.float64),
    )


def rays_of(space, geometry, bins=None):
    """Return the rays of an ODL geometry, in the axes of an ODL space.

    ``bins`` are other positions on a 2-D detector, also beyond its edges.
    """
    shape, _, centre = grid_of(space)
    return Rays.of_geometry(geometry, None, bins).moved(np.eye(len(shape)), centre)


def projector_of(space, geometry, memory_budget, bins=None):
    """Return the projector of the rays of :func:`rays_of`."""
    shape, spacing, _ = grid_of(space)
    rays = rays_of(space, geometry, bins)
    if not rays.parallel:
        half = np.asarray(shape) * np.asarray(spacing) / 2
        inside = (rays.emitters.abs().numpy() < half).all(axis=1)
        if inside.any():
            raise ValueError(
                f"Got a geometry whose source is inside the image in "
                f"{np.count_nonzero(inside)} views, but expected it outside."
            )
    return shared_projector(
        rays, shape, spacing, check_memory("memory_budget", memory_budget)
    )


def to_tensor(array):
    """Return a writable float32 or float64 tensor of an array."""
    array = np.asarray(array)
    dtype = np.float64 if array.dtype == np.float64 else np.float32
    return torch.from_numpy(np.array(array, dtype=dtype, order="C"))


class JosephRayTransformImpl:
    """Backend for ``odl.applications.tomo.RayTransform`` on any CPU.

    Pass the class: ``RayTransform(space, geometry, impl=JosephRayTransformImpl)``.
    It runs ODL's parallel, fan, cone and helical geometries in two and three
    dimensions, in float32 and float64, with an exact adjoint, so that ODL's
    solvers and ``fbp_op`` work on it.

    Parameters
    ----------
    geometry : odl.applications.tomo.Geometry
        With the source, if any, outside the image.
    vol_space : odl.DiscretizedSpace
        Uniformly discretised space of images x.
    proj_space : odl.DiscretizedSpace
        Space of measurements y.

    Attributes
    ----------
    memory_budget : int or str, default="4 GB"
        As in :class:`~sklearn_ei.operators.ParallelBeamCT`. Subclass to change.

    Notes
    -----
    With the weights w of both spaces,

    - forward: A x, as in :class:`~sklearn_ei.operators.ODLOperator`;
    - adjoint: A* y = (w_proj / w_vol) Aᵀ y, so that ⟨A x, y⟩ = ⟨x, A* y⟩ in the
      inner products of the spaces.

    Examples
    --------
    >>> import odl
    >>> from odl.applications import tomo
    >>> from sklearn_ei.operators import JosephRayTransformImpl
    >>> space = odl.uniform_discr([-1, -1], [1, 1], (16, 16))
    >>> geometry = tomo.parallel_beam_geometry(space, 20)
    >>> R = tomo.RayTransform(space, geometry, impl=JosephRayTransformImpl)
    >>> R(space.one()).shape
    (20, 25)
    """

    memory_budget = "4 GB"

    def __init__(self, geometry, vol_space, proj_space):
        self.geometry = geometry
        self.vol_space = vol_space
        self.proj_space = proj_space
        self._projector = projector_of(vol_space, geometry, self.memory_budget)

    def call_forward(self, x, out=None, **kwargs):
        """Return A x as an element of the projection space."""
        return self._call("forward", x, self.proj_space, 1.0, out)

    def call_backward(self, x, out=None, **kwargs):
        """Return A* x as an element of the image space."""
        scale = self.proj_space.weighting.const / self.vol_space.weighting.const
        return self._call("adjoint", x, self.vol_space, scale, out)

    def _call(self, method, x, space, scale, out):
        array = x.asarray()
        parts = [array.real, array.imag] if np.iscomplexobj(array) else [array]
        rows = to_tensor(np.stack([part.ravel() for part in parts]))
        result = getattr(self._projector.like(rows).projector, method)(rows)
        real, *imaginary = (scale * result.numpy()).reshape(-1, *space.shape)
        result = real + 1j * imaginary[0] if imaginary else real
        if out is None:
            return space.element(result)
        out[:] = space.element(result)
        return out
