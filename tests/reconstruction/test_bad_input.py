"""Each refusal is one sentence, comes before training and changes nothing."""

import numpy as np
import pytest
import torch

from sklearn_ei import EquivariantReconstructor
from sklearn_ei.groups import Rotations, Shifts
from sklearn_ei.losses import EquivarianceTerm
from sklearn_ei.networks import UNet, Unrolled
from sklearn_ei.operators import Inpainting, ParallelBeamCT

TINY = {"max_epochs": 1, "network": Unrolled(UNet(width=2, depth=2)), "random_state": 0}
Y_GOOD = ParallelBeamCT(8, image_shape=(12, 12)).measure(np.ones((3, 12, 12)))


def with_bad_value(value):
    Y = Y_GOOD.copy()
    Y[1, 2, 3] = value
    return Y


def blank():
    Y = Y_GOOD.copy()
    Y[2] = np.nan
    return Y


BAD_MEASUREMENTS = {
    "views": (Y_GOOD[:, :5], r"8 views got measurements of shape \(5, 19\)"),
    "dimensions": (Y_GOOD[0, 0], "Expected 2D array, got 1D array"),
    "flat": (Y_GOOD.reshape(3, -1), r"samples of shape \(152,\).*expected 2 axes"),
    "too deep": (Y_GOOD[..., None, None], "expected 2 axes"),
    "empty": (Y_GOOD[:0], "0 sample"),
    "all NaN": (blank(), "Y has nothing but NaN in sample 2"),
    "infinite": (with_bad_value(np.inf), r"Y contains infinity \(inf\) in sample 1"),
    "beyond float32": (Y_GOOD.astype(float) * 1e300, r"infinity \(inf\) in sample 0"),
    "complex": (Y_GOOD + 1j, "Complex data not supported.*as channels"),
    "one sample": (Y_GOOD[0], "stack of one"),
    "all masked": (np.ma.masked_less(Y_GOOD, 1e9), "nothing but NaN in sample 0"),
    "objects": (np.full(Y_GOOD.shape, {}, dtype=object), "argument must be"),
    "strings": (np.full(Y_GOOD.shape, "a"), "Y of dtype <U1, but expected real"),
}


@pytest.mark.parametrize("name", BAD_MEASUREMENTS)
def test_measurements(name):
    Y, message = BAD_MEASUREMENTS[name]
    ei = EquivariantReconstructor(ParallelBeamCT(8), Rotations(360), **TINY)
    with pytest.raises((ValueError, TypeError), match=message):
        ei.fit(Y)
    assert not [name for name in vars(ei) if name.endswith("_")]


@pytest.mark.parametrize("name", BAD_MEASUREMENTS)
def test_a_refused_stack_leaves_the_fitted_estimator_as_it_was(name):
    Y, _ = BAD_MEASUREMENTS[name]
    ei = EquivariantReconstructor(ParallelBeamCT(8), Rotations(360), **TINY)
    expected = ei.fit(Y_GOOD).predict(Y_GOOD)
    for method in (ei.fit, ei.partial_fit, ei.predict, ei.score):
        with pytest.raises((ValueError, TypeError)):
            method(Y)
    np.testing.assert_array_equal(ei.predict(Y_GOOD), expected)


