"""What can be said in a second, before a training."""

import torch

from ..utils.random import make_generator
from ._budget import Budget, OutOfTimeError
from ._check import count, new_report
from ._masks import masks_of
from ._range_invariance import commuting_generators, range_invariance
from ._system import System
from ._verdict import judge


def cheap_failure(operator, group, max_seconds=1.0, masks=None):
    """Return why learning is ruled out, or None; what takes about a second.

    Counting, and Corollary 1 where T_g commutes with AᵀA.

    Parameters
    ----------
    operator : ForwardOperator
        With its shapes fixed.
    group : Group
        Resolved.
    max_seconds : float, default=1.0
        Looked at between steps.
    masks : array-like, default=None
        As for :func:`~sklearn_ei.check_group_rank`.

    Returns
    -------
    sentence : str or None
        Verdict and sentence.
    """
    budget = Budget(max_seconds)
    masks = masks_of(operator, masks)
    system = System(
        operator, group, None, make_generator(0), dtype=torch.float32, masks=masks
    )
    report = new_report(system, 1e-3, masks)
    try:
        count(system, report, budget)
        judge(report, None, None, None)
        if not report.failed and system.m < system.n and system.has_group:
            generators, commuting = commuting_generators(system, budget)
            if len(commuting) == len(generators):
                judge(report, None, range_invariance(system, budget), None)
    except OutOfTimeError:
        pass
    return f"{report.verdict}: {report.sentence}" if report.failed else None
