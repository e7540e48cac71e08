"""Geometry found again from what was measured with it."""

import numpy as np
import pytest

from sklearn_ei.datasets import make_thorax_phantoms
from sklearn_ei.operators import (
    FanBeamCT,
    Inpainting,
    ModelMismatchWarning,
    ParallelBeamCT,
    check_consistency,
    estimate_axis_tilt,
    estimate_detector_offset,
    estimate_parameters,
)

IMAGES = make_thorax_phantoms(2, (32, 32), random_state=0)


def parallel(**parameters):
    return ParallelBeamCT(30, (32, 32), n_bins=57, **parameters)


def fan(**parameters):
    return FanBeamCT(40, (32, 32), source_distance=60.0, n_bins=81, **parameters)


def noisy(Y, share=0.01):
    noise = np.random.default_rng(0).standard_normal(Y.shape)
    return Y + share * Y.max() * noise.astype(np.float32)


@pytest.mark.parametrize("make", [parallel, fan])
@pytest.mark.parametrize("offset", [0.0, 1.37, -3.6])
def test_offsets_are_found_within_a_tenth_of_a_bin(make, offset):
    Y = noisy(make(detector_offset=offset).measure(IMAGES))
    found = estimate_detector_offset(make(), Y)
    assert found.values["detector_offset"] == pytest.approx(offset, abs=0.1)
    assert found.operator.detector_offset == found.values["detector_offset"]
    assert 0 < found.errors["detector_offset"] < 0.1
    places, shares = found.scans["detector_offset"]
    assert abs(places[np.argmin(shares)] - offset) <= places[1] - places[0]


def test_units_are_those_of_the_bins():
    wide = ParallelBeamCT(
        30, (32, 32), n_bins=57, bin_size=0.5, pixel_size=0.5, detector_offset=1.1
    )
    guess = ParallelBeamCT(30, (32, 32), n_bins=57, bin_size=0.5, pixel_size=0.5)
    found = estimate_detector_offset(guess, wide.measure(IMAGES))
    assert found.values["detector_offset"] == pytest.approx(1.1, abs=0.05)


def test_distance_and_sense_of_rotation_of_a_fan_beam():
    angles = [9.0 * k for k in range(40)]
    clockwise = [-angle for angle in angles]
    settings = {"image_shape": (32, 32), "n_bins": 81}
    true = FanBeamCT(angles=clockwise, source_distance=60.0, **settings)
    guess = FanBeamCT(angles=angles, source_distance=68.0, **settings)
    found = estimate_parameters(
        guess,
        noisy(true.measure(IMAGES)),
        {"angles": [angles, clockwise], "source_distance": (50.0, 80.0)},
    )
    assert found.values["angles"] == clockwise
    assert found.values["source_distance"] == pytest.approx(60, abs=1.5)
    report = check_consistency(found.operator, noisy(true.measure(IMAGES)))
    assert found.unexplained == pytest.approx(report.misfit, rel=1e-4)


def test_a_minimum_at_the_edge_has_no_error():
    Y = parallel(detector_offset=5.0).measure(IMAGES)
    with pytest.warns(ModelMismatchWarning, match="detector_offset is about"):
        found = estimate_detector_offset(parallel(), Y, largest=2.0)
    assert found.values["detector_offset"] == pytest.approx(2, abs=0.1)
    assert found.errors["detector_offset"] == np.inf


@pytest.mark.parametrize(
    ("wrong", "cause"),
    [
        ("counts", "transmitted intensities"),
        ("radians", "the angles are in radians"),
        ("too small", "the object reaches out of the image"),
    ],
)
def test_what_is_wrong_besides_is_told(wrong, cause):
    """Its offset would be taken for right, and hide the cause from a fit."""
    Y = noisy(parallel(detector_offset=1.37).measure(IMAGES))
    operator = parallel()
    if wrong == "counts":
        Y = 1e4 * np.exp(-3 * Y / Y.max())
    if wrong == "radians":
        operator = parallel(angles=np.deg2rad(np.arange(30) * 6.0))
    if wrong == "too small":
        operator = operator.set_params(image_shape=(16, 16))
    with pytest.warns(
        ModelMismatchWarning, match=f"Even with the best values, .*{cause}"
    ):
        estimate_detector_offset(operator, Y)


@pytest.mark.parametrize(
    ("ranges", "message"),
    [
        ({"detectoroffset": (0, 1)}, "expected parameters of ParallelBeamCT: angles"),
        ({"detector_offset": 3}, r"expected \(lowest, highest\), or a list"),
        ({"detector_offset": (1, -1)}, "the lowest value before the highest"),
    ],
)
def test_bad_ranges(ranges, message):
    with pytest.raises(ValueError, match=message):
        estimate_parameters(parallel(), parallel().measure(IMAGES), ranges)


def test_only_detectors_can_be_displaced():
    with pytest.raises(ValueError, match="with a parameter detector_offset"):
        estimate_detector_offset(Inpainting(0.3), IMAGES)


