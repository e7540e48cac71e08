"""What a fit leaves behind once its estimator is gone: nothing."""

import gc
import warnings

import pytest
import torch
from skorch.callbacks import Callback

from sklearn_ei import (
    DeepImagePriorReconstructor,
    DivergenceError,
    EquivariantReconstructor,
    EquivariantReconstructorCV,
)
from sklearn_ei.datasets import make_thorax_phantoms
from sklearn_ei.groups import Rotations
from sklearn_ei.networks import UNet
from sklearn_ei.noise import GaussianNoise
from sklearn_ei.operators import ParallelBeamCT

IMAGES = make_thorax_phantoms(4, (16, 16), random_state=0)
Y = ParallelBeamCT(8, (16, 16)).measure(IMAGES)


def live_tensors():
    """Count the tensors that Python still knows, parameters included."""
    gc.collect()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of proxies that are looked at
        return sum(isinstance(thing, torch.Tensor) for thing in gc.get_objects())


class Failing(Callback):
    def __init__(self, error):
        self.error = error

    def on_batch_end(self, net, **kwargs):
        if len(net.history) == 2:
            raise self.error("midway")


def fit(folder, kind=EquivariantReconstructor, **parameters):
    settings = {"max_epochs": 2, "network": UNet(2, 2), "random_state": 0}
    operator = ParallelBeamCT(8, (16, 16))
    kind(operator, Rotations(360), **{**settings, **parameters}).fit(Y, IMAGES)


def prior(folder):
    DeepImagePriorReconstructor(
        ParallelBeamCT(8, (16, 16)), width=2, depth=2, n_iterations=4, random_state=0
    ).fit(Y[:2])


def incremental(folder):
    ei = EquivariantReconstructor(
        ParallelBeamCT(8, (16, 16)), Rotations(360), network=UNet(2, 2)
    )
    ei.partial_fit(Y).partial_fit(Y[:3])
    ei.set_params(warm_start=True, max_epochs=1).fit(Y)
    ei.predict(Y[:1], return_std=True, n_bootstrap=2)
    ei.score(Y)


def failing(error, expected=None):
    def fit_failing(folder):
        with pytest.raises(expected or error):
            fit(folder, callbacks=[Failing(error)])

    return fit_failing


FITS = {
    "alone": fit,
    "adversarial": lambda folder: fit(folder, beta=0.1),
    "noise": lambda folder: fit(folder, noise=GaussianNoise(0.1)),
    "unsure": lambda folder: fit(folder, data_term="unsure"),
    "supervised": lambda folder: fit(folder, data_term="supervised"),
    "early stopping": lambda folder: fit(folder, early_stopping=0.3),
    "checkpoint": lambda folder: fit(folder, checkpoint=folder),
    "in parts": incremental,
    "path": lambda folder: fit(folder, EquivariantReconstructorCV, alphas=[1.0, 9.0]),
    "prior": prior,
    "an error": failing(OSError),
    "out of memory": failing(torch.cuda.OutOfMemoryError, MemoryError),
    "divergence": failing(DivergenceError),
}


@pytest.mark.parametrize("name", FITS)
def test_no_tensor_outlives_its_fit(name, tmp_path):
    FITS[name](tmp_path)
    after_one = live_tensors()
    for _ in range(2):
        FITS[name](tmp_path)
    assert live_tensors() <= after_one


def test_a_tensor_that_stays_would_be_noticed():
    before = live_tensors()
    kept = torch.nn.Linear(2, 2)
    assert live_tensors() == before + 2
    del kept
    assert live_tensors() == before
