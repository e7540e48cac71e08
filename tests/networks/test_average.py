"""f averaged over a group: equivariant, repeatable, saved, cloned and searched."""

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from torch import nn

from sklearn_ei import EquivariantReconstructor, load, save
from sklearn_ei.groups import Reflections, Rotations, Shifts
from sklearn_ei.networks import (
    GroupAverage,
    GroupAveraged,
    ReconstructionFunction,
    UNet,
    Unrolled,
    build_average,
    build_stages,
)
from sklearn_ei.noise import GaussianNoise
from sklearn_ei.operators import Inpainting, Layout, MatrixOperator
from sklearn_ei.training.machine import can_capture, predict_memory

D4 = Rotations(4) * Reflections()
SHAPE = (8, 8)
TINY = {"max_epochs": 2, "alpha": 0, "random_state": 0, "precision": "float32"}


class Wild(nn.Module):
    """Nothing about it is equivariant."""

    def __init__(self, seed=0):
        super().__init__()
        draws = np.random.default_rng(seed).normal(size=(64, 64)) / 8
        self.weight = nn.Parameter(torch.tensor(draws, dtype=torch.float64))

    def forward(self, x):
        return torch.tanh(x.flatten(1) @ self.weight.to(x.dtype)).reshape(x.shape)


def permutation(group, g):
    """T_g as a matrix, from the images of all pixels."""
    pixels = torch.eye(64, dtype=torch.float64).reshape(64, 1, *SHAPE)
    return group.transform(pixels, g).reshape(64, 64).T.numpy()


def make_function(group, n_elements=None, n_consistency=0):
    return ReconstructionFunction(
        [Wild(0), Wild(1)],
        n_consistency=n_consistency,
        average=GroupAverage(group.resolve(SHAPE), n_elements),
    )


@pytest.mark.parametrize("group", [D4, Rotations(4), Reflections((0, 1))], ids=repr)
@pytest.mark.parametrize("n_consistency", [0, 2])
def test_f_is_equivariant_for_every_element(group, n_consistency):
    """f(y, A T_g) = T_g⁻¹ f(y, A), with A T_g as a matrix of its own."""
    f = make_function(group, n_consistency=n_consistency).eval()
    plain = ReconstructionFunction(f.stages, n_consistency=n_consistency)
    draws = np.random.default_rng(0)
    A = draws.normal(size=(30, 64))
    y = torch.tensor(draws.normal(size=(2, 1, 30)), dtype=torch.float32)
    with torch.no_grad():
        whole = f(y, MatrixOperator(A, image_shape=SHAPE).resolve())
        moved = []
        for g in range(f.average.group.n_elements):
            T = permutation(f.average.group, g)
            turned = MatrixOperator(A @ T, image_shape=SHAPE).resolve()
            back = f.average.group.transform(f(y, turned), g)
            torch.testing.assert_close(back, whole, rtol=1e-4, atol=2e-5)
            moved.append(f.average.group.transform(plain(y, turned), g))
    # It is the mean of T_g f(y, A T_g), whose terms differ.
    torch.testing.assert_close(torch.stack(moved).mean(0), whole, rtol=1e-4, atol=2e-5)
    assert float((moved[1] - whole).abs().max()) > 0.05


def test_images_turn_as_they_come():
    f = make_function(D4).double().eval()
    A = Inpainting(mask=np.ones(SHAPE)).resolve()
    x = torch.randn(2, 1, *SHAPE, dtype=torch.float64)
    group = f.average.group
    for g in range(8):
        turned = f(group.transform(x, g), A)
        torch.testing.assert_close(turned, group.transform(f(x, A), g))


