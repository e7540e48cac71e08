"""The warning that training cannot learn what A does not measure."""


class GroupRankWarning(UserWarning):
    """The group cannot teach anything, or not enough, about the null space of A.

    Raised in ``fit``; see :func:`sklearn_ei.check_group_rank`.
    """
