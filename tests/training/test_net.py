import numpy as np
import pytest
import torch
from skorch.history import History

from sklearn_ei.groups import Shifts
from sklearn_ei.losses import EquivariantObjective, MeasurementConsistency
from sklearn_ei.networks import (
    PatchDiscriminator,
    ReconstructionFunction,
    ResidualUNet,
)
from sklearn_ei.operators import Inpainting
from sklearn_ei.training import DivergenceError, ReconstructionNet, WarmUpCosine
from sklearn_ei.training._epochs import record_losses
from sklearn_ei.training.machine import may_draw
from sklearn_ei.utils.dataset import BatchedDataset, BatchLoader
from sklearn_ei.utils.random import RandomStream, seeded_initialisation, spawn_seeds


def test_schedule_rises_then_decays_to_zero():
    factors = np.array([WarmUpCosine(100).factor(step) for step in range(101)])
    assert factors[0] == pytest.approx(0.2)
    assert factors.max() == factors[4] > 0.98
    assert (np.diff(factors[5:]) < 0).all()
    assert factors[100] == pytest.approx(0, abs=1e-12)


def test_single_step_schedule_is_finite():
    assert 0 < WarmUpCosine(1).factor(0) <= 1


def test_loader_hands_out_whole_batches():
    Y, x = torch.arange(10.0).reshape(5, 1, 2), torch.arange(5.0).reshape(5, 1, 1)
    loader = BatchLoader(BatchedDataset(Y, x), 2)
    batches = list(loader)
    assert [len(y) for y, *_ in batches] == [2, 2, 1]
    assert len(loader) == 3
    assert torch.equal(torch.cat([y for y, *_ in batches]), Y)
    assert torch.equal(torch.cat([t for _, t, _ in batches]), x)
    sample, truth, start = BatchedDataset(Y)[3]
    assert torch.equal(sample, Y[3])
    assert truth is start is None


def test_loader_draws_a_new_order_that_keeps_samples_together():
    Y = torch.arange(40.0).reshape(40, 1)
    loader = BatchLoader(
        BatchedDataset(Y, 2 * Y, 3 * Y), 7, torch.Generator().manual_seed(0)
    )
    orders = []
    for _ in range(2):
        parts = [torch.cat(part) for part in zip(*loader, strict=True)]
        assert torch.equal(parts[1], 2 * parts[0])
        assert torch.equal(parts[2], 3 * parts[0])
        assert torch.equal(parts[0].sort(dim=0).values, Y)
        orders.append(parts[0])
    assert not torch.equal(*orders)
    assert not torch.equal(orders[0], Y)


def make_net(beta=0.0, lr=1e-2, network=None, data_term=None, **kwargs):
    operator = Inpainting(0.3, (8, 8))
    torch.manual_seed(0)
    network = ResidualUNet(width=2, depth=2) if network is None else network
    data_term = MeasurementConsistency() if data_term is None else data_term
    objective = EquivariantObjective(
        data_term.resolve(operator, None, 0),
        Shifts().resolve((8, 8)),
        1.0,
        beta=beta,
    )
    return ReconstructionNet(
        ReconstructionFunction([network]),
        objective,
        critic=PatchDiscriminator(width=2, depth=2) if beta else None,
        optimizer=torch.optim.Adam,
        lr=lr,
        batch_size=2,
        train_split=None,
        verbose=0,
        **kwargs,
    ).initialize()


def make_data(n=5):
    y = torch.rand((n, 1, 8, 8), generator=torch.Generator().manual_seed(0))
    return BatchedDataset(Inpainting(0.3, (8, 8)).forward(y))


def weights_of(module):
    return torch.cat([p.detach().flatten().clone() for p in module.parameters()])


