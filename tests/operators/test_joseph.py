"""Joseph's projector: with and without a matrix, against analytic integrals."""

import math

import numpy as np
import pytest
import torch

from sklearn_ei.operators import FanBeamCT, ODLOperator, ParallelBeamCT
from sklearn_ei.operators._rays import Rays
from sklearn_ei.utils.odl import import_odl
from tests.cases import each_device, odl_space, ray_transform

odl, tomo = import_odl()


def euler_transform():
    geometry = tomo.Parallel3dEulerGeometry(
        odl.uniform_partition([0, 0], [3, 2], (4, 3)),
        odl.uniform_partition([-3, -3], [3, 3], (9, 8)),
    )
    return tomo.RayTransform(odl_space(6, 5, 7), geometry, impl="skimage")


def shifted_fan():
    geometry = tomo.FanBeamGeometry(
        odl.uniform_partition(0, 2 * np.pi, 9),
        odl.uniform_partition(-5, 5, 21),
        src_radius=9,
        det_radius=4,
        translation=[0.3, -0.2],
        src_shift_func=lambda angle: np.array([[0.1, -0.2]]),
    )
    space = odl.uniform_discr([0, -1], [2, 3], (12, 10))  # not around the origin
    return tomo.RayTransform(space, geometry, impl="skimage")


TRANSFORMS = {
    "parallel": lambda: ray_transform("parallel_beam_geometry", (16, 13), 9),
    "fan": lambda: ray_transform("cone_beam_geometry", (16, 13), 9, 4, num_angles=9),
    "shifted fan": shifted_fan,
    "parallel 3-D": lambda: ray_transform(
        "parallel_beam_geometry", (9, 8, 7), 9, det_shape=(9, 8)
    ),
    "cone": lambda: ray_transform(
        "cone_beam_geometry", (9, 8, 7), 9, 4, num_angles=9, det_shape=(9, 8)
    ),
    "helical": lambda: ray_transform(
        "helical_geometry", (9, 8, 7), 9, 4, 2, num_angles=9, det_shape=(9, 8)
    ),
    "Euler": euler_transform,
}
each_transform = pytest.mark.parametrize("name", TRANSFORMS)


@each_transform
@each_device
@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float32, 5e-6), (torch.float64, 5e-6)]
)
def test_matrix_and_matrix_free_agree(name, device, dtype, tolerance):
    transform = TRANSFORMS[name]()
    stored, walking = ODLOperator(transform), ODLOperator(transform, memory_budget=0)
    generator = torch.Generator().manual_seed(0)
    x = torch.rand((2, 1, *stored.image_shape), generator=generator, dtype=dtype)
    y = stored.forward(x.to(device))
    assert not hasattr(walking._constants.like(x).projector, "A")
    for ours, reference in [
        (walking.forward(x.to(device)), y),
        (walking.adjoint(y), stored.adjoint(y)),
    ]:
        error = torch.linalg.norm(ours - reference) / torch.linalg.norm(reference)
        assert error <= tolerance
    assert walking.mean_squared_row_norm() == pytest.approx(
        stored.mean_squared_row_norm(), rel=1e-5
    )


