"""Stuck bins are found, and what objects and air do is no stuck bin."""

import numpy as np
import pytest

from sklearn_ei.datasets import make_thorax_phantoms
from sklearn_ei.operators import FanBeamCT, ParallelBeamCT
from sklearn_ei.utils.stuck import constant_along, find_stuck

SIZE = 40
IMAGES = make_thorax_phantoms(4, (SIZE, SIZE), random_state=0)
BEAM = 2e4
OFFSET = 2.3


def counted(operator, images, largest=4.0, photons=BEAM, seed=0):
    Y = operator.measure(images)
    mean = photons * np.exp(-Y * (largest / Y.max()))
    return np.random.default_rng(seed).poisson(mean).astype(float)


def logarithm(counts, photons=BEAM):
    return -np.log(np.maximum(counts / photons, 1e-4)).astype(np.float32)


@pytest.fixture(scope="module")
def counts():
    scanner = ParallelBeamCT(30, (SIZE, SIZE), n_bins=66, detector_offset=OFFSET)
    return counted(scanner, IMAGES)


AXIS = 65 / 2 - OFFSET


@pytest.mark.parametrize("reading", [0, 500, 5000, 65535])
@pytest.mark.parametrize("number", [0, 3, 31, 40, 65])
def test_single_bins_are_found_wherever_they_are(counts, reading, number):
    counts = counts.copy()
    counts[:, :, number] = reading
    found = find_stuck(logarithm(counts), AXIS)
    at_an_end = number in (0, 65) and reading == 5000  # little more than air
    expected = np.zeros((4, 66), bool)
    expected[:, number] = not at_an_end
    np.testing.assert_array_equal(found.bins, expected)
    assert not found.views.any()


def test_which_sample_neighbours_and_lost_views(counts):
    counts = counts.copy()
    counts[1, :, 20] = 0
    counts[:, :, 50:52] = 0
    counts[2, :, 8:15] = 0  # a gap between two tiles of the detector
    counts[3, 7] = 0
    counts[0, [4, 9], 50] = 3  # dark noise, now and then
    found = find_stuck(logarithm(counts), AXIS)
    expected = np.zeros((4, 66), bool)
    expected[1, 20] = expected[:, 50:52] = expected[2, 8:15] = True
    np.testing.assert_array_equal(found.bins, expected)
    np.testing.assert_array_equal(np.argwhere(found.views), [[3, 7]])
    np.testing.assert_array_equal(
        found.mask, found.views[:, :, None] | expected[:, None]
    )
    assert found.names == (
        "bins 8, 9, 10, 11, 12, 13 and 4 others of some samples and view 7 of sample 3"
    )


@pytest.mark.parametrize("noise", [0.0, 0.01])
@pytest.mark.parametrize("lost", [[7], [7, 8, 29]])
@pytest.mark.parametrize("kind", ["parallel", "fan"])
def test_views_of_nothing_but_air_are_lost(kind, lost, noise):
    scanner = ParallelBeamCT(30, (SIZE, SIZE))
    if kind == "fan":
        scanner = FanBeamCT(30, (SIZE, SIZE), source_distance=1.5 * SIZE)
    Y = scanner.measure(IMAGES)
    rng = np.random.default_rng(0)
    Y = Y + noise * Y.max() * rng.standard_normal(Y.shape).astype(np.float32)
    Y[:, lost] = 0
    expected = np.zeros((4, 30), bool)
    expected[:, lost] = True
    Y[:2, lost, 3] = np.nan  # so is what is left of a view
    found = find_stuck(Y)
    np.testing.assert_array_equal(found.views, expected)
    assert found.numbers == f"views={lost}"


