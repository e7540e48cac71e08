"""Bins that are dead or stuck are named, and left out of what is concluded."""

import json
import re
import warnings

import numpy as np
import pytest
import torch

from sklearn_ei import PseudoInverseReconstructor
from sklearn_ei.datasets import make_thorax_phantoms
from sklearn_ei.operators import (
    FanBeamCT,
    MatrixOperator,
    ModelMismatchWarning,
    ODLOperator,
    ParallelBeamCT,
    check_consistency,
    estimate_axis_tilt,
    estimate_detector_offset,
)
from sklearn_ei.preprocessing import DeadBinMasker
from sklearn_ei.utils.odl import import_odl

SHAPE = (32, 32)
IMAGES = make_thorax_phantoms(6, SHAPE, random_state=0)
OFFSET = 2.3
PARALLEL = ParallelBeamCT(30, SHAPE, n_bins=55, detector_offset=OFFSET)
GUESS = ParallelBeamCT(30, SHAPE, n_bins=55)
FAN = FanBeamCT(30, SHAPE, source_distance=70.0, n_bins=55)


def odl_scanner(n_dims=2):
    odl, tomo = import_odl()
    sides = [-16.0] * n_dims, [16.0] * n_dims, (32,) * n_dims
    space = odl.uniform_discr(*sides, dtype="float32")
    angles = odl.uniform_partition(0, np.pi, 30)
    bins = odl.uniform_partition(-28, 28, 55)
    if n_dims == 2:
        geometry = tomo.Parallel2dGeometry(angles, bins)
    else:
        area = odl.uniform_partition([-28, -16], [28, 16], (55, 8))  # u turns, v not
        geometry = tomo.Parallel3dAxisGeometry(angles, area)
    return ODLOperator(tomo.RayTransform(space, geometry))


def attenuations(operator, images=IMAGES, readings=None):
    """Return what 20000 photons give, with some bins that read something else."""
    Y = operator.measure(images)
    scale = 4 / Y.max()
    counts = np.random.default_rng(0).poisson(2e4 * np.exp(-Y * scale)).astype(float)
    for bins, reading in (readings or {}).items():
        counts[..., list(bins)] = reading
    return (-np.log(np.maximum(counts / 2e4, 1e-4)) / scale).astype(np.float32)


@pytest.mark.parametrize("reading", [0, 500, 5000, 65535])
@pytest.mark.parametrize("name", ["parallel", "fan", "odl"])
def test_stuck_bins_are_named_with_the_cure(name, reading):
    operator = {"parallel": PARALLEL, "fan": FAN, "odl": odl_scanner()}[name]
    report = check_consistency(operator, attenuations(operator))
    assert report.is_consistent, report.sentence
    Y = attenuations(operator, readings={(22, 40): reading})
    found = check_consistency(operator, Y)
    assert not found.is_consistent
    assert found.sentence.startswith(
        "Bins 22 and 40 read the same throughout, unlike the others, as if dead, stuck "
        "or lost: make them NaN, which is not measured, by "
        "DeadBinMasker(bins=[22, 40], detect=False) of sklearn_ei.preprocessing. "
        "Without that: The operator explains"
    )
    assert np.argwhere(found.stuck.all(axis=(0, 1)))[:, 0].tolist() == [22, 40]
    assert found.stuck.sum() == 2 * 6 * 30
    assert found.causes == ["bins 22 and 40: dead, stuck or lost"]
    json.dumps(found.to_dict())
    # The rest is what it is without them, and the cure is one.
    masked = followed(found, operator, Y)
    cured = check_consistency(operator, masked)
    assert cured.is_consistent
    assert found.noise == pytest.approx(cured.noise, rel=1e-3)
    assert found.misfit == pytest.approx(cured.misfit, rel=1e-3)


def test_what_else_is_wrong_is_told_as_well():
    Y = attenuations(PARALLEL, readings={(22, 40): 0})
    report = check_consistency(GUESS, Y)
    assert report.causes[0] == "bins 22 and 40: dead, stuck or lost"
    assert "detector_offset is about 2." in report.causes[1]
    assert "Without that: No image has such measurements" in report.sentence