def test_gradients_are_those_of_the_mean():
    f = make_function(D4).eval()
    A = Inpainting(mask=np.ones(SHAPE)).resolve()
    y = torch.randn(2, 1, *SHAPE)
    f(y, A).square().sum().backward()
    weight = f.stages[0].weight
    found, weight.grad = weight.grad.clone(), None
    group, (first, second) = f.average.group, f.stages
    total = sum(
        group.transform(second(first(group.inverse_transform(y, g))), g)
        for g in range(8)
    )
    (total / 8).square().sum().backward()
    torch.testing.assert_close(weight.grad, found, rtol=1e-3, atol=1e-6)


def test_training_takes_an_element_for_each_sample_and_step():
    f = make_function(D4).train()
    A = Inpainting(mask=np.ones(SHAPE)).resolve()
    y = torch.randn(1, 1, *SHAPE).expand(40, -1, -1, -1)
    group, plain = f.average.group, ReconstructionFunction(f.stages)
    one = [
        group.transform(plain(group.inverse_transform(y[:1], g), A), g)
        for g in range(8)
    ]
    f.begin_step(5)
    made = f(y, A)
    near = torch.stack([(made - x).detach().abs().amax((1, 2, 3)) for x in one])
    assert float(near.amin(0).max()) < 1e-5
    assert set(near.argmin(0).tolist()) == set(range(8))
    # SURE compares two passes of a step: they are of the same f.
    assert torch.equal(f(y, A), made)
    f.begin_step(6)
    assert not torch.equal(f(y, A), made)


def test_so_many_elements_evenly_chosen():
    f = make_function(Shifts(), n_elements=3).eval()
    assert f.average.elements[0] == 0
    assert len(set(f.average.elements)) == 3
    assert len(make_function(D4).average.elements) == 8
    assert len(make_function(D4, n_elements=99).average.elements) == 8


def test_what_is_interpolated_leaves_the_image_sharp():
    """Only what a network adds is turned: one that adds nothing blurs nothing."""
    f = ReconstructionFunction(
        [nn.Identity()], average=GroupAverage(Rotations(12).resolve(SHAPE))
    )
    A = Inpainting(mask=np.ones(SHAPE)).resolve()
    y = torch.randn(1, 1, *SHAPE)
    for mode in (True, False):
        torch.testing.assert_close(f.train(mode)(y, A), y)


# ------------------------------------------------------------------- estimators
@pytest.fixture
def Y(ct_problem):
    return ct_problem[2]


@pytest.fixture
def make(ct_problem):
    def make_ei(network=None, **parameters):
        network = network or GroupAveraged(UNet(width=2, depth=2), D4)
        settings = {**TINY, "network": network, **parameters}
        return EquivariantReconstructor(ct_problem[0], **settings)

    return make_ei


def weights(ei):
    return torch.cat([p.detach().flatten() for p in ei.function_.parameters()])


def test_same_seed_same_bits(make, Y):
    torch.manual_seed(0)
    before = torch.get_rng_state()
    first, again = make().fit(Y), make().fit(Y)
    assert torch.equal(weights(first), weights(again))
    np.testing.assert_array_equal(first.predict(Y), again.predict(Y))
    assert torch.equal(torch.get_rng_state(), before)
    other = make(random_state=1).fit(Y)
    assert not torch.equal(weights(first), weights(other))
    plain = make(UNet(width=2, depth=2)).fit(Y)
    assert not torch.equal(weights(first), weights(plain))


def test_a_killed_fit_goes_on_with_the_same_bits(make, Y, tmp_path):
    kept = {"lr_schedule": "constant"}
    whole = make(**kept, max_epochs=3).fit(Y)
    path = tmp_path / "fit.checkpoint"
    for max_epochs in (1, 3):
        resumed = make(**kept, max_epochs=max_epochs, checkpoint=path).fit(Y)
    assert torch.equal(weights(resumed), weights(whole))


