"""Stacks that are read when asked for."""

import numpy as np
import pytest
import torch
from torch.utils.data import TensorDataset

from sklearn_ei.utils import stack as stacks
from sklearn_ei.utils.layout import Layout
from sklearn_ei.utils.stack import LazyStack, LazyTensor

ARRAY = np.random.default_rng(0).random((7, 3, 2))


def memory_map(folder, mode):
    np.save(folder / "Y.npy", ARRAY)
    return np.load(folder / "Y.npy", mmap_mode=mode)


@pytest.mark.parametrize(
    "index",
    [
        slice(None),
        slice(2, 5),
        slice(-3, None),
        slice(6, None, -2),
        slice(5, 2),
        4,
        np.int64(0),
        np.array([5, 0, 3]),
        np.array([4, 2, 3]),
        np.array([1, 1, 6]),
        np.array([], dtype=int),
        [2],
    ],
)
def test_indexing_is_that_of_arrays(index, tmp_path):
    for source in (memory_map(tmp_path, "r"), TensorDataset(torch.tensor(ARRAY))):
        stack = LazyStack(source, "Y")
        assert (stack.shape, stack.ndim, stack.size) == (ARRAY.shape, 3, 42)
        values = stack[index]
        assert values.dtype == np.float32
        np.testing.assert_array_equal(values, ARRAY.astype(np.float32)[index])


def test_walking_through(monkeypatch, tmp_path):
    monkeypatch.setattr(stacks, "_CHUNK", 2 * ARRAY[0].size)
    stack = LazyStack(memory_map(tmp_path, "r"), "Y")
    assert [len(chunk) for chunk in stack.chunks()] == [2, 2, 2, 1]
    np.testing.assert_array_equal(np.stack(list(stack)), ARRAY.astype(np.float32))


def test_lazy_tensors_are_tensors(tmp_path):
    stack = LazyStack(memory_map(tmp_path, "r"), "Y")
    samples = np.array([6, 1, 2])
    for layout in (Layout((3, 2), "none"), Layout((3,), 2)):
        whole = layout.to_tensor(ARRAY) / 0.3
        lazy = LazyTensor(stack, layout) / 0.3
        assert lazy.shape == tuple(whole.shape)
        for index in (slice(1, 4), torch.tensor([4, 0]), torch.tensor([5]), [3]):
            assert torch.equal(lazy[index], whole[index])
        part = lazy.take(samples)
        assert torch.equal(part[:], whole[samples])
        assert torch.equal(torch.cat(list(part.chunks())), whole[samples])


@pytest.mark.parametrize("mode", ["r+", "c"])
def test_pages_let_go_lose_nothing(mode, tmp_path, monkeypatch):
    monkeypatch.setattr(stacks, "_HELD", 0)
    pages = memory_map(tmp_path, mode)
    pages[3] = 17
    stack = LazyStack(pages, "Y")
    for _ in range(3):
        kept = stack[2:4]
        np.testing.assert_array_equal(kept[0], ARRAY[2].astype(np.float32))
        assert (kept[1] == 17).all()
        assert (pages[3] == 17).all()


def test_what_is_lazy(tmp_path, monkeypatch):
    pages = memory_map(tmp_path, "r")
    assert not stacks.is_lazy(pages)
    monkeypatch.setattr(stacks, "_LAZY_BYTES", ARRAY.nbytes - 1)
    assert stacks.is_lazy(pages)
    assert stacks.is_lazy(LazyStack(pages, "Y"))
    assert not any(
        map(stacks.is_lazy, (ARRAY, torch.tensor(ARRAY), [], None, pages[1:]))
    )
