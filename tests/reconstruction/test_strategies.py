"""Every way of training that a parameter switches on."""

import numpy as np
import pytest
import torch
from sklearn.base import clone
from skorch.callbacks import Callback

from sklearn_ei import DivergenceError, EquivariantReconstructor
from sklearn_ei.datasets import make_thorax_phantoms
from sklearn_ei.groups import Rotations, Shifts
from sklearn_ei.losses import (
    R2R,
    SURE,
    UNSURE,
    EquivarianceTerm,
    MeasurementConsistency,
    SupervisedError,
)
from sklearn_ei.metrics import psnr
from sklearn_ei.networks import ResidualUNet, UNet, Unrolled
from sklearn_ei.noise import GaussianNoise
from sklearn_ei.operators import Inpainting, ParallelBeamCT

OPERATOR = ParallelBeamCT(8, (16, 16))


@pytest.fixture(scope="module")
def images():
    return make_thorax_phantoms(6, (16, 16), random_state=0)


@pytest.fixture(scope="module")
def sinograms(images):
    return OPERATOR.measure(images)


def make(**parameters):
    settings = {"max_epochs": 2, "network": Unrolled(UNet(4, 2)), "random_state": 0}
    settings |= {"group": Rotations(360)}
    return EquivariantReconstructor(OPERATOR, **{**settings, **parameters})


def weights(estimator):
    return torch.cat(
        [p.detach().flatten() for p in estimator.net_.module_.parameters()]
    )


@pytest.mark.parametrize(
    ("parameters", "terms"),
    [
        ({"alpha": 0}, ["measurement_consistency"]),
        ({}, ["measurement_consistency", "equivariance_error"]),
        (
            {"beta": 0.1},
            ["measurement_consistency", "equivariance_error", "adversarial_error"],
        ),
        (
            {"alpha": 0, "beta": 0.1},
            ["measurement_consistency", "adversarial_error"],
        ),
        ({"data_term": "supervised", "alpha": 0}, ["supervised_error"]),
        ({"data_term": "supervised"}, ["supervised_error", "equivariance_error"]),
        (
            {"data_term": "supervised", "beta": 0.1},
            ["supervised_error", "equivariance_error", "adversarial_error"],
        ),
    ],
)
def test_terms_are_in_the_history_by_name(parameters, terms, images, sinograms):
    estimator = make(**parameters).fit(sinograms, images)
    assert {
        k for k in estimator.history_[-1] if k.endswith(("error", "consistency"))
    } == set(terms)
    values = np.array([estimator.history_[:, term] for term in terms])
    assert np.isfinite(values).all()
    weight = {
        "equivariance_error": estimator.alpha_,
        "adversarial_error": parameters.get("beta"),
    }
    total = sum(weight.get(t, 1) * v for t, v in zip(terms, values, strict=True))
    np.testing.assert_allclose(total, estimator.history_[:, "train_loss"], rtol=1e-5)
    assert np.isfinite(estimator.predict(sinograms)).all()


@pytest.mark.parametrize("parameters", [{"beta": 0.5}, {"beta": 0.5, "alpha": 0}])
def test_adversarial_training_is_reproducible_and_differs(parameters, sinograms):
    first, second = (make(**parameters).fit(sinograms) for _ in range(2))
    without = make(**{**parameters, "beta": 0}).fit(sinograms)
    assert torch.equal(weights(first), weights(second))
    assert not torch.equal(weights(first), weights(without))
    assert first.net_.critic_ is not None


def test_ground_truth_of_some_samples_is_used(images, sinograms):
    """With all of it the semi-supervised fit is the supervised one."""
    partial = images.copy()
    partial[3:] = np.nan
    mixed = make(data_term="supervised", alpha=0).fit(sinograms, partial)
    assert "semi_supervised_error" in mixed.history_[-1]
    assert np.isfinite(mixed.history_[:, "train_loss"]).all()
    whole = make(data_term="supervised", alpha=0).fit(sinograms, images)
    assert not torch.equal(weights(mixed), weights(whole))
    # What ground truth says about its three samples changes what is learned ...
    other = partial.copy()
    other[:3] *= 1.1
    changed = make(data_term="supervised", alpha=0).fit(sinograms, other)
    assert not torch.equal(weights(mixed), weights(changed))


def test_partly_missing_images_are_refused(images, sinograms):
    holes = images.copy()
    holes[2, 4, 4] = np.nan
    with pytest.raises(ValueError, match="y contains NaN in sample 2"):
        make(data_term="supervised").fit(sinograms, holes)
    begun = make(data_term="supervised").partial_fit(sinograms, images)
    holes[2] = np.nan
    with pytest.raises(ValueError, match="as in the first call of partial_fit"):
        begun.partial_fit(sinograms, holes)
    with pytest.raises(ValueError, match="no image for any of its 6 samples"):
        make(data_term="supervised").fit(sinograms, np.full_like(images, np.nan))


def small_network(n_channels, n_spatial_dims):
    assert n_spatial_dims == 2
    return torch.nn.Conv2d(n_channels, n_channels, 3, padding=1)


def test_any_network_may_take_the_u_net_s_place(sinograms):
    torch.manual_seed(0)
    module = ResidualUNet(width=3, depth=2)
    before = torch.cat([p.flatten().clone() for p in module.parameters()])
    for network in (module, small_network, Unrolled(small_network)):
        estimator = make(network=network)
        first, second = estimator.fit(sinograms), clone(estimator).fit(sinograms)
        assert torch.equal(weights(first), weights(second))
        assert np.isfinite(first.predict(sinograms)).all()
        n_stages = getattr(network, "n_stages", 1)
        assert len(first.function_.stages) == n_stages
    # The user's own module is copied, not trained.
    after = torch.cat([p.flatten() for p in module.parameters()])
    assert torch.equal(before, after)
    assert [type(s) for s in first.function_.stages] == 3 * [torch.nn.Conv2d]
    assert first.function_.n_consistency == Unrolled().n_consistency


