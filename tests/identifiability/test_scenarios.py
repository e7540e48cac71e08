"""Every row of the scenario table, against the dense reference."""

import pytest

from sklearn_ei import check_group_rank
from tests.identifiability.scenarios import scenarios

SMALL, LARGE = scenarios(16), scenarios(32)
# σ below 1e-7 σ_max is zero; what goes through S = MᵀM is known to about 1e-8.
ROUNDING = 3e-8
TO_DO = {
    "FAIL_COUNT": "Do not train with this group",
    "FAIL_INVARIANT": "Do not train with this group",
    "FAIL_RANK": "Do not train with this group",
    "WEAK": "Train, and expect little",
    "PASS_NECESSARY": "Train.",
}


def agree(report, reference):
    """Assert that ranks, ratio and verdict are those of the dense reference."""
    assert reference.method == "dense SVD"
    assert reference.rank_interval[0] == reference.rank_interval[1]
    low, high = report.rank_interval
    if report.verdict == "FAIL_COUNT":
        assert high == reference.rank < report.n
    else:
        assert (low, high) == reference.rank_interval
        assert report.nullity == reference.nullity
        assert report.sigma_ratio == pytest.approx(
            reference.sigma_ratio, rel=1e-4, abs=ROUNDING
        )
    assert report.verdict == reference.verdict


@pytest.mark.parametrize("case", SMALL, ids=lambda case: case.name)
@pytest.mark.parametrize("tol", [1e-3, pytest.param(1e-2, marks=pytest.mark.slow)])
def test_small_images_against_the_dense_reference(case, tol):
    report = check_group_rank(case.operator, case.group, tol=tol, random_state=0)
    reference = check_group_rank(
        case.operator, case.group, tol=tol, method="dense", random_state=0
    )
    agree(report, reference)


@pytest.mark.slow
@pytest.mark.parametrize("case", LARGE, ids=lambda case: case.name)
def test_the_table_against_the_dense_reference(case):
    arguments = {"tol": 1e-2, "random_state": 0}
    report = check_group_rank(case.operator, case.group, **arguments)
    reference = check_group_rank(case.operator, case.group, method="dense", **arguments)
    agree(report, reference)
    assert reference.n - reference.nullity == case.rank


@pytest.mark.parametrize("case", LARGE, ids=lambda case: case.name)
def test_the_table(case):
    report = check_group_rank(case.operator, case.group, random_state=0)
    assert report.verdict == case.verdict
    if report.nullity is None:
        assert report.rank_interval[1] == case.rank
    else:
        assert report.n - report.nullity == case.rank
    assert report.n == 1024
    assert "will" not in report.sentence or "will hide" in report.sentence
    if report.verdict == "PASS_NECESSARY":
        assert "does not guarantee learning" in report.sentence
    assert report.sentence.split(". ")[-1].startswith(TO_DO[report.verdict])


def test_the_index_separates_rotations_from_shifts_where_the_rank_does_not():
    by_name = {case.name: case for case in LARGE}
    rotations, shifts = (
        check_group_rank(by_name[name].operator, by_name[name].group, random_state=0)
        for name in ("ct-rotations", "ct-shifts")
    )
    assert rotations.rank == shifts.rank == 1024
    assert shifts.sigma_ratio > rotations.sigma_ratio
    assert rotations.innovation > 3 * rotations.innovation_floor
    assert shifts.innovation < 1.5 * shifts.innovation_floor


def test_no_verdict_promises_that_learning_succeeds():
    words = ("guarantees", "succeed", "learnable", "will learn", "can learn")
    for case in LARGE:
        if case.name in ("inpainting-shifts", "gaussian-shifts", "ct-c4"):
            report = check_group_rank(case.operator, case.group, random_state=0)
            assert not [word for word in words if word in str(report)]
