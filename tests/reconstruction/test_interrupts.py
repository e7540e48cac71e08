"""Ctrl-C at every kind of moment."""

import os
import signal
import warnings
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import pytest
import torch
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from skorch.callbacks import Callback

from sklearn_ei import (
    DeepImagePriorReconstructor,
    EquivariantReconstructor,
    EquivariantReconstructorCV,
)
from sklearn_ei.datasets import make_thorax_phantoms
from sklearn_ei.groups import Rotations
from sklearn_ei.networks import UNet
from sklearn_ei.operators import ParallelBeamCT
from sklearn_ei.reconstruction import _early_stopping
from sklearn_ei.training import Checkpoint, Iterates, ReconstructionNet
from sklearn_ei.utils.tensor_file import read_file

OPERATOR = ParallelBeamCT(8, (16, 16))
Y = OPERATOR.measure(make_thorax_phantoms(6, (16, 16), random_state=0))


def ctrl_c():
    signal.raise_signal(signal.SIGINT)


@pytest.fixture(autouse=True)
def python_s_own_handler():
    """As in any session; test runners may have theirs. It has to be back at the end."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    after = signal.signal(signal.SIGINT, before)
    assert after is signal.default_int_handler


def make(kind=EquivariantReconstructor, **parameters):
    settings = {"max_epochs": 5, "network": UNet(2, 2), "random_state": 0}
    settings |= {"lr_schedule": "constant", "batch_size": 2, "noise": None}
    return kind(OPERATOR, Rotations(360), **{**settings, **parameters})


def weights(estimator):
    state = estimator.function_.state_dict()
    return torch.cat([tensor.double().flatten() for tensor in state.values()])


@cache
def undisturbed(n_epochs=5):
    return make(max_epochs=n_epochs).fit(Y)


class Press(Callback):
    """Presses Ctrl-C at one moment of an epoch, once or twice in a row."""

    def __init__(self, moment, epoch, batch=0, times=1):
        self.moment, self.epoch, self.batch, self.times = moment, epoch, batch, times

    def _at(self, moment, net):
        if moment != self.moment or len(net.history) != self.epoch:
            return
        if "batch" in moment and len(net.history[-1]["batches"]) != self.batch + 1:
            return
        for _ in range(self.times):
            ctrl_c()

    def on_train_begin(self, net, **kwargs):
        self._at("train_begin", net)

    def on_epoch_begin(self, net, **kwargs):
        self._at("epoch_begin", net)

    def on_batch_begin(self, net, **kwargs):
        self._at("batch_begin", net)

    def on_grad_computed(self, net, **kwargs):
        self._at("batch_grad_computed", net)

    def on_batch_end(self, net, **kwargs):
        self._at("batch_end", net)

    def on_epoch_end(self, net, **kwargs):
        self._at("epoch_end", net)


# Epochs that are whole when Ctrl-C was pressed at a moment of the third epoch.
MOMENTS = {
    "before its first batch": (Press("epoch_begin", 3), 2),
    "in its first batch": (Press("batch_begin", 3), 2),
    "between gradient and step": (Press("batch_grad_computed", 3, 1), 2),
    "behind a batch": (Press("batch_end", 3, 1), 2),
    "behind its last batch": (Press("batch_end", 3, 2), 3),
    "at its end": (Press("epoch_end", 3), 3),
    "twice in a batch": (Press("batch_begin", 3, 1, times=2), 2),
    "twice behind its last batch": (Press("batch_end", 3, 2, times=2), 2),
    "twice at its end": (Press("epoch_end", 3, times=2), 2),
    "twice within a step": (Press("batch_grad_computed", 3, 0, times=2), 2),
    "at the end of the last epoch": (Press("epoch_end", 5), 5),
}


def check_interrupted(fitted, checkpoint, n_epochs):
    """Whole epochs only, in the estimator and in its checkpoint, which goes on."""
    assert fitted.n_iter_ == len(fitted.history_) == n_epochs
    assert torch.equal(weights(fitted), weights(undisturbed(n_epochs)))
    document, _ = read_file(checkpoint)
    assert document["complete"] is False
    resumed = make(checkpoint=checkpoint).fit(Y)
    whole = undisturbed()
    assert torch.equal(weights(resumed), weights(whole))
    assert resumed.history_[:, "train_loss"] == whole.history_[:, "train_loss"]
    assert read_file(checkpoint)[0]["complete"] is True


@pytest.mark.parametrize("moment", MOMENTS)
def test_whole_epochs_are_kept(moment, tmp_path):
    press, n_epochs = MOMENTS[moment]
    path = tmp_path / "fit.checkpoint"
    ei = make(checkpoint=path, callbacks=[press])
    message = f"interrupted; EquivariantReconstructor keeps .* after {n_epochs} of 5"
    with pytest.warns(UserWarning, match=message) as caught:
        ei.fit(Y)
    assert len(caught) == 1
    # An interrupted call is over: the next one is none.
    check_interrupted(ei, path, n_epochs)
    ei.set_params(callbacks=None).partial_fit(Y)
    assert ei.n_iter_ == n_epochs + 1


@pytest.mark.parametrize("times", [1, 3])
@pytest.mark.parametrize(
    ("moment", "n_epochs"),
    # The folder is synced when the second file is in its place.
    [("before", 3), ("behind", 3), ("while synced", 2)],
)
def test_a_checkpoint_is_written_to_its_end(
    moment, n_epochs, times, tmp_path, monkeypatch
):
    """Also where Ctrl-C is pressed again while it is written."""
    path, replace, fsync, done = tmp_path / "a.checkpoint", os.replace, os.fsync, []

    def press(at):
        if at == moment and len(done) == 2:
            for _ in range(times):
                ctrl_c()

    def interrupted_replace(source, target, **kwargs):
        press("before")
        replace(source, target, **kwargs)
        press("behind")
        done.append(target)

    def interrupted_fsync(descriptor):
        press("while synced")
        fsync(descriptor)

    monkeypatch.setattr(os, "replace", interrupted_replace)
    monkeypatch.setattr(os, "fsync", interrupted_fsync)
    with pytest.warns(UserWarning, match=f"interrupted; .* after {n_epochs} of 5"):
        ei = make(checkpoint=path).fit(Y)
    monkeypatch.undo()
    assert os.listdir(tmp_path) == [path.name]
    check_interrupted(ei, path, n_epochs)


@pytest.mark.parametrize(("times", "n_epochs"), [(1, 3), (2, 2)])
def test_while_an_epoch_is_scored(times, n_epochs, tmp_path, monkeypatch):
    score, done = _early_stopping.score_without_truth, []

    def interrupted(*args, **kwargs):
        done.append(args)
        if len(done) == 3:
            for _ in range(times):
                ctrl_c()
        return score(*args, **kwargs)

    path = tmp_path / "fit.checkpoint"
    settings = {"early_stopping": 0.3}
    whole = make(**settings).fit(Y)
    with monkeypatch.context() as patch:
        patch.setattr(_early_stopping, "score_without_truth", interrupted)
        with pytest.warns(UserWarning, match=f"interrupted; .* after {n_epochs} of 5"):
            ei = make(**settings, checkpoint=path).fit(Y)
    assert ei.n_iter_ == n_epochs
    scores = ei.history_[:, "valid_score"]
    assert scores == whole.history_[:n_epochs, "valid_score"]
    # The weights kept are the best of whole epochs.
    assert ei.best_validation_score_ == max(scores)
    best = make(**settings, max_epochs=n_epochs).fit(Y)
    assert torch.equal(weights(ei), weights(best))
    assert read_file(path)[0]["complete"] is False
    resumed = make(**settings, checkpoint=path).fit(Y)
    assert torch.equal(weights(resumed), weights(whole))


@pytest.mark.parametrize(
    "press",
    [
        Press("train_begin", 0),
        Press("epoch_begin", 1),
        Press("batch_end", 1, 1),
        Press("batch_end", 1, 1, times=2),
        Press("epoch_end", 1, times=2),
    ],
    ids=lambda press: f"{press.moment}-{press.times}",
)
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_without_a_whole_epoch_nothing_is_kept(press, method):
    ei = make(callbacks=[press])
    with (
        pytest.warns(UserWarning, match="keeps nothing, as no epoch was whole"),
        pytest.raises(KeyboardInterrupt),
    ):
        getattr(ei, method)(Y)
    assert not [name for name in vars(ei) if name.endswith("_")]
    with pytest.raises(NotFittedError):
        ei.predict(Y)
    ei.set_params(callbacks=None).fit(Y)
    assert torch.equal(weights(ei), weights(undisturbed()))


def test_when_all_is_done_what_is_done_is_kept(tmp_path, monkeypatch):
    """Pressed behind the last epoch, or while fitted attributes are set."""
    whole, keep, write = undisturbed(), EquivariantReconstructor._keep, Checkpoint.write

    def interrupted_write(self, net, *, complete):
        if complete:
            ctrl_c()
        write(self, net, complete=complete)

    def interrupted_keep(self, *args, **kwargs):
        keep(self, *args, **kwargs)
        for _ in range(3):
            ctrl_c()

    path = tmp_path / "fit.checkpoint"
    for owner, name, function in (
        (Checkpoint, "write", interrupted_write),
        (EquivariantReconstructor, "_keep", interrupted_keep),
    ):
        path.unlink(missing_ok=True)
        with monkeypatch.context() as patch:
            patch.setattr(owner, name, function)
            with pytest.warns(UserWarning, match="interrupted; .* after 5 of 5 epochs"):
                ei = make(checkpoint=path).fit(Y)
        assert torch.equal(weights(ei), weights(whole))
        assert read_file(path)[0]["complete"] is True


def test_while_all_is_checked_nothing_is_set(monkeypatch):
    resolve = type(OPERATOR).resolve

    def interrupted(self, *args, **kwargs):
        ctrl_c()
        return resolve(self, *args, **kwargs)

    monkeypatch.setattr(type(OPERATOR), "resolve", interrupted)
    ei = make()
    before = dict(vars(ei))
    with pytest.raises(KeyboardInterrupt):
        ei.fit(Y)
    assert vars(ei) == before


@pytest.mark.parametrize("how", ["warm_start", "partial_fit"])
def test_training_that_went_on_keeps_what_it_had(how):
    ei, twin = (make(max_epochs=2, warm_start=True) for _ in range(2))
    if how == "partial_fit":
        for estimator in (ei, twin):
            estimator.partial_fit(Y).partial_fit(Y)
        stop = Press("batch_end", 3, 1, times=2)
        ei.net_.callbacks_.append(("press", stop))
        with pytest.warns(UserWarning, match="interrupted; .* after 0 of 1 epochs"):
            ei.partial_fit(Y)
        ei.net_.callbacks_.remove(("press", stop))
    else:
        ei.fit(Y), twin.fit(Y)
        ei.set_params(callbacks=[Press("batch_end", 1, 1)])
        with pytest.warns(UserWarning, match="interrupted; .* after 0 of 2 epochs"):
            ei.fit(Y)
        ei.set_params(callbacks=None)
    assert ei.n_iter_ == twin.n_iter_ == 2
    assert torch.equal(weights(ei), weights(twin))
    for estimator in (ei, twin):
        getattr(estimator, "fit" if how == "warm_start" else how)(Y)
    assert torch.equal(weights(ei), weights(twin))


# ------------------------------------------------------------------ several fits
def one_value(estimator, Y, y=None):
    return 0.0


def pressed_score(estimator, Y, y=None):
    ctrl_c()
    return 0.0


@pytest.mark.parametrize("where", ["fit", "score"])
@pytest.mark.parametrize("what", ["search", "cross-validation", "path"])
def test_searches_are_left(what, where):
    """They would score what was interrupted, and go on with the next fit."""
    fits = []

    class Counted(Press):
        def on_train_begin(self, net, **kwargs):
            fits.append(net)

    callbacks = [Counted("batch_end", 2, 0) if where == "fit" else Counted("", 0)]
    scoring = pressed_score if where == "score" else one_value
    if what == "search":
        run = GridSearchCV(
            make(callbacks=callbacks), {"alpha": [1, 9]}, scoring=scoring
        )
        call = run.fit
    elif what == "cross-validation":
        run = make(callbacks=callbacks)

        def call(Y):
            cross_val_score(run, Y, cv=3, scoring=scoring)
    else:
        # Callbacks are those of the fit at the end, with the best α.
        run = make(EquivariantReconstructorCV, callbacks=callbacks, scoring=scoring)
        call = run.fit
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", ".*scores as others do")
        with pytest.raises(KeyboardInterrupt):
            call(Y)
    assert len(fits) == (0 if (what, where) == ("path", "score") else 1)
    assert not {"best_estimator_", "function_", "alpha_"} & set(vars(run))


def test_the_path_itself_is_left(monkeypatch):
    """In its shared start, which has no callbacks of the user."""
    step, done = ReconstructionNet.train_step, []

    def interrupted(self, *args, **kwargs):
        done.append(self)
        if len(done) == 4:
            ctrl_c()
        return step(self, *args, **kwargs)

    monkeypatch.setattr(ReconstructionNet, "train_step", interrupted)
    cv = make(EquivariantReconstructorCV)
    with pytest.raises(KeyboardInterrupt):
        cv.fit(Y)
    assert len(set(map(id, done))) == 1
    assert not hasattr(cv, "best_estimator_")


@pytest.mark.parametrize("iteration", [2, 8])
def test_a_deep_image_prior_is_left_as_it_was(iteration, monkeypatch):
    """Also at its last iteration: the other samples are still to come."""
    dip = DeepImagePriorReconstructor(
        OPERATOR, width=2, depth=2, n_iterations=4, random_state=0
    ).fit(Y[:1])
    before, step, done = dict(vars(dip)), Iterates.on_epoch_end, []

    def interrupted(self, net, **kwargs):
        step(self, net, **kwargs)
        done.append(net)
        if len(done) == iteration:
            ctrl_c()

    monkeypatch.setattr(Iterates, "on_epoch_end", interrupted)
    with pytest.raises(KeyboardInterrupt):
        dip.fit(Y)
    assert len(done) == iteration
    assert vars(dip).keys() == before.keys()
    assert all(vars(dip)[name] is value for name, value in before.items())


def test_another_handler_is_respected():
    """Whoever has a handler of its own is told at once, and may go on."""
    told = []
    before = signal.signal(signal.SIGINT, lambda *args: told.append(args))
    try:
        ei = make(callbacks=[Press("batch_end", 3, 1)]).fit(Y)
        assert signal.getsignal(signal.SIGINT) is not signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)
    assert len(told) == 1
    assert ei.n_iter_ == 5


def test_threads_have_no_handlers():
    with ThreadPoolExecutor(1) as pool:
        fitted = pool.submit(make().fit, Y).result()
    assert torch.equal(weights(fitted), weights(undisturbed()))
