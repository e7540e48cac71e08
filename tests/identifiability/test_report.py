"""The report, its figure, the clock, Corollary 1 and the innovation index."""

import json

import numpy as np
import pytest
import torch

from sklearn_ei import GroupRankReport, check_group_rank, check_range_invariance
from sklearn_ei.groups import Permutations, Reflections, Rotations, Shifts
from sklearn_ei.identifiability import _innovation
from sklearn_ei.identifiability._budget import Budget, OutOfTimeError
from sklearn_ei.operators import (
    MRI,
    Blur,
    CompressedSensing,
    FanBeamCT,
    Inpainting,
    ODLOperator,
    ParallelBeamCT,
    gaussian_kernel,
)
from sklearn_ei.utils.odl import import_odl

CT = ParallelBeamCT(12, (32, 32))
FAN = FanBeamCT(24, (32, 32), source_distance=64)


@pytest.fixture(scope="module")
def reports():
    cases = {
        "pass": (Inpainting(0.3, (16, 16)), Shifts()),
        "count": (Inpainting(0.7, (16, 16)), Reflections()),
        "invariant": (MRI(4, (16, 16)), Shifts()),
        "rank": (Inpainting(0.3, (16, 16)), Reflections()),
        "weak": (CT, Shifts()),
        "signal": (CompressedSensing(20, (40,)), Shifts()),
    }
    return {
        name: check_group_rank(*case, random_state=0) for name, case in cases.items()
    }


def test_text_and_html(reports):
    for report in reports.values():
        text = str(report)
        assert repr(report) == text
        assert text.startswith(f"{report.verdict}: {report.sentence}")
        assert f"{report.rank_interval[1]} of {report.n}" in text
        html = report._repr_html_()
        assert f"<b>{report.verdict}</b>" in html
        assert "&lt;" in html or "<1e" not in text
    assert "wrong with probability" not in str(reports["pass"])
    assert "fails" in str(reports["count"])
    assert "fails" not in str(reports["pass"])


def test_to_dict_goes_through_json(reports):
    for report in reports.values():
        fields = json.loads(json.dumps(report.to_dict()))
        assert fields["verdict"] == report.verdict
        assert set(fields) == set(GroupRankReport.__dataclass_fields__)
        if report.spectrum is not None:
            np.testing.assert_allclose(fields["spectrum"], report.spectrum)
            assert fields["spectrum_quantiles"]["0.0"] == report.sigma_ratio
            assert fields["spectrum_quantiles"]["1.0"] == 1


def test_plot(reports):
    figures = pytest.importorskip("matplotlib.figure")
    for name, n_axes in [("rank", 4), ("count", 1), ("signal", 4), ("invariant", 4)]:
        figure = figures.Figure()
        assert reports[name].plot(figure, n_images=3) is figure
        assert len(figure.axes) == n_axes
        assert figure.axes[0].get_title() == reports[name].verdict
    assert reports["rank"].plot(figures.Figure()).axes[1].get_title("left") == (
        "never measured"
    )


def test_count_needs_nothing_else(reports):
    report = reports["count"]
    assert report.method == "counting"
    assert report.certificate == "exact"
    assert report.rank is None
    assert report.range_invariance == {}
    assert report.failed
    assert not reports["pass"].failed


def test_method_count_stops_before_linear_algebra():
    report = check_group_rank(CT, Rotations(360), method="count", random_state=0)
    assert report.verdict == "INCONCLUSIVE"
    assert report.range_invariance
    assert report.spectrum is report.innovation is None
    invariant = check_group_rank(CT, Rotations(4), method="count", random_state=0)
    assert invariant.verdict == "FAIL_INVARIANT"
    assert invariant.rank_interval[1] <= invariant.m


def test_ceiling_of_the_signals_dimension(reports):
    # S1: m > 2k + max c_j + 1.
    assert reports["signal"].signal_dimension_ceiling == (20 - 1 - 1) / 2
    assert reports["pass"].signal_dimension_ceiling is None  # 2-D: not cyclic


