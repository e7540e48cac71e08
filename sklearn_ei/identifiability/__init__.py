"""Before training: what a group can teach about the null space of an operator."""

from ._cheap import cheap_failure
from ._check import check_group_rank, check_range_invariance
from ._range_invariance import RangeInvarianceReport
from ._report import GroupRankReport
from ._warning import GroupRankWarning

__all__ = [
    "GroupRankReport",
    "GroupRankWarning",
    "RangeInvarianceReport",
    "cheap_failure",
    "check_group_rank",
    "check_range_invariance",
]
