"""What is saved comes back: parameters, operators, groups, weights, history."""

import json
import os
import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import sparse
from skorch.callbacks import EarlyStopping

from sklearn_ei import (
    DeepImagePriorReconstructor,
    EquivariantReconstructor,
    EquivariantReconstructorCV,
    ModelFileError,
    PseudoInverseReconstructor,
    TikhonovReconstructor,
    TotalVariationReconstructor,
    load,
    save,
)
from sklearn_ei.groups import Group, Reflections, Rotations, Shifts
from sklearn_ei.losses import MeasurementConsistency
from sklearn_ei.networks import UNet, Unrolled
from sklearn_ei.noise import GaussianNoise
from sklearn_ei.operators import (
    BlockOperator,
    Downsampling,
    Inpainting,
    MatrixOperator,
    ODLOperator,
    ParallelBeamCT,
)
from sklearn_ei.utils.random import draw_seed
from tests.cases import GROUPS, OPERATORS, Snapshot

TINY = {"max_epochs": 2, "network": Unrolled(UNet(width=2, depth=2)), "random_state": 0}
Y = ParallelBeamCT(8, (12, 12)).measure(np.random.default_rng(0).random((3, 12, 12)))
# The optimizer and the plan that a fit leaves for the next call of partial_fit.
OF_A_TRAINING = {"net_", "_next_epoch"}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.safetensors"


@pytest.fixture
def fitted():
    group = Rotations(12) * Reflections()
    return EquivariantReconstructor(ParallelBeamCT(8), group, **TINY).fit(Y)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_predictions_scores_and_attributes_are_the_same_bits(path, fitted, precision):
    fitted.set_params(precision=precision).fit(Y)
    back = load(save(fitted, path))
    np.testing.assert_array_equal(back.predict(Y), fitted.predict(Y))
    assert back.score(Y) == fitted.score(Y)
    assert repr(back) == repr(fitted)
    assert vars(back).keys() == vars(fitted).keys() - OF_A_TRAINING
    for name in ("scale_", "alpha_", "n_iter_", "measurement_shape_", "precision_"):
        assert getattr(back, name) == getattr(fitted, name), name
    assert back.n_features_in_ == 8
    assert back.history_[:, "train_loss"] == fitted.history_[:, "train_loss"]


def test_the_same_model_gives_the_same_file(path, fitted):
    assert save(fitted, path).read_bytes() == save(load(path), path).read_bytes()


def test_nothing_global_moves(path, fitted):
    state = torch.get_rng_state()
    load(save(fitted, path))
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("how", ["partial_fit", "warm_start"])
def test_training_goes_on_as_from_the_original(path, fitted, how):
    back = load(save(fitted, path))
    for estimator in (fitted, back):
        if how == "partial_fit":
            estimator.partial_fit(Y).partial_fit(Y)
        else:
            estimator.set_params(warm_start=True).fit(Y)
    assert back.n_iter_ == fitted.n_iter_ == 4
    np.testing.assert_array_equal(back.predict(Y), fitted.predict(Y))
    with pytest.raises(ValueError, match=r"Got network=.*width=3.* warm_start=True"):
        back.set_params(network__network__width=3, warm_start=True).fit(Y)


def test_unfitted_and_linear_estimators(path):
    unfitted = EquivariantReconstructor(ParallelBeamCT(8), Rotations(12), **TINY)
    assert repr(load(save(unfitted, path))) == repr(unfitted)
    linear = PseudoInverseReconstructor(ParallelBeamCT(8)).fit(Y)
    back = load(save(linear, path))
    np.testing.assert_array_equal(back.predict(Y), linear.predict(Y))


