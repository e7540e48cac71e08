"""JSON from files of strangers."""

import json
import math

MAX_INT = 2**63


def parse_strictly(text):
    """Parse JSON strictly: no NaN, no huge numbers, no name twice."""
    return json.loads(
        text,
        parse_constant=_refuse_constant,
        parse_float=_finite_float,
        parse_int=_small_int,
        object_pairs_hook=_unique,
    )


def _refuse_constant(name):
    raise ValueError(f"{name} is not JSON")


def _finite_float(text):
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("a number is too large")
    return number


def _small_int(text):
    if len(text) > 20 or abs(number := int(text)) > MAX_INT:
        raise ValueError("an integer is too large")
    return number


def _unique(pairs):
    content = dict(pairs)
    if len(content) < len(pairs):
        raise ValueError("a name occurs twice")
    return content
