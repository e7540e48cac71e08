"""Fits that are killed, interrupted, or stopped early."""

import os
import platform
import signal
import subprocess
import sys
import time
import warnings
from functools import partial

import numpy as np
import pytest
import torch
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.model_selection import HalvingGridSearchCV, KFold
from skorch.callbacks import Callback, GradientNormClipping

from sklearn_ei import EquivariantReconstructor
from sklearn_ei.datasets import make_thorax_phantoms
from sklearn_ei.groups import Rotations
from sklearn_ei.losses import MeasurementConsistency
from sklearn_ei.model_selection import held_out_score
from sklearn_ei.networks import UNet, Unrolled
from sklearn_ei.operators import ParallelBeamCT
from sklearn_ei.training import Seeds
from sklearn_ei.utils.random import spawn_seeds
from sklearn_ei.utils.tensor_file import read_file, write_file

OPERATOR = ParallelBeamCT(8, (16, 16))
IMAGES = make_thorax_phantoms(8, (16, 16), random_state=0)
Y = OPERATOR.measure(IMAGES)


def make(**parameters):
    settings = {"group": Rotations(360), "max_epochs": 6, "random_state": 0}
    settings |= {"batch_size": 3, "noise": None}
    settings["network"] = Unrolled(UNet(width=2, depth=2), n_stages=2)
    return EquivariantReconstructor(OPERATOR, **{**settings, **parameters})


def weights(estimator):
    state = estimator.net_.module_.state_dict()
    return torch.cat([tensor.double().flatten() for tensor in state.values()])


class Power(Callback):
    """Fails in the middle of an epoch."""

    def __init__(self, epoch, error=RuntimeError):
        self.epoch, self.error = epoch, error

    def on_batch_end(self, net, **kwargs):
        if len(net.history) == self.epoch:
            raise self.error("power cut")


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"beta": 0.1},
        {"data_term": "unsure"},
        {"data_term": "supervised"},
        {"precision": "bfloat16", "lr_schedule": "constant"},
        {"early_stopping": 0.3},
    ],
)
def test_resumed_fit_equals_the_undisturbed_one_bit_for_bit(parameters, tmp_path):
    path = tmp_path / "fit.checkpoint"
    whole = make(**parameters).fit(Y, IMAGES)
    for epoch in (1, 4):
        cut = make(**parameters, checkpoint=path, callbacks=[Power(epoch)])
        with pytest.raises(RuntimeError, match="power cut"):
            cut.fit(Y, IMAGES)
        if epoch == 1:  # nothing is kept of a fit without a whole epoch
            assert not [name for name in vars(cut) if name.endswith("_")]
            continue
        assert cut.n_iter_ == epoch - 1
        assert np.isfinite(cut.predict(Y)).all()
    resumed = make(**parameters, checkpoint=path).fit(Y, IMAGES)
    assert torch.equal(weights(resumed), weights(whole))
    assert resumed.n_iter_ == whole.n_iter_
    assert resumed.history_[:, "train_loss"] == whole.history_[:, "train_loss"]
    # A complete one is not trained again.
    again = make(**parameters, checkpoint=path, callbacks=[Power(1)]).fit(Y, IMAGES)
    assert torch.equal(weights(again), weights(whole))


def test_without_a_seed_the_checkpoint_has_what_was_drawn(tmp_path):
    """The copy of a checkpoint goes on as its original does."""
    path, copy = tmp_path / "fit.checkpoint", tmp_path / "copy.checkpoint"
    parameters = {"random_state": None, "early_stopping": True}
    with pytest.raises(RuntimeError, match="power cut"):
        make(**parameters, checkpoint=path, callbacks=[Power(4)]).fit(Y)
    copy.write_bytes(path.read_bytes())
    first, second = (make(**parameters, checkpoint=p).fit(Y) for p in (path, copy))
    assert first.n_iter_ == 6
    assert torch.equal(weights(first), weights(second))


