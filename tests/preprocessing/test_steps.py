"""Steps on what a detector read."""

import pickle
from functools import partial

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.pipeline import make_pipeline

from sklearn_ei import PseudoInverseReconstructor
from sklearn_ei.datasets import make_thorax_phantoms
from sklearn_ei.operators import ParallelBeamCT
from sklearn_ei.preprocessing import (
    AirNormalizer,
    DeadBinMasker,
    DetectorBinner,
    MeasurementScaler,
    RingRemover,
    TransmissionToAttenuation,
    ZingerRemover,
)

from .test_transmission import Chunked

STEPS = [
    AirNormalizer(2, 3),
    AirNormalizer(2, 3, after_log=True),
    DeadBinMasker(bins=[1]),
    DetectorBinner(2, crop=(1, 2)),
    MeasurementScaler(),
    RingRemover(3),
    TransmissionToAttenuation(flat=2000.0),
    ZingerRemover(),
]


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def counts(rng):
    return rng.poisson(1000, (5, 9, 12)).astype(np.float32)


# ------------------------------------------------------------------------ manners
@pytest.mark.parametrize("step", STEPS, ids=lambda step: type(step).__name__)
def test_manners(step, counts):
    step = clone(step)
    before = counts.copy()
    found = step.fit(counts).transform(counts)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(counts, before)
    assert step.measurement_shape_ == counts.shape[1:]
    assert step.n_features_in_ == 9
    np.testing.assert_array_equal(step.fit_transform(counts), found)
    np.testing.assert_array_equal(
        pickle.loads(pickle.dumps(step)).transform(counts), found
    )
    # Samples do not know of each other, whatever their type.
    np.testing.assert_allclose(step.transform(counts[[3, 1]]), found[[3, 1]], rtol=1e-6)
    np.testing.assert_allclose(step.transform(counts.astype(int)), found, rtol=1e-6)
    with pytest.raises(ValueError, match="was fitted on measurements of shape"):
        step.transform(counts[:, :, :-1])
    with pytest.raises(ValueError, match="infinity"):
        step.transform(np.where(counts > 1010, np.inf, counts))


@pytest.mark.parametrize("step", STEPS, ids=lambda step: type(step).__name__)
def test_what_was_not_measured_stays_so_and_changes_nothing_far_away(step, counts):
    step = clone(step).fit(counts)
    holes = counts.copy()
    holes[0, :, 6], holes[1, 4] = np.nan, np.nan
    found, expected = step.transform(holes), step.transform(counts)
    assert np.isnan(found[1, 4]).all()
    np.testing.assert_array_equal(found[2:], expected[2:])
    masked = np.ma.masked_array(counts, np.isnan(holes))
    np.testing.assert_array_equal(step.transform(masked), found)
    np.testing.assert_array_equal(step.transform(list(masked)), found)
    np.testing.assert_array_equal(
        clone(step).fit(masked).transform(counts),
        clone(step).fit(holes).transform(counts),
    )
    if isinstance(step, MeasurementScaler):
        np.testing.assert_allclose(step.inverse_transform(found), holes, rtol=1e-6)
    bin_of = 2 if isinstance(step, DetectorBinner) else 6
    lost = np.isnan(found[0]) & ~np.isnan(expected[0])
    np.testing.assert_array_equal(np.flatnonzero(lost.all(axis=0)), [bin_of])
    assert not np.isnan(np.delete(found[0], [1, bin_of], axis=1)).any()


@pytest.mark.parametrize("step", STEPS, ids=lambda step: type(step).__name__)
def test_what_is_not_in_memory_is_read_when_it_is_needed(step, counts):
    step = clone(step)
    expected = clone(step).fit_transform(counts)
    stack = Chunked(counts)
    found = step.fit(stack).transform(stack)
    n_read = len(stack.read)
    assert n_read == 0 or isinstance(step, MeasurementScaler)  # it has to look
    assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
    assert len(stack.read) == n_read
    for index in (2, slice(1, 3), [4, 0, 0], slice(None)):
        np.testing.assert_allclose(found[index], expected[index], rtol=1e-6)
    bad = Chunked(np.where(counts > 1010, np.inf, counts))
    with pytest.raises(ValueError, match=r"infinity \(inf\) in sample"):
        step.transform(bad)[:]


