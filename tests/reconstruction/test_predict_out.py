"""``predict(out=...)`` writes batch by batch into the user's own memory."""

import numpy as np
import pytest

from sklearn_ei import EquivariantReconstructor, PseudoInverseReconstructor
from sklearn_ei.groups import Shifts
from sklearn_ei.networks import UNet
from sklearn_ei.operators import Inpainting, ParallelBeamCT

Y = np.random.default_rng(0).random((40, 9, 8)).astype(np.float32)


@pytest.fixture(scope="module")
def linear():
    return PseudoInverseReconstructor(ParallelBeamCT(9)).fit(Y)


def test_a_memory_map_receives_what_predict_returns(tmp_path, linear):
    expected = linear.predict(Y)
    path = tmp_path / "X.npy"
    out = np.lib.format.open_memmap(path, "w+", np.float32, expected.shape)
    assert linear.predict(Y, out=out) is out
    out.flush()
    np.testing.assert_array_equal(np.load(path), expected)


def test_other_layouts(linear):
    expected = linear.predict(Y)
    for out in (
        np.zeros(expected.shape, np.float64, order="F"),
        np.zeros((2, *expected.shape), np.float32)[1],
        np.zeros((80, *expected.shape[1:]), np.float32)[::-2],
    ):
        np.testing.assert_array_equal(linear.predict(Y, out=out), expected)


def test_channels():
    colour = np.random.default_rng(0).random((3, 8, 8, 3)).astype(np.float32)
    ei = EquivariantReconstructor(
        Inpainting(0.3), Shifts(), max_epochs=1, network=UNet(2, 2), random_state=0
    ).fit(colour)
    out = np.zeros_like(colour)
    np.testing.assert_array_equal(ei.predict(colour, out=out), ei.predict(colour))
    images, std = ei.predict(colour, return_std=True, n_bootstrap=2, out=out)
    assert images is out
    expected, expected_std = ei.predict(colour, return_std=True, n_bootstrap=2)
    np.testing.assert_array_equal(images, expected)
    np.testing.assert_array_equal(std, expected_std)


def test_a_refused_out_is_not_written_to(linear):
    out = np.zeros((40, 3, 3), np.float32)
    with pytest.raises(ValueError, match=r"out of shape \(40, 3, 3\).*expected shape"):
        linear.predict(Y, out=out)
    good = np.zeros_like(linear.predict(Y))
    bad = Y.copy()
    bad[39, 0, 0] = np.inf
    with pytest.raises(ValueError, match=r"infinity \(inf\) in sample 39"):
        linear.predict(bad, out=good)
    assert not good.any()


def test_progress_where_there_are_several_batches(capsys):
    frames = np.random.default_rng(0).random((40, 8, 8)).astype(np.float32)
    ei = EquivariantReconstructor(
        Inpainting(0.3), Shifts(), max_epochs=1, network=UNet(2, 2), random_state=0
    ).fit(frames[:2])
    ei.predict(frames)
    assert not capsys.readouterr().out
    ei.set_params(verbose=1).predict(frames)
    lines = capsys.readouterr().out.splitlines()
    done = [line.partition(" samples reconstructed")[0] for line in lines]
    assert done == ["16 of 40", "32 of 40", "40 of 40"]
