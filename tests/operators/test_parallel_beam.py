"""Parallel-beam CT against analytic facts, ODL and scikit-image."""

import numpy as np
import pytest
import torch

from sklearn_ei.datasets import make_thorax_phantoms
from sklearn_ei.metrics import psnr
from sklearn_ei.operators import FanBeamCT, ParallelBeamCT
from sklearn_ei.utils.odl import import_odl

odl, tomo = import_odl()


def relative_error(result, reference):
    return np.linalg.norm(result - reference) / np.linalg.norm(reference)


def smooth_image(size):
    v, u = np.mgrid[-1 : 1 : size * 1j, -1 : 1 : size * 1j]
    return np.exp(-((u - 0.2) ** 2 + (v + 0.1) ** 2) / 0.08)


def odl_ray_transform(operator):
    # The backend's own detector is half a bin off where ⌈√2·size⌉ is even.
    height, width = np.array(operator.image_shape) * (operator.pixel_size or 1.0) / 2
    space = odl.uniform_discr(
        [-width, -height], [width, height], operator.image_shape[::-1]
    )
    return tomo.RayTransform(space, operator.geometry(), impl="skimage")


@pytest.mark.parametrize("pixel_size", [1.0, 0.3])
def test_agrees_with_odl(pixel_size):
    operator = ParallelBeamCT(30, (43, 43), pixel_size=pixel_size)
    transform = odl_ray_transform(operator)
    image = smooth_image(43)
    expected = transform(np.rot90(image, -1)).asarray()
    assert relative_error(operator.measure(image[None])[0], expected) <= 0.01


def test_fbp_agrees_with_odl_on_smooth_images():
    operator = ParallelBeamCT(60, (43, 43), n_refinements=0)
    y = operator.measure(smooth_image(43)[None])
    expected = tomo.fbp_op(odl_ray_transform(operator))(y[0].astype(float)).asarray()
    ours = operator.reconstruct(y)[0]
    # ODL samples |f| in frequency, which takes the mean of each view.
    ours, expected = ours - ours.mean(), np.rot90(expected, 1)
    assert relative_error(ours, expected - expected.mean()) <= 0.05


def test_agrees_with_radon_and_iradon():
    transform = pytest.importorskip("skimage.transform")
    angles = np.arange(45) * 4.0
    inside = np.hypot(*(np.indices((63, 63)) - 31)) < 30
    image = smooth_image(63) * inside
    operator = ParallelBeamCT(
        angles=angles, image_shape=(63, 63), n_bins=63, n_refinements=0
    )
    sinogram = transform.radon(image, theta=angles, circle=True)
    assert relative_error(operator.measure(image[None])[0], sinogram.T) <= 0.01
    expected = transform.iradon(sinogram, theta=angles, circle=True)
    ours = operator.reconstruct(sinogram.T[None])[0]
    assert relative_error(ours[inside], expected[inside]) <= 0.03


def test_views_at_0_and_90_degrees_are_column_and_row_sums():
    image = np.arange(12.0).reshape(1, 3, 4)
    operator = ParallelBeamCT(
        angles=[90, 0], image_shape=(3, 4), n_bins=5, pixel_size=2.0
    )
    rows, columns = operator.measure(image)[0]
    np.testing.assert_allclose(rows[1:4], 2 * image[0].sum(axis=1)[::-1], rtol=1e-6)
    # Four columns lie between the five bins, half a bin off.
    expected = np.convolve(2 * image[0].sum(axis=0), [0.5, 0.5])
    np.testing.assert_allclose(columns, expected, rtol=1e-6)


def test_offset_detector_sees_what_a_wider_one_sees_there():
    image = make_thorax_phantoms(1, (24, 24), random_state=0)
    wide = ParallelBeamCT(8, (24, 24), n_bins=41).measure(image)
    moved = ParallelBeamCT(8, (24, 24), n_bins=35, detector_offset=3.0).measure(image)
    np.testing.assert_allclose(moved, wide[:, :, 6:], atol=1e-5)


