"""The objective against Algorithm 1 of the paper, written out in plain torch."""

import pytest
import torch

from sklearn_ei.groups import Rotations, Shifts
from sklearn_ei.losses import (
    EquivarianceTerm,
    EquivariantObjective,
    MeasurementConsistency,
    SupervisedError,
    check_distance,
    critic_error,
)
from sklearn_ei.networks import (
    PatchDiscriminator,
    ReconstructionFunction,
    ResidualUNet,
)
from sklearn_ei.operators import Inpainting, ParallelBeamCT

PROBLEMS = {
    "ct": (ParallelBeamCT(8, (12, 12), n_refinements=0), Rotations(360)),
    "inpainting": (Inpainting(0.3, (10, 10)), Shifts()),
}


def trained(module):
    """Parameters but for biases that normalisation takes away again."""
    return [p for p in module.parameters() if p.requires_grad]


def random_function(seed=0):
    torch.manual_seed(seed)
    network = ResidualUNet(width=3, depth=2)
    for parameter in network.parameters():  # the last layer starts at zero
        torch.nn.init.normal_(parameter, std=0.3)
    return ReconstructionFunction([network]).double()


def resolved(operator, term=None):
    """A data term as a training has it; measurement consistency by default."""
    return (term or MeasurementConsistency()).resolve(operator, None, 0)


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
    f = random_function()
    generator = torch.Generator().manual_seed(1)
    x = torch.rand((2, 1, *shape), generator=generator, dtype=torch.float64)
    y = operator.forward(x)

    objective = EquivariantObjective(
        resolved(operator),
        group,
        alpha,
        equivariance_term=EquivarianceTerm(n_transforms),
        seed=3,
    )
    loss, (consistency, equivariance), *_ = objective(f, y)
    gradient = torch.autograd.grad(loss, trained(f))

    # Dense matrices in place of the operator and of every T_g that was drawn.
    A = dense_matrix(operator.forward, shape)
    A_dagger = dense_matrix(operator.pinv, operator.measurement_shape)
    elements = group.sample(torch.Generator().manual_seed(3), 2, n_transforms)
    T = [dense_matrix(lambda x, g=g: group.transform(x, g), shape) for g in elements]

    def G(flat):
        return f.stages[0](flat.reshape(-1, 1, *shape)).flatten(1)

    y_flat = y.flatten(1)
    x1 = G(y_flat @ A_dagger.T)
    x2 = torch.stack([T[i] @ x1[i // n_transforms] for i in range(len(T))])
    x3 = G(x2 @ A.T @ A_dagger.T)
    expected_consistency = ((x1 @ A.T - y_flat) ** 2).mean()
    expected_equivariance = ((x3 - x2) ** 2).mean()
    expected = expected_consistency + alpha * expected_equivariance
    expected_gradient = torch.autograd.grad(expected, trained(f))

    torch.testing.assert_close(consistency, expected_consistency)
    torch.testing.assert_close(equivariance, expected_equivariance)
    torch.testing.assert_close(loss, expected)
    for actual, wanted in zip(gradient, expected_gradient, strict=True):
        torch.testing.assert_close(actual, wanted, rtol=1e-6, atol=1e-9)
    assert any(float(g.abs().max()) > 1e-3 for g in gradient)


def problem(name="ct", size=2):
    operator, group = PROBLEMS[name]
    shape = operator.image_shape
    x = torch.rand((size, 1, *shape), dtype=torch.float64)
    return operator, group.resolve(shape), x, operator.forward(x)


def gradient_of(loss, f):
    return torch.cat([g.flatten() for g in torch.autograd.grad(loss, trained(f))])


def test_alpha_zero_is_measurement_consistency_alone():
    operator, _, _, y = problem()
    f = random_function()
    objective = EquivariantObjective(resolved(operator), None, 0.0)
    evaluation = objective(f, y)
    assert len(evaluation.terms) == 1
    assert evaluation.x2 is None
    torch.testing.assert_close(
        evaluation.loss, ((operator.forward(f(y, operator)) - y) ** 2).mean()
    )


def test_supervised_compares_with_ground_truth():
    operator, _, x, y = problem()
    f = random_function()
    objective = EquivariantObjective(resolved(operator, SupervisedError()), None, 0.0)
    torch.testing.assert_close(
        objective(f, y, x).loss, ((f(y, operator) - x) ** 2).mean()
    )
    assert objective.term_names == ("supervised_error",)


def test_supervised_with_equivariance_adds_both_terms():
    operator, group, x, y = problem()
    f = random_function()
    loss, (supervised, equivariance), _, x2 = EquivariantObjective(
        resolved(operator, SupervisedError()), group, 0.3
    )(f, y, x)
    torch.testing.assert_close(supervised, ((f(y, operator) - x) ** 2).mean())
    torch.testing.assert_close(
        equivariance, ((f(operator.forward(x2), operator) - x2) ** 2).mean()
    )
    torch.testing.assert_close(loss, supervised + 0.3 * equivariance)


def test_samples_without_ground_truth_are_compared_with_their_measurements():
    operator, _, x, y = problem(size=4)
    f = random_function().eval()
    partial = x.clone()
    partial[1:] = torch.nan
    term = resolved(operator, SupervisedError())
    term.expect_missing_truth()
    assert term.name == "semi_supervised_error"
    x1, loss = term(f, y, term.operator, partial)
    actual = gradient_of(loss, f)
    torch.testing.assert_close(x1, f(y, operator))
    x1 = f(y, operator)
    # m/‖A‖_F² brings measurements to the scale of images.
    A = dense_matrix(operator.forward, operator.image_shape)
    weight = len(A) / float(A.square().sum())
    expected = ((x1[0] - x[0]) ** 2).mean() / 4
    expected = expected + weight * 0.75 * ((operator.forward(x1) - y)[1:] ** 2).mean()
    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(actual, gradient_of(expected, f))


def test_adversarial_loss_and_both_gradients_equal_the_formulas():
    operator, group, _, y = problem()
    f = random_function()
    torch.manual_seed(1)
    critic = PatchDiscriminator(width=2, depth=2).double()
    alpha, beta = 3.0, 0.7
    objective = EquivariantObjective(resolved(operator), group, alpha, beta=beta)
    loss, terms, x1, x2 = objective(f, y, critic=critic)
    assert objective.term_names[2] == "adversarial_error"
    torch.testing.assert_close(terms[2], ((critic(x2) - 1) ** 2).mean())
    expected = terms[0] + alpha * terms[1] + beta * ((critic(x2) - 1) ** 2).mean()
    torch.testing.assert_close(loss, expected)

    of_critic = critic_error(critic, x1, x2)
    real, made = critic(x1.detach()), critic(x2.detach())
    written_out = 0.5 * ((real - 1) ** 2).mean() + 0.5 * (made**2).mean()
    torch.testing.assert_close(
        gradient_of(of_critic, critic), gradient_of(written_out, critic)
    )
    # What the critic minimises does not depend on the weights of f.
    reached = torch.autograd.grad(
        critic_error(critic, x1, x2), trained(f), allow_unused=True
    )
    assert all(gradient is None for gradient in reached)


def test_distances_are_those_of_their_names():
    a, b = torch.randn(2, 3, 5), torch.randn(2, 3, 5)
    difference = (a - b).abs()
    torch.testing.assert_close(
        check_distance("loss", "l2")(a, b), difference.square().mean()
    )
    torch.testing.assert_close(check_distance("loss", "l1")(a, b), difference.mean())
    huber = torch.where(difference < 1, difference.square() / 2, difference - 0.5)
    torch.testing.assert_close(check_distance("loss", "huber")(a, b), huber.mean())

    def own(a, b):
        return (a - b).abs().max()

    assert check_distance("loss", own) is own
    with pytest.raises(ValueError, match="Got data_loss='l3', but expected 'l2'"):
        check_distance("data_loss", "l3")


def test_each_term_has_its_own_distance():
    operator, group, _, y = problem()
    f = random_function()
    objective = EquivariantObjective(
        resolved(operator),
        group,
        1.0,
        equivariance_term=EquivarianceTerm(distance="l1"),
    )
    _, (data, equivariance), x1, x2 = objective(f, y)
    torch.testing.assert_close(data, ((operator.forward(x1) - y) ** 2).mean())
    torch.testing.assert_close(
        equivariance, (f(operator.forward(x2), operator) - x2).abs().mean()
    )
    huber = resolved(operator, MeasurementConsistency("huber"))
    x1, data = huber(f, y, operator)
    expected = torch.nn.functional.huber_loss(operator.forward(x1), y)
    torch.testing.assert_close(data, expected)


def test_a_known_pseudo_inverse_changes_nothing():
    operator, group, _, y = problem()
    f = random_function()
    losses = [
        EquivariantObjective(resolved(operator), group, 2.0)(f, y, start=start).loss
        for start in (None, operator.pinv(y))
    ]
    torch.testing.assert_close(*losses)


def test_zero_for_a_function_that_is_consistent_and_equivariant():
    """Without lost pixels the identity reconstructs everything."""
    operator = Inpainting(0.0, (6, 6))
    group = Shifts().resolve((6, 6))
    y = torch.rand((2, 1, 6, 6))
    objective = EquivariantObjective(resolved(operator), group, 1.0)
    assert float(objective(lambda y, A, start=None: y, y).loss) == 0.0
