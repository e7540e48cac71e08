"""From counts to attenuation."""

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks

from sklearn_ei import PseudoInverseReconstructor
from sklearn_ei.preprocessing import (
    DeadBinMasker,
    DetectorBinner,
    MeasurementScaler,
    TransmissionToAttenuation,
    transmission_to_attenuation,
)


class Chunked:
    """An array in a file, as h5py and zarr have it, that notes what was read."""

    def __init__(self, array):
        self._array, self.read = array, []
        self.shape, self.dtype, self.chunks = array.shape, array.dtype, None

    def __getitem__(self, index):
        self.read.append(index)
        return self._array[index]


@pytest.fixture
def scan(ct_problem):
    """Counts of a scan, its fields as frames, and its line integrals."""
    _, _, Y = ct_problem
    rng = np.random.default_rng(0)
    n_bins = Y.shape[-1]
    dark = 100 + rng.random((5, 1, n_bins))
    flat = 10000 + 1000 * rng.random((7, 1, n_bins))
    beam = flat.mean(axis=0) - dark.mean(axis=0)
    return dark.mean(axis=0) + beam * np.exp(-Y), dark, flat


# Every value of the checks below the floor would warn; the warning has its own test.
@pytest.mark.filterwarnings("ignore:Got .* with a transmission below:RuntimeWarning")
# With flat=1, the counts that the checks take would be refused.
@parametrize_with_checks(
    [
        TransmissionToAttenuation(flat=1000.0),
        MeasurementScaler(),
        DetectorBinner(),
    ]
)
def test_scikit_learn_s_manners(estimator, check):
    check(estimator)


def test_line_integrals_come_back_and_so_do_counts(ct_problem, scan):
    _, _, Y = ct_problem
    counts, dark, flat = scan
    step = TransmissionToAttenuation(dark, flat).fit(counts)
    attenuation = step.transform(counts)
    assert attenuation.dtype == np.float32
    np.testing.assert_allclose(attenuation, Y, atol=1e-4)
    np.testing.assert_allclose(step.inverse_transform(attenuation), counts, rtol=1e-4)
    # Frames, their mean, and one field a view are the same.
    for fields in (
        (dark.mean(axis=(0, 1)), flat.mean(axis=(0, 1))),
        tuple(np.repeat(f.mean(axis=0), Y.shape[1], axis=0) for f in (dark, flat)),
    ):
        other = TransmissionToAttenuation(*fields).fit_transform(counts)
        np.testing.assert_allclose(other, attenuation, atol=1e-6)
    function = transmission_to_attenuation(counts, dark.mean(0), flat.mean(0))
    np.testing.assert_array_equal(function, attenuation)


def test_fields_of_every_sample():
    rng = np.random.default_rng(0)
    attenuation = rng.random((3, 4, 5))
    flat = 1000 + 100 * rng.random((3, 1, 5))
    dark = rng.random((3, 1, 5))
    counts = dark + (flat - dark) * np.exp(-attenuation)
    found = transmission_to_attenuation(counts, dark, flat)
    np.testing.assert_allclose(found, attenuation, atol=1e-5)


def test_integers_and_what_no_photon_reached():
    counts = np.array([[[1000, 10], [5, 0]]], dtype=np.uint16)
    step = TransmissionToAttenuation(10, 1010, min_transmission=1e-3).fit(counts)
    with pytest.warns(RuntimeWarning, match=r"Got 3 of 4 values \(75\.00%\).*0\.001"):
        attenuation = step.transform(counts)
    np.testing.assert_allclose(
        attenuation[0], [[-np.log(0.99), -np.log(1e-3)], [-np.log(1e-3)] * 2], rtol=1e-5
    )
    # More than the flat field is kept, as a negative attenuation.
    bright = np.full((1, 2, 2), 2010.0)
    np.testing.assert_allclose(step.transform(bright), -np.log(2), rtol=1e-6)


