"""Each refusal is one sentence that says what came and what was expected."""

import numpy as np
import pytest
import torch
from scipy.sparse.linalg import LinearOperator

from sklearn_ei import check_group_rank, check_range_invariance
from sklearn_ei.groups import Group, Permutations, Reflections, Rotations, Shifts
from sklearn_ei.operators import (
    MRI,
    Constants,
    Inpainting,
    MatrixOperator,
    ParallelBeamCT,
)

LOST = Inpainting(0.3, (8, 8))


class Squares(Inpainting):
    """Not linear."""

    def _forward(self, x, constants):
        return x**2 * constants.mask


class WrongAdjoint(Inpainting):
    """A transpose that is none."""

    def _adjoint(self, y, constants):
        return 2 * y * constants.mask


class Nothing(Inpainting):
    """Measures zeros."""

    def _build(self, image_shape, measurement_shape):
        return Constants(mask=torch.zeros(image_shape))


class Empty(Group):
    """Has no elements, not even the identity."""

    n_elements = 0

    def _transform(self, x, g):
        return x


class Clips(Group):
    """Not linear."""

    n_elements = 2

    def _transform(self, x, g):
        return x.clamp_min(0)


@pytest.mark.parametrize("function", [check_group_rank, check_range_invariance])
@pytest.mark.parametrize(
    ("operator", "group", "error", "message"),
    [
        (np.eye(4), Shifts(), TypeError, "but expected a ForwardOperator such as"),
        (lambda x: x**2, Shifts(), TypeError, "expected a ForwardOperator"),
        (LOST, "rotations", TypeError, "group='rotations', but expected a Group"),
        (LOST, Empty(), ValueError, "has no elements, but expected at least the ident"),
        (LOST, Rotations(0), ValueError, "n_elements == 0, must be >= 1"),
        (
            LOST,
            Rotations(4).resolve((9, 9)),
            ValueError,
            r"acts on images of shape \(9, 9\).*shape \(8, 8\); expected equal",
        ),
        (
            Inpainting(0.3, (8,)),
            Rotations(4),
            ValueError,
            r"Rotations act on 2-D images.*\(8,\)",
        ),
        (Inpainting(0.3), Shifts(), ValueError, "still open: pass image_shape"),
        (ParallelBeamCT(9), Rotations(4), ValueError, "still open: pass image_shape"),
        (Squares(0.3, (8, 8)), Shifts(), ValueError, "Squares.forward is not linear"),
        (LOST, Clips(), ValueError, "Clips.transform is not linear"),
        (
            WrongAdjoint(0.3, (8, 8)),
            Shifts(),
            ValueError,
            "adjoint of WrongAdjoint is not its transpose",
        ),
        (Nothing(0.3, (8, 8)), Shifts(), ValueError, "measures nothing"),
        (
            MatrixOperator(LinearOperator((4, 9), matvec=lambda x: x[:4] ** 2)),
            Shifts(),
            ValueError,
            "expected one that defines matvec and rmatvec",
        ),
    ],
)
def test_operators_and_groups(function, operator, group, error, message):
    with pytest.raises(error, match=message):
        function(operator, group)


@pytest.mark.parametrize(
    ("parameters", "error", "message"),
    [
        ({"tol": 0}, ValueError, "tol == 0, must be > 0"),
        ({"tol": 1.5}, ValueError, "tol == 1.5"),
        ({"tol": "small"}, TypeError, "tol must be an instance of"),
        ({"method": "magic"}, ValueError, "method='magic', but expected one of 'auto'"),
        ({"max_seconds": 0}, ValueError, "max_seconds == 0, must be > 0"),
        ({"image_shape": (9, 9)}, ValueError, r"\(8, 8\).*\(9, 9\)"),
        ({"image_shape": 8}, ValueError, "image_shape=8, but expected a tuple"),
        ({"method": "fourier"}, ValueError, "expected all cyclic shifts"),
        ({"random_state": "seed"}, ValueError, "seed"),
    ],
)
def test_parameters(parameters, error, message):
    with pytest.raises(error, match=message):
        check_group_rank(LOST, Reflections(), **parameters)


def test_dense_methods_say_the_memory_they_would_take():
    large = ParallelBeamCT(50, (128, 128))
    with pytest.raises(ValueError, match=r"would take about \d+ GB of memory"):
        check_group_rank(large, Rotations(360), method="dense")
    wide = ParallelBeamCT(50, (160, 160))
    with pytest.raises(ValueError, match="more than 3 GB"):
        check_group_rank(wide, Permutations(3), method="cholesky")


@pytest.mark.parametrize("function", [check_group_rank, check_range_invariance])
def test_where_no_group_is_recommended(function):
    operator = MatrixOperator(np.eye(4)[:2])
    with pytest.raises(ValueError, match="for MatrixOperator and images of shape"):
        function(operator, "auto")
    with pytest.raises(TypeError, match=r"Got group='rotations'.*or 'auto'"):
        function(LOST, "rotations")


def test_channels_that_do_not_fit():
    with pytest.raises(
        ValueError, match="MRI got images with 3 channels, but expected 2"
    ):
        check_group_rank(MRI(4, (8, 8)), Shifts(), image_shape=(8, 8, 3))
    for shape in ((8, 8), (8, 8, 2)):
        assert check_group_rank(MRI(4), Shifts(), image_shape=shape).n == 128


def test_nothing_is_changed_and_results_repeat():
    operator, group = ParallelBeamCT(7), Rotations(12)
    state = torch.random.get_rng_state()
    first = check_group_rank(operator, group, image_shape=(16, 16), random_state=0)
    again = check_group_rank(operator, group, image_shape=(16, 16), random_state=0)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert operator.image_shape is None
    first.seconds = again.seconds = 0
    assert first.to_dict() == again.to_dict()
