"""Weights averaged over steps."""

import numpy as np
import pytest
import torch
from skorch.callbacks import Callback

from sklearn_ei import EquivariantReconstructor
from sklearn_ei.groups import Rotations
from sklearn_ei.networks import UNet
from sklearn_ei.training import DivergenceError

TINY = {"network": UNet(2, 2), "batch_size": 2, "random_state": 0}


class Recorder(Callback):
    """Keeps the weights of every step."""

    def on_train_begin(self, net, **kwargs):
        self.weights = []

    def on_batch_end(self, net, **kwargs):
        parts = [p.detach().numpy().ravel() for p in net.module_.parameters()]
        self.weights.append(np.concatenate(parts).astype(np.float64))


class Fails(Callback):
    def __init__(self, epoch):
        self.epoch = epoch

    def on_batch_end(self, net, **kwargs):
        if len(net.history) == self.epoch:
            raise DivergenceError("on purpose")


def vector(function):
    parts = [p.detach().numpy().ravel() for p in function.parameters()]
    return np.concatenate(parts)


def fit(problem, **parameters):
    operator, _, Y = problem
    parameters = {**TINY, "max_epochs": 4, **parameters}
    return EquivariantReconstructor(operator, Rotations(360), **parameters).fit(Y)


def averaged(weights):
    """Return the average by its formula, with decay min(0.999, (1 + n)/(10 + n))."""
    average = weights[0]
    for n, w in enumerate(weights[1:], start=1):
        decay = min(0.999, (1 + n) / (10 + n))
        average = decay * average + (1 - decay) * w
    return average


def test_f_has_the_average_of_the_weights_of_all_steps(ct_problem):
    recorder = Recorder()
    ei = fit(ct_problem, callbacks=[recorder])
    assert len(recorder.weights) == ei.n_steps_ == 12
    expected = averaged(recorder.weights)
    np.testing.assert_allclose(vector(ei.function_), expected, rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(
        vector(ei.net_.module_), recorder.weights[-1].astype(np.float32)
    )
    assert np.abs(vector(ei.function_) - recorder.weights[-1]).max() > 1e-4


def test_statistics_of_batch_normalisation_are_those_of_the_last_step(ct_problem):
    ei = fit(ct_problem)
    kept = dict(ei.function_.named_buffers())
    assert any(name.endswith("running_var") for name in kept)
    for name, value in ei.net_.module_.named_buffers():
        assert torch.equal(kept[name], value), name


def test_an_epoch_that_fails_leaves_the_average_as_it_was(ct_problem):
    whole = fit(ct_problem, max_epochs=2, lr_schedule="constant")
    operator, _, Y = ct_problem
    broken = EquivariantReconstructor(
        operator,
        Rotations(360),
        max_epochs=4,
        lr_schedule="constant",
        callbacks=[Fails(3)],
        **TINY,
    )
    with pytest.raises(DivergenceError, match="on purpose"):
        broken.fit(Y)
    np.testing.assert_array_equal(vector(broken.function_), vector(whole.function_))
    assert int(broken.net_.average_.n_averaged) == 6


def test_early_stopping_scores_and_keeps_the_average(ct_problem):
    ei = fit(ct_problem, early_stopping=0.34)
    scores = ei.history_[:, "valid_score"]
    assert ei.best_validation_score_ == max(scores)
    assert scores.index(max(scores)) + 1 == ei.n_iter_  # so that it is the last epoch's
    difference = vector(ei.function_) - vector(ei.net_.module_)
    assert np.abs(difference).max() > 1e-5


def test_a_training_that_goes_on_from_a_file_has_the_same_average(ct_problem, tmp_path):
    path = tmp_path / "checkpoint"
    whole = fit(ct_problem, lr_schedule="constant")
    fit(ct_problem, lr_schedule="constant", max_epochs=2, checkpoint=path)
    resumed = fit(ct_problem, lr_schedule="constant", checkpoint=path)
    np.testing.assert_array_equal(vector(resumed.function_), vector(whole.function_))
