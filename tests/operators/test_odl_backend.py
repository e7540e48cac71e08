"""The projector as a backend of ODL's own ray transform."""

import numpy as np
import pytest

from sklearn_ei.operators import JosephRayTransformImpl
from sklearn_ei.utils.odl import import_odl

odl, tomo = import_odl()

SPACES = {
    "weighted": lambda dtype: odl.uniform_discr(
        [-2, -2], [2, 2], (16, 16), dtype=dtype
    ),
    "unit pixels": lambda dtype: odl.uniform_discr(
        [-8, -8], [8, 8], (16, 16), dtype=dtype
    ),
    "3-D": lambda dtype: odl.uniform_discr([-2] * 3, [2] * 3, (6, 5, 4), dtype=dtype),
}


def transform(space, geometry="parallel_beam_geometry", *args, **kwargs):
    made = getattr(tomo, geometry)(space, *args, num_angles=20, **kwargs)
    return tomo.RayTransform(space, made, impl=JosephRayTransformImpl)


def phantom(space):
    return space.element(
        lambda x: np.exp(-sum((c / space.domain.extent[0] * 4) ** 2 for c in x))
    )


@pytest.mark.parametrize("name", SPACES)
@pytest.mark.parametrize(
    ("dtype", "tolerance"),
    [("float32", 1e-5), ("float64", 1e-10), ("complex128", 1e-10)],
)
def test_adjoint_in_the_inner_products_of_odl(name, dtype, tolerance):
    space = SPACES[name](dtype)
    R = transform(space)
    rng = np.random.RandomState(0)

    def draw(space):
        values = rng.standard_normal(space.shape)
        if dtype.startswith("complex"):
            values = values + 1j * rng.standard_normal(space.shape)
        return space.element(values.astype(dtype))

    x, y = draw(space), draw(R.range)
    error = abs(R(x).inner(y) - x.inner(R.adjoint(y)))
    assert error <= tolerance * R(x).norm() * y.norm()


def test_agrees_with_the_backend_of_odl():
    space = odl.uniform_discr([-2, -2], [2, 2], (43, 43))
    ours = transform(space)
    theirs = tomo.RayTransform(space, ours.geometry, impl="skimage")
    x = phantom(space)
    assert (ours(x) - theirs(x)).norm() <= 0.01 * theirs(x).norm()
    y = theirs(x)
    difference = ours.adjoint(y) - theirs.adjoint(y)
    assert difference.norm() <= 0.02 * theirs.adjoint(y).norm()


@pytest.mark.parametrize(
    ("geometry", "args"),
    [("parallel_beam_geometry", ()), ("cone_beam_geometry", (8, 4))],
)
def test_filtered_back_projection_of_odl(geometry, args):
    space = odl.uniform_discr([-2, -2], [2, 2], (32, 32))
    R = transform(space, geometry, *args)
    x = phantom(space)
    reconstructed = tomo.fbp_op(R)(R(x))
    assert (reconstructed - x).norm() <= 0.1 * x.norm()


def test_solvers_of_odl():
    space = SPACES["weighted"]("float64")
    R = transform(space, "cone_beam_geometry", 8, 4)
    truth = phantom(space)
    y = R(truth)
    norm = float(odl.power_method_opnorm(R, maxiter=20))
    for solve in (
        lambda x: odl.solvers.landweber(R, x, y, niter=60, omega=1 / norm**2),
        lambda x: odl.solvers.conjugate_gradient_normal(R, x, y, niter=15),
    ):
        x = space.zero()
        solve(x)
        assert (R(x) - y).norm() <= 0.02 * y.norm()


def test_writes_into_an_existing_element():
    space = SPACES["weighted"]("float32")
    R = transform(space)
    x = phantom(space)
    y, back = R.range.zero(), space.zero()
    R(x, out=y)
    R.adjoint(y, out=back)
    assert (y - R(x)).norm() == 0
    assert (back - R.adjoint(R(x))).norm() == 0


def test_uneven_grids_are_refused():
    partition = odl.nonuniform_partition([0.0, 1, 3], [0.0, 1, 2])
    space = odl.uniform_discr_frompartition(
        odl.uniform_partition([-1, -1], [1, 1], (3, 3))
    )
    uneven = odl.DiscretizedSpace(partition, space.tspace)
    geometry = tomo.parallel_beam_geometry(space, 5)
    with pytest.raises(ValueError, match="uniformly discretised"):
        JosephRayTransformImpl(geometry, uneven, None)