def test_all_that_is_in_memory_is_looked_at():
    Y = attenuations(PARALLEL)
    Y[3, :, 30] = 3.0  # of a sample that is none of the four that are fitted
    Y[1, 7] = 30.0
    report = check_consistency(PARALLEL, Y)
    text = "Bin 30 of sample 3 and view 7 of sample 1 read the same throughout"
    assert report.sentence.startswith(text)
    expected = np.zeros(Y.shape, bool)
    expected[3, :, 30] = expected[1, 7] = True
    np.testing.assert_array_equal(report.stuck, expected)
    assert check_consistency(PARALLEL, followed(report, PARALLEL, Y)).is_consistent
    listed = check_consistency(PARALLEL, list(Y))
    assert listed.sentence == report.sentence
    tensor = torch.from_numpy(attenuations(PARALLEL, readings={(22,): 0}))[:, None]
    assert "Bin 22 reads the same" in check_consistency(PARALLEL, tensor).sentence


def followed(report, operator, Y):
    """Return what becomes of Y if a user does what the sentence says, word by word."""
    how = re.search(r"not measured, by (.*?)( of sklearn_ei\.|\. W)", report.sentence)[
        1
    ]
    if how.startswith("DeadBinMasker"):
        return eval(how, {"DeadBinMasker": DeadBinMasker}).fit_transform(Y)
    names = {"np": np, "check_consistency": check_consistency, "operator": operator}
    Y = Y.copy()
    exec(how, {**names, "Y": Y})
    return Y


def test_what_is_in_a_file_is_looked_at_in_part(tmp_path):
    h5py = pytest.importorskip("h5py")
    Y = attenuations(PARALLEL)
    Y[0, 7] = 30.0  # of one of the samples that are read
    with h5py.File(tmp_path / "scan.h5", "w") as file:
        file["y"] = Y
        report = check_consistency(PARALLEL, file["y"])
    assert report.stuck is None
    assert "View 7 of some samples reads" in report.sentence
    assert check_consistency(PARALLEL, followed(report, PARALLEL, Y)).is_consistent


@pytest.mark.parametrize("mistake", ["pixel", "view", "both", "column"])
def test_area_detectors(mistake):
    operator = odl_scanner(3)
    volume = np.repeat(IMAGES[:1, :, :, None], 32, axis=3)
    volume[..., [10, 11, 20]] = 0  # layers, with gaps between them
    Y = attenuations(operator, volume)
    assert check_consistency(operator, operator.measure(volume)).is_consistent
    assert check_consistency(operator, Y).is_consistent
    expected, names = np.zeros(Y.shape, bool), []
    if mistake in ("pixel", "both"):
        expected[:, :, 20, 3] = True
        names.append("pixel (20, 3)")
    if mistake == "column":
        expected[:, :, 20] = True
        names.append(
            "pixels (20, 0), (20, 1), (20, 2), (20, 3), (20, 4), (20, 5) and 2 others"
        )
    if mistake in ("view", "both"):
        expected[:, 7] = True
        names.append("view 7")
    Y[expected] = 0.1
    report = check_consistency(operator, Y)
    assert report.causes == [f"{' and '.join(names)}: dead, stuck or lost"]
    np.testing.assert_array_equal(report.stuck, expected)
    masked = followed(report, operator, Y)
    np.testing.assert_array_equal(np.isnan(masked), expected)
    assert check_consistency(operator, masked).is_consistent


@pytest.mark.parametrize("n_channels", [1, 2])
def test_channels(n_channels):
    Y = np.stack([attenuations(PARALLEL)] * n_channels, axis=-1)
    Y[..., 40, -1] = 100.0
    Y[:, 7] = 0.0
    report = check_consistency(PARALLEL, Y)
    some = " of some samples" * (n_channels > 1)
    assert report.causes == [f"bin 40{some} and view 7: dead, stuck or lost"]
    expected = np.zeros(Y.shape, bool)
    expected[..., 40, -1] = expected[:, 7] = True
    np.testing.assert_array_equal(report.stuck, expected)
    assert check_consistency(PARALLEL, followed(report, PARALLEL, Y)).is_consistent
    tensor = torch.from_numpy(np.moveaxis(Y, -1, 1))
    found = check_consistency(PARALLEL, tensor).stuck
    np.testing.assert_array_equal(found.numpy(), np.moveaxis(expected, -1, 1))


