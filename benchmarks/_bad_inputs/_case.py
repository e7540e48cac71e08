"""One call, and the judgement of what comes of it."""

import traceback
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import sklearn
import torch

import sklearn_ei

OURS = Path(sklearn_ei.__file__).parent
# scikit-learn's checks of parameters, of scalars, of random_state, of the number of
# features, and of whether an estimator is fitted; they say what came and what was
# expected.
SKLEARN_CHECKS = {
    Path(sklearn.__file__).parent / "utils" / name
    for name in ("validation.py", "_param_validation.py")
}


@dataclass
class Case:
    """One call: ``refused`` says what has to come of it."""

    entry: str
    name: str
    call: object  # () -> result
    refused: bool = True
    estimator: object = None  # unchanged if the call is refused
    expected: object = None  # result of an accepted call
    tolerance: float = 0

    def __str__(self):
        return f"{self.entry} <- {self.name}"


@dataclass
class Outcome:
    """What came of a case; ``problem`` is None if that is as it should be."""

    case: Case
    problem: str | None
    error: str = ""


def state_of(estimator):
    """Return what a refused call must not change."""
    if estimator is None:
        return None
    derived = ("_state",)  # by operators on first use
    state = {name: id(v) for name, v in vars(estimator).items() if name not in derived}
    if hasattr(estimator, "function_"):
        weights = estimator.function_.state_dict().values()
        state["weights"] = [w.clone() for w in weights]
        state["epochs"] = len(estimator.history_)
        state["training"] = estimator.function_.training
    return state


def same(before, after):
    if before is None or before.keys() != after.keys():
        return before == after
    weights = before.pop("weights", []), after.pop("weights", [])
    return before == after and all(map(torch.equal, *weights))


def run(case):
    """Call a case with warnings as errors and judge what comes of it."""
    before = state_of(case.estimator)
    generators = _global_generators()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            result = case.call()
    except Exception as error:
        problem, message = _judge_error(case, error), f"{type(error).__name__}: {error}"
    else:
        message = ""
        problem = "silent" if case.refused else _judge_result(case, result)
    if case.refused and not same(before, state_of(case.estimator)):
        problem = problem or "changed the estimator"
    if _global_generators() != generators:
        problem = problem or "moved a global generator"
    return Outcome(case, problem, message)


def _global_generators():
    """Return the states of the generators that nobody may move."""
    numpy_state = np.random.mtrand._rand.get_state(legacy=False)["state"]
    return (
        numpy_state["pos"],
        numpy_state["key"].tobytes(),
        torch.get_rng_state().numpy().tobytes(),
    )


def raised_by_us(error):
    """Whether the error was raised on purpose, by a check of ours or scikit-learn's."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    file = Path(frame.filename)
    ours = OURS in file.parents or file in SKLEARN_CHECKS
    return ours and frame.line.startswith("raise")  # not an operation that failed


def is_one_sentence(message):
    return "\n" not in message and 20 <= len(message) <= 500


def _judge_error(case, error):
    if not case.refused:
        return "refused what is right"
    if not isinstance(error, ValueError | TypeError) or not raised_by_us(error):
        return "error from below"
    return None if is_one_sentence(str(error)) else "not one sentence"


def _judge_result(case, result):
    result, expected = np.asarray(result, float), np.asarray(case.expected, float)
    size = max(np.abs(expected[np.isfinite(expected)]).max(initial=0), 1e-30)
    close = np.allclose(result, expected, rtol=0, atol=case.tolerance * size)
    return None if close else "wrong result"
