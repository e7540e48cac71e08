"""Data terms, networks and operators of a user's own, all the way through."""

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, cross_val_score
from torch import nn

from sklearn_ei import (
    EquivariantReconstructor,
    EquivariantReconstructorCV,
    ModelFileError,
    PseudoInverseReconstructor,
    TikhonovReconstructor,
    check_group_rank,
    load,
    save,
)
from sklearn_ei.groups import Rotations, Shifts
from sklearn_ei.losses import DataTerm, MeasurementConsistency
from sklearn_ei.metrics import psnr
from sklearn_ei.networks import NetworkSpec, UNet, Unrolled
from sklearn_ei.noise import GaussianNoise
from sklearn_ei.operators import Inpainting
from tests.cases import Snapshot

TINY = {"max_epochs": 2, "network": Unrolled(UNet(width=4, depth=2), n_stages=2)}
TINY |= {"random_state": 0, "precision": "float32"}


def weights(estimator):
    return torch.cat([p.detach().flatten() for p in estimator.function_.parameters()])


# --------------------------------------------------------------------- data terms
class Power(DataTerm):
    """Mean |A x1 − y|ᵖ, which looks away from a random part of the entries."""

    name = "power_error"

    def __init__(self, exponent=2.0, dropped=0.0):
        super().__init__()
        self.exponent = exponent
        self.dropped = dropped

    def check(self, noise):
        if not self.exponent >= 1:
            raise ValueError(f"Got exponent={self.exponent}, but expected 1 or more.")

    @property
    def trusts_measurements(self):
        return self.noise is None

    def forward(self, f, y, A, truth=None, start=None):
        x1 = f(y, A, start)
        error = (A.forward(x1) - y).abs().pow(self.exponent)
        if self.dropped > 0:
            draws = torch.rand(y.shape, generator=self.generator)
            error = error * (draws >= self.dropped).to(y)
        return x1, error.mean()


@pytest.fixture
def make(ct_problem):
    def make_ei(kind=EquivariantReconstructor, **parameters):
        settings = {**TINY, **parameters}
        return kind(ct_problem[0], Rotations(360), **settings)

    return make_ei


def test_a_term_of_one_s_own_takes_part(make, ct_problem):
    *_, Y = ct_problem
    ei = make(data_term=Power()).fit(Y)
    last = ei.history_[-1]
    total = last["power_error"] + ei.alpha_ * last["equivariance_error"]
    assert last["train_loss"] == pytest.approx(total, rel=1e-5)
    # With p = 2 it is the built-in one.
    built_in = make(data_term=MeasurementConsistency()).fit(Y)
    np.testing.assert_allclose(
        ei.history_[:, "power_error"],
        built_in.history_[:, "measurement_consistency"],
        rtol=1e-4,
    )
    torch.testing.assert_close(weights(ei), weights(built_in), rtol=1e-3, atol=1e-4)
    assert not torch.equal(weights(make(data_term=Power(1.5)).fit(Y)), weights(ei))


def test_what_it_says_of_measurements_is_heeded(make, ct_problem):
    """Whether they are kept to at the end, and the noise of A x2."""
    *_, Y = ct_problem
    exact = make(data_term=Power()).fit(Y)
    assert exact.function_.keeps_measurements
    noisy = make(data_term=Power(), noise=GaussianNoise(0.5)).fit(Y)
    assert not noisy.function_.keeps_measurements
    assert not torch.equal(weights(noisy), weights(exact))


def test_its_own_draws_come_from_random_state_and_go_on(make, ct_problem, tmp_path):
    *_, Y = ct_problem
    parameters = {"data_term": Power(dropped=0.3), "lr_schedule": "constant"}
    whole, again = (make(**parameters, max_epochs=3).fit(Y) for _ in range(2))
    assert torch.equal(weights(whole), weights(again))
    other = make(**parameters, max_epochs=3, random_state=1).fit(Y)
    assert not torch.equal(weights(whole), weights(other))
    path = tmp_path / "fit.checkpoint"
    for max_epochs in (1, 3):
        resumed = make(**parameters, max_epochs=max_epochs, checkpoint=path).fit(Y)
    assert torch.equal(weights(resumed), weights(whole))
    # The term that was passed has not moved: it gives the same fit again.
    term = Power(dropped=0.3)
    first, second = (make(data_term=term).fit(Y) for _ in range(2))
    assert torch.equal(weights(first), weights(second))
    assert not hasattr(term, "stream")


