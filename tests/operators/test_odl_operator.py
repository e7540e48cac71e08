"""Any ODL operator as a forward operator."""

import pickle

import numpy as np
import pytest
import torch
from sklearn.base import clone

from sklearn_ei.datasets import make_thorax_phantoms
from sklearn_ei.metrics import psnr
from sklearn_ei.operators import FanBeamCT, ODLOperator, ParallelBeamCT, dot_test
from sklearn_ei.utils.odl import import_odl
from tests.cases import odl_space, ray_transform

odl, tomo = import_odl()


def dense(operator):
    """Return the matrix of an operator, channels first on either side."""
    channels = operator.image_layout.n_channels
    n = channels * int(np.prod(operator.image_shape))
    eye = torch.eye(n, dtype=torch.float64)
    columns = operator.forward(eye.reshape(n, channels, *operator.image_shape))
    return columns.reshape(n, -1).T.numpy()


def odd_weights():
    """Return an operator between array-weighted spaces, with its true adjoint."""

    class Scaled(odl.Operator):
        def __init__(self):
            self.matrix = np.arange(6.0).reshape(2, 3)
            super().__init__(
                odl.rn(3, weighting=[1.0, 2.0, 3.0]),
                odl.rn(2, weighting=[0.5, 4.0]),
                linear=True,
            )

        def _call(self, x):
            return self.matrix @ x.asarray()

        @property
        def adjoint(self):
            outer = self

            class Adjoint(odl.Operator):
                def _call(self, y):
                    weighted = outer.matrix.T @ (np.array([0.5, 4.0]) * y.asarray())
                    return weighted / np.array([1.0, 2.0, 3.0])

            return Adjoint(self.range, self.domain, linear=True)

    return Scaled()


OPERATORS = {
    "matrix": lambda: odl.MatrixOperator(np.arange(6.0).reshape(2, 3)),
    "array weights": odd_weights,
    "gradient": lambda: odl.Gradient(odl_space(5, 4)),
    "divergence": lambda: odl.Divergence(range=odl_space(5, 4)),
    "unit pixels": lambda: odl.Laplacian(odl.uniform_discr([0, 0], [5, 4], (5, 4))),
    "weighted product": lambda: odl.BroadcastOperator(
        odl.IdentityOperator(odl.rn(3)), 2 * odl.IdentityOperator(odl.rn(3))
    ),
    "resizing": lambda: odl.ResizingOperator(odl_space(5), ran_shp=(9,)),
}


@pytest.mark.parametrize("name", OPERATORS)
def test_adjoint_is_the_euclidean_transpose(name):
    op = OPERATORS[name]()
    operator = ODLOperator(op)
    A = dense(operator)
    assert dot_test(operator) <= 1e-10
    x = np.random.RandomState(0).standard_normal(op.domain.shape)
    expected = op(op.domain.element(x)).asarray().ravel()
    np.testing.assert_allclose(A @ x.ravel(), expected, atol=1e-12)


def test_pseudo_inverse_solves_a_well_conditioned_problem():
    rng = np.random.RandomState(0)
    matrix = np.eye(6) + 0.1 * rng.standard_normal((6, 6))
    operator = ODLOperator(odl.MatrixOperator(matrix), n_iterations=60)
    x = rng.standard_normal((4, 6))
    np.testing.assert_allclose(
        operator.reconstruct(operator.measure(x)), x, rtol=0.02, atol=0.01
    )


def test_pseudo_inverse_is_linear():
    operator = ODLOperator(odl.Gradient(odl_space(5, 4)), n_iterations=7)
    y = torch.from_numpy(np.random.RandomState(0).standard_normal((2, 2, 5, 4)))
    torch.testing.assert_close(
        operator.pinv(3 * y[:1] - y[1:]),
        3 * operator.pinv(y[:1]) - operator.pinv(y[1:]),
    )


def test_more_iterations_come_closer():
    transform = ray_transform("parallel_beam_geometry", (6, 6, 6), 9)
    x = torch.zeros((1, 1, 6, 6, 6))
    x[:, :, 2:4, 2:5, 1:4] = 1
    errors = []
    for n_iterations in (2, 10, 50):
        operator = ODLOperator(transform, n_iterations=n_iterations)
        y = operator.forward(x)
        residual = operator.forward(operator.pinv(y)) - y
        errors.append(float(torch.linalg.norm(residual)))
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] <= 0.02 * float(torch.linalg.norm(y))


@pytest.mark.parametrize("beam", ["parallel", "fan"])
def test_ray_transforms_are_the_ct_operators_on_turned_images(beam):
    if beam == "parallel":
        ours = ParallelBeamCT(20, (16, 16), pixel_size=0.5, n_refinements=0)
    else:
        ours = FanBeamCT(
            20, (16, 16), pixel_size=0.5, source_distance=9, n_refinements=0
        )
    transform = tomo.RayTransform(odl_space(16, 16), ours.geometry(), impl="skimage")
    operator = ODLOperator(transform)
    images = make_thorax_phantoms(2, (16, 16), random_state=0)
    turned = np.rot90(images, -1, axes=(1, 2))
    y = ours.measure(images)
    np.testing.assert_allclose(operator.measure(turned), y, atol=1e-5)
    np.testing.assert_allclose(
        operator.reconstruct(y),
        np.rot90(ours.reconstruct(y), -1, axes=(1, 2)),
        atol=1e-5,
    )


