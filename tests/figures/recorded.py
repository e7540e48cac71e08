"""What benchmarks/ recorded, for lines of pages to be made from."""

import json
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "benchmarks" / "results"


def load(name):
    return json.loads((RESULTS / f"{name}.json").read_text("utf-8"))


def signed(value, digits):
    return f"{value:.{digits}f}".replace("-", "−")


def span(values, digits=0, to="–"):
    """Return the least and the largest of the values, or one if both look the same."""
    return to.join(dict.fromkeys(signed(f(values), digits) for f in (min, max)))
