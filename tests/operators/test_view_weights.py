"""Filtered back-projection keeps intensities, whatever the views."""

import numpy as np
import pytest

from sklearn_ei.datasets import make_thorax_phantoms
from sklearn_ei.metrics import psnr
from sklearn_ei.operators import FanBeamCT, ODLOperator, ParallelBeamCT
from sklearn_ei.operators._view_weights import (
    distance_weights,
    divide,
    opposite_rays,
    redundancy_weights,
)
from sklearn_ei.utils.odl import import_odl
from tests.cases import odl

SHAPE = (64, 64)
FAN = {"source_distance": 80.0, "detector_distance": 40.0}
DISC_RADIUS = 20


def disc():
    """Return a disc of ones, with edges averaged over 5 × 5 points a pixel."""
    fine = (np.arange(320) + 0.5) / 5 - 32
    inside = fine[:, None] ** 2 + fine**2 <= DISC_RADIUS**2
    return inside.reshape(64, 5, 64, 5).mean(axis=(1, 3))[None]


def value_of(operator, y=None):
    """Return the mean in the middle of the disc; right is 1."""
    y = operator.measure(disc()) if y is None else y
    return operator.reconstruct(y)[0, 24:40, 24:40].mean()


rng = np.random.RandomState(0)
HALF = {
    "even": np.arange(90) * 2.0,
    "even but not from 0": np.arange(90) * 2.0 - 77.7,
    "both ends": np.linspace(0, 180, 61),
    "1° then 3°": np.r_[np.arange(0, 90), np.arange(90, 180, 3)],
    "random": rng.uniform(0, 180, 90),
    "golden angle": np.arange(90) * 111.246117975,
    "repeated": np.repeat(np.arange(60) * 3.0, 3),
    "repeated nearly": np.repeat(np.arange(60) * 3.0, 3) + rng.uniform(0, 0.05, 180),
    "interlaced": np.r_[np.arange(0, 180, 4), np.arange(2, 180, 4)],
    "permuted": rng.permutation(90) * 2.0,
    "two lost": np.delete(np.arange(90) * 2.0, [44, 45]),
    "many lost": np.delete(np.arange(90) * 2.0, [3, 4, 5, 40, 60, 61]),
}
FULL = {
    "even full turn": np.arange(180) * 2.0,
    "odd full turn": np.arange(181) * 360 / 181,
    "random full turn": rng.uniform(0, 360, 180),
    "golden full turn": np.arange(150) * 137.507764,
    "1.5 turns": np.arange(270) * 2.0,
    "1.5 turns, odd": np.arange(271) * 540 / 271,
    "mixed steps": np.r_[np.arange(0, 100), np.arange(100, 360, 3)],
    "lost in a full turn": np.delete(np.arange(180) * 2.0, [0, 90, 91, 92, 178, 179]),
}
SCANS = {**HALF, **FULL}


@pytest.mark.parametrize("scan", SCANS)
def test_parallel_beams_keep_the_intensity(scan):
    operator = ParallelBeamCT(angles=SCANS[scan], image_shape=SHAPE)
    assert value_of(operator) == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize("detector", ["flat", "curved"])
@pytest.mark.parametrize("scan", SCANS)
def test_fans_keep_the_intensity(scan, detector):
    angles = SCANS[scan] * (2 if scan in HALF else 1)
    operator = FanBeamCT(angles=angles, image_shape=SHAPE, detector=detector, **FAN)
    assert value_of(operator) == pytest.approx(1, abs=0.02)


SHORT = {
    "short": {"scan": "short"},
    "short and curved": {"scan": "short", "detector": "curved"},
    "wide and short": {"scan": "short", "source_distance": 50.0},
    "three quarters": {"angles": np.arange(135) * 2.0 + 45},
    "nearly full": {"angles": np.arange(160) * 2.0 + 45},
    "random and short": {"angles": rng.uniform(0, 250, 150)},
    "1° then 3°, short": {"angles": np.r_[np.arange(110), np.arange(110, 250, 3)]},
}


