"""What every method finds out about the eigenvalues of S."""

from dataclasses import dataclass, field

import numpy as np

#: σ/σ_max below this is zero to a float64 computation through S, as σ² ~ 1e-14.
ZERO = 1e-7


@dataclass
class Spectrum:
    """Eigenvalues of S, known in full or in part, for one copy of the channels.

    ``smallest`` and ``largest`` are eigenvalues σ²; ``kind`` says what
    ``smallest`` is: exact, or an upper bound. ``lower`` is a lower bound of
    σ_min/σ_max and ``below`` the interval of how many directions lie below the
    tolerance (None: not known).
    """

    method: str
    smallest: float
    largest: float
    kind: str = "exact"
    lower: float = 0.0
    n_below: tuple = (0, None)
    n_zero: tuple = (0, None)
    values: np.ndarray | None = None
    directions: np.ndarray | None = None
    elements: list = field(default_factory=list)
    certificate: str = "exact"
    failure_probability: float = 0.0
    whole_group: bool = True

    @property
    def ratio(self):
        """σ_min/σ_max."""
        return float(np.sqrt(max(self.smallest, 0.0) / self.largest))


def from_values(method, values, tol, **fields):
    """Return the :class:`Spectrum` of a complete list of eigenvalues."""
    values = np.sort(np.clip(values, 0.0, None))
    largest = float(values[-1])
    n_below = int((values < tol**2 * largest).sum())
    n_zero = int((values < ZERO**2 * largest).sum())
    smallest = float(values[0])
    return Spectrum(
        method=method,
        smallest=smallest,
        largest=largest,
        lower=float(np.sqrt(smallest / largest)),
        n_below=(n_below, n_below),
        n_zero=(n_zero, n_zero),
        values=values,
        **fields,
    )
