"""The README's first command, at a size that takes seconds."""

import builtins
import importlib
import os

import numpy as np
import pytest
import torch

from sklearn_ei import demo
from sklearn_ei.datasets import make_thorax_phantoms
from sklearn_ei.operators import ParallelBeamCT

SMALL = ["--epochs", "1", "--samples", "4", "--size", "24", "--views", "10"]


def run(tmp_path, capsys, *options):
    figure = tmp_path / "demo.png"
    demo.main([*SMALL, "--output", str(figure), *options])
    assert figure.stat().st_size > 10_000
    return capsys.readouterr().out


def test_made_phantoms(tmp_path, capsys):
    table = run(tmp_path, capsys)
    for row in ("A†y", "measurement consistency", "equivariant imaging", "supervised"):
        line = next(line for line in table.splitlines() if line.startswith(row))
        assert 10 < float(line.split()[-3]) < 60  # PSNR
        assert 0 < float(line.split()[-2]) <= 1  # SSIM


def test_own_images(tmp_path, capsys):
    path = tmp_path / "images.npz"
    np.savez(path, slices=make_thorax_phantoms(4, (20, 24), random_state=0))
    assert "supervised" in run(tmp_path, capsys, "--images", str(path))


def test_own_sinograms_have_no_truth_to_compare_with(tmp_path, capsys):
    path = tmp_path / "sinograms.npy"
    images = make_thorax_phantoms(4, (24, 24), random_state=0)
    np.save(path, ParallelBeamCT(12).measure(images))
    table = run(tmp_path, capsys, "--sinograms", str(path))
    assert "score without truth" in table
    assert "supervised" not in table


def test_threads_are_as_asked_for_or_as_chosen(tmp_path, capsys, monkeypatch):
    most, used = torch.get_num_threads(), []
    monkeypatch.setattr(torch, "set_num_threads", used.append)
    monkeypatch.setattr(demo, "choose_n_threads", lambda limit: 10 + limit)
    run(tmp_path, capsys, "--threads", "2")
    assert used == [2] * 4  # once a method
    assert f"threads: {most}," in run(tmp_path, capsys)
    assert used[4:] == [10 + most] * 4
    with pytest.raises(SystemExit, match="Got --threads 0, but expected at least 1"):
        demo.main(["--threads", "0"])


def test_how_threads_wait_is_said_before_torch_loads(monkeypatch):
    load, policies = builtins.__import__, []

    def watched(name, *args, **kwargs):
        policies.append((name.split(".")[0], os.environ.get("OMP_WAIT_POLICY")))
        return load(name, *args, **kwargs)

    for chosen, expected in ((None, "PASSIVE"), ("ACTIVE", "ACTIVE")):
        monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
        if chosen is not None:  # the user's own choice
            monkeypatch.setenv("OMP_WAIT_POLICY", chosen)
        with monkeypatch.context() as patch:
            patch.setattr(builtins, "__import__", watched)
            importlib.reload(demo)
        assert dict(reversed(policies))["torch"] == expected
        policies.clear()


def test_unreadable_files_are_refused_in_a_sentence(tmp_path):
    with pytest.raises(SystemExit, match="Cannot read"):
        demo.main(["--images", str(tmp_path / "missing.npy")])
    path = tmp_path / "flat.npy"
    np.save(path, np.zeros((3, 4)))
    with pytest.raises(SystemExit, match=r"shape \(3, 4\), but expected a stack"):
        demo.main(["--sinograms", str(path)])
    objects = tmp_path / "objects.npy"
    np.save(objects, np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(SystemExit, match="Cannot read"):
        demo.main(["--images", str(objects)])