def test_a_scan_about_two_axes_is_left_alone():
    """Its views are two axes, not one; that had been a crash."""
    odl, tomo = import_odl()
    space = odl.uniform_discr([-8.0] * 3, [8.0] * 3, (16,) * 3, dtype="float32")
    views = odl.uniform_partition([0, 0], [np.pi, 1], (9, 2))
    area = odl.uniform_partition([-14, -14], [14, 14], (20, 20))
    geometry = tomo.Parallel3dEulerGeometry(views, area)
    operator = ODLOperator(tomo.RayTransform(space, geometry))
    volume = np.zeros((1, 16, 16, 16))
    volume[:, 5:11, 4:12, 6:10] = 1
    assert check_consistency(operator, operator.measure(volume)).stuck is None


def test_the_axis_of_a_displaced_detector_is_known():
    """Something opaque on the axis is no dead bin, wherever the axis is projected."""
    odl, tomo = import_odl()
    space = odl.uniform_discr([-16.0] * 2, [16.0] * 2, (32,) * 2, dtype="float32")
    angles = odl.uniform_partition(0, 2 * np.pi, 60)
    bins = odl.uniform_partition(-8, 26, 34)
    geometry = tomo.Parallel2dGeometry(angles, bins)
    operator = ODLOperator(tomo.RayTransform(space, geometry))
    radius = np.hypot(*(np.indices((32, 32)) - 15.5))
    Y = operator.measure((1.0 * (radius < 12) + 50.0 * (radius < 2.1))[None])
    assert check_consistency(operator, np.minimum(Y, 0.3 * Y.max())).stuck is None


def test_other_instruments_have_no_bins():
    A = MatrixOperator(np.random.default_rng(0).standard_normal((60, 30)))
    Y = A.measure(np.random.default_rng(1).standard_normal((4, 30)))
    assert check_consistency(A, Y).is_consistent


def test_fits_warn():
    Y = attenuations(PARALLEL, readings={(22, 40): 0})
    with pytest.warns(
        ModelMismatchWarning, match="PseudoInverseReconstructor: Bins 22 and 40 read"
    ):
        PseudoInverseReconstructor(PARALLEL).fit(Y)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        masked = DeadBinMasker(bins=[22, 40]).fit_transform(Y)
        PseudoInverseReconstructor(PARALLEL).fit(masked)


@pytest.mark.parametrize("reading", [0, 5000, 65535])
def test_geometry_is_found_without_them(reading):
    Y = attenuations(PARALLEL, IMAGES[:3], {(22, 40): reading})
    text = r"Bins 22 and 40 read .*\[22, 40\], .*\).* Here that is left out\."
    with pytest.warns(ModelMismatchWarning, match=text):
        found = estimate_detector_offset(GUESS, Y)
    assert found.values["detector_offset"] == pytest.approx(OFFSET, abs=0.1)


def test_the_tilt_is_found_without_them_and_told_once():
    rows = [
        attenuations(ParallelBeamCT(30, n_bins=55, detector_offset=2 + 0.2 * k), x)
        for k, x in enumerate(IMAGES[:5, None])
    ]
    Y = np.concatenate(rows)
    Y[..., 22] = 100.0
    with pytest.warns(ModelMismatchWarning, match="Bin 22 reads the same") as given:
        tilt = estimate_axis_tilt(GUESS, Y, n_rows=3)
    assert len(given) == 1
    assert tilt.slope == pytest.approx(0.2, abs=0.02)
    assert tilt.operator.detector_offset == pytest.approx(2.4, abs=0.1)