@pytest.mark.parametrize(
    "case",
    [c for c in OPERATORS if not isinstance(c.operator, ODLOperator | Snapshot)],
    ids=lambda case: case.name,
)
def test_every_operator_is_rebuilt(path, case):
    operator = case.operator
    if type(getattr(operator, "matrix", None)).__name__ == "RunningSums":
        with pytest.raises(TypeError, match=r"operator.matrix=.*cannot be saved"):
            save(PseudoInverseReconstructor(operator), path)
        return
    shape = (2, *operator.resolve().image_shape)
    channels = () if case.n_channels == 1 else (case.n_channels,)
    images = np.random.default_rng(0).random((*shape, *channels))
    measured = operator.measure(images)
    back = load(save(PseudoInverseReconstructor(operator).fit(measured), path))
    np.testing.assert_array_equal(back.operator.measure(images), measured)
    np.testing.assert_array_equal(
        back.predict(measured),
        PseudoInverseReconstructor(operator).fit(measured).predict(measured),
    )


@pytest.mark.parametrize("case", GROUPS, ids=lambda case: case.name)
def test_every_group_is_rebuilt(path, case):
    # A group is resolved for one shape of images; here nothing else matters.
    estimator = EquivariantReconstructor(Inpainting(0.3), case.group)
    back = load(save(estimator, path)).group
    assert back.image_shape == case.group.image_shape
    x = torch.rand(1, 1, *case.group.image_shape)
    g = case.group.n_elements - 1
    assert torch.equal(back.transform(x, g), case.group.transform(x, g))


@pytest.mark.parametrize(
    "value",
    [
        np.arange(6.0).reshape(2, 3)[:, ::-1],
        np.asfortranarray(np.eye(3, 2, dtype=np.float16)),
        np.array(3, dtype=">i4"),
        np.zeros((0, 2), dtype=bool),
        np.array([1 + 2j, 3], dtype=np.complex64),
        sparse.csr_array(np.eye(3)),
        sparse.coo_matrix(np.eye(2, 4)),
        sparse.csc_array(np.arange(6).reshape(2, 3)),
        torch.arange(3),
        Path("a folder") / "a name",
        np.float32(0.1),
        2**63 - 1,
        (1, [2.5, {"a": None, "tuple": (True,)}], "α"),
        torch.float64,
        Shifts,
    ],
    ids=lambda value: type(value).__name__,
)
def test_values_come_back(path, value):
    back = load(save(PseudoInverseReconstructor(value), path)).operator
    if sparse.issparse(value):
        assert (back.format, type(back)) == (value.format, type(value))
        back, value = back.toarray(), value.toarray()
    if isinstance(value, torch.Tensor):
        assert back.dtype == value.dtype
        back, value = back.numpy(), value.numpy()
    elif isinstance(value, np.ndarray):
        assert back.dtype == value.dtype.newbyteorder("=")
    if not isinstance(value, np.number):
        assert type(back) is type(value)
    np.testing.assert_equal(back, value)


def make_network(n_channels, n_spatial_dims):
    return torch.nn.Conv2d(n_channels, n_channels, 3, padding=1)


@pytest.mark.parametrize(
    "parameters",
    [
        {"noise": GaussianNoise(0.1), "data_term": "r2r"},
        {"noise": GaussianNoise(0.5)},
        {"data_term": "unsure", "group": None, "alpha": 0},
        {"beta": 0.01, "data_term": MeasurementConsistency("l1")},
        {"network": make_network},
        {"network": make_network(1, 2)},
    ],
    ids=["r2r", "sure", "unsure", "adversarial", "factory", "module"],
)
def test_every_way_of_training_is_rebuilt(path, parameters):
    ei = EquivariantReconstructor(ParallelBeamCT(8), Rotations(12), **TINY)
    ei.set_params(**parameters).fit(Y)
    objects = {
        "make_network": make_network,
        "Conv2d": lambda: make_network(1, 2),
    }
    back = load(save(ei, path), objects)
    np.testing.assert_array_equal(back.predict(Y), ei.predict(Y))
    assert vars(back).keys() == vars(ei).keys() - OF_A_TRAINING
    for estimator in (ei, back):
        estimator.set_params(warm_start=True).fit(Y)
    np.testing.assert_array_equal(back.predict(Y), ei.predict(Y))


