"""Figures in docstrings of the package: counted, not measured."""

import numpy as np


def metrics():
    yield f": {10 * np.log10(3):.2f} dB for RGB"


def rays():
    """Bytes of 512 views of 512² bins: a detector, or two points for each ray."""
    bins, views, float64 = 512**2, 512, 8
    kept, full = 3 * float64 * bins, 6 * float64 * bins * views
    yield f"take {kept / 1e6:.0f} MB rather than {full / 1e9:.0f} GB"


PAGES = {
    "sklearn_ei/metrics.py": metrics,
    "sklearn_ei/operators/_rays.py": rays,
}
