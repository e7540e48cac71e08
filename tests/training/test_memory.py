import pytest
import torch
from torch import nn

from sklearn_ei import EquivariantReconstructor
from sklearn_ei.datasets import make_thorax_phantoms
from sklearn_ei.groups import Rotations
from sklearn_ei.losses import (
    SURE,
    EquivarianceTerm,
    EquivariantObjective,
    MeasurementConsistency,
)
from sklearn_ei.networks import ReconstructionFunction, UNet, Unrolled
from sklearn_ei.noise import GaussianNoise
from sklearn_ei.operators import Inpainting, ParallelBeamCT
from sklearn_ei.training import ReconstructionNet
from sklearn_ei.training.machine import _memory, predict_memory

SIZE = 32
OPERATOR = Inpainting(0.3, (SIZE, SIZE), random_state=0).resolve()


def make_net(
    network, term=None, noise=None, alpha=1.0, n_transforms=1, *, average=False
):
    objective = EquivariantObjective(
        (term or MeasurementConsistency()).resolve(OPERATOR, noise, 0),
        Rotations(360).resolve((SIZE, SIZE)),
        alpha,
        equivariance_term=EquivarianceTerm(n_transforms),
    )
    function = ReconstructionFunction([network])
    return ReconstructionNet(
        function,
        objective,
        optimizer=torch.optim.Adam,
        train_split=None,
        average=average,
    ).initialize()


def test_counts_what_autograd_keeps():
    # A convolution keeps its input and two sigmoids their outputs, all float32.
    image = 4 * SIZE**2
    network = nn.Sequential(nn.Conv2d(1, 1, 1), nn.Sigmoid(), nn.Sigmoid())
    y = torch.zeros((1, 1, SIZE, SIZE))
    expected = {
        (0.0, 1): 3 * image + 4 * image,
        (1.0, 1): 2 * 3 * image + 4 * image,
        (1.0, 3): 4 * 3 * image + 3 * 4 * image,
    }
    for (alpha, n_transforms), per_sample in expected.items():
        net = make_net(network, alpha=alpha, n_transforms=n_transforms)
        fixed, got = predict_memory(net, y)
        assert got == per_sample
        assert fixed == 2**25 + 6 * 2 * 4
    averaging = make_net(network, average=True)
    assert predict_memory(averaging, y)[0] == 2**25 + 8 * 2 * 4


def test_terms_that_call_f_again_count_twice():
    network = nn.Sequential(nn.Sigmoid(), nn.Conv2d(1, 1, 1))
    y = torch.zeros((1, 1, SIZE, SIZE))
    _, once = predict_memory(make_net(network, alpha=0.0), y)
    twice_net = make_net(network, SURE(), GaussianNoise(0.1), alpha=0.0)
    _, twice = predict_memory(twice_net, y)
    image = 4 * SIZE**2
    assert twice - once == image


def fit(**parameters):
    operator = ParallelBeamCT(8, (16, 16))
    Y = operator.measure(make_thorax_phantoms(4, (16, 16), random_state=0))
    ei = EquivariantReconstructor(
        operator,
        Rotations(360),
        network=Unrolled(UNet(width=4, depth=3)),
        max_epochs=1,
        random_state=0,
        **parameters,
    )
    return ei.fit(Y)


def test_says_before_training_what_would_fit(monkeypatch):
    needed = {}
    plain = _memory.predict_memory

    def remember(net, y):
        needed["fixed"], needed["each"] = plain(net, y)
        return needed["fixed"], needed["each"]

    monkeypatch.setattr(_memory, "predict_memory", remember)
    fit(batch_size=4)
    free = needed["fixed"] + 2.5 * needed["each"]
    monkeypatch.setattr(_memory, "available_memory", lambda device: free)
    with pytest.warns(UserWarning, match=r"has .* free; batch_size=2 would fit"):
        fit(batch_size=4)
    fit(batch_size=2)
    monkeypatch.setattr(_memory, "available_memory", lambda device: 1000)
    with pytest.warns(UserWarning, match="not even one sample fits"):
        fit(batch_size=4)


def test_the_look_ahead_changes_no_bit(monkeypatch):
    def weights():
        state = fit().net_.module_.state_dict()
        return torch.cat([t.double().flatten() for t in state.values()])

    with_it = weights()
    monkeypatch.setattr(_memory, "predict_memory", lambda net, y: (0, 0))
    assert torch.equal(weights(), with_it)


def test_available_memory_of_this_machine():
    free = _memory.available_memory(torch.device("cpu"))
    assert free is None or 2**20 < free < 2**50
    assert _memory.available_memory(torch.device("meta")) is None


def test_verbose_says_how_much(capsys):
    fit(verbose=1)
    assert "Training takes about 3" in capsys.readouterr().out
