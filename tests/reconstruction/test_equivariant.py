"""EquivariantReconstructor on images."""

import numpy as np
import pytest
import torch

from sklearn_ei import EquivariantReconstructor, PseudoInverseReconstructor
from sklearn_ei.datasets import make_thorax_phantoms
from sklearn_ei.groups import Rotations, Shifts
from sklearn_ei.losses import EquivarianceTerm
from sklearn_ei.metrics import psnr
from sklearn_ei.model_selection import neg_measurement_error_score
from sklearn_ei.networks import UNet, Unrolled
from sklearn_ei.noise import GaussianNoise
from sklearn_ei.operators import Inpainting, MatrixOperator, ParallelBeamCT
from sklearn_ei.training import Seeds
from sklearn_ei.utils.random import spawn_seeds

TINY = {"max_epochs": 2, "network": Unrolled(UNet(width=4, depth=2)), "random_state": 0}


def make_ei(operator, **parameters):
    return EquivariantReconstructor(operator, Rotations(360), **{**TINY, **parameters})


@pytest.fixture(scope="module")
def learned(learning_problem):
    """Measurement consistency, EI and supervised training of one network."""
    operator, Y, images, _, _ = learning_problem
    parameters = {
        "max_epochs": 30,
        "network": Unrolled(UNet(width=8, depth=3), n_stages=1),
    }
    return {
        "mc": make_ei(operator, alpha=0, **parameters).fit(Y),
        "ei": make_ei(operator, **parameters).fit(Y),
        "supervised": make_ei(
            operator, alpha=0, data_term="supervised", **parameters
        ).fit(Y, images),
    }


def test_learns_from_measurements_alone_what_the_linear_method_cannot(
    learned, learning_problem
):
    """The order of the paper's Table 1, on slices that were never seen."""
    operator, Y, _, Y_test, test_images = learning_problem
    linear = PseudoInverseReconstructor(operator).fit(Y).score(Y_test, test_images)
    scores = {name: est.score(Y_test, test_images) for name, est in learned.items()}
    assert linear + 0.3 < scores["mc"]
    assert scores["mc"] + 2 < scores["ei"]
    assert scores["ei"] < scores["supervised"] + 0.5


def test_score_without_truth_sees_what_the_measurement_error_does_not(
    learned, learning_problem
):
    Y_test = learning_problem[3]

    def measurement_error(estimator):
        with torch.no_grad():  # of f alone, not averaged as by predict
            x = estimator.reconstruct_tensors(torch.from_numpy(Y_test)[:, None])
        left = estimator.operator_.measure(x[:, 0].numpy()) - Y_test
        return np.square(left).mean()

    ei, mc = learned["ei"], learned["mc"]
    assert measurement_error(mc) < 1.25 * measurement_error(ei)  # dBs apart in truth
    assert mc.score(Y_test) < ei.score(Y_test) < 0
    assert ei.score(Y_test) == ei.score(Y_test)
    assert ei.score(Y_test, np.arange(4)) == ei.score(Y_test)  # labels, not images


def test_score_where_nothing_is_unseen_compares_all(ct_problem):
    """With A†A = I the second measurement sees all; denoising can still be scored."""
    rng = np.random.default_rng(0)
    Y = rng.random((6, 16))
    scores = []
    for epochs in (1, 3):
        ei = EquivariantReconstructor(
            MatrixOperator(np.eye(16), image_shape=(16,)),
            Shifts(),
            max_epochs=epochs,
            noise=GaussianNoise(0.1),
            check_rank=False,
            random_state=0,
        )
        scores.append(ei.fit(Y).score(Y))
    assert scores[0] != scores[1]
    assert max(scores) < -1e-6


def test_score_with_the_identity_alone_is_the_measurement_error(ct_problem):
    operator, _, Y = ct_problem
    ei = make_ei(operator, alpha=0, max_epochs=1).set_params(group=Rotations(1))
    ei.fit(Y)
    # Of which one is computed from images in an array, the other from tensors.
    error = neg_measurement_error_score(ei, Y)
    assert ei.score(Y) == pytest.approx(error, rel=1e-4)


