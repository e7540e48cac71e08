"""Fan-beam CT: geometry, weights and reconstruction."""

import numpy as np
import pytest

from sklearn_ei.datasets import make_thorax_phantoms
from sklearn_ei.metrics import psnr
from sklearn_ei.operators import FanBeamCT, ParallelBeamCT
from sklearn_ei.utils.odl import import_odl

odl, tomo = import_odl()

SHAPE = (48, 48)


def fan(n_views=120, source_distance=80, detector_distance=40, **parameters):
    return FanBeamCT(
        None if "angles" in parameters else n_views,
        SHAPE,
        source_distance=source_distance,
        detector_distance=detector_distance,
        **parameters,
    )


@pytest.mark.parametrize("detector", ["flat", "curved"])
def test_a_distant_source_gives_parallel_beams(detector):
    images = make_thorax_phantoms(1, SHAPE, random_state=0)
    operator = fan(12, 1e6, 0, detector=detector, n_bins=69)
    # Bins increase to the right in both; the fan makes a full turn.
    parallel = ParallelBeamCT(
        image_shape=SHAPE, n_bins=69, angles=np.arange(12) * 30.0
    ).measure(images)
    difference = operator.measure(images) - parallel
    assert np.linalg.norm(difference) <= 1e-3 * np.linalg.norm(parallel)


def test_opposite_views_measure_the_same_line():
    images = make_thorax_phantoms(1, SHAPE, random_state=0)
    width = np.deg2rad(1.0) * 120  # of bins that are one degree apart
    operator = fan(360, detector="curved", n_bins=41, bin_size=width)
    y = operator.measure(images)[0]
    for view, bin_ in [(10, 5), (200, 30), (77, 20)]:
        gamma = bin_ - 20
        again = y[(view + 180 - 2 * gamma) % 360, 40 - bin_]
        assert again == pytest.approx(y[view, bin_], rel=1e-4, abs=1e-4)


SCANS = {
    "full": ({}, 36),
    "wide fan": ({"source_distance": 45}, 36),
    "curved": ({"detector": "curved"}, 36),
    "short": ({"scan": "short"}, 36),
    "curved and short": ({"scan": "short", "detector": "curved"}, 36),
    "three quarters": ({"angles": np.arange(90) * 3.0 + 45}, 36),
    "unordered": ({"angles": np.random.RandomState(0).permutation(120) * 3.0}, 36),
    "detector aside": ({"detector_offset": 24.0}, 36),
    "limited angle": ({"angles": np.arange(40) * 3.0}, 19),
}


@pytest.mark.parametrize("scan", SCANS)
def test_reconstruction_quality(scan):
    parameters, decibels = SCANS[scan]
    images = make_thorax_phantoms(2, SHAPE, random_state=0)
    operator = fan(**parameters).set_params(n_refinements=1)
    y = operator.measure(images)
    assert np.mean(psnr(images, operator.reconstruct(y))) >= decibels
    # Refinement hides wrong factors: the plain FBP has the mean of one without
    # any, that of a parallel beam.
    plain = operator.set_params(n_refinements=0).reconstruct(y)
    parallel = ParallelBeamCT(120, SHAPE)
    expected = parallel.reconstruct(parallel.measure(images))
    inside = images > 0.1
    if scan != "limited angle":
        assert plain[inside].mean() == pytest.approx(expected[inside].mean(), rel=0.01)


@pytest.mark.parametrize("scan", ["full", "short"])
def test_refinement_converges(scan):
    images = make_thorax_phantoms(1, SHAPE, random_state=0)
    operator = fan(80, 45, scan=scan)
    y = operator.measure(images)
    errors = [
        np.linalg.norm(operator.measure(x) - y)
        for n in (0, 1, 5, 40)
        for x in [operator.set_params(n_refinements=n).reconstruct(y)]
    ]
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] <= 0.05 * errors[0]


@pytest.mark.parametrize("detector", ["flat", "curved"])
@pytest.mark.parametrize("offset", [0.0, -7.3])
def test_open_shapes_cover_what_the_detector_sees(detector, offset):
    operator = FanBeamCT(
        6,
        source_distance=60.0,
        detector_distance=30.0,
        bin_size=0.6,
        detector_offset=offset,
        detector=detector,
    )
    edge_of = np.arctan if detector == "flat" else float
    for n_bins in (1, 2, 39, 40, 65, 66):
        y = np.ones((1, 6, n_bins))
        image = operator.reconstruct(y)
        assert operator.measure(-image).shape == y.shape
        # A bin is 0.4 wide at the axis, and so is a pixel.
        reach = 60 * np.sin(edge_of((n_bins * 0.3 + abs(offset)) / 90))
        assert image.shape[1] * 0.4 >= 2 * reach - 1e-6
        assert image.shape[1] * 0.4 <= (n_bins * 0.6 + 2 * abs(offset)) / 1.5 + 0.4


def test_an_open_image_leaves_the_source_outside():
    operator = FanBeamCT(6, source_distance=30.0).resolve(measurement_shape=(6, 60))
    assert operator.image_shape == (42, 42)  # 42·√2/2 = 29.7


@pytest.mark.parametrize("detector", ["flat", "curved"])
@pytest.mark.parametrize("size", [16, 33, 48])
def test_default_bins_cover_the_image(detector, size):
    parameters = {"source_distance": 60.0, "detector_distance": 7.0}
    operator = FanBeamCT(5, (size, size), detector=detector, **parameters)
    # The outermost bins see nothing of the image, or a corner at most.
    sinogram = operator.measure(np.ones((1, size, size)))
    assert sinogram[0, :, [0, -1]].max() <= 2


def test_geometry_is_that_of_odl():
    geometry = fan(6, detector="curved", detector_offset=12.0).geometry()
    assert isinstance(geometry, tomo.FanBeamGeometry)
    assert (geometry.src_radius, geometry.det_radius) == (80, 40)
    assert geometry.det_curvature_radius == 120
    np.testing.assert_allclose(geometry.det_partition.mid_pt, 0.1)
    np.testing.assert_allclose(geometry.angles, np.arange(6) * np.pi / 3)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"source_distance": 0}, "source_distance"),
        ({"source_distance": 30}, "inside the circle around images"),
        ({"detector_distance": -1}, "detector_distance"),
        ({"detector": "round"}, "detector='round'"),
        ({"scan": "half"}, "scan='half'"),
        ({"filter": None}, "filter=None"),
        ({"bin_size": 0}, "bin_size"),
        ({"angles": np.zeros((2, 2))}, "1-D array of finite angles"),
        ({"n_bins": 0}, "n_bins"),
        ({"memory_budget": "4"}, "memory_budget='4'"),
    ],
)
def test_bad_parameters_are_refused(parameters, message):
    with pytest.raises(ValueError, match=message):
        fan(**parameters).resolve()


def test_bad_measurements_are_refused():
    with pytest.raises(ValueError, match=r"but expected \(120, n_bins\)"):
        FanBeamCT(120, source_distance=80).resolve(measurement_shape=(5, 9))