@pytest.mark.parametrize(
    ("parameters", "error", "message"),
    [
        ({"alpha": -1}, ValueError, r"'alpha' parameter .* Got -1 instead"),
        ({"alpha": "strong"}, ValueError, r"'alpha' .* a str .*'auto'.* Got 'strong'"),
        ({"alpha": np.nan}, ValueError, r"'alpha' parameter .* Got nan instead"),
        ({"alpha": np.inf}, ValueError, r"'alpha' parameter .* Got inf instead"),
        ({"alpha": None}, TypeError, r"'alpha' parameter .* Got None instead"),
        ({"device": "tpu"}, ValueError, "device='tpu', which is not usable"),
        ({"precision": "half"}, ValueError, r"'precision' parameter .* Got 'half'"),
        ({"max_epochs": 0}, ValueError, r"'max_epochs' .* \[1, inf\).* Got 0 instead"),
        ({"batch_size": 1.5}, TypeError, r"'batch_size' .* an int .* Got 1.5 instead"),
        ({"lr": 0}, ValueError, r"'lr' parameter .* \(0.*\).* Got 0 instead"),
        ({"lr_schedule": "step"}, ValueError, r"'lr_schedule' .* Got 'step' instead"),
        ({"network": UNet(width=0)}, ValueError, "width == 0"),
        ({"network": Unrolled(n_consistency=-1)}, ValueError, "n_consistency == -1"),
        ({"network": Unrolled(n_stages=0)}, ValueError, "n_stages == 0"),
        ({"network": Unrolled(UNet(depth=0))}, ValueError, "depth == 0"),
        ({"network": "u-net"}, ValueError, r"'network' parameter .* Got 'u-net'"),
        (
            {"equivariance_term": EquivarianceTerm(n_transforms=360)},
            ValueError,
            "has 360 element.* n_transforms=360",
        ),
        (
            {"equivariance_term": EquivarianceTerm(n_transforms=0)},
            ValueError,
            "n_transforms == 0",
        ),
        ({"equivariance_term": 5}, TypeError, r"'equivariance_term' .* Got 5 instead"),
        ({"group": "rotations"}, TypeError, r"'group' parameter .* Got 'rotations'"),
        ({"group": None, "alpha": 1}, ValueError, "without a group"),
        ({"group": None}, ValueError, "Got alpha=auto without a group, but expected"),
        ({"callbacks": ["stop"]}, TypeError, "'stop' in callbacks, but expected"),
        (
            {"operator": Inpainting(mask=[0, np.nan])},
            ValueError,
            "a mask of .* with NaN",
        ),
        ({"group": Rotations(1)}, ValueError, "has 1 element"),
        ({"operator": np.eye(3)}, TypeError, r"'operator' .*\bForwardOperator"),
        ({"operator": Inpainting(1.5)}, ValueError, "rate == 1.5"),
        ({"operator": ParallelBeamCT(0)}, ValueError, "n_views == 0"),
    ],
)
def test_parameters(parameters, error, message):
    ei = EquivariantReconstructor(ParallelBeamCT(8), Rotations(360), **TINY)
    with pytest.raises(error, match=message):
        ei.set_params(**parameters).fit(Y_GOOD)
    assert not hasattr(ei, "net_")
    assert not hasattr(ei, "operator_")


def test_group_and_operator_that_do_not_fit():
    signals = np.random.default_rng(0).random((4, 16))
    ei = EquivariantReconstructor(Inpainting(0.3), Rotations(4), **TINY)
    with pytest.raises(ValueError, match=r"Rotations act on 2-D images.*\(16,\)"):
        ei.fit(signals)
    ei.set_params(group=Shifts()).fit(signals)
    with pytest.raises(
        ValueError, match=r"image_shape=\(17,\) and measurement_shape=\(16,\)"
    ):
        ei.set_params(operator__image_shape=(17,)).fit(signals)


def test_the_same_operator_is_needed_in_prediction():
    ei = EquivariantReconstructor(ParallelBeamCT(8), Rotations(360), **TINY).fit(Y_GOOD)
    with pytest.raises(
        ValueError, match=r"was fitted on measurements of shape \(8, 19\)"
    ):
        ei.predict(Y_GOOD[:, :, 1:])
    # What fit says of one sample, predict says, too.
    for method in (ei.predict, ei.fit):
        with pytest.raises(ValueError, match=r"single sample .* as a stack of one"):
            method(Y_GOOD[0])


def test_one_sample_is_enough():
    ei = EquivariantReconstructor(ParallelBeamCT(8), Rotations(360), **TINY)
    assert ei.fit(Y_GOOD[:1]).predict(Y_GOOD[:1]).shape == (1, 19, 19)


@pytest.mark.parametrize(
    "convert",
    [
        lambda Y: Y.tolist(),
        np.asfortranarray,
        lambda Y: Y[::-1][::-1],
        torch.from_numpy,
        lambda Y: Y.astype(np.float64),
    ],
    ids=["list", "fortran", "strides", "tensor", "float64"],
)
def test_equivalent_containers_give_equal_results(convert):
    ei = EquivariantReconstructor(ParallelBeamCT(8), Rotations(360), **TINY)
    expected = ei.fit(Y_GOOD).predict(Y_GOOD)
    converted = convert(Y_GOOD)
    np.testing.assert_array_equal(ei.fit(converted).predict(converted), expected)


def test_read_only_and_memory_mapped_data(tmp_path):
    path = tmp_path / "Y.npy"
    np.save(path, Y_GOOD)
    mapped = np.load(path, mmap_mode="r")
    ei = EquivariantReconstructor(ParallelBeamCT(8), Rotations(360), **TINY)
    expected = ei.fit(Y_GOOD).predict(Y_GOOD)
    np.testing.assert_array_equal(ei.fit(mapped).predict(mapped), expected)
