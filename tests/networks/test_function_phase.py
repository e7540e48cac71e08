"""f of complex images does not depend on how their phases are counted."""

import numpy as np
import torch
from torch import nn

from sklearn_ei.networks import ReconstructionFunction
from sklearn_ei.operators import MRI, RestrictedOperator
from sklearn_ei.utils.phase import mean_phase, turned

RNG = np.random.default_rng(0)
OPERATOR = MRI(2, (8, 10)).resolve()


def channels(z):
    return torch.from_numpy(np.stack([z.real, z.imag], axis=1))


def numbers(x):
    return x[:, 0].numpy() + 1j * x[:, 1].numpy()


def complex_images(n=3):
    return RNG.normal(size=(n, 8, 10)) + 1j * RNG.normal(size=(n, 8, 10)) + 1


def test_turning_is_multiplication():
    z, phases = complex_images(), RNG.uniform(0, 6, 3)
    cos, sin = (
        torch.from_numpy(part(phases)).reshape(3, 1, 1, 1) for part in (np.cos, np.sin)
    )
    expected = z * np.exp(1j * phases)[:, None, None]
    np.testing.assert_allclose(numbers(turned(channels(z), cos, sin)), expected)
    cos, sin = mean_phase(channels(z))
    total = (z * np.abs(z)).sum((1, 2))
    found = cos.flatten().numpy() + 1j * sin.flatten().numpy()
    np.testing.assert_allclose(found, total / np.abs(total))
    cos, sin = mean_phase(torch.zeros(2, 4, 3))
    assert bool((cos == 1).all())
    assert bool((sin == 0).all())


def test_phases_go_through_f():
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1), nn.Tanh(), nn.Conv2d(4, 2, 1)
    )
    f = ReconstructionFunction([network.double()], n_consistency=1).eval()
    z, phases = complex_images(), RNG.uniform(0, 6, (3, 1, 1))
    kept = torch.from_numpy(RNG.random((3, 1, 8, 10)) > 0.3)
    kept[1, 0, 4, 5] = False  # the middle of k-space
    for A in (OPERATOR, RestrictedOperator(OPERATOR, kept)):
        one, other = (
            numbers(f(A.forward(channels(each)), A).detach())
            for each in (z, z * np.exp(1j * phases))
        )
        np.testing.assert_allclose(other, one * np.exp(1j * phases), atol=1e-12)
        plain = f._averaged(A.pinv(A.forward(channels(z))), A.forward(channels(z)), A)
        assert not np.allclose(numbers(plain.detach()), one)
