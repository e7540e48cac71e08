import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from torch import nn

from sklearn_ei import DeepImagePriorReconstructor
from sklearn_ei.datasets import make_thorax_phantoms
from sklearn_ei.metrics import psnr
from sklearn_ei.networks import EncoderDecoder
from sklearn_ei.operators import MRI, Blur, Inpainting, ParallelBeamCT

TINY = {"width": 4, "depth": 2, "n_iterations": 8, "window": 3, "random_state": 0}
Y_GOOD = ParallelBeamCT(8, image_shape=(12, 12)).measure(np.ones((3, 12, 12)))


def tiny(operator=None, **parameters):
    operator = ParallelBeamCT(8) if operator is None else operator
    return DeepImagePriorReconstructor(operator, **{**TINY, **parameters})


@pytest.mark.parametrize("network", ["encoder-decoder", "unet"])
def test_fits_the_measurement_and_beats_the_pseudo_inverse(network):
    operator = Inpainting(0.3, (24, 24))
    images = make_thorax_phantoms(1, (24, 24), random_state=0)
    Y = operator.measure(images)
    dip = DeepImagePriorReconstructor(
        operator,
        network=network,
        width=16,
        depth=3,
        n_iterations=150,
        lr=5e-3,
        random_state=0,
    ).fit(Y)
    history = dip.history_[0]["loss"]
    assert history[-1] < 0.02 * history[0]
    assert psnr(images, dip.images_) > psnr(images, Y) + 6


def test_loss_is_the_mean_squared_error_in_units_of_the_pseudo_inverse():
    """Recomputed in plain torch from the same weights, input and steps."""
    operator = ParallelBeamCT(8, (12, 12)).resolve()
    made = []

    def factory(n_in, n_out, n_dims):
        made.append(EncoderDecoder(n_in, n_out, width=3, depth=1))
        made.append({k: v.clone() for k, v in made[-1].state_dict().items()})
        return made[0]

    inputs = []
    dip = tiny(operator, network=factory, n_iterations=4, precision="float32")
    hook = nn.modules.module.register_module_forward_pre_hook(
        lambda module, args: inputs.append(args[0]) if module is made[0] else None
    )
    try:
        dip.fit(Y_GOOD[:1])
    finally:
        hook.remove()
    assert all(torch.equal(z, inputs[0]) for z in inputs)
    y = torch.from_numpy(Y_GOOD[:1])[:, None]
    scale = float(operator.pinv(y).square().mean().sqrt())
    assert dip.scale_ == pytest.approx([scale], rel=1e-6)
    network = EncoderDecoder(32, 1, width=3, depth=1)
    network.load_state_dict(made[1])
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
    losses = []
    for _ in range(4):
        x = network(inputs[0])
        loss = (operator.forward(x) - y / scale).square().mean()
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    np.testing.assert_allclose(dip.history_[0]["loss"], losses, rtol=1e-3)


def test_the_same_seed_gives_the_same_bits_and_another_one_does_not():
    images = tiny().fit_predict(Y_GOOD)
    np.testing.assert_array_equal(tiny().fit_predict(Y_GOOD), images)
    assert not np.array_equal(tiny(random_state=1).fit_predict(Y_GOOD), images)
    assert not np.array_equal(images[0], images[1])  # seeds of their own


def test_a_sample_does_not_depend_on_the_rest_of_the_stack():
    images = tiny().fit_predict(Y_GOOD)
    np.testing.assert_array_equal(tiny().fit_predict(Y_GOOD[:2]), images[:2])
    other = Y_GOOD.copy()
    other[:2] *= 7
    np.testing.assert_array_equal(tiny().fit_predict(other)[2], images[2])


def test_global_random_state_is_left_alone():
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    tiny().fit(Y_GOOD)
    assert torch.equal(torch.rand(2), expected)


def test_units_do_not_matter():
    images = tiny(precision="float32").fit_predict(Y_GOOD)
    scaled = tiny(precision="float32").fit_predict(1024 * Y_GOOD)
    np.testing.assert_allclose(scaled, 1024 * images, rtol=1e-3, atol=1e-3)


@pytest.mark.slow
def test_early_stopping_returns_the_image_before_noise_is_fitted():
    """Denoising: the last image has the noise, the one at the minimum has not."""
    rng = np.random.default_rng(0)
    images = make_thorax_phantoms(1, (32, 32), random_state=1)
    operator = Blur([[1.0]], (32, 32), regularization=0)
    Y = images + 0.15 * rng.normal(size=images.shape)
    parameters = {"width": 16, "depth": 3, "lr": 5e-3, "random_state": 0}
    last = DeepImagePriorReconstructor(
        operator, n_iterations=500, early_stopping=False, **parameters
    ).fit(Y)
    stopped = DeepImagePriorReconstructor(
        operator, n_iterations=500, window=30, patience=150, **parameters
    ).fit(Y)
    n_iterations, best = int(stopped.n_iter_[0]), int(stopped.best_iteration_[0])
    assert last.n_iter_ == last.best_iteration_ == [500]
    assert n_iterations == best + 150 < 500
    variance = stopped.history_[0]["variance"]
    assert len(variance) == len(stopped.history_[0]["loss"]) == n_iterations
    assert np.isnan(variance[:29]).all()
    assert np.nanargmin(variance) == best - 1
    assert psnr(images, stopped.images_) > psnr(images, last.images_) + 1
    # Up to there, both went the same way.
    same = DeepImagePriorReconstructor(
        operator, n_iterations=best, early_stopping=False, **parameters
    ).fit_predict(Y)
    np.testing.assert_array_equal(stopped.images_, same)