def test_it_is_cloned_and_searched(make, ct_problem):
    *_, Y = ct_problem
    ei = make(data_term=Power(), max_epochs=1)
    twin = clone(ei)
    assert twin.data_term is not ei.data_term
    assert twin.get_params()["data_term__exponent"] == 2.0
    assert repr(Power(1.5)) == "Power(exponent=1.5)"
    search = GridSearchCV(ei, {"data_term__exponent": [1.0, 2.0]}, cv=2).fit(Y)
    scores = search.cv_results_["mean_test_score"]
    assert len(set(scores)) == 2
    for exponent, score in zip((1.0, 2.0), scores, strict=True):
        single = make(data_term=Power(exponent), max_epochs=1)
        assert cross_val_score(single, Y, cv=2).mean() == pytest.approx(score)
    with pytest.raises(ValueError, match=r"Got exponent=0\.5, but expected 1 or more"):
        make(data_term=Power(0.5)).fit(Y)
    path = make(EquivariantReconstructorCV, data_term=Power(), alphas=[1.0, 20.0]).fit(
        Y
    )
    assert "power_error" in path.history_[-1]


def test_it_is_saved_by_its_parameters(make, ct_problem, tmp_path):
    *_, Y = ct_problem
    ei = make(data_term=Power(1.5)).fit(Y)
    path = save(ei, tmp_path / "model.safetensors")
    back = load(path, {"Power": Power})
    assert isinstance(back.data_term, Power)
    assert back.data_term.exponent == 1.5
    np.testing.assert_array_equal(back.predict(Y), ei.predict(Y))
    for estimator in (ei, back):
        estimator.set_params(warm_start=True).fit(Y)
    np.testing.assert_array_equal(back.predict(Y), ei.predict(Y))
    with pytest.raises(ModelFileError, match="needs 'Power', which is not part"):
        load(path)


# ------------------------------------------------------------------------ networks
class Chain(NetworkSpec):
    """Convolutions with a weight each that a generator draws."""

    def __init__(self, length=2):
        self.length = length

    def build(self, n_channels, n_spatial_dims, generator):
        device = "meta" if generator is None else "cpu"
        convolution = (nn.Conv1d, nn.Conv2d, nn.Conv3d)[n_spatial_dims - 1]
        made = [
            nn.Sequential(
                convolution(n_channels, n_channels, 3, padding=1, device="meta")
            ).to_empty(device=device)
            for _ in range(self.length)
        ]
        for network in made if generator is not None else ():
            for weight in network.parameters():
                nn.init.normal_(weight, std=0.1, generator=generator)
        return made


def test_a_description_of_one_s_own(make, ct_problem, tmp_path):
    *_, Y = ct_problem
    ei = make(network=Chain()).fit(Y)
    assert len(ei.function_.stages) == 2
    assert torch.equal(weights(make(network=Chain()).fit(Y)), weights(ei))
    assert not torch.equal(
        weights(make(network=Chain(), random_state=1).fit(Y)), weights(ei)
    )
    assert len(make(network=Unrolled(Chain())).fit(Y).function_.stages) == 6
    search = GridSearchCV(ei, {"network__length": [1, 3]}, cv=2).fit(Y)
    assert len(search.best_estimator_.function_.stages) in (1, 3)
    path = save(ei, tmp_path / "model.safetensors")
    back = load(path, {"Chain": Chain})
    np.testing.assert_array_equal(back.predict(Y), ei.predict(Y))
    with pytest.raises(ModelFileError, match="needs 'Chain', which is not part"):
        load(path)


# ----------------------------------------------------------------------- operators
BANDS = np.random.default_rng(0).random((3, 12, 10)) + 0.1
IMAGES = np.random.default_rng(1).random((5, 12, 10, 3)).astype(np.float32)