# ------------------------------------------------------------------ the clock
def test_out_of_time_is_inconclusive_with_what_is_known(monkeypatch):
    clock = iter(np.arange(0.0, 1e6, 0.25))
    monkeypatch.setattr(
        "sklearn_ei.identifiability._budget.time.perf_counter", lambda: next(clock)
    )
    report = check_group_rank(CT, Rotations(360), max_seconds=5, random_state=0)
    assert report.verdict == "INCONCLUSIVE"
    assert "time was up" in report.sentence
    assert report.sentence.endswith("before you train.")
    assert report.rank_interval == (0, 1024)
    assert report.count_bound == 360 * report.m


def test_what_counting_decides_needs_no_time():
    report = check_group_rank(
        Inpainting(0.7, (16, 16)), Reflections(), max_seconds=1e-9
    )
    assert report.verdict in ("FAIL_COUNT", "INCONCLUSIVE")
    with pytest.raises(OutOfTimeError):
        Budget(1e-9).need()
    Budget().need(1e9)


def test_time_is_kept():
    report = check_group_rank(
        ParallelBeamCT(30, (96, 96)), Rotations(360), max_seconds=1.5, random_state=0
    )
    assert report.verdict == "INCONCLUSIVE"
    assert report.seconds < 15  # of minutes; machines may be busy


def test_progress(capsys):
    check_group_rank(CT, Rotations(12), random_state=0)
    assert capsys.readouterr().out == ""
    report = check_group_rank(CT, Rotations(12), random_state=0, verbose=1)
    lines = capsys.readouterr().out.splitlines()
    assert any("innovation" in line for line in lines)
    assert all(line.startswith("[group rank]") for line in lines)
    assert lines[-1].endswith(report.verdict)


# --------------------------------------------------------------- Corollary 1
@pytest.mark.parametrize(
    ("operator", "group", "invariant"),
    [
        (CT, Rotations(4), True),
        (CT, Rotations(360), False),
        (CT, Shifts(), False),
        (MRI(4, (16, 16)), Shifts(), True),
        (Blur(gaussian_kernel(1.0), (16, 16)), Shifts(), True),
        (Blur(gaussian_kernel(1.0), (16, 16)), Rotations(4), True),
        (Inpainting(0.3, (16, 16)), Reflections(), False),
        (CompressedSensing(30, (8, 8)), Permutations(9), False),
    ],
    ids=repr,
)
def test_range_invariance(operator, group, invariant):
    report = check_range_invariance(operator, group, random_state=0)
    assert report.invariant is invariant
    assert str(report) == report.sentence
    worst = max(report.residuals.values())
    assert (worst < 1e-5) is invariant


def test_residuals_are_distances_from_the_range():
    """Against the projection onto the range of Aᵀ, densely."""
    operator = CompressedSensing(30, (8, 8))
    report = check_range_invariance(operator, Reflections(), random_state=0)
    A = operator.forward(torch.eye(64).double().reshape(64, 1, 8, 8)).reshape(64, 30)
    Q, _ = torch.linalg.qr(A)
    w = torch.randn(30, 200, dtype=torch.float64)
    r = Reflections().adjoint((A @ w).T.reshape(200, 1, 8, 8), 1).reshape(200, 64)
    distance = (r - r @ Q @ Q.T).norm(dim=1) / r.norm(dim=1)
    (residual,) = report.residuals.values()
    assert distance.min() < residual < distance.max()


def test_an_invariant_range_that_does_not_commute_is_found_by_iterations():
    """Weights that differ between mirrored pixels leave the range as it is."""
    mask = np.ones((8, 8))
    mask[:, :2] = mask[:, -2:] = 0

    class Weighted(Inpainting):
        def _forward(self, x, constants):
            weights = torch.linspace(1, 2, 8, dtype=x.dtype)
            return x * constants.mask * weights

        _adjoint = _forward

    report = check_range_invariance(Weighted(mask=mask), Reflections(), random_state=0)
    assert report.invariant is True
    assert report.n_iterations > 0
    full = check_group_rank(Weighted(mask=mask), Reflections(), random_state=0)
    assert full.verdict == "FAIL_INVARIANT"
    assert full.nullity == 32


def test_iterations_that_do_not_tell_are_admitted():
    report = check_range_invariance(CT, Rotations(360), n_iterations=1, random_state=0)
    assert report.invariant is None
    assert "may fall further" in report.sentence


def test_an_operator_without_null_space_passes():
    report = check_group_rank(
        Inpainting(mask=np.ones((8, 8), bool)), Shifts(), random_state=0
    )
    assert report.verdict == "PASS_NECESSARY"
    assert max(report.range_invariance.values()) == 0


