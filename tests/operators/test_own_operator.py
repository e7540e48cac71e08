"""The operators of the guide, and what the dot test says of wrong declarations."""

import runpy
from pathlib import Path

import numpy as np
import pytest
import torch

from sklearn_ei import PseudoInverseReconstructor, check_group_rank
from sklearn_ei.groups import Shifts
from sklearn_ei.operators import Layout, dot_test
from tests.cases import Snapshot

FILE = Path(__file__).parents[2] / "doc/snippets/own_operator.py"
MASKS = np.random.default_rng(0).random((3, 6, 7)) + 0.1


@pytest.fixture(scope="module")
def guide():
    if not FILE.exists():
        pytest.skip("the documentation is not beside the tests")
    return runpy.run_path(str(FILE))


def test_the_pair_detector_of_the_guide(guide):
    gains = np.array([0.5, 2.0])
    operator = guide["PairDetector"](gains)
    images = np.random.default_rng(1).random((2, 3, 4))
    Y = operator.measure(images)
    np.testing.assert_allclose(Y, gains * images.reshape(2, 3, 2, 2).sum(-1), rtol=1e-6)
    expected = np.repeat(Y / (2 * gains), 2, axis=-1)
    np.testing.assert_allclose(operator.reconstruct(Y), expected, rtol=1e-6)
    assert dot_test(operator.resolve(image_shape=(3, 4))) < 1e-10
    assert operator.image_layout == Layout(None, "any")
    with pytest.raises(ValueError, match="expected rows of 4"):
        operator.resolve(image_shape=(3, 5))


@pytest.mark.parametrize("of_the_guide", [True, False])
def test_three_bands_become_one_plain_measurement(guide, of_the_guide):
    operator = (guide["Snapshot"] if of_the_guide else Snapshot)(MASKS)
    images = np.random.default_rng(1).random((2, 6, 7, 3))
    Y = operator.measure(images)
    bands = np.moveaxis(MASKS, 0, -1)
    np.testing.assert_allclose(Y, (images * bands).sum(-1), rtol=1e-6)
    expected = bands * (Y / (bands**2).sum(-1))[..., None]
    np.testing.assert_allclose(operator.reconstruct(Y), expected, rtol=1e-5)
    assert operator.layouts(measurement=(6, 7)) == (
        Layout((6, 7), 3),
        Layout((6, 7), "none"),
    )
    for wrong in ((6, 7), (6, 7, 2)):
        with pytest.raises(ValueError, match="expected 3 channels along the last axis"):
            operator.layouts(image=wrong)
    with pytest.raises(ValueError, match="got measurements with 3 channels, but "):
        operator.reconstruct(np.ones((2, 6, 7, 3)))
    assert dot_test(operator) < 1e-10


def test_rank_of_three_bands_is_that_of_the_dense_matrix():
    operator = Snapshot(MASKS)
    report = check_group_rank(operator, Shifts(), random_state=0)
    assert (report.n, report.m) == (126, 42)
    x = torch.eye(126, dtype=torch.float64).reshape(126, 3, 6, 7)
    rows = [
        operator.forward(torch.roll(x, (i, j), (2, 3))).reshape(126, -1)
        for i in range(6)
        for j in range(7)
    ]
    stacked = torch.cat(rows, dim=1).numpy()
    assert report.rank == np.linalg.matrix_rank(stacked)


def test_no_band_is_lost_on_the_way_to_the_user():
    operator = Snapshot(MASKS)
    Y = operator.measure(np.random.default_rng(1).random((2, 6, 7, 3)))
    estimator = PseudoInverseReconstructor(operator).fit(Y)
    np.testing.assert_allclose(estimator.predict(Y), operator.reconstruct(Y))


class OneToThree(Snapshot):
    measurement_channels = 3  # forward gives one


class TwoBands(Snapshot):
    image_channels = 2  # the masks are three


class OneBandBack(Snapshot):
    def _adjoint(self, y, constants):
        return super()._adjoint(y, constants)[:, :1]


class Shorter(Snapshot):
    def _infer_shapes(self, image_shape, measurement_shape):
        return (6, 7), (6, 6)


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (
            OneToThree,
            r"OneToThree declares measurements of shape \(6, 7\) with "
            r"measurement_channels=3, so that forward of 2 samples has to return "
            r"\(2, 3, 6, 7\), but it returned \(2, 1, 6, 7\)",
        ),
        (TwoBands, r"measurement_channels='none'.* \(2, 1, 6, 7\), but it failed: "),
        (OneBandBack, r"image_channels=3.* \(2, 3, 6, 7\), but it returned \(2, 1, "),
        (Shorter, r"of shape \(6, 6\).* \(2, 1, 6, 6\), but it returned \(2, 1, 6, 7"),
    ],
)
def test_the_dot_test_finds_wrong_declarations(kind, message):
    with pytest.raises(ValueError, match=message):
        dot_test(kind(MASKS))


@pytest.mark.parametrize(
    ("declared", "message"),
    [
        ({"measurement_channels": "any"}, "measurement_channels='any', but expected"),
        ({"image_channels": "any"}, "image_channels='any' and .* or on neither"),
        ({"image_channels": None}, "channels=None, but expected 'any', 'none' or a"),
        ({"image_channels": 0}, "channels=0, but expected"),
    ],
)
def test_declarations_that_mean_nothing_are_refused_on_first_use(declared, message):
    operator = type("Wrong", (Snapshot,), declared)(MASKS)
    for use in (
        lambda: dot_test(operator),
        lambda: operator.forward(torch.ones((1, 3, 6, 7))),
        lambda: operator.measure(np.ones((1, 6, 7, 3))),
    ):
        with pytest.raises(ValueError, match=message):
            use()
