"""The dot test itself: it has to find wrong adjoints."""

import pytest
import torch

from sklearn_ei.operators import Inpainting, dot_test


class Halved(Inpainting):
    """Its adjoint has the wrong scale, which a random y hardly sees."""

    def _adjoint(self, y, constants):
        return 0.5 * super()._adjoint(y, constants)


class Moved(Inpainting):
    """Its adjoint is that of another operator."""

    def _adjoint(self, y, constants):
        return super()._adjoint(y, constants).roll(1, -1)


def test_finds_a_wrong_scale_at_any_size():
    assert dot_test(Halved(0.3, (300, 300))) == pytest.approx(0.5, abs=1e-6)


def test_finds_a_wrong_adjoint():
    assert dot_test(Moved(0.3, (20, 20))) > 0.1


def test_zero_operator_has_no_error():
    class Zero(Inpainting):
        def _forward(self, x, constants):
            return torch.zeros_like(x)

        _adjoint = _forward

    assert dot_test(Zero(0.3, (5,))) == 0


def test_resolves_shapes_that_a_mask_determines():
    assert dot_test(Inpainting(mask=[True, False, True])) < 1e-12
