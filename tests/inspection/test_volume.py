"""VolumeDisplay."""

import numpy as np
import pytest

from sklearn_ei import (
    EquivariantReconstructor,
    PseudoInverseReconstructor,
    VolumeDisplay,
)
from sklearn_ei.groups import Rotations
from sklearn_ei.networks import UNet


@pytest.fixture
def volume():
    return np.random.default_rng(0).random((5, 8, 6)).astype(np.float32)


def shown(display, row=0):
    return [axes.images[0] for axes in display.axes_[row]]


def test_three_slices_through_a_point_in_true_proportions(volume):
    display = VolumeDisplay.from_predictions(
        volume, index=(1, -3, 2), spacing=(3.0, 1.0, 0.5)
    )
    panels = shown(display)
    expected = volume[1], volume[:, 5], volume[:, :, 2]
    for panel, plane in zip(panels, expected, strict=True):
        np.testing.assert_array_equal(panel.get_array(), plane)
    assert [axes.get_aspect() for axes in display.axes_[0]] == [2.0, 6.0, 3.0]
    titles = [axes.get_title() for axes in display.axes_[0]]
    assert titles == ["Slice 1", "Row 5", "Column 2"]
    assert len({panel.get_clim() for panel in panels}) == 1
    down, across = (line.get_xydata() for line in display.axes_[0, 1].lines)
    assert (down[:, 1] == 1).all()
    assert (across[:, 0] == 2).all()


def test_the_error_map_lies_below(volume):
    display = VolumeDisplay.from_predictions(volume, 0.1 * volume)
    assert display.axes_.shape == (2, 3)
    np.testing.assert_allclose(shown(display, 1)[0].get_array(), 0.1 * volume[2])
    assert shown(display, 1)[0].get_clim()[0] == 0


def test_only_the_slices_of_a_volume_on_disk_are_read(tmp_path):
    class Counted:
        shape = (30, 20, 10)
        read = 0

        def __getitem__(self, index):
            part = np.zeros(self.shape)[index]
            self.read += part.size
            return part

    volume = Counted()
    VolumeDisplay.from_predictions(volume, index=(0, 0, 0))
    assert volume.read == 20 * 10 + 30 * 10 + 30 * 20


def test_rows_of_a_detector_become_the_volume(ct_problem):
    operator, _, Y = ct_problem
    ei = EquivariantReconstructor(
        operator, Rotations(360), max_epochs=1, network=UNet(2, 2), random_state=0
    ).fit(Y)
    display = VolumeDisplay.from_estimator(ei, Y, n_bootstrap=2)
    volume, std = ei.predict(Y, return_std=True, n_bootstrap=2)
    middle = volume.shape[1] // 2
    np.testing.assert_allclose(
        shown(display)[1].get_array(), volume[:, middle], atol=1e-5
    )
    np.testing.assert_allclose(
        shown(display, 1)[1].get_array(), std[:, middle], atol=1e-5
    )
    fbp = PseudoInverseReconstructor(operator).fit(Y)
    alone = VolumeDisplay.from_estimator(fbp, Y, error_map=False)
    assert alone.axes_.shape == (1, 3)


def test_what_is_no_volume_is_refused(volume):
    for wrong, message in (
        ({"volume": volume[0]}, r"volume of shape \(8, 6\)"),
        ({"std": volume[1:]}, r"error map of shape \(4, 8, 6\)"),
        ({"index": (5, 0, 0)}, "index="),
        ({"index": (0, 0)}, "index="),
        ({"index": (True, 0, 0)}, "index="),
        ({"spacing": (1, 1)}, "spacing="),
        ({"spacing": (1, 0, 1)}, "spacing="),
    ):
        with pytest.raises(ValueError, match=message):
            VolumeDisplay(**{"volume": volume, **wrong}).plot()