@pytest.mark.parametrize("scan", SHORT)
def test_short_fans_keep_the_intensity(scan):
    n_views = None if "angles" in SHORT[scan] else 150
    operator = FanBeamCT(n_views, SHAPE, **{**FAN, **SHORT[scan]})
    assert value_of(operator) == pytest.approx(1, abs=0.02)
    # Everywhere, not only in the middle.
    quarters = operator.reconstruct(operator.measure(disc()))[0]
    for rows in (slice(16, 30), slice(34, 48)):
        for columns in (slice(20, 30), slice(34, 44)):
            assert quarters[rows, columns].mean() == pytest.approx(
                disc()[0, rows, columns].mean(), abs=0.03
            )


@pytest.mark.parametrize("scan", ["1° then 3°", "random full turn", "1.5 turns"])
@pytest.mark.parametrize("beam", ["parallel", "fan"])
def test_odl_geometries_keep_the_intensity(scan, beam):
    # ODL requires increasing angles.
    angles = np.sort(np.mod(SCANS[scan] * (2 if scan in HALF else 1), 360))
    make = {"parallel": ParallelBeamCT, "fan": FanBeamCT}[beam]
    ours = make(angles=angles, image_shape=SHAPE, **({} if beam == "parallel" else FAN))
    _, tomo = import_odl()
    space = odl.uniform_discr([-32, -32], [32, 32], SHAPE)
    operator = ODLOperator(tomo.RayTransform(space, ours.geometry(), impl="skimage"))
    assert value_of(operator) == pytest.approx(1, abs=0.02)


def test_only_one_gap_far_wider_than_all_others_is_a_limited_angle():
    degrees = np.pi / 180
    limited = divide(np.arange(40) * 3 * degrees, np.pi)
    assert not limited.is_closed
    np.testing.assert_allclose(limited.cells, 3 * degrees)
    assert limited.turn == pytest.approx(120 * degrees)
    assert limited.start == pytest.approx(-1.5 * degrees)
    # Two such gaps, or one that views were lost from, belong to their neighbours.
    for lost in ([slice(5, 25), slice(35, 55)], [slice(10, 22)]):
        keep = np.ones(60, dtype=bool)
        for some in lost:
            keep[some] = False
        scan = divide(np.arange(60)[keep] * 3 * degrees, np.pi)
        assert scan.is_closed
        assert scan.cells.sum() == pytest.approx(np.pi)


@pytest.mark.parametrize("scan", SCANS)
@pytest.mark.parametrize("period", [np.pi, 2 * np.pi])
def test_cells_add_up_to_the_circle(scan, period):
    angles = np.deg2rad(SCANS[scan])
    divided = divide(angles, period)
    assert divided.cells.sum() == pytest.approx(divided.turn)
    assert divided.is_closed == (period == np.pi or scan in FULL or "golden" in scan)


def test_cells_are_half_of_both_gaps():
    angles = np.array([0.1, 0.4, 1.5, 3.0])
    expected = [(0.3 + np.pi - 2.9) / 2, (0.3 + 1.1) / 2, (1.1 + 1.5) / 2]
    expected.append((1.5 + np.pi - 2.9) / 2)
    order = [2, 0, 3, 1]
    cells = divide(angles[order] + np.pi, np.pi).cells
    np.testing.assert_allclose(cells, np.array(expected)[order])


def test_one_view_and_equal_views():
    np.testing.assert_allclose(divide(np.array([0.3]), np.pi).cells, [np.pi])
    np.testing.assert_allclose(divide(np.full(4, 0.3), np.pi).cells, np.pi / 4)
    # Rounding on either side of 0.
    around = divide(np.array([-1e-17, 0.0, np.pi, 1.5]), np.pi).cells
    np.testing.assert_allclose(around, [np.pi / 6] * 3 + [np.pi / 2])


@pytest.mark.parametrize("gap", [20, 80])
def test_opposite_rays_of_a_fan_fill_a_gap(gap):
    views = np.arange(0, 360, 2.0)
    whole = FanBeamCT(angles=views, image_shape=SHAPE, **FAN)
    views = views[(views < 100) | (views > 100 + gap)]
    operator = FanBeamCT(angles=views, image_shape=SHAPE, **FAN)
    assert quality(operator) >= quality(whole) - 0.3


