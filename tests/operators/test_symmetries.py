"""Symmetries of scanners, and the smaller matrix that they allow."""

import numpy as np
import pytest
import torch

from sklearn_ei.operators import FanBeamCT, ODLOperator, ParallelBeamCT
from sklearn_ei.operators._joseph import joseph_matrix
from sklearn_ei.operators._rays import Rays
from sklearn_ei.utils.odl import import_odl
from tests.cases import each_device, odl, ray_transform

FAN = {"image_shape": (16, 16), "source_distance": 30.0}
SMALL = {"image_shape": (9, 9)}
STAR = [18.0, 126, 72, 0, 108, 36, 162, 54, 144, 90]


def parallel(*angles, **parameters):
    return ParallelBeamCT(angles=angles, **SMALL, **parameters)


# Scanner: number of symmetries, and of copies in its matrix.
SCANNERS = {
    "even": (ParallelBeamCT(10, (16, 16)), 7, 4),
    "odd": (ParallelBeamCT(9, (16, 16)), 3, 4),
    "a view on each diagonal": (ParallelBeamCT(8, (16, 16)), 3, 4),
    "not square": (ParallelBeamCT(10, (16, 15)), 3, 4),
    "odd sizes": (ParallelBeamCT(10, (15, 15), n_bins=20), 7, 4),
    "both ends": (parallel(*np.linspace(0, 180, 7)), 3, 4),
    "repeated": (parallel(*np.repeat(np.arange(0, 180, 30), 3)), 7, 4),
    "permuted": (parallel(*STAR), 7, 4),
    "uneven": (parallel(1.0, 7, 32, 91, 100), 1, 2),
    "uneven, aside": (parallel(1.0, 7, 32, detector_offset=0.3), 0, 1),
    "full turn, aside": (parallel(*np.arange(10) * 36.0, detector_offset=2), 3, 4),
    "fan": (FanBeamCT(28, **FAN), 7, 4),
    "fan, not divisible by four": (FanBeamCT(30, **FAN), 3, 4),
    "odd fan": (FanBeamCT(31, **FAN), 1, 2),
    "curved fan": (FanBeamCT(28, detector="curved", **FAN), 7, 4),
    "fan, aside": (FanBeamCT(28, detector_offset=1.7, **FAN), 3, 4),
    "short fan": (FanBeamCT(28, scan="short", **FAN), 0, 1),
}
each_scanner = pytest.mark.parametrize("name", SCANNERS)


def whole_matrix(operator):
    """Return the matrix of all rays, without regard to symmetries, in float64."""
    rays = Rays.of_geometry(operator.geometry(), operator._angles_rad)
    rays = rays.moved([[0, -1], [1, 0]], [0, 0])
    matrix, _ = joseph_matrix(rays, operator.image_shape, (1.0, 1.0))
    return matrix.astype(np.float64)


@each_scanner
def test_symmetries_permute_the_measurements(name):
    operator, n_symmetries, _ = SCANNERS[name]
    operator = operator.resolve()
    symmetries = operator.symmetries()
    assert len(symmetries) == n_symmetries
    x = np.random.RandomState(0).standard_normal((2, *operator.image_shape))
    matrix = whole_matrix(operator)

    def measure(images):
        y = images.reshape(len(images), -1) @ matrix.T
        return torch.from_numpy(y.reshape(-1, *operator.measurement_shape))

    x = torch.from_numpy(x)
    y = measure(x.numpy())
    for symmetry in symmetries:
        moved = symmetry.move(x)
        assert not torch.equal(moved, x)
        torch.testing.assert_close(
            measure(moved.numpy()), symmetry.permute(y), rtol=1e-6, atol=1e-6
        )
        assert torch.equal(symmetry.move_back(moved), x)
        assert torch.equal(symmetry.permute_back(symmetry.permute(y)), y)
        # FBP is as symmetric.
        y4 = y[:, None].float()
        torch.testing.assert_close(
            operator.pinv(symmetry.permute(y4)),
            symmetry.move(operator.pinv(y4)),
            rtol=1e-4,
            atol=1e-4,
        )