@each_transform
def test_rays_are_those_of_odl(name):
    geometry = TRANSFORMS[name]().geometry
    rays = Rays.of_geometry(geometry)
    n_bins = len(rays.surface)
    views = geometry.motion_grid.points()
    bins = geometry.det_grid.points()
    for ray in np.random.RandomState(0).choice(len(rays), 20, replace=False):
        view, place = views[ray // n_bins], bins[ray % n_bins]
        view = view[0] if len(view) == 1 else view
        place = place[0] if len(place) == 1 else place
        point, direction = (tensor[0] for tensor in rays.between(ray, ray + 1))
        np.testing.assert_allclose(
            point, np.squeeze(geometry.det_point_position(view, place)), atol=1e-12
        )
        expected = np.squeeze(geometry.det_to_src(view, place))
        cosine = direction.numpy() @ expected / np.linalg.norm(expected)
        assert abs(cosine) == pytest.approx(1, abs=1e-12)


def soft_disc(shape, centre, radius, spacing):
    """Return a disc or ball, with edges averaged over 5 points along each axis."""
    fine = [
        ((np.arange(5 * n) + 0.5) / 5 - n / 2) * spacing - c
        for n, c in zip(shape, centre, strict=True)
    ]
    distance = sum(a**2 for a in np.meshgrid(*fine, indexing="ij", sparse=True))
    inside = (distance <= radius**2).astype(float)
    blocks = inside.reshape([k for n in shape for k in (n, 5)])
    return blocks.mean(axis=tuple(range(1, 2 * len(shape), 2)))


def chord_lengths(operator, centre, radius):
    """Return the exact integrals through a disc, from ODL's own rays."""
    rays = Rays.of_geometry(operator.geometry(), operator._angles_rad)
    points, directions = (tensor.numpy() for tensor in rays.between(0, len(rays)))
    offset = points - centre
    along = np.sum(offset * directions, axis=1)
    distance = np.sum(offset**2, axis=1) - along**2
    chords = 2 * np.sqrt(np.maximum(radius**2 - distance, 0))
    return chords.reshape(operator.measurement_shape)


@pytest.mark.parametrize(
    "operator",
    [
        ParallelBeamCT(30, (80, 70), pixel_size=0.1),
        FanBeamCT(
            30, (80, 70), pixel_size=0.1, source_distance=12, detector_distance=6
        ),
        FanBeamCT(
            30,
            (80, 70),
            pixel_size=0.1,
            source_distance=12,
            detector_distance=6,
            detector="curved",
            memory_budget=0,
        ),
    ],
    ids=["parallel", "fan", "curved fan, matrix-free"],
)
def test_line_integrals_of_a_disc(operator):
    x, y, radius = 0.9, 0.5, 2.0
    # Rows run downwards: y in ODL's axes is minus the row coordinate.
    image = soft_disc((80, 70), (-y, x), radius, 0.1)
    measured = operator.measure(image[None])[0]
    expected = chord_lengths(operator, (x, y), radius)
    assert np.linalg.norm(measured - expected) <= 0.015 * np.linalg.norm(expected)
    assert measured.max() == pytest.approx(2 * radius, rel=0.01)


def test_line_integrals_of_a_gaussian_in_a_cone_beam():
    space = odl_space(24, 22, 20)
    geometry = tomo.cone_beam_geometry(space, 20, 10, num_angles=5, det_shape=(21, 19))
    operator = ODLOperator(
        tomo.RayTransform(space, geometry, impl="skimage"), memory_budget=0
    )
    centre, sigma = np.array([0.7, -0.5, 0.4]), 1.0
    x, y, z = space.meshgrid
    squared = (x - centre[0]) ** 2 + (y - centre[1]) ** 2 + (z - centre[2]) ** 2
    rays = Rays.of_geometry(geometry)
    points, directions = (tensor.numpy() for tensor in rays.between(0, len(rays)))
    offset = points - centre
    distance = np.sum(offset**2, axis=1) - np.sum(offset * directions, axis=1) ** 2
    expected = np.sqrt(2 * np.pi) * sigma * np.exp(-distance / (2 * sigma**2))
    image = np.exp(-squared / (2 * sigma**2))
    measured = operator.measure(image[None])[0].ravel()
    # Interpolation blurs by about spacing²/12 across the ray, 2 % of sigma².
    assert np.linalg.norm(measured - expected) <= 0.03 * np.linalg.norm(expected)


def test_memory_budget_decides_at_the_documented_size():
    # 16 bytes for each of 3 · 9 rays that meet at most 2 · 6 pixels; no symmetry.
    size = 16 * 3 * 9 * 2 * 6
    for budget, stored in [(size, True), (size - 1, False)]:
        operator = ParallelBeamCT(
            angles=[1, 5, 80],
            image_shape=(6, 6),
            n_bins=9,
            detector_offset=0.1,
            memory_budget=budget,
        )
        projector = operator._constants.like(torch.empty(0)).projector
        assert hasattr(projector, "A") == stored


def test_matrix_has_no_zeros_and_rows_of_the_right_length():
    operator = ParallelBeamCT(3, (9, 9), angles=[0, 90, 30])
    A = operator._constants.like(torch.empty(0)).projector.A
    assert (A.values() != 0).all()
    # A ray along the columns meets every row once.
    unit = torch.zeros((1, 1, *operator.measurement_shape))
    unit[0, 0, 0, operator.measurement_shape[1] // 2] = 1
    row = operator.adjoint(unit)
    assert row.sum() == pytest.approx(9)
    assert math.isclose(float(row.max()), 1.0)