@pytest.mark.parametrize("jitter", [0.0, 0.02])
@pytest.mark.parametrize("beam", ["parallel", "fan"])
def test_noise_falls_by_the_root_of_the_number_of_copies(beam, jitter):
    angles = np.arange(60) * (3.0 if beam == "parallel" else 6.0)
    draw = np.random.RandomState(0)
    noise = {}
    for copies in (1, 4):
        views = np.repeat(angles, copies)
        views = views + draw.uniform(-jitter, jitter, len(views))
        if beam == "parallel":
            operator = ParallelBeamCT(angles=views, image_shape=SHAPE)
        else:
            operator = FanBeamCT(angles=views, image_shape=SHAPE, **FAN)
        operator = operator.resolve()
        y = draw.standard_normal((8, *operator.measurement_shape))
        noise[copies] = operator.reconstruct(y)[:, 16:48, 16:48].std()
    assert noise[4] == pytest.approx(noise[1] / 2, rel=0.05)


# --------------------------------------------------------- displaced detectors
def half_acquisition(overlap, beam="parallel", angles=None, side=1):
    """Return a full turn whose detector reaches ``overlap / 2`` beyond the axis."""
    angles = np.arange(0, 360, 2.0) if angles is None else angles
    edge = 46.5 if beam == "parallel" else 55.5  # of the shadow of the image
    n_bins = int(edge + overlap / 2)
    kwargs = {
        "angles": angles,
        "image_shape": SHAPE,
        "n_bins": n_bins,
        "detector_offset": side * (edge - n_bins / 2),
    }
    if beam == "parallel":
        return ParallelBeamCT(**kwargs)
    return FanBeamCT(source_distance=100, **kwargs)


def quality(operator):
    images = make_thorax_phantoms(2, SHAPE, random_state=0)
    return np.mean(psnr(images, operator.reconstruct(operator.measure(images))))


@pytest.mark.parametrize("overlap", [1, 3, 5, 10, 20])
def test_half_acquisition_is_as_good_as_stitching_by_hand(overlap):
    images = make_thorax_phantoms(2, SHAPE, random_state=0)
    operator = half_acquisition(overlap)
    y = operator.measure(images)
    # By hand: the opposite view, reversed, continues a view beyond its short edge.
    bins = np.arange(-46, 47)
    own = bins + operator.n_bins - 47
    again = -bins + operator.n_bins - 47
    stitched = np.where(own >= 0, y[:, :90][..., own], y[:, 90:][..., again])
    by_hand = ParallelBeamCT(90, SHAPE, n_bins=93)
    expected = np.mean(psnr(images, by_hand.reconstruct(stitched)))
    assert quality(operator) >= expected - 0.1
    assert value_of(operator) == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize("side", [1, -1])
@pytest.mark.parametrize("overlap", [1, 5, 20])
@pytest.mark.parametrize("n_views", [60, 61, 180])
def test_half_acquisition_with_fans(n_views, overlap, side):
    angles = np.arange(n_views) * 360 / n_views
    operator = half_acquisition(overlap, "fan", angles, side)
    # Both halves, on one detector.
    whole = FanBeamCT(angles=angles, image_shape=SHAPE, n_bins=111, source_distance=100)
    assert quality(operator) >= quality(whole) - 0.5
    assert value_of(operator) == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize("beam", ["parallel", "fan"])
def test_half_acquisition_between_bins(beam):
    operator = half_acquisition(7, beam)
    between = operator.set_params(detector_offset=operator.detector_offset - 0.2)
    assert quality(between) >= quality(half_acquisition(7, beam)) - 0.7


def test_half_acquisition_without_opposite_views():
    # The other half of each line lies between two views.
    angles = np.arange(181) * 360 / 181
    operator = half_acquisition(5, angles=angles)
    whole = ParallelBeamCT(angles=angles, image_shape=SHAPE)
    assert quality(operator) >= quality(whole) - 0.3


@pytest.mark.parametrize("beam", ["parallel", "fan"])
def test_it_does_not_matter_which_view_is_lost(beam):
    all_views = np.arange(0, 360, 2.0)
    qualities = [
        quality(half_acquisition(6, beam, np.delete(all_views, [v, v + 1])))
        for v in (0, 1, 45, 90, 133, 178)
    ]
    assert max(qualities) - min(qualities) <= 0.1
    assert min(qualities) >= quality(half_acquisition(6, beam)) - 0.2


