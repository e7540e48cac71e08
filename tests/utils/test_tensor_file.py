"""The file below models and checkpoints."""

import os
import tracemalloc

import numpy as np
import pytest
import torch

from sklearn_ei.utils.tensor_file import (
    TENSOR_DTYPES,
    ModelFileError,
    read_file,
    write_file,
)


def some(dtype):
    generator = torch.Generator().manual_seed(0)
    values = torch.randint(0, 2, (3, 4, 5), generator=generator)
    return values.to(dtype)


def test_every_dtype_comes_back(tmp_path):
    tensors = {name: some(dtype) for name, dtype in TENSOR_DTYPES.items()}
    tensors |= {"scalar": torch.tensor(2.5), "empty": torch.zeros(0, 3)}
    write_file(tmp_path / "file", {"number": 0.1}, tensors)
    document, back = read_file(tmp_path / "file")
    assert document["number"] == 0.1
    assert back.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert back.like(name).device.type == "meta"
        assert back.like(name).shape == tensor.shape
        assert back[name].dtype == back.like(name).dtype == tensor.dtype
        assert torch.equal(back[name], tensor), name


def test_tensors_are_read_when_they_are_asked_for(tmp_path):
    path = tmp_path / "file"
    write_file(path, {}, {"large": torch.ones(2**22), "small": torch.ones(3)})
    tracemalloc.start()
    _, tensors = read_file(path)
    assert tracemalloc.get_traced_memory()[1] < 2**22
    tracemalloc.stop()
    assert tensors["large"] is tensors["large"]
    path.unlink()  # another write replaces the file; what was opened stays
    assert tensors["small"].tolist() == [1, 1, 1]
    tensors.close()
    assert tensors["large"].sum() == 2**22


def test_a_closed_file_is_not_read(tmp_path):
    write_file(tmp_path / "file", {}, {"a": torch.ones(3)})
    _, tensors = read_file(tmp_path / "file")
    tensors.close()
    with pytest.raises(ValueError, match="is closed"):
        tensors["a"]


def test_a_file_that_shrinks_meanwhile(tmp_path):
    path = tmp_path / "file"
    write_file(path, {}, {"a": torch.ones(3000)})
    _, tensors = read_file(path)
    os.truncate(path, 4000)
    with pytest.raises(ModelFileError, match="became shorter"):
        tensors["a"]


def test_files_are_closed(tmp_path):
    folder = "/proc/self/fd"
    if not os.path.isdir(folder):
        pytest.skip("cannot count open files")
    write_file(tmp_path / "file", {}, {"a": torch.ones(3)})
    (tmp_path / "bad").write_bytes(b"x" * 100)
    before = len(os.listdir(folder))
    for _ in range(5):
        read_file(tmp_path / "file")
        with pytest.raises(ModelFileError):
            read_file(tmp_path / "bad")
    assert len(os.listdir(folder)) == before


@pytest.mark.skipif(not hasattr(os, "SEEK_DATA"), reason="holes are not seen there")
def test_files_of_holes(tmp_path):
    path = tmp_path / "holes"
    with open(path, "wb") as file:
        file.truncate(2**31)
    if path.stat().st_blocks * 512 > 2**30:
        pytest.skip("this file system has no holes")
    with pytest.raises(ModelFileError, match="are holes that nobody wrote"):
        read_file(path)
    # Some holes are normal: where a file system stores zeros as such.
    zeros = np.zeros(2**20, np.float32)
    write_file(path, {}, {"a": torch.from_numpy(zeros)})
    assert not read_file(path)[1]["a"].any()
