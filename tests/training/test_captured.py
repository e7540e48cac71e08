import copy
import pickle

import pytest
import torch
from skorch.callbacks import Freezer, GradientNormClipping, LRScheduler

from sklearn_ei.groups import Rotations
from sklearn_ei.losses import SURE, EquivariantObjective, MeasurementConsistency
from sklearn_ei.networks import (
    PatchDiscriminator,
    ReconstructionFunction,
    ResidualUNet,
)
from sklearn_ei.noise import GaussianNoise
from sklearn_ei.operators import ParallelBeamCT
from sklearn_ei.training import ReconstructionNet, WarmUpCosine
from sklearn_ei.training.machine import CapturedStep, can_capture
from sklearn_ei.utils.dataset import BatchedDataset
from sklearn_ei.utils.random import make_generator, seeded_initialisation

OPERATOR = ParallelBeamCT(6, (16, 16))
GROUP = Rotations(360).resolve((16, 16))
Y = torch.rand((7, 1, *OPERATOR.measurement_shape), generator=make_generator(0))


class Rehearsal:
    """What CUDA does, step by step: fixed inputs, fixed outputs, no Python values."""

    def __init__(self):
        self.recordings = self.replays = 0

    def __call__(self, step, device):
        self.recordings += 1
        outputs = {}

        def replay():
            self.replays += 1
            for name, value in step().items():
                if name not in outputs:
                    outputs[name] = copy.deepcopy(value)
                    continue
                olds = outputs[name] if name == "terms" else [outputs[name]]
                news = value if name == "terms" else [value]
                for old, new in zip(olds, news, strict=True):
                    old.copy_(new)

        return replay, outputs


def make_net(beta=0.0, term=None, noise=None, **kwargs):
    with seeded_initialisation(0):
        network = ResidualUNet(1, width=2, depth=2)
        critic = PatchDiscriminator(1, width=2, depth=2) if beta else None
    term = (term or MeasurementConsistency()).resolve(OPERATOR, noise, 0)
    return ReconstructionNet(
        ReconstructionFunction([network], n_consistency=1),
        EquivariantObjective(term, GROUP, 1.0, beta=beta),
        critic=critic,
        optimizer=torch.optim.Adam,
        lr=1e-2,
        batch_size=2,
        train_split=None,
        verbose=0,
        **kwargs,
    ).initialize()


def rehearsed(net, record=None):
    record = record or Rehearsal()
    net.captured_ = CapturedStep(net, record)
    return record


def losses(net):
    return net.history[:, ("train_loss", "equivariance_error")]


def weights(net):
    return torch.cat([p.detach().flatten() for p in net.module_.parameters()])


@pytest.mark.parametrize("beta", [0.0, 0.1])
def test_replayed_steps_are_the_steps(beta):
    data = BatchedDataset(Y)
    plain = make_net(beta, callbacks=[("lr_schedule", WarmUpCosine(12))])
    plain.partial_fit(data, epochs=3)
    net = make_net(beta, callbacks=[("lr_schedule", WarmUpCosine(12))])
    record = rehearsed(net)
    net.partial_fit(data, epochs=3)
    # Three steps of two samples an epoch, the first three of all to warm up; the
    # seventh sample's step has another shape.
    assert record.recordings == 1
    assert record.replays == 6
    assert torch.equal(weights(net), weights(plain))
    assert losses(net) == losses(plain)


def test_first_batch_sets_the_shape():
    net = make_net()
    record = rehearsed(net)
    net.partial_fit(BatchedDataset(Y[:6]), epochs=2)
    assert record.replays == 3


def test_loaded_state_is_recorded_anew():
    """What an optimizer loads is somewhere else in memory."""
    net = make_net()
    record = rehearsed(net)
    net.partial_fit(BatchedDataset(Y[:6]), epochs=2)
    net.load_training_state(copy.deepcopy(net.training_state()))
    net.partial_fit(BatchedDataset(Y[:6]), epochs=2)
    assert record.recordings == 2


@pytest.mark.parametrize("how", ["raises", "is wrong", "takes no step"])
def test_failed_record_trains_on_without(how):
    def record(step, device):
        if how == "raises":
            step()  # what was touched has to be undone
            raise RuntimeError("operation not permitted when stream is capturing")
        outputs = {"loss": torch.tensor(7.0)}
        if how == "takes no step":
            return lambda: None, outputs
        return lambda: outputs.update(loss=7 * step()["loss"]), outputs

    plain = make_net()
    plain.partial_fit(BatchedDataset(Y), epochs=3)
    net = make_net()
    rehearsed(net, record)
    with pytest.warns(RuntimeWarning, match="could not be captured") as caught:
        net.partial_fit(BatchedDataset(Y), epochs=3)
    assert len(caught) == 1
    assert torch.equal(weights(net), weights(plain))
    assert losses(net) == losses(plain)


def test_pickles_and_copies_leave_the_record_behind():
    net = make_net()
    rehearsed(net)
    net.partial_fit(BatchedDataset(Y), epochs=2)
    for twin in (pickle.loads(pickle.dumps(net)), copy.deepcopy(net)):
        assert twin.captured_ is None
        assert torch.equal(weights(twin), weights(net))
    assert net.captured_ is not None


def test_a_state_goes_on_with_records_and_without():
    """A checkpoint of a GPU on a processor: rates that are tensors, and a flag."""
    plain, net = make_net(beta=0.1), make_net(beta=0.1)
    state = copy.deepcopy(plain.training_state())
    for name in ("optimizer_", "critic_optimizer_"):
        (group,) = state[name]["param_groups"]
        group.update(lr=torch.tensor(group["lr"]), capturable=True)
    net.load_training_state(state)
    for optimizer in (net.optimizer_, net.critic_optimizer_):
        (group,) = optimizer.param_groups
        assert isinstance(group["lr"], float)
        assert group["capturable"] is False
    for each in (plain, net):
        each.partial_fit(BatchedDataset(Y), epochs=2)
    torch.testing.assert_close(torch.tensor(losses(net)), torch.tensor(losses(plain)))


def test_what_cannot_be_captured():
    assert can_capture(make_net())
    for callback in (GradientNormClipping(1.0), LRScheduler(), Freezer("*")):
        assert not can_capture(make_net(callbacks=[callback]))
    assert not can_capture(make_net(term=SURE(), noise=GaussianNoise(0.1)))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("beta", [0.0, 0.1])
def test_cuda_graph_trains_as_single_kernels_do(beta):
    nets = []
    for capture in (False, True):
        schedule = [("lr_schedule", WarmUpCosine(12))]
        net = make_net(beta, device="cuda", capture=capture, callbacks=schedule)
        net.partial_fit(BatchedDataset(Y.cuda()), epochs=3)
        nets.append(net)
    assert nets[1].captured_._replay is not None
    torch.testing.assert_close(weights(nets[1]), weights(nets[0]), rtol=1e-3, atol=1e-4)