def test_score_without_truth_and_group_is_the_measurement_error(ct_problem):
    operator, _, Y = ct_problem
    no_group = EquivariantReconstructor(operator, None, alpha=0, **TINY).fit(Y)
    with torch.no_grad():
        x = no_group.reconstruct_tensors(torch.from_numpy(Y)[:, None])
    error = no_group.operator_.measure(x[:, 0].numpy()) - Y
    relative = np.square(error).mean() / np.square(Y).mean()
    assert no_group.score(Y) == pytest.approx(-relative, rel=1e-4)


def test_supervised_training(ct_problem):
    operator, images, Y = ct_problem
    ei = make_ei(
        operator,
        data_term="supervised",
        alpha=0,
        max_epochs=20,
        network=Unrolled(UNet(width=8, depth=2)),
    )
    before = PseudoInverseReconstructor(operator).fit(Y).score(Y, images)
    assert ei.fit(Y, images).score(Y, images) > before + 1
    assert "supervised_error" in ei.history_[-1]
    assert make_ei(operator, data_term="supervised").fit(Y, images).alpha_ == 1
    with pytest.raises(ValueError, match="needs ground truth"):
        ei.fit(Y)
    with pytest.raises(ValueError, match=r"y has shape \(5, 24, 24\), but Y has 6"):
        ei.fit(Y, images[:5])
    with pytest.raises(ValueError, match=r"images of shape \(24, 23\)"):
        ei.set_params(operator__image_shape=(24, 24)).fit(Y, images[:, :, 1:])


def test_ground_truth_settles_the_image_shape():
    operator = ParallelBeamCT(8)
    images = make_thorax_phantoms(3, (23, 25), random_state=0)
    Y = operator.measure(images)
    assert make_ei(operator).fit(Y).operator_.image_shape != (23, 25)
    for data_term in ("auto", "supervised"):
        ei = make_ei(operator, data_term=data_term).fit(Y, images)
        assert ei.predict(Y).shape == images.shape
        assert np.isfinite(ei.score(Y, images))


def test_a_known_image_shape_leaves_the_detector_to_the_data():
    images = make_thorax_phantoms(2, (20, 20), random_state=0)
    wide = ParallelBeamCT(8, image_shape=(20, 20), n_bins=41)
    ei = make_ei(ParallelBeamCT(8, image_shape=(20, 20))).fit(wide.measure(images))
    assert ei.predict(wide.measure(images)).shape == images.shape
    assert ei.operator_.n_bins == 41


def test_fitted_attributes(ct_problem):
    operator, _, Y = ct_problem
    ei = make_ei(operator, equivariance_term=EquivarianceTerm(n_transforms=2)).fit(Y)
    assert ei.operator_.image_shape == (24, 24)
    assert ei.measurement_shape_ == Y.shape[1:]
    assert ei.n_features_in_ == 12
    assert ei.n_iter_ == len(ei.history_) == 2
    assert ei.device_.type in ("cpu", "cuda")
    assert ei.alpha_ == pytest.approx(1.5 * ei.operator_.mean_squared_row_norm())
    last = ei.history_[-1]
    total = last["measurement_consistency"] + ei.alpha_ * last["equivariance_error"]
    assert last["train_loss"] == pytest.approx(total, rel=1e-5)
    assert operator.image_shape is None  # the parameter itself is untouched


def test_alpha_is_taken_as_given(ct_problem):
    operator, _, Y = ct_problem
    assert make_ei(operator, alpha=3).fit(Y).alpha_ == 3.0
    assert make_ei(operator, alpha=0).fit(Y).alpha_ == 0.0
    without_group = EquivariantReconstructor(operator, alpha=0, **TINY).fit(Y)
    assert without_group.alpha_ == 0.0
    assert "equivariance_error" not in without_group.history_[-1]