@pytest.mark.parametrize(
    "estimator",
    [
        TikhonovReconstructor(ParallelBeamCT(8)),
        TotalVariationReconstructor(ParallelBeamCT(8)),
        DeepImagePriorReconstructor(
            ParallelBeamCT(8), n_iterations=3, width=2, depth=2, random_state=0
        ),
    ],
    ids=lambda estimator: type(estimator).__name__,
)
def test_other_estimators(path, estimator):
    estimator.fit(Y)
    back = load(save(estimator, path))
    assert vars(back).keys() == vars(estimator).keys()
    if hasattr(estimator, "predict"):
        np.testing.assert_array_equal(back.predict(Y), estimator.predict(Y))
    else:
        np.testing.assert_equal(vars(back)["images_"], estimator.images_)
        np.testing.assert_equal(back.history_, estimator.history_)


def test_equal_arrays_are_stored_once(path):
    matrix = np.random.default_rng(0).standard_normal((300, 100)).astype(np.float32)
    linear = PseudoInverseReconstructor(MatrixOperator(matrix))
    linear.fit(np.ones((2, 100), np.float32) @ matrix.T)
    assert matrix.nbytes < save(linear, path).stat().st_size < 1.2 * matrix.nbytes


class Halved(Inpainting):
    """An operator of a user."""

    def _forward(self, x, constants):
        return 0.5 * x * constants.mask

    _adjoint = _forward


class Swaps(Group):
    """A group of a user."""

    n_elements = 2
    is_exact = True

    def _transform(self, x, g):
        return torch.where((g == 1).reshape(-1, 1, 1, 1), x.mT, x)


def test_objects_of_the_user(path):
    images = np.random.default_rng(0).random((2, 8, 8))
    operator = BlockOperator([Halved(0.2), Downsampling(2, (8, 8))])
    Z = operator.measure(images)
    ei = EquivariantReconstructor(operator, Swaps(), **TINY)
    ei.set_params(callbacks=[EarlyStopping("train_loss")], check_rank=False).fit(Z)
    objects = {"Halved": Halved, "Swaps": Swaps, "EarlyStopping": EarlyStopping}
    back = load(save(ei, path), objects)
    np.testing.assert_array_equal(back.predict(Z), ei.predict(Z))
    for name in objects:
        others = {key: value for key, value in objects.items() if key != name}
        with pytest.raises(ModelFileError, match=f"needs '{name}', which is not part"):
            load(path, others)
    with pytest.raises(TypeError, match="expected a dictionary of names"):
        load(path, [Halved])


def test_a_module_and_a_function_among_the_parameters(path):
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.BatchNorm1d(3))
    save(PseudoInverseReconstructor((network, draw_seed)), path)

    def make():
        return torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.BatchNorm1d(3))

    back, function = load(path, {"Sequential": make, "draw_seed": draw_seed}).operator
    assert function is draw_seed
    for name, tensor in network.state_dict().items():
        assert torch.equal(back.state_dict()[name], tensor)
    with pytest.raises(ModelFileError, match="the network has other weights"):
        load(path, {"Sequential": torch.nn.Sequential, "draw_seed": draw_seed})


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"callbacks": lambda net: None}, r"callbacks=<function <lambda>"),
        ({"alpha": object()}, "alpha=<object object.*cannot be saved without pickle"),
        ({"random_state": np.random.RandomState(0)}, "random_state=RandomState"),
        ({"operator__mask": np.ma.masked_equal([1, 0], 0)}, "operator.mask=masked"),
        ({"operator__mask": np.array([{}])}, "operator.mask=array"),
        ({"operator__mask": {1: 2}}, "operator.mask={1: 2} of type dict"),
    ],
)
def test_what_cannot_be_saved_is_refused(path, parameters, message):
    path.write_text("the previous model")
    ei = EquivariantReconstructor(Inpainting(0.3), Shifts(), **TINY)
    with pytest.raises(TypeError, match=message):
        save(ei.set_params(**parameters), path)
    assert path.read_text() == "the previous model"
    assert os.listdir(path.parent) == [path.name]