def test_neither_player_of_the_game_moves_the_other():
    """β = 0 in the step of f leaves the critic alone, and the other way round."""
    net = make_net(beta=0.5)
    batch = make_data().__getitems__([0, 1])
    before_f, before_d = weights_of(net.module_), weights_of(net.critic_)

    critic_step = net.critic_optimizer_.step
    net.critic_optimizer_.step = lambda: None
    net.train_step(batch)
    assert not torch.equal(weights_of(net.module_), before_f)
    assert torch.equal(weights_of(net.critic_), before_d)

    net.critic_optimizer_.step = critic_step
    net.optimizer_.step = lambda: None
    before_f = weights_of(net.module_)
    net.train_step(batch)
    assert torch.equal(weights_of(net.module_), before_f)
    assert not torch.equal(weights_of(net.critic_), before_d)


def test_critic_s_own_gradient_is_not_mixed_with_that_of_f():
    """The critic moves as if its loss alone had been differentiated."""
    from sklearn_ei.losses import critic_error

    net, twin = make_net(beta=0.5), make_net(beta=0.5)
    batch = make_data().__getitems__([0, 1])
    net.train_step(batch)
    evaluation = twin.criterion_(twin.module_, batch[0], critic=twin.critic_)
    twin.critic_.zero_grad()
    critic_error(twin.critic_, evaluation.x1, evaluation.x2).backward()
    twin.critic_optimizer_.step()
    torch.testing.assert_close(weights_of(net.critic_), weights_of(twin.critic_))


def test_history_has_every_term_of_every_batch():
    net = make_net(beta=0.5)
    net.partial_fit(make_data(), epochs=2)
    names = ["train_loss", "measurement_consistency", "equivariance_error"]
    names.append("adversarial_error")
    for epoch in net.history:
        assert epoch["train_batch_count"] == 3
        assert [b["train_batch_size"] for b in epoch["batches"]] == [2, 2, 1]
        for name in names:
            values = [b[name] for b in epoch["batches"]]
            assert epoch[name] == pytest.approx(np.average(values, weights=[2, 2, 1]))
        first = epoch["batches"][0]
        assert first["train_loss"] == pytest.approx(
            first["measurement_consistency"]
            + first["equivariance_error"]
            + 0.5 * first["adversarial_error"],
            rel=1e-5,
        )


class Breaking(torch.nn.Module):
    """Multiplies by a weight, and by NaN at one call."""

    def __init__(self, when):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.tensor(0.9))
        self.calls, self.when = 0, when

    def forward(self, x):
        self.calls += 1
        return x * self.weight * (torch.nan if self.calls == self.when else 1.0)


def test_nan_ends_training_with_the_last_good_state():
    # Two calls a step, three steps an epoch: the first call of the eighth step.
    net, twin = make_net(network=Breaking(15)), make_net(network=Breaking(0))
    with pytest.raises(DivergenceError, match=r"epoch 3, step 2: measurement_cons"):
        net.partial_fit(make_data(), epochs=5)
    twin.partial_fit(make_data(), epochs=2)
    assert len(net.history) == 2
    assert torch.equal(net.module_.stages[0].weight, twin.module_.stages[0].weight)
    # ... from which it goes on as if nothing had happened.
    net.partial_fit(make_data(), epochs=1)
    twin.partial_fit(make_data(), epochs=1)
    assert torch.equal(net.module_.stages[0].weight, twin.module_.stages[0].weight)
    assert net.history[:, "train_loss"] == twin.history[:, "train_loss"]


def test_the_term_that_broke_is_named():
    with pytest.raises(DivergenceError, match="equivariance_error became nan; no step"):
        make_net(network=Breaking(2)).partial_fit(make_data(), epochs=1)


def test_an_exploding_loss_ends_training():
    net = make_net(network=Breaking(0), lr=1e3)
    net.explosion_ = 100.0
    with pytest.raises(DivergenceError, match=r"exploded to .* smaller lr \(lr=1000\)"):
        net.partial_fit(make_data(), epochs=9)


