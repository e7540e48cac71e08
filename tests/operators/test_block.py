"""BlockOperator against its parts."""

import numpy as np
import pytest
import torch
from sklearn.base import clone

from sklearn_ei.operators import (
    MRI,
    BlockOperator,
    CompressedSensing,
    Downsampling,
    Inpainting,
    MatrixOperator,
    ParallelBeamCT,
)

RNG = np.random.default_rng(0)


def test_measurements_are_flattened_and_concatenated():
    parts = [Downsampling(2), Inpainting(0.3)]
    images = RNG.normal(size=(3, 6, 4))
    expected = [part.measure(images).reshape(3, -1) for part in parts]
    Y = BlockOperator(parts).measure(images)
    np.testing.assert_allclose(Y, np.concatenate(expected, axis=1), rtol=1e-6)


def test_adjoint_sums_over_the_parts():
    parts = [Downsampling(2, (6, 4)), Inpainting(0.3, (6, 4))]
    y = torch.randn((2, 3, 30))
    expected = parts[0].adjoint(y[..., :6].reshape(2, 3, 3, 2))
    expected = expected + parts[1].adjoint(y[..., 6:].reshape(2, 3, 6, 4))
    torch.testing.assert_close(BlockOperator(parts).adjoint(y), expected)


def test_the_shape_that_one_part_knows_is_everyones():
    operator = BlockOperator([ParallelBeamCT(5), Inpainting(mask=np.ones((8, 9)))])
    assert operator.image_shape == (8, 9)
    n_measurements = ParallelBeamCT(5).resolve(image_shape=(8, 9)).measurement_shape
    assert operator.measurement_shape == (np.prod(n_measurements) + 72,)
    assert operator.forward(torch.ones((1, 1, 8, 9))).shape[2:] == (
        operator.measurement_shape
    )
    resolved = operator.resolve(measurement_shape=operator.measurement_shape)
    assert resolved.operators[0].image_shape == (8, 9)


def test_a_given_shape_comes_before_that_of_a_bare_matrix():
    matrix = MatrixOperator(RNG.normal(size=(5, 24)))
    assert BlockOperator([matrix]).image_shape == (24,)
    assert BlockOperator([matrix, Downsampling(2, (6, 4))]).image_shape == (6, 4)


def test_unresolved_images_come_from_the_data():
    operator = BlockOperator([Downsampling(2), Inpainting(0.3)])
    assert operator.image_shape is operator.measurement_shape is None
    assert operator.measure(RNG.normal(size=(2, 6, 4, 3))).shape == (2, 30, 3)
    with pytest.raises(ValueError, match="cannot infer the shape of the images"):
        operator.resolve(measurement_shape=(30,))


def test_instruments_together_see_more_than_each():
    images = RNG.normal(size=(2, 6, 6))
    parts = [
        CompressedSensing(18, (6, 6), random_state=0),
        CompressedSensing(18, (6, 6), random_state=1),
    ]

    def error(operator):
        return np.linalg.norm(operator.reconstruct(operator.measure(images)) - images)

    alone = min(error(part) for part in parts)
    few, many = (error(BlockOperator(parts, n_refinements=t)) for t in (5, 100))
    assert many < few < alone


def test_clones_and_parameters():
    operator = BlockOperator([Downsampling(2), Inpainting(0.3)], n_refinements=2)
    twin = clone(operator)
    assert set(twin.get_params(deep=False)) == {"operators", "n_refinements"}
    assert repr(twin) == repr(operator)
    assert twin.operators[0] is not operator.operators[0]
    assert clone(twin.set_params(n_refinements=4)).n_refinements == 4


@pytest.mark.parametrize("operators", [[], None, Inpainting(), [Inpainting(), "CT"]])
def test_other_than_lists_of_operators_are_refused(operators):
    with pytest.raises(TypeError, match="list of ForwardOperator"):
        BlockOperator(operators).resolve(image_shape=(4, 4))


@pytest.mark.parametrize(
    ("operator", "message"),
    [
        (BlockOperator([Inpainting(), MRI()]), "images have channels=2"),
        (
            BlockOperator([Inpainting(0.3, (4, 4)), Inpainting(0.3, (4, 5))]),
            "expected equal shapes",
        ),
        (BlockOperator([Inpainting()], n_refinements=-1), "n_refinements == -1"),
        (BlockOperator([Downsampling(3), Inpainting(0.3, (4, 4))]), "divisible"),
    ],
)
def test_operators_that_do_not_fit_are_refused(operator, message):
    with pytest.raises(ValueError, match=message):
        operator.resolve()


def test_other_measurement_shapes_are_refused():
    operator = BlockOperator([Inpainting(0.3, (4, 4))])
    with pytest.raises(ValueError, match=r"expected \(16,\)"):
        operator.resolve(measurement_shape=(15,))