def test_it_works_as_a_step_before_a_reconstructor(ct_problem, scan):
    operator, _, Y = ct_problem
    counts, dark, flat = scan
    pipeline = make_pipeline(
        TransmissionToAttenuation(dark, flat),
        MeasurementScaler(),
        PseudoInverseReconstructor(operator),
    )
    images = clone(pipeline).fit(counts).predict(counts)
    scaler = MeasurementScaler().fit(Y)
    expected = operator.reconstruct(Y) / scaler.scale_
    np.testing.assert_allclose(images, expected, atol=1e-3 * expected.max())


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"dark": 1.0}, "flat not above dark in 1 of 1"),
        ({"flat": [1, 0, 1, 1]}, "flat not above dark in 1 of 4"),
        ({"flat": np.ones(3)}, r"flat of shape \(3,\), .*broadcasts to \(5, 4\)"),
        ({"flat": np.ones((3, 4))}, r"Frames are .* flat\[:, np\.newaxis\]"),
        ({"flat": np.ones((4, 1, 3))}, "broadcasts"),
        ({"flat": np.ones((2, 1, 4))}, r"\(2, 1, 4\) for 2 samples.*flat\.mean"),
        ({"flat": 0.0}, "in 1 of 1 value.*the beam was off"),
        ({"dark": np.nan}, "Got dark=nan"),
        ({"dark": "none"}, "Got dark='none'"),
        ({"dark": None}, "Got dark=None.*without dark fields leave it out"),
        ({"dark": [[1, 2], [3]]}, "Got dark="),
        ({"min_transmission": 0}, "min_transmission"),
        ({"min_transmission": 1.0}, "min_transmission"),
    ],
)
def test_bad_parameters_are_refused_and_set_nothing(parameters, message):
    step = TransmissionToAttenuation(**parameters)
    with pytest.raises(ValueError, match=message):
        step.fit(np.full((2, 5, 4), 0.5))
    assert not [name for name in vars(step) if name.endswith("_")]


def test_bad_measurements_are_refused():
    step = TransmissionToAttenuation().fit(np.full((2, 5, 4), 0.5))
    with pytest.raises(ValueError, match=r"measurements of shape \(4, 5\)"):
        step.transform(np.full((2, 4, 5), 0.5))
    with pytest.raises(ValueError, match="sample 1"):
        step.transform(np.array([np.ones((5, 4)), np.full((5, 4), np.inf)]))
    with pytest.raises(ValueError, match="intensities has shape"):
        transmission_to_attenuation([1.0])
    with pytest.raises(ValueError, match="broadcasts"):
        transmission_to_attenuation(np.ones((2, 3)), flat=np.ones((2, 2, 3)))


def test_counts_without_fields_are_refused():
    counts = np.full((2, 5, 4), 3000, np.uint16)
    with pytest.raises(ValueError, match="up to 3000 with flat=1 and dark=0, but exp"):
        TransmissionToAttenuation().fit(counts)
    with pytest.raises(ValueError, match="as flat, and without the beam as dark"):
        transmission_to_attenuation(counts)
    step = TransmissionToAttenuation().fit(np.full((2, 5, 4), 0.5))
    with pytest.raises(ValueError, match="expected transmissions, or the readings"):
        step.transform(counts)
    # Noise may bring some above 1.
    noisy = np.random.default_rng(0).normal(1, 0.4, (2, 5, 4)).clip(0.1)
    np.testing.assert_allclose(step.transform(noisy), -np.log(noisy), atol=1e-5)


def test_what_was_not_measured_stays_so():
    readings = np.full((2, 3, 4), 0.5)
    readings[0, 1] = np.nan
    for found in (
        TransmissionToAttenuation().fit_transform(readings),
        transmission_to_attenuation(readings),
        TransmissionToAttenuation().fit_transform(readings.tolist()),
        TransmissionToAttenuation().fit_transform(torch.from_numpy(readings)),
    ):
        np.testing.assert_allclose(found, -np.log(readings))


