"""What all data terms have in common."""

import copy
import pickle

import pytest
import torch
import torch.nn.functional as F
from sklearn.base import clone

from sklearn_ei.groups import Shifts
from sklearn_ei.losses import (
    DATA_TERM_NAMES,
    R2R,
    SURE,
    UNSURE,
    EquivarianceTerm,
    EquivariantObjective,
    MeasurementConsistency,
    Splitting,
    SupervisedError,
    choose_data_term,
)
from sklearn_ei.noise import GaussianNoise, PoissonNoise
from sklearn_ei.operators import Inpainting, MatrixOperator
from sklearn_ei.utils.random import make_generator

N = 30
OPERATOR = Inpainting(0.0, (N,)).resolve()
NOISE = GaussianNoise(0.4)
TERMS = [
    MeasurementConsistency("l1"),
    SupervisedError(),
    SURE(),
    R2R(0.3),
    UNSURE(0.01),
    Splitting(n_splits=2),
]
each_term = pytest.mark.parametrize("term", TERMS, ids=lambda t: type(t).__name__)


def identity(y, A, start=None):
    return y


def noise_of(term):
    return None if isinstance(term, UNSURE) else NOISE


def data(n=2):
    x = 1 + torch.rand((n, 1, N), generator=make_generator(0), dtype=torch.float64)
    return NOISE.sample(x, make_generator(1)), x


@each_term
def test_what_a_user_passes_is_parameters_alone(term):
    before = dict(vars(term))
    resolved = term.resolve(OPERATOR, noise_of(term), seed=3)
    y, x = data()
    resolved(identity, y, resolved.operator, x)
    assert vars(term) == before
    assert not term.state_dict()
    for twin in (clone(term), pickle.loads(pickle.dumps(term)), copy.deepcopy(term)):
        assert twin.get_params() == term.get_params()
        assert repr(twin) == repr(term)
    assert resolved is not term
    assert resolved.get_params() == term.get_params()


@each_term
def test_a_resolved_term_goes_on_from_its_state(term):
    y, x = data()
    one, other = (term.resolve(OPERATOR, noise_of(term), seed=s) for s in (3, 4))

    def f(y, A, start=None):
        return torch.sin(y)

    draws = isinstance(term, SURE | R2R | UNSURE | Splitting)
    values = [t(f, y, OPERATOR, x)[1] for t in (one, other)]
    assert torch.equal(*values) != draws  # its own, of the seed
    one(f, y, OPERATOR, x)
    other.load_state_dict(one.state_dict())
    values = [t(f, y, OPERATOR, x)[1] for t in (one, other)]
    assert torch.equal(*values)


@pytest.mark.parametrize(
    ("term", "noise"),
    [(t, NOISE) for t in TERMS[:4]] + [(SURE(), PoissonNoise(0.3))],
    ids=str,
)
def test_transformed_images_are_measured_with_noise(term, noise):
    """f sees noisy measurements only, those of T_g x1 included."""
    seen = []

    def f(y, A, start=None):
        seen.append(y)
        return y

    resolved = term.resolve(OPERATOR, noise, seed=3)
    objective = EquivariantObjective(resolved, Shifts().resolve((N,)), 1.0, seed=4)
    y, x = data(300)
    evaluation = objective(f, y, x)
    # With the draws of the objective's own stream, behind the group elements.
    generator = make_generator(4)
    Shifts().resolve((N,)).sample(generator, 300, 1)
    assert torch.equal(seen[-1], noise.sample(evaluation.x2, generator))
    added = (seen[-1] - evaluation.x2).square().mean()
    expected = noise.variance(evaluation.x2).mean()
    assert float(added) == pytest.approx(float(expected), rel=0.05)
    torch.testing.assert_close(evaluation.terms[1], added)
    assert not objective.depends_on_tensors_alone
    assert not resolved.trusts_measurements