def test_killed_between_its_last_epoch_and_the_end(tmp_path):
    """A fit that early stopping was about to end is not trained further."""
    path = tmp_path / "fit.checkpoint"
    settings = {"early_stopping": True, "n_iter_no_change": 1, "max_epochs": 60}
    settings |= {"lr": 0.05, "lr_schedule": "constant"}
    whole = make(**settings, checkpoint=path).fit(Y)
    document, tensors = read_file(path)
    path.unlink()
    document = {k: v for k, v in document.items() if k not in ("sha256", "format")}
    write_file(path, {**document, "complete": False}, tensors)
    again = make(**settings, checkpoint=path).fit(Y)
    assert again.n_iter_ == whole.n_iter_ < 60
    assert torch.equal(weights(again), weights(whole))


@pytest.mark.parametrize(
    ("changed", "what"),
    [
        ({"lr": 1e-3}, "lr"),
        ({"operator": ParallelBeamCT(8, (16, 16), filter="hann")}, "operator"),
        ({"group": Rotations(12)}, "group"),
        ({"max_epochs": 7}, "max_epochs"),
        ({"random_state": 1}, "random_state"),
    ],
)
def test_another_training_is_not_gone_on_with(changed, what, tmp_path):
    path = tmp_path / "fit.checkpoint"
    make(checkpoint=path, max_epochs=2).fit(Y)
    before = path.read_bytes()
    changed = {"max_epochs": 2, "operator": OPERATOR, **changed}
    other = make(max_epochs=1).fit(Y).set_params(**changed, checkpoint=path)
    fitted = dict(vars(other))
    with pytest.raises(ValueError, match=f"another training, which differs in {what};"):
        other.fit(Y)
    assert path.read_bytes() == before
    # The refusal comes before anything is set.
    assert all(vars(other)[name] is value for name, value in fitted.items())


def test_other_data_is_refused_and_what_does_not_matter_is_not(tmp_path):
    path = tmp_path / "fit.checkpoint"
    make(checkpoint=path, max_epochs=1).fit(Y)
    with pytest.raises(ValueError, match="differs in Y;"):
        make(checkpoint=path, max_epochs=1).fit(Y[::-1])
    make(checkpoint=str(path), max_epochs=1, callbacks=[Callback()]).fit(Y)