def test_fields_of_every_sample_of_what_is_in_a_file(tmp_path):
    rng = np.random.default_rng(0)
    attenuation = rng.random((6, 4, 5))
    flat, dark = 1000 + 100 * rng.random((6, 1, 5)), rng.random((1, 5))
    counts = dark + (flat - dark) * np.exp(-attenuation)
    stack = Chunked(counts)
    found = transmission_to_attenuation(stack, dark, flat)
    assert found.shape == counts.shape
    assert not stack.read
    for index in (slice(None), [4, 1], 3, slice(2, 4)):
        np.testing.assert_allclose(found[index], attenuation[index], atol=1e-5)


# -------------------------------------------------------- dead bins, rows of a detector
def scan_of_rows(n_rows=12, n_views=20, n_bins=30):
    """Return line integrals, counts of them, and a flat field of each row."""
    rng = np.random.default_rng(0)
    attenuation = rng.random((n_rows, n_views, n_bins))
    flat = 1000 + 100 * rng.random((n_rows, n_bins))
    counts = flat[:, np.newaxis] * np.exp(-attenuation)
    return attenuation, counts, flat


def test_dead_bins_are_named_where_their_values_are_cut_off():
    _, counts, flat = scan_of_rows()
    counts[..., [4, 25]] = 0
    counts[3, 5, 4] = 2  # one view of twenty: nearly all
    counts[0, 2, 9] = 0
    text = (
        r"Got 480 of 7200 .* set to it\. Among them is all, or nearly all, of bins 4 "
        r"and 25: if they are dead or lost, DeadBinMasker\(bins=\[4, 25\]\) before"
    )
    with pytest.warns(RuntimeWarning, match=text):
        transmission_to_attenuation(counts, 0.0, flat[:, np.newaxis])
    step = TransmissionToAttenuation(flat=flat.mean(axis=0)).fit(counts)
    with pytest.warns(RuntimeWarning, match=text):
        step.transform(counts)
    counts[:, 7] = 0
    with pytest.warns(RuntimeWarning, match="bins 4 and 25 and view 7: if they are"):
        step.transform(counts)
    masker = DeadBinMasker(bins=[4, 25], views=[7])
    with pytest.warns(RuntimeWarning, match="Got 1 of .* set to it.$"):
        step.transform(masker.fit_transform(counts))


def test_values_cut_off_here_and_there_are_no_dead_bins():
    _, counts, flat = scan_of_rows()
    for dark in (counts > 500, np.arange(30) < 20):  # dense; more than half of all
        with pytest.warns(RuntimeWarning, match="set to it.$"):
            transmission_to_attenuation(counts * ~dark, 0.0, flat[:, np.newaxis])


def test_bins_that_are_dead_in_the_flat_field_too():
    attenuation, counts, flat = scan_of_rows()
    expected = attenuation.copy()
    expected[..., [4, 25]] = np.nan
    dead, unknown = flat.copy(), flat.copy()
    dead[:, [4, 25]], unknown[:, [4, 25]] = 0, np.nan
    dark = np.zeros(30)
    dark[[4, 25]] = np.nan
    masked = DeadBinMasker(bins=[4, 25]).fit_transform(counts)
    for readings, field, offset in (
        (masked, dead, 0.0),
        (masked, unknown, 0.0),
        (counts, unknown, 0.0),
        (counts, np.ma.masked_array(flat, np.isnan(unknown)), 0.0),
        (counts, flat, dark),
    ):
        found = transmission_to_attenuation(readings, offset, field[:, np.newaxis])
        np.testing.assert_allclose(found, expected, atol=1e-5)
        lazy = transmission_to_attenuation(
            Chunked(readings), offset, field[:, np.newaxis]
        )
        np.testing.assert_allclose(lazy[2:4], expected[2:4], atol=1e-5)
    for readings, field in ((masked, dead), (masked, unknown), (counts, unknown)):
        step = TransmissionToAttenuation(flat=field[0]).fit(readings)
        np.testing.assert_allclose(step.transform(readings)[0], expected[0], atol=1e-5)
    # Frames: the mean of those that are known.
    frames = np.stack([flat[0], flat[0] + 2, flat[0] + 4])
    frames[1, 4], frames[:, 25] = np.nan, np.nan
    step = TransmissionToAttenuation(flat=frames[:, np.newaxis]).fit(counts)
    mean = flat[0] + 2
    mean[25] = np.nan
    np.testing.assert_allclose(step.flat_[0], mean)