def test_three_bands_in_one_plain_measurement(tmp_path):
    """No band is lost on any way, nor does an axis appear that is none."""
    operator = Snapshot(BANDS)
    Y = operator.measure(IMAGES)
    assert Y.shape == (5, 12, 10)
    ei = EquivariantReconstructor(operator, Shifts(), **TINY).fit(Y)
    X = ei.predict(Y)
    assert X.shape == IMAGES.shape
    assert ei.function_.stages[0].last.out_channels == 3
    assert ei.operator_.image_shape == (12, 10)
    # Steps of data consistency end with the measurements.
    np.testing.assert_allclose(operator.measure(X), Y, atol=1e-4)
    assert np.abs(X - operator.reconstruct(Y)).max() > 1e-3
    assert ei.score(Y, IMAGES) == pytest.approx(psnr(IMAGES, X), rel=1e-6)
    assert ei.score(Y) < 0
    assert ei.transform(Y).shape == IMAGES.shape
    image, std = ei.predict(Y[:2], return_std=True, n_bootstrap=2)
    assert image.shape == std.shape == (2, 12, 10, 3)
    assert ei.null_space_fraction(Y[:2]).shape == (2, 12, 10, 3)
    for wrong in (Y[..., None].repeat(3, axis=-1), IMAGES):
        with pytest.raises(ValueError, match="12, 10"):
            ei.predict(wrong)
    with pytest.raises(ValueError, match="12, 10"):
        ei.score(Y, IMAGES[..., 0])

    path = save(ei, tmp_path / "model.safetensors")
    back = load(path, {"Snapshot": Snapshot})
    np.testing.assert_array_equal(back.predict(Y), X)
    assert back.image_layout_ == ei.image_layout_
    assert back.measurement_layout_ == ei.measurement_layout_
    np.testing.assert_array_equal(
        back.set_params(warm_start=True).fit(Y).predict(Y),
        ei.set_params(warm_start=True).fit(Y).predict(Y),
    )
    with pytest.raises(ModelFileError, match="needs 'Snapshot', which is not part"):
        load(path)


def test_three_bands_with_ground_truth_noise_and_a_search():
    operator = Snapshot(BANDS)
    Y = operator.measure(IMAGES)
    supervised = EquivariantReconstructor(
        operator, alpha=0, data_term="supervised", **TINY
    ).fit(Y, IMAGES)
    before = psnr(IMAGES, operator.reconstruct(Y))
    assert supervised.score(Y, IMAGES) > before
    noise = GaussianNoise(0.05)
    ei = EquivariantReconstructor(operator, Shifts(), noise=noise, **TINY)
    noisy = noise.add(Y, random_state=0)
    search = GridSearchCV(ei, {"alpha": [0.5, 5.0]}, cv=2).fit(noisy)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    path = EquivariantReconstructorCV(operator, Shifts(), [0.5, 5.0], **TINY).fit(Y)
    assert path.predict(Y).shape == IMAGES.shape


def test_three_bands_by_the_linear_methods_and_their_rank(tmp_path):
    operator = Snapshot(BANDS)
    Y = operator.measure(IMAGES)
    linear = PseudoInverseReconstructor(operator).fit(Y)
    power = np.square(BANDS).sum(0)
    expected = np.moveaxis(BANDS * (Y / power)[:, None], 1, -1)
    np.testing.assert_allclose(linear.predict(Y), expected, rtol=1e-5, atol=1e-6)
    back = load(save(linear, tmp_path / "linear"), {"Snapshot": Snapshot})
    np.testing.assert_array_equal(back.predict(Y), linear.predict(Y))
    assert TikhonovReconstructor(operator).fit(Y).predict(Y).shape == IMAGES.shape
    report = check_group_rank(operator, Shifts(), random_state=0)
    assert (report.n, report.m) == (360, 120)
    assert report.rank == 360  # three bands are seen through all masks in turn


# ------------------------------------------------------------- hidden state of networks
def lazy_layers(n_channels, n_dims):
    return nn.Sequential(
        nn.LazyConv2d(4, 3, padding=1), nn.ReLU(), nn.LazyConv2d(n_channels, 1)
    )


