"""Every public entry meets what users pass, by mistake or rightly."""

import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
if not BENCHMARKS.exists():
    pytest.skip("the benchmarks are not beside the tests", allow_module_level=True)
sys.path.insert(0, str(BENCHMARKS))
import _bad_inputs  # noqa: E402


def test_bad_inputs_are_refused_in_a_sentence_and_change_nothing():
    outcomes = [_bad_inputs.run(case) for case in _bad_inputs.refused_cases()]
    assert len(outcomes) > 700
    problems = [(str(o.case), o.problem, o.error) for o in outcomes if o.problem]
    assert not problems


@pytest.mark.slow
def test_unusual_inputs_give_right_results():
    outcomes = [_bad_inputs.run(case) for case in _bad_inputs.accepted_cases()]
    assert len(outcomes) > 150
    problems = [(str(o.case), o.problem, o.error) for o in outcomes if o.problem]
    assert not problems


def test_the_table_would_notice():
    """A case that is silent, wrong, from below or changes something is a problem."""

    class Estimator:
        def fit(self):
            self.x_ = 1
            raise ValueError("refused, but too late to be of use")

    estimator = Estimator()
    for problem, case in (
        ("silent", _bad_inputs.Case("f", "x", lambda: 1)),
        ("wrong result", _bad_inputs.Case("f", "x", lambda: 1, False, expected=2)),
        ("error from below", _bad_inputs.Case("f", "x", lambda: int("a"))),
        ("error from below", _bad_inputs.Case("f", "x", lambda: {}["a"])),
        ("error from below", _bad_inputs.Case("f", "x", estimator.fit)),
    ):
        assert _bad_inputs.run(case).problem == problem
    before = _bad_inputs.state_of(Estimator())
    assert not _bad_inputs.same(before, _bad_inputs.state_of(estimator))


def test_random_calls_give_results_or_refusals():
    hypothesis = pytest.importorskip("hypothesis")
    import _fuzz

    outcomes = []

    @hypothesis.settings(
        max_examples=250,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @hypothesis.given(_fuzz.calls())
    def run(drawn):
        _, description, call = drawn
        outcome, error = _fuzz.fault_of(call)
        outcomes.append(outcome)
        assert outcome in ("result", "refused", "diverged"), (description, error)

    run()
    assert min(outcomes.count("result"), outcomes.count("refused")) > 20