@pytest.mark.parametrize("limit", [0.0, 1.0])
def test_a_first_step_without_error_is_no_measure_of_the_others(limit):
    """Only the limit that is given is one; without it, no finite loss explodes."""
    net = make_net()
    net.explosion_ = limit
    losses = (1e-14, 0.03, 0.02)
    n_terms = len(net.criterion_.term_names)

    def record(losses):
        net.history.new_epoch()
        for _ in losses:
            net.history.new_batch()
        rows = [[loss] * (1 + n_terms) for loss in losses]
        record_losses(net, [2] * len(losses), rows)

    record(losses)
    assert net.history[-1]["train_loss"] == pytest.approx(sum(losses) / 3)
    if limit == 0:
        record([1e6])
        return
    record([limit])
    with pytest.raises(DivergenceError, match=r"epoch 3, step 2: .* exploded to 1\.01"):
        record([0.5, 1.01])


def test_interruption_leaves_the_last_whole_epoch():
    class Interrupting(Breaking):
        def forward(self, x):
            if self.calls == self.when:
                self.calls += 1
                raise KeyboardInterrupt
            return super().forward(x)

    net, twin = make_net(network=Interrupting(9)), make_net(network=Breaking(0))
    with pytest.raises(KeyboardInterrupt):
        net.partial_fit(make_data(), epochs=5)
    twin.partial_fit(make_data(), epochs=1)
    assert len(net.history) == 1
    assert torch.equal(net.module_.stages[0].weight, twin.module_.stages[0].weight)


def test_training_state_carries_everything_that_follows():
    """State into a new net: the same weights as without the break, bit for bit."""
    import copy

    schedule = ("lr_schedule", WarmUpCosine(12))
    whole = make_net(beta=0.5, callbacks=[schedule])
    whole.partial_fit(make_data(), epochs=4)
    first = make_net(beta=0.5, callbacks=[("lr_schedule", WarmUpCosine(12))])
    first.partial_fit(make_data(), epochs=2)
    second = make_net(beta=0.5, callbacks=[("lr_schedule", WarmUpCosine(12))])
    second.load_training_state(copy.deepcopy(first.training_state()))
    second.partial_fit(make_data(), epochs=2)
    assert torch.equal(weights_of(second.module_), weights_of(whole.module_))
    assert torch.equal(weights_of(second.critic_), weights_of(whole.critic_))


def test_data_consistency_projects_onto_the_measurements():
    operator = Inpainting(0.5, (8, 8))
    network = torch.nn.Conv2d(1, 1, 3, padding=1)
    y = operator.forward(torch.rand(2, 1, 8, 8))
    without = ReconstructionFunction([network])(y, operator)
    with_step = ReconstructionFunction([network], n_consistency=1)(y, operator)
    assert not torch.allclose(operator.forward(without), y)
    torch.testing.assert_close(operator.forward(with_step), y)
    null = y == 0
    torch.testing.assert_close(with_step[null], without[null])


def test_bfloat16_network_gives_float32_images():
    operator = Inpainting(0.5, (8, 8))
    network = torch.nn.Conv2d(1, 1, 3, padding=1)
    y = operator.forward(torch.rand(1, 1, 8, 8))
    exact = ReconstructionFunction([network])(y, operator)
    reduced = ReconstructionFunction([network], dtype=torch.bfloat16)(y, operator)
    assert not torch.equal(exact, reduced)
    torch.testing.assert_close(reduced.float(), exact, rtol=0.02, atol=0.02)


def test_random_stream_survives_pickling_with_its_position():
    import pickle

    stream = RandomStream(0)
    torch.rand(3, generator=stream.generator)
    twin = pickle.loads(pickle.dumps(stream))
    expected = torch.rand(4, generator=stream.generator)
    assert torch.equal(torch.rand(4, generator=twin.generator), expected)


def test_initialisation_neither_reads_nor_moves_the_global_state():
    def build():
        with seeded_initialisation(3):
            return torch.nn.Linear(4, 4).weight

    torch.manual_seed(0)
    before = torch.random.get_rng_state()
    first = build()
    assert torch.equal(torch.random.get_rng_state(), before)
    torch.manual_seed(1)
    assert torch.equal(build(), first)


