"""The objective against Algorithm 1 of the paper, written out in plain torch."""

import pytest
import torch

from sklearn_ei.groups import Rotations, Shifts
from sklearn_ei.losses import EquivariantObjective
from sklearn_ei.networks import ResidualUNet
from sklearn_ei.operators import Inpainting, ParallelBeamCT
from sklearn_ei.training import ReconstructionFunction

PROBLEMS = {
    "ct": (ParallelBeamCT(8, (12, 12), n_refinements=0), Rotations(360)),
    "inpainting": (Inpainting(0.3, (10, 10)), Shifts()),
}


def random_function(operator, seed=0):
    torch.manual_seed(seed)
    network = ResidualUNet(width=3, depth=2)
    for parameter in network.parameters():  # the last layer starts at zero
        torch.nn.init.normal_(parameter, std=0.3)
    return ReconstructionFunction(operator, network, n_consistency=0).double()


def dense_matrix(function, shape):
    n = torch.Size(shape).numel()
    columns = function(torch.eye(n, dtype=torch.float64).reshape(n, 1, *shape))
    return columns.reshape(n, -1).T


@pytest.mark.parametrize("problem", PROBLEMS)
@pytest.mark.parametrize("n_transforms", [1, 3])
def test_loss_and_gradient_equal_algorithm_1(problem, n_transforms):
    operator, group = PROBLEMS[problem]
    shape = operator.image_shape
    group = group.resolve(shape)
    alpha = 7.0
    f = random_function(operator)
    generator = torch.Generator().manual_seed(1)
    x = torch.rand((2, 1, *shape), generator=generator, dtype=torch.float64)
    y = operator.forward(x)

    objective = EquivariantObjective(
        operator, group, alpha, n_transforms=n_transforms, seed=3
    )
    loss, (consistency, equivariance) = objective(f, f(y), y, None)
    gradient = torch.autograd.grad(loss, list(f.network.parameters()))

    # Dense matrices in place of the operator and of every T_g that was drawn.
    A = dense_matrix(operator.forward, shape)
    A_dagger = dense_matrix(operator.pinv, operator.measurement_shape)
    elements = group.sample(torch.Generator().manual_seed(3), 2, n_transforms)
    T = [dense_matrix(lambda x, g=g: group.transform(x, g), shape) for g in elements]

    def G(flat):
        return f.network(flat.reshape(-1, 1, *shape)).flatten(1)

    y_flat = y.flatten(1)
    x1 = G(y_flat @ A_dagger.T)
    x2 = torch.stack([T[i] @ x1[i // n_transforms] for i in range(len(T))])
    x3 = G(x2 @ A.T @ A_dagger.T)
    expected_consistency = ((x1 @ A.T - y_flat) ** 2).mean()
    expected_equivariance = ((x3 - x2) ** 2).mean()
    expected = expected_consistency + alpha * expected_equivariance
    expected_gradient = torch.autograd.grad(expected, list(f.network.parameters()))

    torch.testing.assert_close(consistency, expected_consistency)
    torch.testing.assert_close(equivariance, expected_equivariance)
    torch.testing.assert_close(loss, expected)
    for actual, wanted in zip(gradient, expected_gradient, strict=True):
        torch.testing.assert_close(actual, wanted, rtol=1e-6, atol=1e-9)
    assert any(float(g.abs().max()) > 1e-3 for g in gradient)


def test_alpha_zero_is_measurement_consistency_alone():
    operator, _ = PROBLEMS["ct"]
    f = random_function(operator)
    y = operator.forward(torch.rand((2, 1, 12, 12), dtype=torch.float64))
    x1 = f(y)
    loss, terms = EquivariantObjective(operator, None, 0.0)(f, x1, y, None)
    assert len(terms) == 1
    torch.testing.assert_close(loss, ((operator.forward(x1) - y) ** 2).mean())


def test_supervised_compares_with_ground_truth():
    operator, _ = PROBLEMS["ct"]
    f = random_function(operator)
    x = torch.rand((2, 1, 12, 12), dtype=torch.float64)
    x1 = f(operator.forward(x))
    objective = EquivariantObjective(operator, None, 0.0, supervised=True)
    loss, _ = objective(f, x1, operator.forward(x), x)
    torch.testing.assert_close(loss, ((x1 - x) ** 2).mean())
    assert objective.term_names == ("supervised_error",)


def test_zero_for_a_function_that_is_consistent_and_equivariant():
    """Without lost pixels the identity reconstructs everything."""
    operator = Inpainting(0.0, (6, 6))
    group = Shifts().resolve((6, 6))
    y = torch.rand((2, 1, 6, 6))
    objective = EquivariantObjective(operator, group, 1.0)
    loss, _ = objective(lambda y: y, y, y, None)
    assert float(loss) == 0.0
