"""Where the rank check's random vectors come from."""

import numpy as np

from sklearn_ei import check_group_rank, check_range_invariance
from sklearn_ei.groups import Shifts
from sklearn_ei.operators import Inpainting


def test_checks_without_a_seed_leave_numpy_s_generator_alone():
    before = np.random.get_state()  # noqa: NPY002
    check_group_rank(Inpainting(0.5, (6, 6)), Shifts())
    check_range_invariance(Inpainting(0.5, (6, 6)), Shifts())
    after = np.random.get_state()  # noqa: NPY002
    assert before[2:] == after[2:]
    np.testing.assert_array_equal(before[1], after[1])