# ----------------------------------------------------------- innovation index
def test_the_index_is_what_a_dense_projection_gives(monkeypatch):
    """1 − ‖P T_g n_0‖²/‖T_g n_0‖² with P from the singular vectors of A."""
    monkeypatch.setattr(_innovation, "_N_ITERATIONS", 4000)
    operator, group = CompressedSensing(40, (8, 8)), Reflections()
    report = check_group_rank(operator, group, random_state=0)
    A = operator.forward(torch.eye(64).double().reshape(64, 1, 8, 8)).reshape(64, 40).T
    P = torch.eye(64).double() - torch.linalg.pinv(A) @ A
    # Over all ghosts the mean is 1 − tr(P T P Tᵀ)/tr(P).
    flip = torch.eye(64).double().reshape(64, 8, 8).flip(-1).reshape(64, 64)
    expected = 1 - float(torch.trace(P @ flip @ P @ flip.T) / torch.trace(P))
    assert report.innovation == pytest.approx(expected, abs=0.15)
    assert report.innovation_floor == 0
    assert list(report.innovation_elements) == [1]


@pytest.mark.parametrize(
    ("operator", "word"),
    [
        (FAN, "sees about {} of all directions by itself"),
        (CT, "hardly moves the null space"),
    ],
    ids=["fan", "parallel"],
)
def test_a_weak_verdict_says_why(operator, word):
    """A fan beam sees most by itself; shifts do not move what a parallel one hides."""
    group = Rotations(360) if operator is FAN else Shifts()
    report = check_group_rank(operator, group, random_state=0)
    A = operator.forward(torch.eye(1024).double().reshape(1024, 1, 32, 32)).flatten(1)
    sigma = torch.linalg.svdvals(A)
    # Steps of conjugate gradients are finite: the faintest directions count as hidden.
    counted = [float((sigma > t * sigma[0]).sum()) / 1024 for t in (1e-2, 1e-7)]
    assert counted[0] - 0.05 < report.seen_alone < counted[1] + 0.05
    assert report.verdict == "WEAK"
    assert word.format(f"{report.seen_alone:.0%}") in report.sentence
    assert report.sentence.endswith("Train, and expect little from the group.")


def test_without_a_group_masks_that_miss_something_ask_for_one():
    masks = np.zeros((2, 8, 8), dtype=bool)
    masks[0, :3] = masks[1, 5:] = True
    report = check_group_rank(Inpainting(0, (8, 8)), masks=masks, random_state=0)
    assert report.verdict == "FAIL_COUNT"
    assert report.sentence.endswith("Do not train without a group.")


def test_floors_are_named():
    kinds = {
        "rotation by the view spacing": (CT, Rotations(360)),
        "the group is exact": (CompressedSensing(300, (32, 32)), Rotations(4)),
        "forth and back": (MRI(4, (16, 16)), Rotations(12)),
    }
    for words, case in kinds.items():
        report = check_group_rank(*case, random_state=0)
        assert words in report.innovation_floor_kind
    assert "15°" in check_group_rank(CT, Shifts()).innovation_floor_kind


def test_scans_of_odl_have_the_floor_of_their_views():
    """Shifts bring a parallel beam nothing, whoever wrote the operator."""
    odl, tomo = import_odl()
    space = odl.uniform_discr([-16, -16], [16, 16], (32, 32), dtype="float32")
    views = odl.uniform_partition(0, np.pi, 12)
    geometry = tomo.Parallel2dGeometry(views, odl.uniform_partition(-24, 24, 47))
    operator = ODLOperator(tomo.RayTransform(space, geometry))
    report = check_group_rank(operator, Shifts(), random_state=0)
    assert report.innovation_floor_kind == "rotation by the view spacing, 15°"
    assert 0.05 < report.innovation < 2 * report.innovation_floor


def test_coarse_rotations_of_the_view_spacing_are_weak_or_fail():
    """Turning by multiples of the spacing measures the same lines again."""
    report = check_group_rank(CT, Rotations(24), random_state=0)
    fine = check_group_rank(CT, Rotations(360), random_state=0)
    assert report.verdict == "WEAK"
    assert report.innovation < 2 * report.innovation_floor
    assert fine.innovation > 3 * fine.innovation_floor
