"""One file, and how what we read of it compares."""

import warnings
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

SENTENCE = (ValueError, TypeError, FileNotFoundError, MemoryError, OSError)


@dataclass
class Case:
    """A file, what our reader says, and what the library says."""

    path: Path
    reader: str
    ours: object
    theirs: object
    made: bool = False
    # Where the documentation says that values differ, and what they are there.
    stated: object = None
    outcome: str = field(default="", init=False)
    detail: str = field(default="", init=False)

    def run(self):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            theirs, error_of_theirs = attempt(self.theirs)
            ours, error = attempt(self.ours)
        if error is not None:
            in_a_sentence = isinstance(error, SENTENCE) and self.path.name in str(error)
            self.detail = f"{type(error).__name__}: {error}"[:200]
            if not in_a_sentence:
                self.outcome = "raw error"
            elif error_of_theirs is not None:
                self.outcome = "refused by both"
            else:
                self.outcome = "refused"
        elif error_of_theirs is not None:
            self.outcome, self.detail = "read by us alone", repr(error_of_theirs)[:200]
        elif same(ours, theirs):
            self.outcome = "equal"
        elif self.stated is not None and same(ours, self.stated(theirs)):
            self.outcome = "equal but for what is stated"
        else:
            self.outcome = "silently different"
            self.detail = f"{np.shape(ours)} and {np.shape(theirs)}"
        return self


def attempt(function):
    try:
        return function(), None
    except Exception as error:
        return None, error


def same(ours, theirs):
    """Whether values are equal, but for the number of leading axes of length 1."""
    ours, theirs = np.asarray(ours), np.asarray(theirs)
    if ours.size != theirs.size or ours.shape[-1:] != theirs.shape[-1:]:
        return False
    shapes = [tuple(n for n in a.shape if n > 1) for a in (ours, theirs)]
    return shapes[0] == shapes[1] and np.array_equal(
        ours.ravel(), theirs.ravel(), equal_nan=ours.dtype.kind in "fc"
    )
