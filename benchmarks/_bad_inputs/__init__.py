"""What users pass by mistake, and what they may pass: the table of cases.

For robust_inputs.py and the tests. Each public entry meets each input; a case is
refused in one sentence before anything has changed, or accepted with a right result.
"""

from ._accepted import accepted_cases
from ._arguments import argument_cases
from ._case import Case, is_one_sentence, raised_by_us, run, same, state_of
from ._entries import entry_cases
from ._examples import TINY


def refused_cases():
    """Return the cases that have to be refused."""
    return entry_cases() + argument_cases()


__all__ = [
    "TINY",
    "Case",
    "accepted_cases",
    "is_one_sentence",
    "raised_by_us",
    "refused_cases",
    "run",
    "same",
    "state_of",
]