@pytest.mark.parametrize("scan", FULL)
def test_half_acquisition_with_any_views(scan):
    operator = half_acquisition(8, angles=FULL[scan])
    assert value_of(operator) == pytest.approx(1, abs=0.02)


def test_a_detector_a_little_aside_in_a_half_turn():
    # As scanners are: 31 views, both ends, 5.9 of 80 bins off the centre.
    operator = ParallelBeamCT(
        angles=np.linspace(0, 180, 91),
        image_shape=SHAPE,
        n_bins=80,
        detector_offset=5.9,
    )
    assert value_of(operator) == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize("turn", [200, 240, 300, 340])
def test_both_measurements_of_a_line_add_up_to_one(turn):
    turn = np.deg2rad(turn)
    gamma = np.deg2rad(np.linspace(-10, 10, 21))
    views = (np.arange(60) + 0.5) * turn / 60
    scan = divide(views, 2 * np.pi, wide=np.deg2rad(8))
    assert scan.turn == pytest.approx(turn)

    def weights(angles):
        return redundancy_weights(angles, scan, gamma, gamma, np.deg2rad(10))

    own = weights(views)
    for column, angle in enumerate(gamma):
        again = np.mod(views + np.pi - 2 * angle, 2 * np.pi)
        twice = again <= turn
        mirrored = weights(again)[:, 20 - column]
        np.testing.assert_allclose((own[:, column] + mirrored)[twice], 1, atol=1e-12)
        np.testing.assert_allclose(own[~twice, column], 1)


def test_weights_of_a_displaced_detector_are_those_of_wang():
    scan = divide(np.arange(60) * np.pi / 30, 2 * np.pi)
    views, no_fan = np.zeros(1), np.zeros(21)

    def weights(bins, radius):
        return redundancy_weights(views, scan, no_fan, bins, radius)[0]

    bins = np.arange(-10, 11.0)
    np.testing.assert_allclose(weights(bins, 8.0), 0.5)
    moved = bins + 6  # from −4 to 16, with edges at −4.5 and 16.5
    expected = (1 + np.sin(np.pi / 2 * np.clip(moved / 4.5, -1, 1))) / 2
    np.testing.assert_allclose(weights(moved, 12.0), expected, atol=1e-12)
    np.testing.assert_allclose(weights(-moved[::-1], 12.0), expected[::-1], atol=1e-12)


def test_opposite_rays_are_the_same_lines():
    angles = np.random.RandomState(0).permutation(40) * np.pi / 20 + 1.0
    bins = np.arange(-3, 15) * 0.01  # of a detector curved around the source
    missing = np.arange(-14, -3) * 0.01
    rays, weights = opposite_rays(angles, missing, missing, bins)
    np.testing.assert_allclose(weights.sum(axis=0), 1)
    line = angles[:, None] - bins  # the direction of each ray
    for v, m in [(0, 0), (7, 10), (39, 5)]:
        target = angles[v] - missing[m]
        used = weights[:, v, m] > 1e-6
        places = rays[used, v, m]
        np.testing.assert_allclose(bins[places % len(bins)], -missing[m])
        direction = np.sum(weights[used, v, m] * np.exp(2j * line.ravel()[places]))
        # Between two views of 9°, the mean of both is right to (9°)²/2.
        assert abs(direction - np.exp(2j * target)) <= 0.05


@pytest.mark.parametrize(("n_harmonics", "error"), [(0, 1.0), (1, 0.36), (2, 0.12)])
def test_distance_weights_follow_the_distance_to_the_source(n_harmonics, error):
    x, y = np.mgrid[-3:3:13j, -3:3:13j]
    angles = np.arange(36) * np.pi / 18
    sources = 7 * np.stack([np.sin(angles), -np.cos(angles)], axis=1)
    of_pixels, of_views = distance_weights(np.stack([x, y]), sources, n_harmonics)
    product = np.einsum("kxy,kv->xyv", of_pixels, of_views)
    along = -(x[..., None] * sources[:, 0] + y[..., None] * sources[:, 1]) / 7
    nearness = 7 / (7 + along)
    assert np.abs(product - nearness).max() <= error
    # The mean of 1/U² over a turn is kept: what Aᵀ, which has 1/U, sums up to.
    np.testing.assert_allclose(
        (product * nearness).mean(axis=-1), (nearness**2).mean(axis=-1), rtol=1e-3
    )