def test_a_pipeline_of_what_is_not_in_memory_is_that_of_arrays(rng):
    images = make_thorax_phantoms(4, (16, 16), random_state=0)
    operator = ParallelBeamCT(n_views=12, image_shape=(16, 16), n_bins=24)
    counts = 1e4 * np.exp(-operator.measure(images) / 20)
    pipeline = make_pipeline(
        ZingerRemover(),
        TransmissionToAttenuation(flat=1e4),
        MeasurementScaler(),
        PseudoInverseReconstructor(operator),
    )
    expected = clone(pipeline).fit(counts).predict(counts)
    stack = Chunked(counts)
    found = pipeline.fit(stack).predict(stack)
    np.testing.assert_allclose(found, expected, atol=1e-5 * expected.max())
    assert max(np.size(np.arange(4)[index]) for index in stack.read) <= 4


# ------------------------------------------------------------------------ binning
def test_means_of_bins_and_the_geometry_that_follows(rng):
    phantom = make_thorax_phantoms(1, (32, 32), random_state=0)
    scan = {"image_shape": (32, 32), "pixel_size": 0.5}
    angles = np.arange(0, 180, 6.0)
    fine = ParallelBeamCT(
        angles=angles, n_bins=231, bin_size=0.1, detector_offset=0.7, **scan
    )
    sinogram = fine.measure(phantom)
    for factor, crop in ((3, (0, 0)), (4, (0, 0)), (4, (7, 2)), (1, (0, 10))):
        binner = DetectorBinner(factor, crop=crop)
        binned = binner.fit_transform(sinogram)
        kept = sinogram[..., crop[0] : 231 - crop[1]]
        n_bins = kept.shape[-1] // factor
        expected = kept[..., : n_bins * factor].reshape(1, 30, n_bins, factor).mean(-1)
        np.testing.assert_allclose(binned, expected, rtol=1e-6)
        geometry = binner.geometry(bin_size=0.1, detector_offset=0.7)
        coarse = ParallelBeamCT(angles=angles, **geometry, **scan)
        assert coarse.n_bins == n_bins
        # Wrong by half a bin, the error is four times as large.
        error = np.abs(coarse.measure(phantom) - binned).mean()
        assert error < 0.02 * np.abs(binned).mean()


def test_frames_are_binned_along_rows_too(rng):
    frames = rng.random((2, 5, 7, 9))
    binner = DetectorBinner((2, 4), crop=((1, 0), (0, 1))).fit(frames)
    expected = frames[:, :, 1:, :8].reshape(2, 5, 3, 2, 2, 4).mean(axis=(3, 5))
    np.testing.assert_allclose(binner.transform(frames), expected, rtol=1e-6)
    flat = rng.random((7, 9))
    expected = flat[1:, :8].reshape(3, 2, 2, 4).mean(axis=(1, 3))
    np.testing.assert_allclose(binner.transform_field(flat), expected)
    np.testing.assert_allclose(
        binner.transform_field(flat[np.newaxis, :1]),
        flat[:1, :8].reshape(1, 1, 2, 4).mean(axis=-1),
    )
    assert binner.transform_field(3.5) == 3.5
    assert binner.transform_field(np.ones((4, 1, 9))).shape == (4, 1, 2)
    with pytest.raises(ValueError, match="expected 9 or 1 along axis -1"):
        binner.transform_field(np.ones(8))


def test_attenuation_of_means_and_not_means_of_attenuation(rng):
    flat = 1000 + 100 * rng.random((3, 1, 12))
    attenuation = np.repeat(rng.random((3, 6, 4)), 3, axis=-1)
    counts = flat * np.exp(-attenuation)
    binner = DetectorBinner(3).fit(counts)
    found = TransmissionToAttenuation(flat=binner.transform_field(flat[0]))
    binned = binner.transform(counts[:1])
    np.testing.assert_allclose(
        found.fit_transform(binned), attenuation[:1, :, ::3], atol=1e-5
    )


