"""Seconds that are left, and words on what is being done with them."""

import time


class OutOfTimeError(Exception):
    """Raised between steps when ``max_seconds`` are used up."""


class Budget:
    """A clock with an end.

    Parameters
    ----------
    max_seconds : float or None
        When the time is up; None is never.
    verbose : int, default=0
        Above 0, print a line for each step.
    """

    def __init__(self, max_seconds=None, verbose=0):
        self.max_seconds = max_seconds
        self.verbose = verbose
        self._start = time.perf_counter()
        self._last_line = -1.0

    @property
    def elapsed(self):
        """Seconds since the start."""
        return time.perf_counter() - self._start

    @property
    def left(self):
        """Seconds left."""
        return float("inf") if self.max_seconds is None else self._end_in()

    def _end_in(self):
        return self.max_seconds - self.elapsed

    def need(self, seconds=0.0):
        """Raise :class:`OutOfTimeError` if ``seconds`` more are not left."""
        if seconds >= self.left:
            raise OutOfTimeError

    def tell(self, message, every=0.0):
        """Print ``message``; not more than once in ``every`` seconds."""
        now = self.elapsed
        if self.verbose > 0 and (every == 0 or now - self._last_line >= every):
            self._last_line = now
            print(f"[group rank] {now:6.1f} s  {message}", flush=True)