def test_same_seed_same_bits_and_no_global_randomness(ct_problem):
    operator, _, Y = ct_problem
    torch.manual_seed(0)
    state = torch.random.get_rng_state()
    first = make_ei(operator).fit(Y).predict(Y)
    assert torch.equal(torch.random.get_rng_state(), state)
    torch.manual_seed(1)
    np.testing.assert_array_equal(make_ei(operator).fit(Y).predict(Y), first)
    other = make_ei(operator, random_state=1).fit(Y).predict(Y)
    assert not np.array_equal(other, first)


def test_units_do_not_matter(ct_problem):
    operator, _, Y = ct_problem
    expected = make_ei(operator, precision="float32").fit(Y).predict(Y)
    tiny = (
        make_ei(operator, precision="float32").fit(Y * 2.0**-20).predict(Y * 2.0**-20)
    )
    np.testing.assert_allclose(tiny * 2.0**20, expected, rtol=1e-3, atol=1e-4)


def test_prediction_does_not_depend_on_the_company(ct_problem):
    operator, _, Y = ct_problem
    ei = make_ei(operator, precision="float32").fit(Y)
    alone = np.concatenate([ei.predict(Y[i : i + 1]) for i in range(len(Y))])
    np.testing.assert_allclose(ei.predict(Y), alone, atol=1e-5)


def test_colour_images():
    rng = np.random.default_rng(0)
    images = rng.random((4, 12, 10, 3)).astype(np.float32)
    operator = Inpainting(0.3)
    Y = operator.measure(images)
    ei = EquivariantReconstructor(operator, Shifts(), **TINY).fit(Y)
    reconstructed = ei.predict(Y)
    assert reconstructed.shape == images.shape
    assert reconstructed.dtype == np.float32
    kept = Y != 0
    np.testing.assert_allclose(reconstructed[kept], Y[kept], atol=1e-5)
    assert ei.score(Y, images) == pytest.approx(psnr(images, reconstructed))


def test_partial_fit_and_warm_start_go_on(ct_problem):
    operator, _, Y = ct_problem
    ei = make_ei(operator, warm_start=True).fit(Y)
    before = ei.predict(Y)
    weights = {k: v.clone() for k, v in ei.function_.state_dict().items()}
    ei.set_params(lr=1e-12).fit(Y)
    assert ei.n_iter_ == 4
    for name, value in ei.net_.module_.named_parameters():
        torch.testing.assert_close(value, weights[name])
    other = Unrolled(UNet(width=3, depth=2))
    with pytest.raises(ValueError, match=r"Got network=.*width=3.* warm_start=True"):
        ei.set_params(network=other).fit(Y)
    same = Unrolled(UNet(width=4, depth=2), n_consistency=0)
    ei.set_params(network=same, operator__filter="hann").fit(Y)
    assert ei.operator_.filter == "hann"
    assert ei.net_.module_.n_consistency == 0
    ei.set_params(lr=1e-3).partial_fit(Y)
    assert ei.n_iter_ == 7
    assert not np.allclose(ei.predict(Y), before, atol=1e-6)

    fresh = make_ei(operator)
    losses = [fresh.partial_fit(Y).history_[-1]["train_loss"] for _ in range(8)]
    assert losses[-1] < losses[0]
    with pytest.raises(ValueError, match="was fitted on measurements of shape"):
        fresh.partial_fit(Y[:, :, :-2])


def test_precision(ct_problem):
    operator, _, Y = ct_problem
    exact = make_ei(operator, precision="float32").fit(Y)
    reduced = make_ei(operator, precision="bfloat16").fit(Y)
    assert (exact.precision_, reduced.precision_) == (torch.float32, torch.bfloat16)
    assert not np.array_equal(exact.predict(Y), reduced.predict(Y))
    np.testing.assert_allclose(exact.predict(Y), reduced.predict(Y), atol=0.05)