def test_helical_scan_reconstructs():
    space = odl.uniform_discr([-4, -4, 0], [4, 4, 4], (16, 16, 8))
    geometry = tomo.helical_geometry(space, 10, 5, 2, num_angles=60, det_shape=(24, 6))
    operator = ODLOperator(
        tomo.RayTransform(space, geometry, impl="skimage"), n_iterations=40
    )
    image = np.zeros((1, 16, 16, 8), dtype=np.float32)
    image[:, 5:11, 4:9, 2:6] = 1
    reconstructed = operator.reconstruct(operator.measure(image))
    assert np.mean(psnr(image, reconstructed)) >= 18


def test_channels_of_product_spaces():
    gradient = ODLOperator(odl.Gradient(odl_space(5, 4)))
    assert gradient.measure(np.ones((3, 5, 4))).shape == (3, 5, 4, 2)
    assert gradient.reconstruct(np.ones((3, 5, 4, 2))).shape == (3, 5, 4)
    with pytest.raises(ValueError, match="expected no channel axis"):
        gradient.measure(np.ones((3, 5, 4, 2)))
    with pytest.raises(ValueError, match="expected 2 channels"):
        gradient.reconstruct(np.ones((3, 5, 4, 3)))
    with pytest.raises(ValueError, match=r"\(1, 3, 5, 4\), but expected \(batch, 2"):
        gradient.adjoint(torch.ones((1, 3, 5, 4)))
    with pytest.raises(ValueError, match=r"\(1, 2, 5, 4\), but expected \(batch, 1"):
        gradient.forward(torch.ones((1, 2, 5, 4)))
    plain = ODLOperator(odl.Laplacian(odl_space(5, 4)))
    assert plain.measure(np.ones((3, 5, 4, 2))).shape == (3, 5, 4, 2)


def test_float32_spaces():
    space = odl.uniform_discr([0, 0], [1, 1], (6, 5), dtype="float32")
    operator = ODLOperator(odl.Gradient(space))
    assert dot_test(operator, dtype=torch.float32) <= 1e-5


class _WrongAdjoint(odl.Operator):
    def __init__(self, factor):
        self.factor = factor
        super().__init__(odl.rn(5), odl.rn(5), linear=True)

    def _call(self, x):
        return 2 * x

    @property
    def adjoint(self):
        return self.factor * odl.IdentityOperator(odl.rn(5))


def test_wrong_adjoints_are_refused_with_their_error():
    ODLOperator(_WrongAdjoint(2.0)).resolve()
    wrong = ODLOperator(_WrongAdjoint(-2.0))
    with pytest.raises(ValueError, match=r"relative error of \d.*at most 0.001"):
        wrong.resolve()
    with pytest.raises(ValueError, match="fails the dot test"):
        wrong.measure(np.ones((1, 5)))
    # ODL's matrices forget the weights of their spaces in the adjoint.
    forgetful = odl.MatrixOperator(
        np.eye(4, 6), domain=odl.rn(6, weighting=0.2), range=odl.rn(4)
    )
    with pytest.raises(ValueError, match="adjoint of MatrixOperator fails"):
        ODLOperator(forgetful).resolve()


def test_unsuitable_operators_are_refused():
    with pytest.raises(TypeError, match=r"expected an odl\.Operator"):
        ODLOperator(np.eye(3)).resolve()
    with pytest.raises(ValueError, match="non-linear ODL operator PowerOperator"):
        ODLOperator(odl.PowerOperator(odl.rn(3), 2)).resolve()
    with pytest.raises(ValueError, match="expected real"):
        ODLOperator(odl.IdentityOperator(odl.cn(3))).resolve()
    with pytest.raises(ValueError, match="n_iterations"):
        ODLOperator(odl.IdentityOperator(odl.rn(3)), n_iterations=0).resolve()
    unequal = odl.ProductSpace(odl.rn(3), odl.rn(4))
    with pytest.raises(ValueError, match="equal shapes"):
        ODLOperator(odl.IdentityOperator(unequal)).resolve()
    with pytest.raises(ValueError, match="exponent 2"):
        ODLOperator(odl.IdentityOperator(odl.rn(3, exponent=1))).resolve()


def test_source_inside_the_image_is_refused():
    geometry = tomo.FanBeamGeometry(
        odl.uniform_partition(0, 6, 5), odl.uniform_partition(-9, 9, 20), 3, 9
    )
    transform = tomo.RayTransform(odl_space(16, 16), geometry, impl="skimage")
    with pytest.raises(ValueError, match="source is inside the image in"):
        ODLOperator(transform).resolve()


def test_pickles_after_the_adjoint_was_used():
    transform = ray_transform("parallel_beam_geometry", (8, 8), 5)
    operator = ODLOperator(transform, n_refinements=1)
    transform.adjoint(transform.range.one())
    x = np.random.RandomState(0).uniform(size=(2, 8, 8))
    for twin in (pickle.loads(pickle.dumps(operator)), clone(operator)):
        np.testing.assert_array_equal(twin.measure(x), operator.measure(x))
        assert twin.n_refinements == 1
    assert clone(operator).op is transform
