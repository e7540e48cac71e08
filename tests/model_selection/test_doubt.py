"""When a choice of α is doubtful, by scores made up for it."""

import numpy as np
import pytest

from sklearn_ei.model_selection import doubt


@pytest.mark.parametrize(
    ("values", "means", "said"),
    [
        ([0.1, 1, 10], [1, 2, 1], None),
        ([10, 0.1, 1], [3, 2, 1], "values that go beyond it"),
        ([10, 0.1, 1], [1, 3, 2], "values that go below it"),
        ([0, 1, 10], [3, 2, 1], None),  # nothing is below
        ([1, 10], [1, 2], None),  # two have no inside
        ([0.1, 1, 10], [1, 2, 2], "scores as others do"),
    ],
)
def test_edges_and_equals(values, means, said):
    found = doubt(values, means, int(np.argmax(means)))
    assert (found is None) == (said is None)
    assert said is None or said in found


@pytest.mark.parametrize(("step", "tied"), [(0.3, False), (0.03, True)])
def test_ties_are_told_by_the_standard_error_of_paired_differences(step, tied):
    rng = np.random.default_rng(0)
    samples = 100 * rng.standard_normal(9)  # that samples differ counts for nothing
    own = 0.3 * rng.standard_normal((3, 9))
    own -= own.mean(axis=1, keepdims=True)
    paired = samples + own + np.array([[-5.0], [0.0], [-step]])
    # The error of own differences is 0.3 √2 / √9 = 0.14.
    found = doubt([0.1, 1, 10], paired.mean(axis=1), 1, paired)
    assert (found is not None) == tied
    if tied:
        assert "cannot be told from 10:" in found


def test_few_scores_have_no_scatter():
    paired = np.array([[0.0, 0.0, 0.0], [9.0, -8.0, 0.1], [-1.0, -1.0, -1.0]])
    assert doubt([0.1, 1, 10], paired.mean(axis=1), 1, paired) is None