@pytest.mark.parametrize(
    "parameters",
    [
        {"factor": 0},
        {"factor": 1.5},
        {"factor": True},
        {"factor": (1, 2, 3)},
        {"factor": 9},
        {"crop": 3},
        {"crop": (-1, 0)},
        {"crop": (4, 4)},
        {"crop": ((0, 0), (1, 0))},
        {"factor": (2, 2), "crop": ((0, 0), (1,))},
    ],
)
def test_binning_that_is_refused(parameters):
    with pytest.raises(ValueError, match="Got factor="):
        DetectorBinner(**parameters).fit(np.ones((2, 5, 8)))


# ------------------------------------------------------------- dead bins, zingers
def test_dead_bins_and_lost_views_are_found(counts):
    counts[0, :, 3] = 0
    counts[1, :, 5] = 65535
    counts[:, 7] = 0
    counts[2, 4] = 12
    expected = counts.copy()
    expected[0, :, 3] = expected[1, :, 5] = expected[:, 7] = expected[2, 4] = np.nan
    np.testing.assert_array_equal(DeadBinMasker().fit_transform(counts), expected)
    step = DeadBinMasker(bins=[0, -1], views=np.arange(9) == 2, detect=False)
    expected = counts.copy()
    expected[:, :, [0, -1]] = expected[:, 2] = np.nan
    np.testing.assert_array_equal(step.fit_transform(counts), expected)


def test_views_may_be_another_axis(rng):
    frames = rng.random((2, 6, 3, 8)).astype(np.float32)  # views, rows, bins
    frames[0, :, 1, 4] = 0
    expected = frames.copy()
    expected[0, :, 1, 4] = np.nan
    expected[:, 2] = np.nan
    step = DeadBinMasker(views=[2], view_axis=0)
    np.testing.assert_array_equal(step.fit_transform(frames), expected)
    ringed = frames + np.where(np.arange(8) == 5, 3, 0)
    found = RingRemover(3, view_axis=-3).fit_transform(ringed)
    for row in range(3):
        of_row = RingRemover(3).fit_transform(ringed[:, :, row])
        np.testing.assert_array_equal(found[:, :, row], of_row)


@pytest.mark.parametrize("mean", [30, 1000, 50000])
def test_zingers_are_replaced_and_noise_is_not(rng, mean):
    transmission = np.exp(-np.linspace(0, 3, 40) * np.ones((60, 1)))
    transmission[:, 20:] /= 4  # an edge
    counts = rng.poisson(mean * transmission, (3, 60, 40)).astype(float)
    struck = counts.copy()
    places = (np.array([0, 0, 2]), np.array([5, 30, 59]), np.array([3, 25, 39]))
    struck[places] += 30 * np.sqrt(mean) + mean
    found = ZingerRemover().fit_transform(struck)
    changed = found != struck
    assert changed[places].all()
    assert changed.sum() <= 3 + 2  # of 7200 readings
    error = np.abs(found[places] - counts[places])
    assert (error < 6 * np.sqrt(counts[places] + 1) + 1).all()


def test_a_zinger_beside_a_hole(counts):
    counts[0, 3, 4], counts[0, 3, 5] = np.nan, 9000
    found = ZingerRemover().fit_transform(counts)
    assert np.isnan(found[0, 3, 4])
    neighbours = counts[0, 2:5, 4:7].ravel()
    assert found[0, 3, 5] == pytest.approx(np.nanmedian(neighbours))


