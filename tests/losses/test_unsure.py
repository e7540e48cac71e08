"""The multiplier of UNSURE on a problem whose solution is known."""

import copy

import pytest
import torch

from sklearn_ei.groups import Shifts
from sklearn_ei.losses import UNSURE, EquivariantObjective
from sklearn_ei.operators import Inpainting
from sklearn_ei.utils.random import make_generator

N, N_SIGNAL = 40, 4
SIGMA, SIGNAL = 0.3, 5.0


class Gains(torch.nn.Module):
    """A linear denoiser: one gain where there is signal, one where there is none."""

    def __init__(self):
        super().__init__()
        self.gains = torch.nn.Parameter(torch.ones(2, dtype=torch.float64))

    def forward(self, y, A=None, start=None):
        a, b = self.gains
        return torch.cat([a * y[..., :N_SIGNAL], b * y[..., N_SIGNAL:]], dim=-1)


def measurements(n, generator):
    y = SIGMA * torch.randn((n, 1, N), generator=generator, dtype=torch.float64)
    signal = torch.randn((n, 1, N_SIGNAL), generator=generator, dtype=torch.float64)
    y[..., :N_SIGNAL] += SIGNAL * signal
    return y


def resolved(seed=0, **parameters):
    return UNSURE(**parameters).resolve(Inpainting(0.0, (N,)), None, seed)


def train(unit=1.0, n_steps=1500):
    term, f = resolved(step_size=0.02), Gains()
    optimizer = torch.optim.Adam(f.parameters(), lr=0.01)
    generator = make_generator(0)
    for _ in range(n_steps):
        y = unit * measurements(64, generator)
        loss = term(f, y, term.operator)[1] / unit**2
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return term, f


def test_the_multiplier_converges_to_the_saddle_point():
    """With zero divergence and quadratic risks, η = N/(Σ 1/variance of y_i)."""
    term, f = train()
    eta = N / (N_SIGNAL / (SIGNAL**2 + SIGMA**2) + (N - N_SIGNAL) / SIGMA**2)
    assert eta > SIGMA**2
    assert term.level == pytest.approx(eta**0.5, rel=0.05)
    assert term.level == pytest.approx(SIGMA, rel=0.12)  # an upper estimate
    a, b = f.gains.tolist()
    assert abs(a * N_SIGNAL + b * (N - N_SIGNAL)) / N < 0.02
    assert a == pytest.approx(1, abs=0.05)


def test_units_do_not_matter():
    term, f = train(n_steps=50)
    large, g = train(unit=1e3, n_steps=50)
    assert large.level == pytest.approx(1e3 * term.level, rel=1e-6)
    torch.testing.assert_close(f.gains, g.gains)


def test_value_equals_the_formula_and_only_training_moves_the_multiplier():
    term, f = resolved(seed=5), Gains()
    y = measurements(7, make_generator(1))
    term(f, y, term.operator)
    before = float(term.eta)
    term.eval()
    with torch.no_grad():
        f.gains.copy_(torch.tensor([0.9, 0.2]))
    _, value = term(f, y, term.operator)
    assert float(term.eta) == before
    residual = (f(y) - y).square().mean()
    divergence = (0.9 * N_SIGNAL + 0.2 * (N - N_SIGNAL)) / N  # signs: no error
    torch.testing.assert_close(value, residual + 2 * before * divergence)
    term.train()
    term(f, y, term.operator)
    assert float(term.eta) > before  # the divergence is positive


def test_the_multiplier_is_in_the_checkpoint():
    y = measurements(7, make_generator(1))
    f, term = Gains(), resolved()
    for _ in range(3):
        term(f, y, term.operator)
    other = resolved()
    other.load_state_dict(copy.deepcopy(term.state_dict()))
    other.stream = copy.deepcopy(term.stream)
    assert other.level == term.level
    assert torch.equal(other(f, y, other.operator)[1], term(f, y, term.operator)[1])
    assert other.level == term.level


def test_measurements_that_are_zero_stay_harmless():
    f, term = Gains(), resolved()
    y = torch.zeros((2, 1, N), dtype=torch.float64)
    assert term(f, y, term.operator)[1].item() == 0


@pytest.mark.parametrize(("name", "value"), [("step_size", 0), ("momentum", 1.0)])
def test_bad_parameters_are_refused(name, value):
    with pytest.raises(ValueError, match=name):
        UNSURE(**{name: value}).check(None)


def test_images_are_measured_again_with_noise_of_the_present_level():
    """f sees noisy measurements only, those of T_g x1 included."""
    f, term = Gains(), resolved()
    y = measurements(7, make_generator(1))
    images = torch.ones((500, 1, N), dtype=torch.float64)
    # Before the first step nothing is known of the noise.
    assert torch.equal(
        term.remeasure(images, term.operator, make_generator(2))[0], images
    )
    for _ in range(3):
        term(f, y, term.operator)
    assert term.level > 0.01
    added = term.remeasure(images, term.operator, make_generator(2))[0] - images
    assert abs(added.mean()) < 4 * term.level / added.numel() ** 0.5
    assert float(added.std()) == pytest.approx(term.level, rel=0.02)
    again = term.remeasure(images, term.operator, make_generator(2))[0] - images
    assert torch.equal(added, again)


def test_the_equivariance_term_is_of_noisy_measurements():
    """What f is called with: y, y with a probe, and A x2 with noise."""
    seen = []

    def f(y, A, start=None):
        seen.append(y)
        return y

    term = resolved()
    objective = EquivariantObjective(term, Shifts().resolve((N,)), 1.0, seed=4)
    y = measurements(200, make_generator(1))
    objective(f, y)
    seen.clear()
    evaluation = objective(f, y)
    assert len(seen) == 3
    assert torch.equal(seen[0], y)
    added = seen[2] - evaluation.x2
    assert float(added.std()) == pytest.approx(term.level, rel=0.05)
    equivariance = evaluation.terms[1]
    torch.testing.assert_close(equivariance, added.square().mean())