def leaning(slope, middle=1.3, n_rows=9, make=parallel):
    images = make_thorax_phantoms(n_rows, (32, 32), random_state=3)
    offsets = middle + slope * (np.arange(n_rows) - (n_rows - 1) / 2)
    rows = [
        make(detector_offset=offset).measure(image[None])
        for offset, image in zip(offsets, images, strict=True)
    ]
    return noisy(np.concatenate(rows))


@pytest.mark.parametrize(
    ("make", "slope"),
    [(parallel, 0.25), pytest.param(fan, -0.1, marks=pytest.mark.slow)],
)
def test_the_tilt_of_the_axis_is_found(make, slope):
    tilt = estimate_axis_tilt(make(), leaning(slope, make=make))
    assert tilt.slope == pytest.approx(slope, abs=0.01)
    assert tilt.degrees == pytest.approx(np.degrees(np.arctan(slope)), abs=0.6)
    assert abs(tilt.operator.detector_offset - 1.3) < 0.1
    assert 0 < tilt.error < 0.6


def test_straightened_rows_are_those_of_an_upright_axis():
    tilt = estimate_axis_tilt(parallel(), leaning(0.25), row_height=2.0)
    assert tilt.degrees == pytest.approx(np.degrees(np.arctan(0.125)), abs=0.3)
    upright = leaning(0.0)
    straight = tilt.straighten(leaning(0.25))
    before = np.linalg.norm(leaning(0.25) - upright)
    # Noise is in both, and edges are sharper than splines are.
    assert np.linalg.norm(straight - upright) < 0.35 * before


@pytest.mark.slow
def test_bins_that_are_not_measured_stay_so_in_straightened_rows():
    Y = leaning(0.25)
    tilt = estimate_axis_tilt(parallel(), Y)
    holed = Y.copy()
    holed[:, :, 30] = np.nan
    straight, moved = tilt.straighten(Y), tilt.straighten(holed)
    known = ~np.isnan(moved)
    assert 0 < (~known).sum(axis=(1, 2)).max() <= 2 * Y.shape[1]
    difference = np.abs(moved - straight)[known].max()
    assert difference < 0.05 * Y.max()


@pytest.mark.slow
def test_a_row_with_a_wrong_offset_does_not_tilt_the_axis():
    Y = leaning(0.25)
    Y[0] = np.roll(Y[0], 5, axis=-1)
    tilt = estimate_axis_tilt(parallel(), Y)
    assert tilt.slope == pytest.approx(0.25, abs=0.03)
    assert abs(tilt.operator.detector_offset - 1.3) < 0.1


def test_rows_that_cannot_tell_the_tilt_are_refused():
    with pytest.raises(ValueError, match="expected all 9 of the volume"):
        estimate_axis_tilt(parallel(), leaning(0.1), n_rows=3).straighten(
            leaning(0.1)[2:]
        )
    with pytest.raises(ValueError, match="at least three rows"):
        estimate_axis_tilt(parallel(), leaning(0.1)[:2])
    with pytest.raises(ValueError, match="n_rows"):
        estimate_axis_tilt(parallel(), leaning(0.1), n_rows=2)
    with pytest.raises(ValueError, match="tell their offset"):
        estimate_axis_tilt(parallel(), np.zeros((4, 30, 57)))


def test_estimates_say_what_they_are_in_a_sentence():
    Y = noisy(parallel(detector_offset=1.37).measure(IMAGES))
    found = estimate_detector_offset(parallel(), Y)
    value, error = found.values["detector_offset"], found.errors["detector_offset"]
    start, rest = str(found).split("; ")
    name, number = start.split("=")
    assert name == "detector_offset"
    told, deviation = map(float, number.split(" ± "))
    assert abs(told - value) <= error
    assert deviation == pytest.approx(error, rel=0.1)
    share = f"{found.unexplained:.2%} of the measurements (root mean square) is left"
    assert rest.startswith(share)
    assert repr(found) == str(found) == found.sentence
    with pytest.warns(ModelMismatchWarning, match="Even with the best values"):
        edge = estimate_detector_offset(parallel(), Y, largest=0.5)
    assert "without a minimum inside the range" in str(edge)
    clockwise = [-6.0 * k for k in range(30)]
    centred = noisy(parallel().measure(IMAGES))
    both = estimate_parameters(
        parallel(angles=clockwise), centred, {"angles": [clockwise, clockwise[::-1]]}
    )
    assert str(both).startswith("angles=[")
    assert len(str(both)) < 200


def test_a_tilt_says_what_it_is_in_a_sentence():
    tilt = estimate_axis_tilt(parallel(), leaning(0.25, n_rows=3))
    assert repr(tilt) == str(tilt) == tilt.sentence
    assert str(tilt).startswith(f"The axis leans by {tilt.degrees:.3g} ± ")
    assert "in the middle of 3 rows and changes by 0.2" in str(tilt)
