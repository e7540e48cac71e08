"""Blank samples are no divergence, and a divergence is not overlooked."""

import numpy as np
import pytest
import torch
from sklearn.base import clone
from torch import nn

from sklearn_ei import DivergenceError, EquivariantReconstructor
from sklearn_ei.groups import Rotations, Shifts
from sklearn_ei.losses import EquivarianceTerm, MeasurementConsistency
from sklearn_ei.networks import UNet, Unrolled
from sklearn_ei.noise import GaussianNoise, PoissonNoise
from sklearn_ei.operators import CompressedSensing, Inpainting, ParallelBeamCT

N = 8
SETTINGS = {"max_epochs": 2, "network": Unrolled(UNet(2, 2), n_stages=1)}


def images(*shape):
    """Return images that are zero but for a bright spot, as those of stars are."""
    x = np.zeros((N, *shape), dtype=np.float32)
    rng = np.random.default_rng(0)
    for image in x:
        spot = tuple(slice(k, k + 3) for k in rng.integers(0, np.array(shape) - 3))
        image[spot] = rng.uniform(1, 5)
    return x


# An instrument, a group, images and what else is set.
CASES = {
    "inpainting": (Inpainting(0.3), Shifts(), images(8, 8), {}),
    "compressed": (CompressedSensing(30, (8, 8)), Shifts(), images(8, 8), {}),
    "signals": (Inpainting(0.4), Shifts(), images(20), {}),
    "counts": (Inpainting(0.3), Shifts(), images(8, 8), {"noise": PoissonNoise(0.2)}),
    "r2r": (
        Inpainting(0.3),
        Shifts(),
        images(8, 8),
        {"noise": PoissonNoise(0.2), "data_term": "r2r"},
    ),
    "noise": (Inpainting(0.3), Shifts(), images(8, 8), {"noise": GaussianNoise(0.1)}),
    "unsure": (Inpainting(0.3), Shifts(), images(8, 8), {"data_term": "unsure"}),
    "critic": (Inpainting(0.3), Shifts(), images(8, 8), {"beta": 0.1}),
    "absolute": (
        Inpainting(0.3),
        Shifts(),
        images(8, 8),
        {
            "data_term": MeasurementConsistency("l1"),
            "equivariance_term": EquivarianceTerm(distance="l1"),
        },
    ),
    "ct": (ParallelBeamCT(6, (8, 8)), Rotations(360), images(8, 8), {}),
}


def problem(name, share):
    """Return an estimator and measurements of which a share is blank, the first."""
    operator, group, x, parameters = CASES[name]
    x = x.copy()
    x[: round(share * N)] = 0
    Y = operator.measure(x)
    noise = parameters.get("noise")
    if noise is not None:
        Y = noise.add(Y, random_state=0)
    estimator = EquivariantReconstructor(operator, group, **SETTINGS, **parameters)
    return estimator, Y


@pytest.mark.parametrize("share", [0.25, 0.9])
@pytest.mark.parametrize("name", CASES)
def test_blank_samples_are_no_divergence(name, share):
    estimator, Y = problem(name, share)
    for seed in range(3):
        # The rough first steps of the last included; an adversary bears less.
        lr = (2e-3, 5e-2, 5e-2 if name == "critic" else 2e-1)[seed]
        fitted = clone(estimator).set_params(random_state=seed, lr=lr).fit(Y)
        assert np.isfinite(fitted.history_[:, "train_loss"]).all()
        assert fitted.n_iter_ == 2


def test_the_first_batch_may_be_blank_or_the_brightest():
    estimator, Y = problem("inpainting", 0.5)
    first = []
    for seed in range(6):
        fresh = clone(estimator).set_params(batch_size=1, random_state=seed)
        first.append(fresh.fit(Y).history_[0, "batches", 0, "train_loss"])
    assert min(first) == 0 < max(first)


def test_nothing_but_blank_samples_can_be_trained_on():
    estimator, Y = problem("inpainting", 1.0)
    assert not Y.any()
    fitted = estimator.set_params(random_state=0).fit(Y)
    assert not fitted.predict(Y).any()


@pytest.mark.parametrize("share", [0, 0.5])
@pytest.mark.parametrize("name", CASES)
def test_steps_that_are_far_too_large_are_noticed_within_an_epoch(name, share):
    estimator, Y = problem(name, share)
    for seed in range(2):
        fresh = clone(estimator).set_params(
            lr=1e3, lr_schedule="constant", random_state=seed
        )
        with pytest.raises(DivergenceError, match=r"diverged in epoch 1, step \d: "):
            fresh.fit(Y)
        assert not hasattr(fresh, "function_")


@pytest.mark.parametrize("name", CASES)
def test_nor_are_they_overlooked_where_nearly_all_is_blank(name):
    """As soon as a sample that is not has been seen, and another step follows."""
    estimator, Y = problem(name, 0.9)
    for seed in range(2):
        fresh = clone(estimator).set_params(
            lr=1e3, lr_schedule="constant", random_state=seed, max_epochs=8
        )
        with pytest.raises(DivergenceError, match="lr=1000"):
            fresh.fit(Y)


class Louder(nn.Module):
    """Multiplies by a number that grows with each training step, and by a weight."""

    def __init__(self, step):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(()))
        self.step, self.calls = step, 0

    def forward(self, x):
        self.calls += self.training
        return x * self.weight * (1 + self.step * max(self.calls - 1, 0))


@pytest.mark.parametrize(("step", "explodes"), [(1.0, False), (100.0, True)])
def test_some_times_the_loss_of_zeros_is_no_explosion_and_many_times_are(
    step, explodes
):
    # Four steps: in the last the images are 4 or 301 times too bright, and the loss
    # 9 or 90 000 times that of images of zeros.
    x = np.random.default_rng(0).random((4, 8, 8)) + 1
    ei = EquivariantReconstructor(
        Inpainting(0.3),
        alpha=0,
        network=Louder(step),
        max_epochs=1,
        batch_size=1,
        lr=1e-6,
        precision="float32",
    )
    Y = Inpainting(0.3).measure(x)
    if explodes:
        with pytest.raises(DivergenceError, match="exploded"):
            ei.fit(Y)
    else:
        losses = [batch["train_loss"] for batch in ei.fit(Y).history_[0]["batches"]]
        assert max(losses) > 5 * float(np.square(Y / ei.scale_).mean())