class DrawsFromTorch(NetworkSpec):
    def build(self, n_channels, n_spatial_dims, generator):
        return [nn.Conv2d(n_channels, n_channels, 3, padding=1)]


@pytest.mark.parametrize("network", [lazy_layers, DrawsFromTorch()])
def test_weights_follow_random_state_alone(network):
    """Also those of layers that have none until they are called."""
    frames = np.random.default_rng(0).random((3, 8, 8))
    fits = []
    for global_seed in (0, 1):
        torch.manual_seed(global_seed)
        before = torch.get_rng_state()
        ei = EquivariantReconstructor(
            Inpainting(0.3, random_state=0),
            Shifts(),
            network=network,
            max_epochs=1,
            random_state=0,
            check_rank=False,
        ).fit(frames)
        assert torch.equal(torch.get_rng_state(), before)
        fits.append(ei.predict(frames))
    np.testing.assert_array_equal(*fits)


def test_what_a_factory_keeps_is_not_trained():
    kept = nn.Conv2d(1, 1, 3, padding=1)
    before = kept.weight.detach().clone()
    frames = np.random.default_rng(0).random((3, 8, 8))
    ei = EquivariantReconstructor(
        Inpainting(0.3, random_state=0),
        Shifts(),
        network=Unrolled(lambda n_channels, n_dims: kept, n_stages=2),
        max_epochs=1,
        random_state=0,
        check_rank=False,
    ).fit(frames)
    images = ei.predict(frames)
    assert torch.equal(kept.weight, before)
    first, second = ei.function_.stages
    assert not torch.equal(first.weight, second.weight)
    np.testing.assert_array_equal(clone(ei).fit(frames).predict(frames), images)
    np.testing.assert_array_equal(ei.predict(frames), images)


def test_steps_within_steps_are_refused():
    inner = Unrolled(UNet(width=4, depth=2), n_stages=2, n_consistency=1)
    with pytest.raises(ValueError, match="n_consistency would not count"):
        Unrolled(inner, n_stages=2).check()
    inner.set_params(n_consistency=0)
    Unrolled(inner, n_stages=2).check()


@pytest.mark.parametrize(
    "network", [nn.Identity(), nn.Conv2d(1, 1, 1).requires_grad_(False)]
)
def test_networks_without_weights_to_train_are_refused(network):
    ei = EquivariantReconstructor(Inpainting(0.3), network=network, alpha=0)
    with pytest.raises(ValueError, match=r"Got network=.* weights to train"):
        ei.fit(np.ones((3, 8, 8)))
    assert not hasattr(ei, "function_")


def test_networks_of_another_precision_are_refused():
    def doubles(n_channels, n_dims):
        class Doubles(nn.Conv2d):
            def forward(self, x):
                return super().forward(x).double()

        return Doubles(n_channels, n_channels, 1)

    ei = EquivariantReconstructor(Inpainting(0.3), network=doubles, alpha=0)
    with pytest.raises(ValueError, match=r"network returned torch\.float64"):
        ei.fit(np.ones((3, 8, 8)))


@pytest.mark.parametrize(
    "changed",
    [
        {"data_term": "unsure"},
        {"noise": GaussianNoise(0.1)},
        {"network__n_consistency": 0},
    ],
)
def test_files_keep_the_function_that_was_trained(changed, tmp_path):
    """Parameters for the next fit say nothing of the last one."""
    frames = np.random.default_rng(0).random((3, 8, 8))
    network = Unrolled(UNet(width=4, depth=2), n_stages=1, n_consistency=2)
    ei = EquivariantReconstructor(
        Inpainting(0.3, random_state=0), alpha=0, **{**TINY, "network": network}
    ).fit(frames)
    images = ei.predict(frames)
    ei.set_params(**changed)
    np.testing.assert_array_equal(ei.predict(frames), images)
    again = load(save(ei, tmp_path / "changed.safetensors"))
    np.testing.assert_array_equal(again.predict(frames), images)
