"""Which elements of a group to look at."""

import math
from itertools import islice

import torch

from ..groups import ProductGroup, Rotations, Shifts

_GOLDEN = (math.sqrt(5) - 1) / 2


def factors(group):
    """Return the groups that a product consists of, or the group itself."""
    return group.factors if isinstance(group, ProductGroup) else (group,)


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


def quarter_turn_step(group):
    """Return the step k with T_{g+k} = rot90 after T_g for suitable g, or None.

    Rotations whose order is a multiple of 4 have it, also as the first factor
    of a product. The second factor stays at its identity then, as a subset of
    the group is enough to show full rank.
    """
    parts = factors(group)
    first = parts[0]
    if not isinstance(first, Rotations) or first.angles is not None:
        return None
    if first.n_elements % 4:
        return None
    others = math.prod(part.n_elements for part in parts[1:])
    return first.n_elements // 4 * others


def representative_elements(group):
    """Return elements whose action shows what the group is like.

    Generators, their double and fourfold for shifts, and spread elements for
    others; for products those of each factor. Shifts stay small: large cyclic
    ones move the image across its border, which instruments do not.
    """
    chosen = []
    others = group.n_elements
    for part in factors(group):
        others //= part.n_elements
        if isinstance(part, Shifts):
            offsets = part.offsets(part.generators())
            own = torch.cat([part.elements(k * offsets) for k in (1, 2, 4)]).tolist()
        else:
            # Few generators are tried, so that permutations have no hundred.
            own = part.generators()[:4].tolist() + spread(part.n_elements, 7)
        chosen += [g * others for g in own if g != 0]
    return list(dict.fromkeys(chosen))
