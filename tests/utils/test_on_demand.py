"""Stacks that are computed when they are indexed."""

import pickle
from operator import add

import numpy as np
import pytest

from sklearn_ei.utils.on_demand import MappedStack, in_order

ARRAY = np.arange(24, dtype=np.float32).reshape(6, 4)


def by_number(samples, numbers):
    return samples[:, ::2] * 10 ** numbers[:, np.newaxis]


@pytest.mark.parametrize(
    "index",
    [
        3,
        -1,
        slice(None),
        slice(4, 1, -1),
        [5, 0, 0],
        np.array([2, 3, 4]),
        np.arange(6) > 3,
        np.array([], int),
        (slice(2), 1),
        (3, slice(1)),
        (Ellipsis, 0),
    ],
)
def test_samples_are_those_of_the_mapped_array(index):
    stack = MappedStack(ARRAY, by_number, (2,))
    expected = by_number(ARRAY, np.arange(6)).astype(np.float32)
    np.testing.assert_array_equal(stack[index], expected[index])
    again = pickle.loads(pickle.dumps(stack))
    np.testing.assert_array_equal(np.asarray(again), expected)
    assert (stack.shape, stack.ndim, stack.size, len(stack)) == ((6, 2), 2, 12, 6)


def test_out_of_range_and_without_a_copy():
    stack = MappedStack(ARRAY, add, (4,))
    with pytest.raises(IndexError):
        stack[6]
    with pytest.raises(ValueError, match="not in memory"):
        np.asarray(stack, copy=False)


def test_files_are_read_in_their_order():
    ordered, inverse = in_order(np.array([7, 2, 7, 4]))
    np.testing.assert_array_equal(ordered, [2, 4, 7])
    np.testing.assert_array_equal(ordered[inverse], [7, 2, 7, 4])
    ordered, inverse = in_order(np.array([4, 3, 5]))
    assert ordered == slice(3, 6)
    np.testing.assert_array_equal(np.arange(10)[ordered][inverse], [4, 3, 5])