def test_odl_operators_and_other_estimators_are_refused(path):
    odl_case = next(c for c in OPERATORS if isinstance(c.operator, ODLOperator))
    with pytest.raises(TypeError, match="cannot be saved without pickle"):
        save(PseudoInverseReconstructor(odl_case.operator), path)
    with pytest.raises(TypeError, match="expected an estimator of sklearn_ei"):
        save(Inpainting(0.3), path)
    nested = []
    nested.append(nested)
    with pytest.raises(ValueError, match="more than 50 levels"):
        save(PseudoInverseReconstructor(nested), path)


def test_a_fitted_estimator_inside_another_is_refused(path, fitted):
    with pytest.raises(TypeError, match="expected estimators to be saved one by one"):
        save(PseudoInverseReconstructor(fitted), path)
    cv = EquivariantReconstructorCV(ParallelBeamCT(8), Rotations(12))
    cv.best_estimator_ = fitted
    with pytest.raises(TypeError, match=r"best_estimator_, a fitted Equivariant"):
        save(cv, path)
    assert not path.exists()


def test_weights_that_are_not_finite_are_refused(path, fitted):
    with torch.no_grad():
        next(fitted.function_.parameters()).fill_(np.nan)
    with pytest.raises(ValueError, match="are not finite"):
        save(fitted, path)


def test_a_write_that_fails_leaves_the_previous_file(path, fitted, monkeypatch):
    expected = save(fitted, path).read_bytes()

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        save(fitted.set_params(alpha=3.0), path)
    assert path.read_bytes() == expected
    assert os.listdir(path.parent) == [path.name]


def test_devices(path, fitted):
    save(fitted.set_params(device="cuda:7"), path)
    with pytest.raises(ModelFileError, match="Pass device='cpu' to load"):
        load(path)
    back = load(path, device="cpu")
    assert (back.device, back.device_.type) == ("cpu", "cpu")
    np.testing.assert_array_equal(back.predict(Y), fitted.predict(Y))
    with pytest.raises(ValueError, match="device='disk', which is not usable"):
        load(path, device="disk")


def test_pandas_feature_names(path):
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(np.eye(3), columns=["a", "b", "c"])
    linear = PseudoInverseReconstructor(Inpainting(0.3)).fit(frame)
    back = load(save(linear, path))
    assert back.feature_names_in_.tolist() == ["a", "b", "c"]
    with pytest.raises(ValueError, match="feature names should match"):
        back.predict(frame[["b", "a", "c"]])


def test_the_file_is_safetensors_without_pickle(path, fitted):
    data = save(fitted, path).read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    document = json.loads(
        json.loads(data[8 : 8 + length])["__metadata__"]["sklearn_ei"]
    )
    assert document["format"] == 1
    assert document["estimator"]["params"]["max_epochs"] == 2
    assert all("batches" not in epoch["dict"] for epoch in document["history"])


def test_a_network_changed_since_the_fit_is_not_saved(tmp_path):
    fitted = EquivariantReconstructor(Inpainting(0.3), Shifts(), **TINY).fit(
        np.random.default_rng(0).random((2, 8, 8))
    )
    fitted.set_params(network=UNet(width=8, depth=2))
    with pytest.raises(ValueError, match="expected the one that was trained"):
        save(fitted, tmp_path / "model")
    assert not (tmp_path / "model").exists()


def test_notes_of_the_user_are_not_saved(tmp_path):
    fitted = EquivariantReconstructor(Inpainting(0.3), Shifts(), **TINY).fit(
        np.random.default_rng(0).random((2, 8, 8))
    )
    fitted.label = "patient 7"
    assert not hasattr(load(save(fitted, tmp_path / "model")), "label")