def test_without_noise_measurements_are_exact_and_trusted():
    for term in (MeasurementConsistency(), SupervisedError()):
        resolved = term.resolve(OPERATOR, None, seed=3)
        y, _ = data()
        assert torch.equal(resolved.remeasure(y, resolved.operator, None)[0], y)
        assert resolved.trusts_measurements
        assert resolved.depends_on_tensors_alone
    assert not UNSURE().resolve(OPERATOR, None, 3).trusts_measurements


def test_auto_is_sure_where_there_is_noise():
    assert isinstance(choose_data_term("auto", None), MeasurementConsistency)
    assert isinstance(choose_data_term("auto", NOISE), SURE)
    kinds = [MeasurementConsistency, SURE, UNSURE, R2R, Splitting, SupervisedError]
    for name, kind in zip(DATA_TERM_NAMES[1:], kinds, strict=True):
        noise = None if kind is UNSURE else NOISE
        assert type(choose_data_term(name, noise)) is kind
    own = MeasurementConsistency("l1")
    chosen = choose_data_term(own, None)
    assert chosen is not own
    assert chosen.distance == "l1"
    for wrong in ("mse", 3, SURE):
        with pytest.raises(ValueError, match=r"Got data_term=.*, but expected one of"):
            choose_data_term(wrong, None)


def test_magnitudes_are_what_images_of_zeros_cost():
    y, x = data()
    A = torch.rand((N, N), generator=make_generator(0), dtype=torch.float64)
    operator = MatrixOperator(A.numpy(), (N,), (N,))
    zeros = torch.zeros_like(y)

    def magnitude(term, truth=None):
        return term.resolve(operator, None, 0).magnitude(y, truth)

    assert magnitude(MeasurementConsistency()) == pytest.approx(F.mse_loss(zeros, y))
    assert magnitude(MeasurementConsistency("l1")) == pytest.approx(y.abs().mean())
    assert magnitude(SupervisedError("l1"), x) == pytest.approx(x.abs().mean())
    missing = SupervisedError().resolve(operator, None, 0)
    missing.expect_missing_truth()
    weight = N / A.square().sum()
    nothing = torch.full_like(x, torch.nan)
    expected = weight * y.square().mean()
    assert missing.magnitude(y, nothing) == pytest.approx(expected)
    # With the other terms, in their weights.
    objective = EquivariantObjective(
        MeasurementConsistency().resolve(operator, None, 0),
        Shifts().resolve((N,)),
        3.0,
        beta=0.5,
        equivariance_term=EquivarianceTerm(distance="l1"),
    )
    total = y.square().mean() + 3 * x.abs().mean() + 0.5
    assert objective.magnitude(y, None, x) == pytest.approx(float(total))


def test_stop_gradient_keeps_gradients_from_the_transformed_image():
    """The target is fixed: f learns from T_g f(y), and does not change it."""
    group, weight = Shifts().resolve((N,)), torch.tensor(0.5, requires_grad=True)
    y, _ = data()
    gradients = []
    for stop_gradient in (False, True):

        def f(y, A, start=None):
            return weight * y

        objective = EquivariantObjective(
            MeasurementConsistency().resolve(OPERATOR, None, 0),
            group,
            1.0,
            equivariance_term=EquivarianceTerm(stop_gradient=stop_gradient),
        )
        error = objective(f, y).terms[1]
        gradients.append(torch.autograd.grad(error, weight)[0])
    # f(x2) − x2 = (w − 1) w y, with and without the second factor moving.
    w, power = 0.5, y.square().mean()
    torch.testing.assert_close(
        gradients[0].double(), 2 * (w**2 - w) * (2 * w - 1) * power
    )
    torch.testing.assert_close(gradients[1].double(), 2 * (w**2 - w) * w * power)


def test_bad_equivariance_terms_are_refused():
    for parameters, message in (
        ({"n_transforms": 0}, "n_transforms == 0"),
        ({"distance": "l3"}, "Got distance of EquivarianceTerm='l3'"),
    ):
        with pytest.raises(ValueError, match=message):
            EquivarianceTerm(**parameters).check()
    with pytest.raises(TypeError, match="stop_gradient"):
        EquivarianceTerm(stop_gradient=1).check()
