"""Progress in files and pipes is there at once, not when a buffer is full."""

import io
import sys

import numpy as np
import pytest
from skorch.callbacks import Callback

from sklearn_ei import DeepImagePriorReconstructor, EquivariantReconstructor, demo
from sklearn_ei.groups import Shifts
from sklearn_ei.identifiability import check_group_rank
from sklearn_ei.networks import UNet
from sklearn_ei.operators import Inpainting

A = Inpainting(mask=np.arange(64).reshape(8, 8) % 3 > 0)
Y = A.measure(np.random.default_rng(0).random((40, 8, 8)))


class Pipe(io.TextIOWrapper):
    """Standard output as it is in a pipe: what is not flushed does not arrive."""

    def __init__(self):
        self.arrived = io.BytesIO()
        super().__init__(self.arrived, encoding="utf-8")

    def lines(self):
        return self.arrived.getvalue().decode().splitlines()


class Terminal(Pipe):
    def isatty(self):
        return True


def ei(**parameters):
    network = UNet(2, 2)
    return EquivariantReconstructor(
        A, Shifts(), network=network, max_epochs=2, random_state=0, **parameters
    )


def fit():
    ei(verbose=1).fit(Y)


def predict():
    ei().fit(Y[:2]).set_params(verbose=1).predict(Y)


def deep_image_prior():
    dip = DeepImagePriorReconstructor(
        A, width=4, depth=2, n_iterations=3, random_state=0, verbose=1
    )
    dip.fit(Y[:2])


def rank_check():
    check_group_rank(A, Shifts(), random_state=0, verbose=1)


@pytest.mark.parametrize(
    ("work", "first", "last"),
    [
        (fit, "Training takes about", "      2  "),
        (predict, "16 of 40 samples", "40 of 40 samples"),
        (deep_image_prior, "sample 0: 3 iterations", "sample 1: 3 iterations"),
        (rank_check, "[group rank]", "[group rank]"),
    ],
)
def test_every_line_is_sent_at_once(work, first, last, monkeypatch):
    pipe = Pipe()
    monkeypatch.setattr(sys, "stdout", pipe)
    work()
    lines = pipe.lines()
    pipe.flush()
    assert lines == pipe.lines()  # nothing was left in the buffer
    assert lines[0].startswith(first)
    assert lines[-1].startswith(last)


def test_memory_is_told_before_the_first_epoch(monkeypatch):
    class Look(Callback):
        def on_epoch_begin(self, net, **kwargs):
            seen.append(sys.stdout.lines())

    seen = []
    monkeypatch.setattr(sys, "stdout", Pipe())
    ei(verbose=1, callbacks=[Look()]).fit(Y)
    assert [line.split(" about ")[0] for line in seen[0]] == ["Training takes"]


def run_demo(stream, monkeypatch, tmp_path):
    """Return the lines that have arrived when the demo's training is over."""
    arrived = []
    monkeypatch.setattr(sys, "stdout", stream)
    monkeypatch.setattr(demo, "_print_table", lambda *_: arrived.extend(stream.lines()))
    small = ["--epochs", "2", "--samples", "4", "--size", "16", "--views", "8"]
    demo.main([*small, "--output", str(tmp_path / "demo.png")])
    return arrived


def test_demo_prints_a_line_an_epoch_into_a_pipe(monkeypatch, tmp_path):
    lines = run_demo(Pipe(), monkeypatch, tmp_path)
    stages = [number for number, ln in enumerate(lines) if ln.startswith("Training: ")]
    assert len(stages) == 3
    for start, end in zip(stages, [*stages[1:], len(lines)], strict=True):
        epochs = [ln.split()[0] for ln in lines[start:end] if ln.startswith("      ")]
        assert epochs == ["1", "2"]


def test_demo_shows_bars_on_a_terminal(monkeypatch, tmp_path):
    pytest.importorskip("sklearn.callback")
    lines = run_demo(Terminal(), monkeypatch, tmp_path)
    assert any("100%" in line for line in lines)
    assert not any("train_loss" in line for line in lines)
