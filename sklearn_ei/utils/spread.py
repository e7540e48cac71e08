"""Numbers that are spread evenly however many of them are taken."""

import math
from itertools import islice

_GOLDEN = (math.sqrt(5) - 1) / 2


def spread(n_elements, count):
    """Return ``count`` different numbers below ``n_elements``, the first being 0.

    Multiples of the golden ratio: evenly spread for every ``count``, more of
    them keep the earlier ones, and they fall into step with nothing. Evenly
    spaced ones may: multiples of 45° are multiples of the view spacing of CT
    with 60 views.
    """
    count = min(count, n_elements)
    chosen, k = [], 0
    seen = set()
    while len(chosen) < count and k < 8 * count + 64:
        g = int(n_elements * (k * _GOLDEN % 1))
        if g not in seen:
            seen.add(g)
            chosen.append(g)
        k += 1
    others = (g for g in range(n_elements) if g not in seen)
    return chosen + list(islice(others, count - len(chosen)))
