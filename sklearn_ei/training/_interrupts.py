"""Ctrl-C that never falls into the middle of anything."""

import signal
import sys
import threading
from contextlib import contextmanager
from contextvars import ContextVar

# Frames of these packages between the user and a fit: a search is under way.
_SEARCHES = ("sklearn.model_selection.", "joblib.", "dask.", "distributed.")


_SEARCHING = ContextVar("searching", default=False)


@contextmanager
def searching():
    """Mark what runs within this context as a search of several fits."""
    token = _SEARCHING.set(True)
    try:
        yield
    finally:
        _SEARCHING.reset(token)


class Interrupts:
    """Takes Ctrl-C in hand while a training runs.

    The first is only noted: the training ends at its next step. The second ends
    what computes at once, if it may be cut off; what saves, or goes back to an
    earlier state, is always let finish. Outside of the main thread, or where the
    program has a handler of its own, nothing is changed.

    Attributes
    ----------
    pending : bool
        Whether there was one.
    cut : bool
        Whether one has cut a computation off.
    """

    def __init__(self):
        self.pending = self.cut = False
        self._may_cut = False

    @contextmanager
    def watched(self):
        """Watch for Ctrl-C within this context."""
        main = threading.current_thread() is threading.main_thread()
        before = signal.getsignal(signal.SIGINT) if main else None
        if before is not signal.default_int_handler:
            yield self
            return
        signal.signal(signal.SIGINT, self._note)
        try:
            yield self
        finally:
            signal.signal(signal.SIGINT, before)

    def _note(self, signum, frame):
        again, self.pending = self.pending, True
        if again and self._may_cut:
            self._may_cut, self.cut = False, True
            raise KeyboardInterrupt

    @contextmanager
    def computing(self):
        """Let a second Ctrl-C cut off what runs within this context."""
        self._may_cut = True
        try:
            yield
        finally:
            self._may_cut = False

    def check(self):
        """Raise ``KeyboardInterrupt`` if there was one."""
        if self.pending:
            raise KeyboardInterrupt


def inside_a_search():
    """Return whether a search, a path or a cross-validation called this fit.

    These would go on with the next fit, and score one that was stopped: Ctrl-C has
    to leave them.
    """
    if _SEARCHING.get():
        return True
    frame = sys._getframe(1)
    while frame is not None:
        module = str(frame.f_globals.get("__name__", "")) + "."
        if module.startswith(_SEARCHES):
            return True
        frame = frame.f_back
    return False