SCANS = {
    "half turn": ({"n_views": 60}, 34),
    "full turn": ({"angles": np.arange(120) * 3.0}, 34),
    "odd full turn": ({"angles": np.arange(121) * 360 / 121}, 34),
    "uneven": ({"angles": np.r_[np.arange(0, 90, 2), np.arange(90, 180, 4)]}, 30),
    "full turn, detector aside": (
        {"angles": np.arange(120) * 3.0, "n_bins": 69, "detector_offset": 14.3},
        34,
    ),
    "full turn, detector a little off": (
        {"angles": np.arange(120) * 3.0, "detector_offset": -2.3},
        34,
    ),
    "limited angle": ({"angles": np.arange(40) * 3.0}, 19),
}


@pytest.mark.parametrize("scan", SCANS)
def test_fbp_quality(scan):
    parameters, decibels = SCANS[scan]
    images = make_thorax_phantoms(2, (48, 48), random_state=0)
    operator = ParallelBeamCT(image_shape=(48, 48), n_refinements=1, **parameters)
    reconstructed = operator.reconstruct(operator.measure(images))
    assert np.mean(psnr(images, reconstructed)) >= decibels


@pytest.mark.parametrize(
    ("parameters", "scale"),
    [
        ({}, 1.0),
        ({"bin_size": 0.4}, 1.0),
        ({"bin_size": 0.4, "pixel_size": 0.3}, 4 / 3),
        ({"detector_offset": 3.3}, 1.0),
        ({"bin_size": 0.4, "detector_offset": -0.5}, 1.0),
    ],
)
def test_open_shapes_cover_what_the_detector_sees(parameters, scale):
    operator = ParallelBeamCT(5, **parameters)
    aside = abs(parameters.get("detector_offset", 0)) / parameters.get("bin_size", 1)
    for n_bins in (1, 2, 3, 47, 64, 93, 128, 183):
        y = np.ones((1, 5, n_bins))
        image = operator.reconstruct(y)
        assert operator.measure(-image).shape == y.shape
        seen = (n_bins + 2 * aside) * scale  # across, in pixels
        assert seen - 1e-6 <= image.shape[1] == image.shape[2] < seen + 1


@pytest.mark.parametrize("kind", ["parallel", "fan"])
@pytest.mark.parametrize("n_channels", [None, 2])
def test_corners_that_an_open_operator_does_not_see_are_told(kind, n_channels):
    def scanner(image_shape=None):
        if kind == "parallel":
            return ParallelBeamCT(7, image_shape)
        return FanBeamCT(7, image_shape, source_distance=99.0, detector_distance=9.0)

    images = np.zeros((2, 20, 20))
    images[:, 5:15, 5:15] = 1
    images[1, 0, 0] = 4  # of 204
    if n_channels:
        images = np.stack([images] * n_channels, axis=-1)
    scanner().measure(images)
    scanner().measure(-100 * images)
    images[1, :2, :2] = 1
    images[1, -1, -1] = 1  # 5 of 205
    with pytest.warns(
        UserWarning,
        match=r"without image_shape measures images of \(20, 20\) .*on 20 bins, and "
        r"2\.4%.* pass image_shape=\(20, 20\)",
    ) as told:
        scanner().measure(images)
    assert told[0].filename == __file__
    if kind == "parallel":  # all of the image is in every view, then
        totals = scanner((20, 20)).measure(images)[1].sum(axis=1)
        expected = np.broadcast_to(images[1].sum(axis=(0, 1)), totals.shape)
        np.testing.assert_allclose(totals, expected, rtol=0.03)


def test_a_disc_at_the_edge_of_the_detector_is_not_cut_off():
    # Around (20, 0), of radius 8: it touches the shadow of the outermost bins.
    row, column = np.mgrid[-27.5:28, -27.5:28]
    image = (np.hypot(row, column - 20) <= 7.5).astype(float)[None]
    y = ParallelBeamCT(90, (56, 56), n_bins=56).measure(image)
    operator = ParallelBeamCT(90, n_refinements=20)
    misfit = operator.measure(operator.reconstruct(y)) - y
    assert np.linalg.norm(misfit) <= 0.02 * np.linalg.norm(y)