def test_a_factory_s_weights_come_from_random_state(sinograms):
    first, second = (
        make(network=small_network, random_state=seed, lr=1e-9).fit(sinograms)
        for seed in (0, 1)
    )
    assert not torch.allclose(weights(first), weights(second))


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (3, r"'network' parameter .* Got 3 instead"),
        (Unrolled(3), "Got network of Unrolled=3, but expected 'auto', a description"),
        (lambda c, d: "unet", "returned str, but expected a torch.nn.Module"),
        (torch.nn.Conv2d(1, 1, 3), r"returned shape \(1, 1, 14, 14\) for images"),
        (torch.nn.Conv2d(2, 1, 3), "network failed on a tensor of shape"),
    ],
)
def test_networks_that_do_not_fit_are_refused(network, message, sinograms):
    estimator = make(network=network)
    with pytest.raises((TypeError, ValueError), match=message):
        estimator.fit(sinograms)
    assert not hasattr(estimator, "net_")


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"beta": -1}, r"'beta' parameter .* Got -1 instead"),
        ({"beta": np.inf}, r"'beta' parameter .* Got inf instead"),
        ({"beta": 1.0, "group": None, "alpha": 0}, "Got beta=1.0 without a group"),
        ({"data_term": MeasurementConsistency("l3")}, r"Got distance of .*='l3'"),
        ({"data_term": SupervisedError("l3")}, r"Got distance of .*='l3'"),
        (
            {"equivariance_term": EquivarianceTerm(distance=2)},
            "Got distance of EquivarianceTerm=2, but expected 'l2'",
        ),
        ({"data_term": "mse"}, r"'data_term' parameter .* Got 'mse' instead"),
        ({"data_term": "sure", "noise": None}, "data_term='sure' without noise"),
        ({"data_term": SURE(), "noise": None}, "data_term='sure' without noise"),
        ({"data_term": "r2r", "noise": None}, r"Got noise=None with data_term='r2r'"),
        (
            {"data_term": "unsure", "noise": GaussianNoise(0.1)},
            r"Got noise=.* with data_term='unsure'",
        ),
        ({"data_term": UNSURE(step_size=-1)}, "step_size == -1"),
        ({"data_term": R2R(strength=-1), "noise": GaussianNoise(0.1)}, "strength"),
        ({"noise": 0.02}, r"'noise' parameter .* Got 0.02 instead"),
    ],
)
def test_what_does_not_fit_is_refused(parameters, message, images, sinograms):
    estimator = make(**parameters)
    with pytest.raises((TypeError, ValueError), match=message):
        estimator.fit(sinograms, images)
    assert not hasattr(estimator, "net_")


def own_distance(a, b):
    return (a - b).abs().square().mean()


def test_a_callable_distance_equals_the_built_in_one(sinograms):
    built_in = make().fit(sinograms)
    own = make(
        data_term=MeasurementConsistency(own_distance),
        equivariance_term=EquivarianceTerm(distance=own_distance),
    ).fit(sinograms)
    np.testing.assert_allclose(
        own.predict(sinograms), built_in.predict(sinograms), rtol=1e-3, atol=1e-4
    )
    other = make(
        data_term=MeasurementConsistency("l1"),
        equivariance_term=EquivarianceTerm(distance="huber"),
    ).fit(sinograms)
    assert not torch.equal(weights(built_in), weights(other))


class Faster(Callback):
    """Takes steps that are far too large from the third epoch on."""

    def on_epoch_begin(self, net, **kwargs):
        if len(net.history) == 3:
            net.set_rate(1e5)


def test_a_fit_that_diverges_says_so_and_stays_usable(sinograms):
    settings = {"network": Unrolled(UNet(4, 2), n_consistency=0)}
    settings |= {"lr_schedule": "constant"}
    estimator = make(max_epochs=30, callbacks=[Faster()], **settings)
    with pytest.raises(DivergenceError, match=r"epoch 3, step \d+: .*smaller lr"):
        estimator.fit(sinograms)
    assert len(estimator.history_) == estimator.n_iter_ == 2
    two = make(max_epochs=2, **settings).fit(sinograms)
    np.testing.assert_array_equal(estimator.predict(sinograms), two.predict(sinograms))
    # Of a fit that diverges at once nothing is kept, and nothing is lost.
    fresh = make(lr=1e5, **settings)
    with pytest.raises(DivergenceError, match=r"epoch 1, .* Nothing is kept of it"):
        fresh.fit(sinograms)
    assert not [name for name in vars(fresh) if name.endswith("_")]
    two.set_params(lr=1e5, warm_start=True)
    with pytest.raises(DivergenceError, match="epoch 1, "):
        two.fit(sinograms)
    assert two.n_iter_ == 2
    np.testing.assert_array_equal(estimator.predict(sinograms), two.predict(sinograms))


def test_a_single_measurement_is_enough_to_train_on():
    image = make_thorax_phantoms(1, (32, 32), random_state=1)
    operator = Inpainting(0.3, (32, 32))
    y = operator.measure(image)
    ei = EquivariantReconstructor(
        operator, Shifts(), max_epochs=100, batch_size=1, random_state=0
    ).fit(y)
    assert ei.score(y, image) > psnr(image, operator.reconstruct(y)) + 10