def test_skorch_and_scikit_learn_callbacks(ct_problem, capsys):
    from skorch.callbacks import Callback

    epochs = []

    class Count(Callback):
        def on_epoch_end(self, net, **kwargs):
            epochs.append(len(net.history))

    operator, _, Y = ct_problem
    make_ei(operator, callbacks=[Count()], verbose=1).fit(Y)
    assert epochs == [1, 2]
    assert "equivariance_error" in capsys.readouterr().out

    pytest.importorskip("sklearn.callback", reason="scikit-learn < 1.9")

    class Stop:
        """Ends the fit after its second epoch."""

        def __init__(self):
            self.tasks = []

        def setup(self, estimator, context):
            self.tasks.append("setup")

        def on_fit_task_begin(self, estimator, context):
            self.tasks.append(f"begin {context.task_name}")

        def on_fit_task_end(self, estimator, context):
            self.tasks.append(f"end {context.task_name}")
            return self.tasks.count("end epoch") == 2

        def teardown(self, estimator, context):
            self.tasks.append("teardown")

    stop = Stop()
    ei = make_ei(operator, max_epochs=5).set_callbacks(stop)
    assert ei.fit(Y).n_iter_ == 2
    epoch = ["begin epoch", "end epoch"]
    assert stop.tasks == ["setup", "begin fit", *epoch, *epoch, "end fit", "teardown"]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_cuda_agrees_with_the_cpu(ct_problem):
    operator, _, Y = ct_problem
    on_cpu = make_ei(operator, device="cpu", precision="float32").fit(Y).predict(Y)
    on_gpu = make_ei(operator, device="cuda", precision="float32").fit(Y).predict(Y)
    np.testing.assert_allclose(on_gpu, on_cpu, atol=1e-2)


def test_changed_parameters_do_not_reach_the_next_partial_fit(ct_problem):
    operator, images, Y = ct_problem
    steady, changed = (
        make_ei(operator, data_term="supervised").partial_fit(Y, images)
        for _ in range(2)
    )
    changed.set_params(data_term="measurement_consistency")
    for ei in (steady, changed):
        ei.partial_fit(Y, images)
    assert changed.history_[-1]["supervised_error"] > 0
    np.testing.assert_array_equal(changed.predict(Y), steady.predict(Y))
    with pytest.raises(ValueError, match=r"SupervisedError.* needs ground truth"):
        changed.partial_fit(Y)

    without = make_ei(operator).partial_fit(Y)
    without.set_params(data_term="supervised").partial_fit(Y)
    assert len(without.history_) == 2


def test_early_stopping_looks_at_images_that_there_are(ct_problem):
    """Missing images have no PSNR, nor have blank ones."""
    operator, images, Y = ct_problem
    stops = {"early_stopping": 0.5}

    def make():
        return make_ei(operator, data_term="supervised", alpha=0, **stops)

    seed = Seeds(*spawn_seeds(0, len(Seeds._fields))).split
    order = np.random.default_rng(seed).permutation(len(Y))
    valid = np.sort(order[: round(0.5 * len(Y))])
    some, none, blank = images.copy(), images.copy(), images.copy()
    some[valid[1:]] = none[valid] = np.nan
    blank[valid[1:]] = 0
    for truth in (some, blank):
        ei = make().fit(Y, truth)
        first = valid[:1]
        expected = psnr(images[first], ei.predict(Y[first]))
        assert ei.best_validation_score_ == pytest.approx(expected, abs=1e-3)
    ei = make().fit(Y, none)
    assert ei.best_validation_score_ == pytest.approx(ei.score(Y[valid]), rel=1e-4)
    assert -1 < ei.best_validation_score_ < 0
    # A fit without early stopping has no such score, whatever came before.
    ei.set_params(early_stopping=False).fit(Y, images)
    assert not hasattr(ei, "best_validation_score_")