def test_files_that_are_no_checkpoint_are_refused(tmp_path):
    path = tmp_path / "fit.checkpoint"
    path.write_bytes(b"not a checkpoint at all")
    with pytest.raises(ValueError, match=r"fit\.checkpoint"):
        make(checkpoint=path).fit(Y)
    make(checkpoint=tmp_path / "good", max_epochs=1).fit(Y)
    damaged = bytearray((tmp_path / "good").read_bytes())
    damaged[len(damaged) // 2] ^= 1
    path.write_bytes(damaged)
    with pytest.raises(ValueError, match="damaged"):
        make(checkpoint=path, max_epochs=1).fit(Y)
    with pytest.raises(ValueError, match="a folder, or a file in one, that exists"):
        make(checkpoint=tmp_path / "no folder" / "file").fit(Y)
    with pytest.raises(TypeError, match=r"'checkpoint' parameter .* Got 3 instead"):
        make(checkpoint=3).fit(Y)
    fitted = make(max_epochs=1).fit(Y).set_params(warm_start=True, checkpoint=path)
    with pytest.raises(ValueError, match="with warm_start=True"):
        fitted.fit(Y)


def test_a_failed_write_leaves_the_checkpoint_before(tmp_path, monkeypatch):
    path = tmp_path / "fit.checkpoint"
    real, calls = os.replace, []

    def full_disk(*args):
        calls.append(args)
        if len(calls) > 2:
            raise OSError(28, "No space left on device")
        return real(*args)

    monkeypatch.setattr(os, "replace", full_disk)
    with pytest.raises(OSError, match="No space left"):
        make(checkpoint=path).fit(Y)
    monkeypatch.setattr(os, "replace", real)
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
    resumed = make(checkpoint=path).fit(Y)
    assert torch.equal(weights(resumed), weights(make().fit(Y)))


def test_ctrl_c_ends_cleanly(tmp_path):
    path = tmp_path / "fit.checkpoint"
    ei = make(checkpoint=path, callbacks=[Power(3, KeyboardInterrupt)])
    with pytest.warns(UserWarning, match="interrupted; .* after 2 of 6 epochs"):
        ei.fit(Y)
    assert ei.n_iter_ == len(ei.history_) == 2
    assert np.isfinite(ei.predict(Y)).all()
    resumed = make(checkpoint=path).fit(Y)
    assert torch.equal(weights(resumed), weights(make().fit(Y)))


SCRIPT = """
import sys
import torch
torch.set_num_threads(1)
sys.path.insert(0, {folder!r})
from tests.reconstruction.test_resume import make, Y
make(checkpoint={path!r}, max_epochs=15).fit(Y)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs POSIX signals")
def test_kill_minus_9_loses_nothing_but_the_epoch_in_hand(tmp_path):
    path = str(tmp_path / "fit.checkpoint")
    folder = os.path.dirname(os.path.dirname(os.path.dirname(__file__)))
    script = SCRIPT.format(folder=folder, path=path)
    process = subprocess.Popen([sys.executable, "-c", script], cwd=folder)
    deadline = time.monotonic() + 120
    while not os.path.exists(path) and time.monotonic() < deadline:
        time.sleep(0.02)
    time.sleep(0.1)
    process.kill()
    assert process.wait() in (-signal.SIGKILL, 0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        resumed = make(checkpoint=path, max_epochs=15).fit(Y)
    assert torch.equal(weights(resumed), weights(make(max_epochs=15).fit(Y)))
    assert os.listdir(tmp_path) == ["fit.checkpoint"]


def test_early_stopping_keeps_the_best_weights():
    ei = make(
        early_stopping=0.25,
        n_iter_no_change=3,
        max_epochs=60,
        lr=0.05,
        lr_schedule="constant",
    ).fit(Y)
    scores = ei.history_[:, "valid_score"]
    best = int(np.argmax(scores))
    assert len(scores) == ei.n_iter_ == best + 1 + 3 < 60
    assert ei.best_validation_score_ == scores[best]
    # The weights kept are those of that epoch: they have its score.
    seed = Seeds(*spawn_seeds(0, len(Seeds._fields))).split
    valid = np.sort(np.random.default_rng(seed).permutation(len(Y))[:2])
    assert ei.score(Y[valid]) == pytest.approx(scores[best], rel=1e-6)


def test_early_stopping_with_ground_truth_scores_psnr():
    ei = make(early_stopping=True, data_term="supervised", max_epochs=2).fit(Y, IMAGES)
    assert 5 < ei.best_validation_score_ < 60


def test_early_stopping_needs_samples_to_leave_out():
    with pytest.raises(ValueError, match="enough to leave some for training"):
        make(early_stopping=True).fit(Y[:1])
    with pytest.raises(ValueError, match="early_stopping"):
        make(early_stopping=1.0).fit(Y)
    with pytest.raises(ValueError, match="n_iter_no_change"):
        make(early_stopping=True, n_iter_no_change=0).fit(Y)


class Count(Callback):
    """Count the epochs trained by all copies together."""

    n_epochs = 0

    def on_epoch_end(self, net, **kwargs):
        Count.n_epochs += 1


def test_longer_training_at_a_constant_rate_goes_on_from_a_shorter_one(tmp_path):
    path = tmp_path / "fit.checkpoint"
    settings = {"lr_schedule": "constant", "checkpoint": path}
    make(max_epochs=2, **settings).fit(Y)
    Count.n_epochs = 0
    longer = make(max_epochs=5, callbacks=[Count()], **settings).fit(Y)
    assert (Count.n_epochs, longer.n_iter_) == (3, 5)
    whole = make(max_epochs=5, lr_schedule="constant").fit(Y)
    assert torch.equal(weights(longer), weights(whole))
    with pytest.raises(ValueError, match="checkpoint of 5 epochs, but expected no"):
        make(max_epochs=4, **settings).fit(Y)


@pytest.mark.slow
def test_halving_goes_on_with_its_survivors(tmp_path):
    """A folder as checkpoint: no candidate repeats the epochs it has had."""
    scores = []
    for checkpoint in (None, tmp_path):
        Count.n_epochs = 0
        search = HalvingGridSearchCV(
            make(lr_schedule="constant", checkpoint=checkpoint, callbacks=[Count()]),
            {"alpha": [1.0, 10.0, 100.0, 1000.0]},
            resource="max_epochs",
            min_resources=1,
            max_resources=4,
            factor=2,
            cv=KFold(2),
            scoring=held_out_score,
            refit=False,
        ).fit(Y)
        scores.append(search.cv_results_["mean_test_score"])
        # Four candidates to one epoch, two to two and one to four, two folds.
        again = 2 * (4 * 1 + 2 * 2 + 1 * 4)
        onwards = 2 * (4 * 1 + 2 * 1 + 1 * 2)
        assert Count.n_epochs == (again if checkpoint is None else onwards)
    np.testing.assert_array_equal(*scores)
    assert len(list(tmp_path.iterdir())) == 8


def distance(function):
    return {"data_term": MeasurementConsistency(function)}


def huber(delta):
    return lambda a, b: torch.nn.functional.huber_loss(a, b, delta=delta)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (
            distance(partial(torch.nn.functional.huber_loss, delta=0.01)),
            distance(partial(torch.nn.functional.huber_loss, delta=5.0)),
        ),
        (distance(huber(0.01)), distance(huber(5.0))),
        (
            distance(torch.nn.HuberLoss(delta=0.01)),
            distance(torch.nn.HuberLoss(delta=5.0)),
        ),
        ({"callbacks": None}, {"callbacks": [GradientNormClipping(1e-6)]}),
    ],
)
def test_folder_tells_trainings_apart(one, other, tmp_path):
    first = make(max_epochs=1, checkpoint=tmp_path, **one).fit(Y)
    second = make(max_epochs=1, checkpoint=tmp_path, **other).fit(Y)
    assert len(list(tmp_path.iterdir())) == 2
    assert not torch.equal(weights(first), weights(second))


def test_files_that_others_are_writing_stay(tmp_path):
    path = tmp_path / "fit.checkpoint"
    node = platform.node()
    writing = tmp_path / f".{path.name}.{node}.{os.getpid()}.0a1b.tmp"
    elsewhere = tmp_path / f".{path.name}.another host.1.0a1b.tmp"
    left = tmp_path / f".{path.name}.{node}.{2**22 + 1}.0a1b.tmp"
    for file in (writing, elsewhere, left):
        file.write_bytes(b"half")
    make(max_epochs=1, checkpoint=path).fit(Y)
    assert writing.exists()
    assert elsewhere.exists()
    assert not left.exists()


def test_an_interrupted_call_is_over(tmp_path):
    with pytest.warns(UserWarning, match="interrupted"):
        ei = make(callbacks=[Power(2, KeyboardInterrupt)]).fit(Y)
    ei.set_params(callbacks=None).partial_fit(Y)  # without a warning
    assert ei.n_iter_ == 2


def test_folder_needs_a_seed_and_leaves_longer_trainings_alone(tmp_path):
    with pytest.raises(ValueError, match="random_state=None with a folder"):
        make(checkpoint=tmp_path, random_state=None).fit(Y)
    settings = {"lr_schedule": "constant", "checkpoint": tmp_path}
    make(max_epochs=3, **settings).fit(Y)
    (path,) = tmp_path.iterdir()
    before = path.read_bytes()
    shorter = make(max_epochs=2, **settings).fit(Y)
    assert shorter.n_iter_ == 2
    assert path.read_bytes() == before