# -------------------------------------------------------------------- air, rings
def test_the_beam_is_a_line_through_both_sides(rng):
    transmission = np.ones((2, 6, 20))
    transmission[..., 5:15] = rng.random((2, 6, 10))
    left, right = rng.uniform(0.5, 2, (2, 2, 6, 1))
    beam = left + (right - left) * np.linspace(0, 1, 20)
    found = AirNormalizer(3, 4).fit_transform(beam * transmission)
    np.testing.assert_allclose(found, transmission, rtol=1e-5)
    for step, level in ((AirNormalizer(3, 0), left), (AirNormalizer(0, 4), right)):
        found = step.fit_transform(level * transmission)
        np.testing.assert_allclose(found, transmission, rtol=1e-5)
    after = AirNormalizer(3, 4, after_log=True)
    attenuation = np.where(transmission < 1, transmission, 0)
    found = after.fit_transform(attenuation + beam)
    np.testing.assert_allclose(found, attenuation, atol=1e-5)
    # Bins that were lost do not count.
    holes = level * transmission
    holes[0, 2, 17] = np.nan
    found = AirNormalizer(0, 4).fit_transform(holes)
    expected = np.where(np.isnan(holes), np.nan, transmission)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("step", "Y", "message"),
    [
        (AirNormalizer(0, 0), np.ones((2, 3, 8)), "at least one bin of air"),
        (AirNormalizer(5, 4), np.ones((2, 3, 8)), "for 8 bins"),
        (AirNormalizer(1, 1), np.zeros((2, 3, 8)), r"in view \(0,\) of sample 0"),
        (DeadBinMasker(bins=[8]), np.ones((2, 3, 8)), "numbers from 0 to 7, or 8 bool"),
        (DeadBinMasker(views=[True, False]), np.ones((2, 3, 8)), "or 3 booleans"),
        (DeadBinMasker(bins=0.5), np.ones((2, 3, 8)), "Got bins=0.5"),
        (DeadBinMasker(view_axis=-1), np.ones((2, 3, 8)), "the last axis"),
        (DeadBinMasker(view_axis=2), np.ones((2, 3, 8)), "Got view_axis=2"),
        (RingRemover(view_axis=-3), np.ones((2, 3, 8)), "Got view_axis=-3"),
        (RingRemover(4), np.ones((2, 3, 8)), "expected an odd number"),
        (RingRemover(threshold=-1), np.ones((2, 3, 8)), "threshold"),
        (RingRemover(), np.ones((2, 8)), "at least two axes, views and bins"),
        (ZingerRemover(0), np.ones((2, 3, 8)), "threshold"),
        (ZingerRemover(size=1), np.ones((2, 3, 8)), "size"),
        (ZingerRemover(), np.ones((2, 3, 8)) * 1j, "Complex data not supported"),
    ],
)
def test_what_is_refused(step, Y, message):
    function = partial(step.fit_transform, Y)
    with pytest.raises(ValueError, match=message):
        function()


def test_constants_of_bins_are_taken_off_and_the_object_is_not(rng):
    operator = ParallelBeamCT(n_views=60, image_shape=(64, 64))
    image = make_thorax_phantoms(1, (64, 64), random_state=0)
    sinogram = operator.measure(image)
    noise = 0.01 * sinogram.max()
    noisy = sinogram + rng.normal(0, noise, sinogram.shape)
    rings = np.zeros(sinogram.shape[-1])
    rings[[20, 33, 34, 60]] = 8 * noise * np.array([1, -1, 1.5, 0.7])
    found = RingRemover().fit_transform(noisy + rings)
    # Of the rings a quarter is left, and the rest is as it was.
    left = (found - noisy)[0].mean(axis=0)
    share = np.abs(left[rings != 0] / rings[rings != 0])
    assert share.mean() < 0.3
    assert share.max() < 0.5
    assert np.sqrt(np.mean(left[rings == 0] ** 2)) < 0.3 * noise
    # Images get nearly as good as without rings.
    exact = operator.reconstruct(sinogram)
    errors = [
        np.linalg.norm(operator.reconstruct(Y) - exact)
        for Y in (noisy, noisy + rings, found)
    ]
    assert errors[1] > 2.5 * errors[0]
    assert errors[2] < 1.2 * errors[0]
    # Without rings nothing much happens.
    untouched = RingRemover().fit_transform(noisy)
    assert np.linalg.norm(untouched - noisy) < 0.15 * np.linalg.norm(noisy - sinogram)
