"""What follows from parameters is built once, for all copies and threads."""

import copy
import gc
import pickle
import threading
import time
import weakref

import numpy as np
import pytest
import torch
from sklearn.base import clone

from sklearn_ei.operators import Constants, Inpainting, ParallelBeamCT
from sklearn_ei.utils.derived import shared


class Counting(Inpainting):
    """Counts how often its constants are built, slowly."""

    n_built = 0

    def _build(self, image_shape, measurement_shape):
        time.sleep(0.02)
        type(self).n_built += 1
        return super()._build(image_shape, measurement_shape)


@pytest.fixture
def counting():
    Counting.n_built = 0
    return Counting


def test_threads_build_once(counting):
    operator, results = counting(0.3, (8, 8), random_state=11), []
    x = torch.ones((1, 1, 8, 8))
    threads = [
        threading.Thread(target=lambda op=op: results.append(op.forward(x)))
        for op in (operator, operator, clone(operator), clone(operator)) * 2
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 8
    assert all(torch.equal(result, results[0]) for result in results)
    assert counting.n_built == 1


@pytest.mark.parametrize("mask", [None, np.eye(8), np.eye(8, dtype=bool)])
def test_copies_and_equal_operators_share(counting, mask):
    first = counting(0.4, (8, 8), mask=mask, random_state=12)
    copies = (
        clone(first),
        copy.copy(first),
        copy.deepcopy(first),
        pickle.loads(pickle.dumps(first)),
        first.resolve(),
        counting(
            0.4, (8, 8), mask=None if mask is None else mask.copy(), random_state=12
        ),
    )
    for operator in (first, *copies):
        assert operator._constants is first._constants
    assert counting.n_built == 1


def test_only_what_depends_on_a_parameter_is_dropped(counting):
    operator = counting(0.3, (8, 8), random_state=13)
    x = torch.ones((1, 1, 8, 8))
    before = operator.forward(x)
    operator.remark = "no parameter"
    operator.n_refinements = 2
    operator.set_params(random_state=13)
    assert torch.equal(operator.forward(x), before)
    assert counting.n_built == 1
    operator.set_params(random_state=14)
    assert not torch.equal(operator.forward(x), before)
    assert counting.n_built == 2
    operator.set_params(image_shape=(4, 4))
    assert operator.forward(torch.ones((1, 1, 4, 4))).shape == (1, 1, 4, 4)
    assert operator.measurement_shape == (4, 4)


def test_a_mask_changed_in_place_is_another_one_for_the_next_fit():
    mask = np.ones(6, dtype=bool)
    first = Inpainting(mask=mask)
    assert first.resolve().measure(np.ones((1, 6))).sum() == 6
    held = first.resolve()
    held.measure(np.ones((1, 6)))
    mask[:2] = False
    assert Inpainting(mask=mask).resolve().measure(np.ones((1, 6))).sum() == 4


def test_nothing_outlives_its_operators():
    operator = ParallelBeamCT(11, (9, 9), detector_offset=0.123)
    projector = operator._constants.like(torch.empty(0)).projector
    reference = weakref.ref(projector.A if hasattr(projector, "A") else projector)
    del projector
    twin = clone(operator).set_params(n_refinements=1)
    twin.forward(torch.ones((1, 1, 9, 9)))
    del operator
    gc.collect()
    assert reference() is not None
    del twin
    gc.collect()
    assert reference() is None


def test_types_that_are_equal_numbers_are_not_confused():
    first, second = ParallelBeamCT(4, (8, 8)), ParallelBeamCT(True, (8, 8))
    assert first.measurement_shape == (4, 13)
    assert second.measurement_shape == (1, 13)
    ones = Inpainting(mask=np.ones(1)), Inpainting(mask=np.ones((1, 1)))
    assert [op.measurement_shape for op in ones] == [(1,), (1, 1)]


def test_what_failed_is_tried_again():
    class Value:
        pass

    def fail():
        raise OSError("not this time")

    with pytest.raises(OSError, match="not this time"):
        shared("a key of this test", fail)
    value = shared("a key of this test", Value)
    assert shared("a key of this test", fail) is value


def test_constants_are_converted_once_for_all_threads():
    constants, found = Constants(a=torch.ones(100)), []
    like = torch.zeros(1, dtype=torch.float64)
    threads = [
        threading.Thread(target=lambda: found.append(constants.like(like)))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(namespace is found[0] for namespace in found)
    assert found[0].a.dtype == torch.float64
