import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from sklearn_ei.operators import Inpainting
from sklearn_ei.training import ReconstructionFunction, learning_rate_schedule
from sklearn_ei.training._net import WarmUpCosine
from sklearn_ei.utils._dataset import BatchedDataset, identity
from sklearn_ei.utils._random import RandomStream, seeded_initialisation, spawn_seeds


def test_schedule_rises_then_decays_to_zero():
    factors = np.array([WarmUpCosine(100)(step) for step in range(101)])
    assert factors[0] == pytest.approx(0.2)
    assert factors.max() == factors[4] > 0.98
    assert (np.diff(factors[5:]) < 0).all()
    assert factors[100] == pytest.approx(0, abs=1e-12)
    assert learning_rate_schedule("constant", 10) is None


def test_single_step_schedule_is_finite():
    assert 0 < WarmUpCosine(1)(0) <= 1


def test_data_set_hands_out_whole_batches():
    Y, x = torch.arange(10.0).reshape(5, 1, 2), torch.arange(5.0).reshape(5, 1, 1)
    loader = DataLoader(BatchedDataset(Y, x), batch_size=2, collate_fn=identity)
    batches = list(loader)
    assert [len(y) for y, _ in batches] == [2, 2, 1]
    assert torch.equal(torch.cat([y for y, _ in batches]), Y)
    assert torch.equal(torch.cat([t for _, t in batches]), x)
    sample, truth = BatchedDataset(Y)[3]
    assert torch.equal(sample, Y[3])
    assert truth.numel() == 0


def test_data_consistency_projects_onto_the_measurements():
    operator = Inpainting(0.5, (8, 8))
    network = torch.nn.Conv2d(1, 1, 3, padding=1)
    y = operator.forward(torch.rand(2, 1, 8, 8))
    without = ReconstructionFunction(operator, network, n_consistency=0)(y)
    with_step = ReconstructionFunction(operator, network, n_consistency=1)(y)
    assert not torch.allclose(operator.forward(without), y)
    torch.testing.assert_close(operator.forward(with_step), y)
    null = y == 0
    torch.testing.assert_close(with_step[null], without[null])


def test_bfloat16_network_gives_float32_images():
    operator = Inpainting(0.5, (8, 8))
    network = torch.nn.Conv2d(1, 1, 3, padding=1)
    y = operator.forward(torch.rand(1, 1, 8, 8))
    exact = ReconstructionFunction(operator, network, n_consistency=0)(y)
    reduced = ReconstructionFunction(
        operator, network, n_consistency=0, dtype=torch.bfloat16
    )(y)
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
