"""Forward operators as ODL's, with the adjoint of weighted spaces."""

import numpy as np
import pytest

from sklearn_ei.operators import MRI, MatrixOperator, ParallelBeamCT
from sklearn_ei.operators._odl_adapter import as_odl_operator
from sklearn_ei.utils.odl import import_odl

odl, _ = import_odl()
MATRIX = np.random.default_rng(0).normal(size=(5, 12))


def space(*shape, cell=1.0, weighting=None):
    """Return a space of cells whose volume (or ``weighting``) is the weight."""
    if weighting is not None:
        return odl.rn(shape, dtype="float64", weighting=weighting)
    return odl.uniform_discr([0] * len(shape), [cell * n for n in shape], shape)


CASES = {
    "plain": (
        ParallelBeamCT(7, (6, 5)),
        space(2, 6, 5),
        space(2, 7, ParallelBeamCT(7, (6, 5)).measurement_shape[1]),
    ),
    "cells": (
        MatrixOperator(MATRIX, (3, 4), (5,)),
        space(2, 3, 4, cell=0.3),
        space(2, 5, cell=1.7),
    ),
    "array weights": (
        MatrixOperator(MATRIX, (3, 4), (5,)),
        space(2, 3, 4, weighting=np.linspace(1, 2, 24).reshape(2, 3, 4)),
        space(2, 5, weighting=np.linspace(3, 4, 10).reshape(2, 5)),
    ),
    "channels": (
        MRI(2, (6, 5)).resolve(),
        odl.ProductSpace(space(3, 6, 5, cell=0.5), 2),
        odl.ProductSpace(space(3, *MRI(2, (6, 5)).resolve().measurement_shape), 2),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_adjoint_is_that_of_the_spaces(name):
    operator = as_odl_operator(*CASES[name])
    rng = np.random.RandomState(0)
    x = operator.domain.element(rng.standard_normal(operator.domain.shape))
    y = operator.range.element(rng.standard_normal(operator.range.shape))
    assert operator(x).inner(y) == pytest.approx(x.inner(operator.adjoint(y)), rel=1e-6)
    assert operator(x).norm() > 0
    assert operator.adjoint.adjoint(x) == operator(x)


def test_is_the_operator_on_a_stack():
    operator = MatrixOperator(MATRIX, (3, 4), (5,))
    images = np.random.default_rng(1).normal(size=(2, 3, 4))
    adapter = as_odl_operator(operator, space(2, 3, 4), space(2, 5))
    result = adapter(adapter.domain.element(images)).asarray()
    np.testing.assert_allclose(result, images.reshape(2, 12) @ MATRIX.T, rtol=1e-5)
