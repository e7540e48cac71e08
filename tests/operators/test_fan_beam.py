"""Fan-beam CT: geometry, weights and reconstruction."""

import numpy as np
import pytest

from sklearn_ei.datasets import make_thorax_phantoms
from sklearn_ei.metrics import psnr
from sklearn_ei.operators import FanBeamCT, ParallelBeamCT
from sklearn_ei.operators._filters import full_turn_weights, parker_weights
from sklearn_ei.utils.odl import import_odl

odl, tomo = import_odl()

SHAPE = (48, 48)


def fan(n_views=120, source_distance=80, detector_distance=40, **parameters):
    return FanBeamCT(
        n_views,
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
    "limited angle": ({"angles": np.arange(40) * 3.0}, 20),
}


@pytest.mark.parametrize("scan", SCANS)
def test_reconstruction_quality(scan):
    parameters, decibels = SCANS[scan]
    images = make_thorax_phantoms(2, SHAPE, random_state=0)
    operator = fan(**parameters).set_params(n_refinements=1)
    y = operator.measure(images)
    assert np.mean(psnr(images, operator.reconstruct(y))) >= decibels
    plain = operator.set_params(n_refinements=0).reconstruct(y)
    inside = images > 0.1
    # Refinement hides wrong factors: the plain FBP has the right mean as well.
    if scan != "limited angle":
        assert plain[inside].mean() == pytest.approx(images[inside].mean(), rel=0.07)


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


@pytest.mark.parametrize("turn", [200, 240, 300, 359])
def test_parker_weights_of_both_measurements_add_up_to_one(turn):
    turn = np.deg2rad(turn)
    gamma = np.deg2rad(np.linspace(-10, 10, 21))
    views = (np.arange(60) + 0.5) * turn / 60
    weights = parker_weights(views, gamma, turn)
    for column, angle in enumerate(gamma):
        again = views + np.pi - 2 * angle
        mirrored = parker_weights(again, gamma, turn)[:, 20 - column]
        twice = (again >= 0) & (again <= turn)
        earlier = views - np.pi - 2 * angle >= 0
        np.testing.assert_allclose((weights[:, column] + mirrored)[twice], 1)
        np.testing.assert_allclose(weights[~twice & ~earlier, column], 1)


def test_full_turn_weights():
    bins = np.arange(-10, 11.0)
    np.testing.assert_array_equal(full_turn_weights(bins, 8.0), 0.5)
    moved = bins + 6  # from -4 to 16, with edges at -4.5 and 16.5
    weights = full_turn_weights(moved, 12.0)
    inner = np.abs(moved) <= 4
    np.testing.assert_allclose(weights[inner] + weights[inner][::-1], 1)
    np.testing.assert_array_equal(weights[moved > 4.5], 1)
    np.testing.assert_allclose(full_turn_weights(-moved[::-1], 12.0), weights[::-1])


@pytest.mark.parametrize("detector", ["flat", "curved"])
@pytest.mark.parametrize("size", [16, 33, 48])
def test_image_size_and_bins_follow_from_each_other(detector, size):
    parameters = {"source_distance": 60.0, "detector_distance": 7.0}
    operator = FanBeamCT(5, (size, size), detector=detector, **parameters)
    again = FanBeamCT(5, detector=detector, **parameters)
    again = again.resolve(measurement_shape=operator.measurement_shape)
    assert again.measurement_shape == operator.measurement_shape
    assert abs(again.image_shape[0] - size) <= 1
    # The outermost bins see nothing of the image, or a corner at most.
    sinogram = again.measure(np.ones((1, *again.image_shape)))
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
    with pytest.raises(ValueError, match="too few"):
        FanBeamCT(5, source_distance=80).resolve(measurement_shape=(5, 2))