def test_edge_on_plates_and_empty_samples_are_no_lost_views():
    plate = np.zeros((1, SIZE, SIZE))
    plate[0, SIZE // 2, 4:-4] = 1
    Y = ParallelBeamCT(30, (SIZE, SIZE)).measure(plate)
    assert (Y[0] == 0).mean(axis=1).max() > 0.9  # in a view along the plate
    assert not find_stuck(Y)
    coarse = ParallelBeamCT(12, (SIZE, SIZE), n_bins=21, bin_size=3, pixel_size=1)
    between = np.zeros((1, SIZE, SIZE))
    between[0, SIZE // 2 + 1, 4:-4] = 1
    assert (coarse.measure(between) == 0).all(axis=2).any()  # between two rays
    assert not find_stuck(coarse.measure(between))
    assert not find_stuck(np.zeros_like(Y))
    Y[:, 5:] = 0  # what passes through the field, seen by a few
    assert not find_stuck(Y)


def test_objects_that_leave_the_sight_of_a_narrow_detector_are_no_lost_views():
    y, x = np.mgrid[:SIZE, :SIZE] - (SIZE - 1) / 2
    disc = (np.hypot(y - 11, x - 2) < 4).astype(float)[None]
    around = np.arange(60) * 6.0
    for scanner in (
        ParallelBeamCT(angles=around, image_shape=(SIZE, SIZE), n_bins=12),
        ParallelBeamCT(
            angles=around, image_shape=(SIZE, SIZE), n_bins=32, detector_offset=11
        ),
        FanBeamCT(60, (SIZE, SIZE), source_distance=60, n_bins=36, detector_offset=12),
    ):
        Y = scanner.measure(disc)
        assert (Y == 0).all(axis=2).any()
        assert not find_stuck(Y)


def test_area_detectors():
    """Bins turn with the views, rows are along the axis; layers are no bins."""
    layers = np.repeat(IMAGES[:1, :, :, None], 12, axis=3)
    layers[..., [3, 4, 8]] = 0  # but not the first and the last: it is longer
    scanner = ParallelBeamCT(30, (SIZE, SIZE))
    Y = np.stack([scanner.measure(layers[..., v]) for v in range(12)], axis=-1)
    swapped = np.swapaxes(Y, 2, 3)
    for right, bin_axis in ((Y, 0), (swapped, 1)):
        assert not find_stuck(right, None, bin_axis)
        data = right.copy()
        pixel = (20, 6) if bin_axis == 0 else (6, 20)
        data[:, :, *pixel] = 0
        data[:, 7] = 0
        found = find_stuck(data, None, bin_axis)
        assert np.argwhere(found.bins[0]).tolist() == [list(pixel)]
        assert np.argwhere(found.views).tolist() == [[0, 7]]
        assert found.names == f"pixel {pixel} and view 7"
        assert found.numbers is None
        assert found.mask.shape == data.shape
        assert found.mask[:, 7].all()
        assert found.mask[:, :, *pixel].all()
        assert found.mask.sum() == data[0, 0].size + 29


def test_words(counts):
    counts = counts.copy()
    counts[:, :, [30, 45]] = 0
    found = find_stuck(logarithm(counts), AXIS)
    assert found.names == "bins 30 and 45"
    assert found.numbers == "bins=[30, 45]"
    assert not found.is_alone
    counts[1:, :, 45], counts[:, :, 30] = 100 + np.arange(30), 200 - np.arange(30)
    found = find_stuck(logarithm(counts), AXIS)
    assert (found.names, found.numbers) == ("bin 45 of sample 0", None)
    assert found.is_alone


def test_what_is_nan_is_not_looked_at(counts):
    Y = logarithm(counts)
    Y[:, :, 30], Y[:, [3, 8, 9]] = np.nan, np.nan
    assert not find_stuck(Y, AXIS)
    Y[:, :, 31] = 3.0  # beside one that is masked
    Y[:, [3, 8, 9]] = np.nan
    assert np.argwhere(find_stuck(Y, AXIS).bins)[:, 1].tolist() == [31] * 4
    assert not find_stuck(np.full((2, 30, 20), np.nan), 10)


def objects():
    """Yield images of what may read the same in all views, or none."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:SIZE, :SIZE] - (SIZE - 1) / 2
    middle = slice(SIZE // 2 - 1, SIZE // 2 + 1)
    yield "thorax", IMAGES, 4
    yield "pins", (rng.random((3, SIZE, SIZE)) > 0.995).astype(float), 4
    rod = np.zeros((1, SIZE, SIZE))
    rod[:, middle, middle] = 100
    yield "opaque rod alone", rod, 30
    yield "opaque rod inside", IMAGES[:2] + rod, 30
    wire = IMAGES[:2].copy()
    wire[:, 9, 22] = 100
    yield "thin wire", wire, 30
    disc = (np.hypot(x, y) < 0.35 * SIZE).astype(float)[np.newaxis]
    yield "disc on the axis", disc, 6
    tube = disc - (np.hypot(x, y) < 0.3 * SIZE)
    yield "tube on the axis", tube, 6
    disc = disc.copy()
    disc[:, 22:24, 23:25] = 3
    yield "disc with a speck", disc, 6


@pytest.mark.parametrize(
    ("name", "images", "largest"), [pytest.param(*o, id=o[0]) for o in objects()]
)
def test_objects_and_air_are_left_in_peace(name, images, largest):
    rng = np.random.default_rng(1)
    shape = SIZE, SIZE
    for n in (1, 2, 4, 8, 9, 20, 45):
        scanners = (
            ParallelBeamCT(n, shape),
            FanBeamCT(n, shape, source_distance=1.5 * SIZE),
            ParallelBeamCT(
                angles=np.arange(n) * 360 / n,
                image_shape=shape,
                n_bins=25,
                detector_offset=10,
            ),
        )
        for scanner in scanners:
            Y = scanner.measure(images)
            mean = np.exp(-Y * (largest / max(Y.max(), 1e-9)))
            noise = 0.05 * Y.max() * rng.standard_normal(Y.shape)
            axis_bin = (Y.shape[-1] - 1) / 2 - scanner.detector_offset
            for kind, data in {
                "noise-free": Y,
                "positive": np.maximum(Y + noise, 0),
                "cut off": np.minimum(Y, 0.6 * Y.max()),
                "whole counts": logarithm(np.round(BEAM * mean)),
                "photons": logarithm(rng.poisson(BEAM * mean)),
                "few photons": logarithm(rng.poisson(50 * mean), 50),
                "next to none": logarithm(rng.poisson(5 * mean), 5),
            }.items():
                found = find_stuck(data.astype(np.float32), axis_bin)
                assert not found, (n, scanner, kind, found.names)


def test_equal_along_an_axis():
    Y = np.array([[1.0, 2.0, np.nan], [1.0, 3.0, np.nan], [np.nan, 3.0, 4.0]])
    assert constant_along(Y, 0).tolist() == [[True, False, False]]
    assert constant_along(Y, 1).tolist() == [[False], [False], [False]]


@pytest.mark.parametrize("reach", [5, 20])
def test_air_between_rods_of_a_narrow_scan_is_not_stuck(reach):
    rows, columns = np.indices((32, 32))
    rods = sum(np.hypot(rows - 15.5, columns - at) <= 2 for at in (6, 25))
    angles = np.linspace(-reach, reach, 24)
    Y = ParallelBeamCT(angles=angles, image_shape=(32, 32)).measure(rods[None] * 1.0)
    Y = np.maximum(Y - 0.05 * Y.max(), 0)
    assert not find_stuck(Y)
    Y[:, :, Y.mean((0, 1)).argmax()] = 0
    assert find_stuck(Y).bins.sum() == 1