def test_seeds_differ_and_repeat():
    assert spawn_seeds(0, 3) == spawn_seeds(0, 3)
    assert len({*spawn_seeds(0, 3), *spawn_seeds(1, 3)}) == 6


def noisy_net(dropout=True, **kwargs):
    with seeded_initialisation(0):
        layer = torch.nn.Dropout(0.5) if dropout else torch.nn.Identity()
        network = torch.nn.Sequential(torch.nn.Conv2d(1, 1, 3, padding=1), layer)
    operator = Inpainting(mask=np.ones((4, 4)), image_shape=(4, 4)).resolve()
    objective = EquivariantObjective(
        MeasurementConsistency().resolve(operator, None, 0), None, 0.0
    )
    return ReconstructionNet(
        ReconstructionFunction([network]),
        objective,
        optimizer=torch.optim.Adam,
        lr=1e-2,
        batch_size=2,
        train_split=None,
        verbose=0,
        **kwargs,
    ).initialize()


def test_what_draws_from_torch_itself_follows_the_seed():
    """Dropout neither depends on, nor moves, torch's global generator."""
    data = BatchedDataset(torch.ones(4, 1, 4, 4))
    weights, losses = [], []
    for global_seed, seed in [(0, 1), (5, 1), (5, 2)]:
        torch.manual_seed(global_seed)
        before = torch.get_rng_state()
        net = noisy_net(seed=seed).partial_fit(data, epochs=2)
        assert torch.equal(torch.get_rng_state(), before)
        weights.append(net.module_.stages[0][0].weight.detach())
        losses.append(net.history[:, "batches", :, "train_loss"])
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[1], weights[2])
    # Every step has draws of its own.
    assert len({loss for epoch in losses[0] for loss in epoch}) == 4


def test_draws_go_on_where_a_training_stopped():
    data = BatchedDataset(torch.ones(4, 1, 4, 4))
    whole = noisy_net().partial_fit(data, epochs=3)
    first = noisy_net().partial_fit(data, epochs=1)
    second = noisy_net()
    second.load_training_state(first.training_state())
    second.history_ = first.history
    second.partial_fit(data, epochs=2)
    for a, b in zip(
        whole.module_.parameters(), second.module_.parameters(), strict=True
    ):
        assert torch.equal(a, b)


def test_known_networks_leave_torch_alone():
    """Nothing waits for other threads where nothing is drawn."""
    net = noisy_net(dropout=False)
    assert not may_draw(net.module_, net.criterion_)
    assert may_draw(noisy_net().module_)
    own = type("Own", (torch.nn.Conv2d,), {"__module__": "users"})(1, 1, 1)
    assert may_draw(torch.nn.Sequential(own))


class Shifted(MeasurementConsistency):
    """An error beside which images of zeros cost nothing."""

    def forward(self, f, y, A, truth=None, start=None):
        x1, error = super().forward(f, y, A, truth, start)
        return x1, error + 1e4


@pytest.mark.parametrize("resumed", [False, True])
def test_a_loss_of_any_size_may_begin(resumed):
    """A sum, or a likelihood with its constants, is no explosion."""
    net = make_net(data_term=Shifted())
    net.explosion_ = 1.0
    net.partial_fit(make_data(), epochs=2)
    assert net.history[-1]["train_loss"] == pytest.approx(1e4, rel=1e-2)
    if resumed:
        first, second = net.history
        second = {name: value for name, value in second.items() if name != "batches"}
        net.history_ = History([{**first, "batches": []}, second])
    net.history.new_epoch()
    net.history.new_batch()
    row = [1.1e6] * (1 + len(net.criterion_.term_names))
    with pytest.raises(DivergenceError, match=r"epoch 3, step 1: .* exploded"):
        record_losses(net, [2], [row])