@pytest.mark.parametrize("network", ["encoder-decoder", "unet"])
@pytest.mark.parametrize(
    ("operator", "shape"),
    [
        (Inpainting(0.3), (15,)),
        (Inpainting(0.3), (9, 8)),
        (Inpainting(0.3, (9, 8)), (9, 8, 3)),
        (MRI(2), (12, 10, 2)),
        (Inpainting(0.3, (4, 5, 6)), (4, 5, 6)),
    ],
    ids=["signal", "image", "colour", "complex", "volume"],
)
def test_every_kind_of_image(network, operator, shape):
    Y = operator.measure(np.ones((2, *shape)))
    dip = tiny(operator, network=network)
    assert dip.fit_predict(Y).shape == (2, *shape)
    assert dip.images_.dtype == np.float32
    assert np.isfinite(dip.images_).all()


def test_input_channels_are_those_of_the_papers():
    seen = []

    def spy(n_in, n_out, n_dims):
        seen.append((n_in, n_out, n_dims))
        return nn.Conv2d(n_in, n_out, 1)

    rgb = Inpainting(0.3, (6, 6)).measure(np.ones((1, 6, 6, 3)))
    tiny(Inpainting(0.3, (6, 6)), network=spy).fit(rgb)
    tiny(Inpainting(0.3, (6, 6)), network=spy, input_channels=5).fit(rgb)
    assert seen == [(32, 3, 2), (5, 3, 2)]


def test_zero_measurements_give_finite_images():
    dip = tiny().fit(0 * Y_GOOD)
    assert (dip.scale_ == 1).all()
    assert np.isfinite(dip.images_).all()


def test_has_no_predict_for_new_measurements():
    dip = tiny().fit(Y_GOOD)
    assert not hasattr(dip, "predict")
    assert not hasattr(dip, "transform")
    assert "images_" not in vars(clone(dip))


def test_precision():
    assert tiny(precision="bfloat16").fit(Y_GOOD).precision_ == torch.bfloat16
    images = tiny(precision="float32").fit_predict(Y_GOOD)
    reduced = tiny(precision="bfloat16").fit_predict(Y_GOOD)
    assert not np.array_equal(images, reduced)
    # Single pixels of a few iterations may differ; the images do not.
    assert np.corrcoef(reduced.ravel(), images.ravel())[0, 1] > 0.9


def test_verbose(capsys):
    tiny(verbose=1).fit(Y_GOOD[:2])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines] == ["sample 0", "sample 1"]
    assert "8 iterations" in lines[0]


class Exploding(nn.Module):
    """Finite for a while, then not."""

    def __init__(self, good):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(()))
        self.calls, self.good = 0, good

    def forward(self, z):
        self.calls += 1
        return self.weight * z[:, :1] * (1.0 if self.calls <= self.good else np.nan)


def test_divergence_keeps_the_image_from_before():
    dip = tiny(network=lambda *args: Exploding(5), early_stopping=False)
    with pytest.warns(
        ConvergenceWarning, match="not finite, or huge, for sample 0 in iteration 6"
    ):
        dip.fit(Y_GOOD[:1])
    assert dip.n_iter_ == dip.best_iteration_ == [5]
    assert np.isfinite(dip.images_).all()
    with pytest.raises(
        ValueError, match="not finite, or huge, for sample 0 in iteration 1"
    ):
        tiny(network=lambda *args: Exploding(0)).fit(Y_GOOD[:1])


@pytest.mark.parametrize(
    ("parameters", "error", "message"),
    [
        ({"network": "resnet"}, ValueError, "network='resnet', but expected one of"),
        ({"network": 3}, TypeError, "Got network=int, but expected one of"),
        ({"network": nn.Identity()}, TypeError, "a callable that returns a new"),
        ({"network": lambda *a: 3}, TypeError, "a network of type int"),
        (
            {"network": lambda *a: nn.Conv2d(32, 2, 1)},
            ValueError,
            r"images of shape \(1, 2, 19, 19\) from the network, but expected \(1, 1,",
        ),
        ({"width": 0}, ValueError, "width == 0, must be >= 1"),
        ({"depth": 1.5}, TypeError, "depth must be an instance of"),
        ({"input_channels": 0}, ValueError, "input_channels == 0"),
        ({"n_iterations": 0}, ValueError, "n_iterations == 0"),
        ({"lr": 0}, ValueError, "lr == 0, must be > 0"),
        ({"window": 1}, ValueError, "window == 1, must be >= 2"),
        ({"patience": 0}, ValueError, "patience == 0"),
        ({"device": "tpu"}, ValueError, "device='tpu', which is not usable"),
        ({"precision": "half"}, ValueError, "precision='half', but expected"),
        ({"operator": np.eye(3)}, TypeError, "expected a ForwardOperator"),
        ({"operator": ParallelBeamCT(9)}, ValueError, "9 views got measurements"),
    ],
)
def test_bad_parameters(parameters, error, message):
    dip = tiny().set_params(**parameters)
    with pytest.raises(error, match=message):
        dip.fit(Y_GOOD)
    assert not [name for name in vars(dip) if name.endswith("_")]


def test_a_refused_stack_leaves_the_fitted_estimator_as_it_was():
    dip = tiny().fit(Y_GOOD)
    images = dip.images_
    bad = Y_GOOD.copy()
    bad[1, 2, 3] = np.inf
    for Y, message in [
        (bad, r"Y contains infinity \(inf\) in sample 1"),
        (Y_GOOD + 1j, "Complex data not supported"),
        (Y_GOOD[:, :5], "8 views got measurements"),
        (Y_GOOD[:0], "0 sample"),
    ]:
        with pytest.raises(ValueError, match=message):
            dip.fit_predict(Y)
    assert dip.images_ is images