def test_predictions_turn_with_the_instrument(make, Y):
    """Views spread over a half turn: a quarter turn of the image rolls them."""
    fast = {"lr": 0.02, "max_epochs": 6, "random_state": 1}
    averaged = make(**fast).fit(Y)
    plain = make(UNet(width=2, depth=2), **fast).fit(Y)
    half = Y.shape[1] // 2
    rolled = np.concatenate([Y[:, half:], Y[:, :half, ::-1]], axis=1)
    turn = next(k for k in (1, 3) if turns_so(averaged.operator_, k, half))
    left = [
        np.abs(ei.predict(rolled) - np.rot90(ei.predict(Y), turn, (1, 2))).max()
        for ei in (averaged, plain)
    ]
    assert left[0] < 1e-5
    assert left[1] > 1e-3


def turns_so(operator, turn, half):
    x = np.random.default_rng(0).random((1, 24, 24))
    Y = operator.measure(x)
    rolled = np.concatenate([Y[:, half:], Y[:, :half, ::-1]], axis=1)
    turned = operator.measure(np.rot90(x, turn, (1, 2)))
    return np.abs(turned - rolled).max() < 1e-3


def test_saved_and_loaded(make, Y, tmp_path):
    ei = make(GroupAveraged(None, Rotations(360), n_elements=5)).fit(Y)
    back = load(save(ei, tmp_path / "model.safetensors"))
    assert repr(back.network) == repr(ei.network)
    np.testing.assert_array_equal(back.predict(Y), ei.predict(Y))
    for estimator in (ei, back):
        estimator.set_params(warm_start=True).fit(Y)
    np.testing.assert_array_equal(back.predict(Y), ei.predict(Y))


def test_cloned_and_searched(make, Y):
    ei = make(max_epochs=1)
    assert repr(clone(ei).network) == repr(ei.network)
    parameters = ei.get_params()
    assert parameters["network__n_elements"] is None
    assert parameters["network__network__width"] == 2
    grid = {"network__group": [Rotations(4), D4]}
    search = GridSearchCV(ei, grid, cv=2).fit(Y)
    assert len(set(search.cv_results_["mean_test_score"])) == 2


def test_networks_of_one_s_own_and_noise(make, Y):
    layer = nn.Conv2d(1, 1, 3, padding=1)
    ei = make(GroupAveraged(layer, D4), noise=GaussianNoise(0.1)).fit(Y)
    assert np.isfinite(ei.history_[:, "sure"]).all()
    assert not can_capture(ei.net_)  # elements are drawn in every step


def test_steps_of_consistency_are_those_of_the_network():
    inner = Unrolled(UNet(width=2, depth=2), n_stages=2, n_consistency=4)
    layout = Layout(SHAPE, 1)
    assert GroupAveraged(inner, D4).n_consistency == 4
    assert GroupAveraged(UNet(), D4).n_consistency == 0
    assert len(build_stages(GroupAveraged(inner, D4), layout, 0)) == 2
    assert build_average(inner, layout) is None
    assert build_average(nn.Identity(), layout) is None


def test_memory_is_that_of_a_step(make, Y):
    averaged, plain = make().fit(Y), make(UNet(width=2, depth=2)).fit(Y)
    y = torch.zeros(1, 1, *Y.shape[1:])
    _, per_sample = predict_memory(averaged.net_, y)
    assert per_sample < 2 * predict_memory(plain.net_, y)[1]


@pytest.mark.parametrize(
    ("network", "error", "message"),
    [
        (GroupAveraged(UNet(), "d4"), TypeError, "group='d4' of GroupAveraged, but"),
        (GroupAveraged(3, D4), TypeError, "network of GroupAveraged=3, but expected"),
        (GroupAveraged(UNet(), D4, n_elements=0), ValueError, "n_elements == 0"),
        (GroupAveraged(UNet(width=0), D4), ValueError, "width == 0"),
        (
            GroupAveraged(GroupAveraged(None, D4), D4),
            ValueError,
            "no average yet; multiply the groups",
        ),
        (
            Unrolled(GroupAveraged(UNet(), D4)),
            ValueError,
            "expected the average outside",
        ),
    ],
)
def test_refusals(make, Y, network, error, message):
    with pytest.raises(error, match=message):
        make(network).fit(Y)