def test_readings_without_a_beam_are_refused_with_the_cure():
    _, counts, flat = scan_of_rows()
    flat[:, [4, 25]] = 0
    text = (
        r"flat not above dark in 24 of 360 value\(s\), in bins 4 and 25, but expected "
        r"a beam wherever readings are not NaN; .*DeadBinMasker\(bins=\[4, 25\]\)"
    )
    with pytest.raises(ValueError, match=text):
        transmission_to_attenuation(counts, 0.0, flat[:, np.newaxis])
    with pytest.raises(ValueError, match="flat not above dark in 2 of 30"):
        TransmissionToAttenuation(flat=flat[0]).fit(counts)
    lazy = transmission_to_attenuation(Chunked(counts), 0.0, flat[:, np.newaxis])
    with pytest.raises(ValueError, match="in bins 4 and 25"):
        lazy[0:2]
    for bad in (np.inf, np.nan):
        with pytest.raises(ValueError, match="Got flat="):
            transmission_to_attenuation(counts, 0.0, np.full((12, 1, 30), bad))


def test_fields_that_fit_in_two_ways_are_refused():
    attenuation, counts, flat = scan_of_rows(20, 20)
    text = (
        r"Got flat of shape \(20, 30\) for 20 samples of 20 views, .* expected "
        r"flat\[:, np\.newaxis\] for the former, or flat\[np\.newaxis\] for the latter"
    )
    with pytest.raises(ValueError, match=text):
        transmission_to_attenuation(counts, 0.0, flat)
    found = transmission_to_attenuation(counts, 0.0, flat[:, np.newaxis])
    np.testing.assert_allclose(found, attenuation, atol=1e-5)
    of_views = flat * np.exp(-attenuation)
    found = transmission_to_attenuation(of_views, 0.0, flat[np.newaxis])
    np.testing.assert_allclose(found, attenuation, atol=1e-5)
    with pytest.raises(
        ValueError, match=r"expected flat\[np\.newaxis\] for the latter"
    ):
        TransmissionToAttenuation(flat=flat).fit(of_views)
    step = TransmissionToAttenuation(flat=flat[np.newaxis]).fit(of_views)
    np.testing.assert_allclose(step.transform(of_views), attenuation, atol=1e-5)
    frames = np.stack([flat - 1, flat, flat + 1])
    with pytest.raises(ValueError, match=r"expected flat\.mean\(0\)\[np\.newaxis\]"):
        TransmissionToAttenuation(flat=frames).fit(of_views)


@pytest.mark.parametrize("name", ["flat", "dark"])
def test_fields_of_rows_are_told_how_to_be_written(name):
    attenuation, counts, flat = scan_of_rows()
    frames = np.stack([flat - 1, flat, flat + 1])
    first = np.stack([flat[0], flat[0]])[:, np.newaxis]
    function, step = transmission_to_attenuation, TransmissionToAttenuation
    for field, line in (
        (flat, rf"{name}\[:, np\.newaxis\]\."),
        (frames, rf"{name}\.mean\(0\)\[:, np\.newaxis\]\."),
        (first, rf"The mean of frames is {name}\.mean\(0\)\."),
    ):
        with pytest.raises(ValueError, match=line):
            function(counts, **{"flat": 2000.0, name: field})
    for field, line in (
        (flat, rf"{name}\[:, np\.newaxis\], which transmission_to_attenuation takes"),
        (frames, rf"{name}\.mean\(0\)\[:, np\.newaxis\], which transmission_to"),
    ):
        with pytest.raises(ValueError, match=line):
            step(**{"flat": 2000.0, name: field}).fit(counts)
    if name == "flat":
        found = function(counts, 0.0, frames.mean(0)[:, np.newaxis])
        np.testing.assert_allclose(found, attenuation, atol=1e-5)