@each_scanner
def test_the_smaller_matrix_gives_the_same_products(name):
    operator, _, n_copies = SCANNERS[name]
    operator = operator.resolve()
    matrix = whole_matrix(operator)
    draw = np.random.RandomState(1)
    for batch in (1, 2, 3, 4, 13):
        x = draw.standard_normal((batch, 1, *operator.image_shape))
        y = draw.standard_normal((batch, 1, *operator.measurement_shape))
        for dtype, tolerance in [(np.float64, 1e-6), (np.float32, 1e-5)]:
            measured = operator.forward(torch.from_numpy(x.astype(dtype))).numpy()
            expected = (x.reshape(batch, -1) @ matrix.T).reshape(measured.shape)
            np.testing.assert_allclose(
                measured, expected, atol=tolerance * np.abs(expected).max()
            )
            returned = operator.adjoint(torch.from_numpy(y.astype(dtype))).numpy()
            expected = (y.reshape(batch, -1) @ matrix).reshape(returned.shape)
            np.testing.assert_allclose(
                returned, expected, atol=tolerance * np.abs(expected).max()
            )
    projector = operator._constants.like(torch.empty(0)).projector
    n_rows = projector.A.shape[0]
    n_rays = len(matrix.indptr) - 1
    # A few views and the middle bins are copies of themselves.
    assert n_rays / n_copies <= n_rows <= n_rays / n_copies + n_rays / 5
    assert operator.mean_squared_row_norm() == pytest.approx(
        (matrix.data**2).sum() / n_rays, rel=1e-6
    )


@each_device
def test_derivatives_of_the_smaller_matrix(device):
    operator = ParallelBeamCT(6, (6, 6)).resolve()
    generator = torch.Generator().manual_seed(0)
    for shape, function in [
        (operator.image_shape, operator.forward),
        (operator.measurement_shape, operator.adjoint),
    ]:
        x = torch.randn((2, 1, *shape), generator=generator, dtype=torch.float64)
        x = x.to(device).requires_grad_()
        assert torch.autograd.gradcheck(function, x)
        assert torch.autograd.gradgradcheck(function, x)


def test_odl_geometries_have_symmetries_too():
    operator = ODLOperator(ray_transform("parallel_beam_geometry", (16, 16), 20))
    assert len(operator.symmetries()) >= 1
    x = torch.rand(2, 1, 16, 16)
    y = operator.forward(x)
    for symmetry in operator.symmetries():
        torch.testing.assert_close(
            operator.forward(symmetry.move(x)), symmetry.permute(y)
        )
    volume = ray_transform("parallel_beam_geometry", (6, 5, 4), 9, det_shape=(9, 5))
    assert ODLOperator(volume).symmetries() == []
    assert ODLOperator(odl.Gradient(volume.domain)).symmetries() == []


def test_an_image_off_the_axis_has_none():
    _, tomo = import_odl()
    space = odl.uniform_discr([0, -1], [2, 3], (12, 10))
    whole = odl.uniform_discr([-4, -4], [4, 4], (12, 12))
    transform = tomo.RayTransform(
        space, tomo.parallel_beam_geometry(whole, 8), impl="skimage"
    )
    assert ODLOperator(transform).symmetries() == []


def test_the_budget_counts_what_is_stored():
    operator = ParallelBeamCT(10, (16, 16))
    n_rays = int(np.prod(operator.measurement_shape))
    whole = 16 * n_rays * 2 * 16
    like = torch.empty(0)
    for budget, stored in [(whole, True), (whole / 4, True), (whole / 5, False)]:
        operator.set_params(memory_budget=budget)
        assert hasattr(operator._constants.like(like).projector, "A") == stored