@pytest.mark.parametrize(("size", "n_bins"), [(1, 3), (32, 47), (64, 93), (128, 183)])
def test_default_bins_cover_the_diagonal(size, n_bins):
    assert ParallelBeamCT(5, (size, size)).measurement_shape == (5, n_bins)
    half = ParallelBeamCT(5, (size, size), pixel_size=0.5)
    assert half.measurement_shape == (5, n_bins)


def test_a_pixel_is_a_bin_unless_told_otherwise():
    operator = ParallelBeamCT(angles=[0.0], bin_size=0.4)
    y = operator.measure(-np.ones((1, 10, 10)))
    np.testing.assert_allclose(y, -4.0, rtol=1e-6)


def test_geometry_is_that_of_odl():
    operator = ParallelBeamCT(6, (8, 8), bin_size=0.5, detector_offset=1.0)
    geometry = operator.geometry()
    assert isinstance(geometry, tomo.Parallel2dGeometry)
    np.testing.assert_allclose(geometry.angles, np.arange(6) * np.pi / 6)
    np.testing.assert_allclose(geometry.det_partition.cell_sides, 0.5)
    np.testing.assert_allclose(geometry.det_partition.mid_pt, 1.0)


def test_clones_share_their_matrices():
    first, second = (ParallelBeamCT(7, (9, 9)) for _ in range(2))
    like = torch.empty(0)
    projectors = [op._constants.like(like).projector for op in (first, second)]
    assert projectors[0].A is projectors[1].A


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"n_views": 0}, "n_views"),
        ({"pixel_size": 0.0}, "pixel_size"),
        ({"bin_size": -1.0}, "bin_size"),
        ({"filter": "ramp"}, "filter='ramp'"),
        ({"angles": [[0, 1]]}, "1-D array of finite angles"),
        ({"angles": [0, np.nan]}, "1-D array of finite angles"),
        ({"n_bins": 0}, "n_bins"),
        ({"n_refinements": -1}, "n_refinements"),
        ({"memory_budget": "much"}, "memory_budget='much'"),
        ({"memory_budget": -1}, "memory_budget=-1"),
        ({"image_shape": (8,)}, "image_shape"),
    ],
)
def test_bad_parameters_are_refused(parameters, message):
    operator = ParallelBeamCT(**{"image_shape": (8, 8), **parameters})
    with pytest.raises(ValueError, match=message):
        operator.resolve()


def test_bad_measurements_are_refused():
    with pytest.raises(ValueError, match=r"shape \(6, 9\), but expected \(5, n_bins\)"):
        ParallelBeamCT(5).resolve(measurement_shape=(6, 9))
    with pytest.raises(TypeError, match="detector_offset"):
        ParallelBeamCT(5, (8, 8), detector_offset="left").resolve()


@pytest.mark.parametrize(
    ("memory", "n_bytes"),
    [(1000, 1e3), ("2 GB", 2e9), ("1.5MiB", 1.5 * 2**20), ("3 kb", 3e3), ("7B", 7)],
)
def test_memory_has_units(memory, n_bytes):
    from sklearn_ei.utils.params import check_memory

    assert check_memory("memory", memory) == n_bytes


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("n_samples", [1, 2, 4, 5])
def test_a_single_pixel_in_batches_of_any_size(n_samples, dtype):
    operator = ParallelBeamCT(3, image_shape=(1, 1)).resolve()
    x = torch.arange(1, n_samples + 1, dtype=dtype).reshape(-1, 1, 1, 1)
    y = operator.forward(x)
    assert float(y.sum()) > 0
    torch.testing.assert_close(y, x * operator.forward(torch.ones_like(x[:1])))
