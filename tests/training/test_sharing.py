"""f shared by processes: what can be seen in one."""

import pytest
import torch
from torch import nn

from sklearn_ei.operators import Inpainting
from sklearn_ei.training.machine import Processes, SharedFunction
from sklearn_ei.training.machine._sharing import _GlobalBatchNorm

OPERATOR = Inpainting(0.0, (9,)).resolve()


class Recorder(Processes):
    """Several processes, played one after the other."""

    def __init__(self, rank, size, others=()):
        super().__init__(rank, size)
        self.others = list(others)
        self.said = []

    def add(self, tensors):
        self.said.append([tensor.clone() for tensor in tensors])
        for message in self.others[len(self.said) - 1 : len(self.said)]:
            for tensor, theirs in zip(tensors, message, strict=True):
                tensor.add_(theirs)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("affine", [True, False])
def test_batch_normalisation_equals_torch_s(dtype, affine):
    mine, theirs = (
        nn.BatchNorm2d(3, affine=affine, momentum=0.3).to(dtype) for _ in range(2)
    )
    x = (5 + 2 * torch.randn(4, 3, 6, 5)).to(dtype).requires_grad_()
    z = x.detach().clone().requires_grad_()
    weight = torch.randn(4, 3, 6, 5, dtype=dtype)
    with _GlobalBatchNorm(4, Processes()):
        found = mine(x)
    expected = theirs(z)
    (weight * found).sum().backward()
    (weight * expected).sum().backward()
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(x.grad, z.grad)
    for one, other in zip(mine.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad)
    for name, buffer in theirs.named_buffers():
        torch.testing.assert_close(dict(mine.named_buffers())[name], buffer)
    mine.eval(), theirs.eval()
    with _GlobalBatchNorm(4, Processes()):
        torch.testing.assert_close(mine(x), theirs(z))


def test_bfloat16_stays_bfloat16():
    norm = nn.BatchNorm1d(3)
    x = torch.randn(4, 3, 7, dtype=torch.bfloat16, requires_grad=True)
    with _GlobalBatchNorm(4, Processes()):
        y = norm(x)
    y.square().mean().backward()
    assert y.dtype == x.grad.dtype == torch.bfloat16
    torch.testing.assert_close(y, nn.BatchNorm1d(3)(x))


@pytest.mark.parametrize(("n_samples", "size"), [(7, 3), (2, 3), (6, 2), (0, 2)])
def test_shares_cover_a_batch_without_overlap(n_samples, size):
    shares = [Processes(rank, size).share(n_samples) for rank in range(size)]
    taken = [i for share in shares for i in range(n_samples)[share]]
    assert taken == list(range(n_samples))
    sizes = [share.stop - share.start for share in shares]
    assert max(sizes) - min(sizes) <= 1


def test_a_process_without_samples_adds_nothing():
    """It computes one for nothing, and says as often as the others that it has none."""
    torch.manual_seed(0)
    f = nn.Sequential(nn.Conv1d(1, 2, 3), nn.BatchNorm1d(2), nn.Conv1d(2, 1, 1))
    y = torch.randn(1, 1, 9, requires_grad=True)
    expected = f(y).detach()

    def step(processes):
        f.zero_grad()
        y.grad = None
        x = SharedFunction(lambda y, A, start: f(y), processes)(y, OPERATOR)
        x.square().sum().backward()
        torch.testing.assert_close(x.detach(), expected)
        return y.grad, [w.grad for w in f.parameters()]

    busy = Recorder(1, 2)
    gradient, _ = step(busy)
    idle = Recorder(0, 2, others=busy.said)
    assert idle.share(1) == slice(0, 0)
    same, nothing = step(idle)
    assert torch.equal(same, gradient)
    assert all((grad == 0).all() for grad in nothing)
    assert len(idle.said) == len(busy.said) == 4
    assert all((tensor == 0).all() for message in idle.said for tensor in message)


def test_alone_everything_is_said_to_oneself():
    alone = Processes()
    tensor = torch.ones(3)
    alone.add([tensor])
    assert tensor.tolist() == [1, 1, 1]
    assert alone.from_main("value") == "value"
    assert alone.check_same({"Y": "0"}) is None
