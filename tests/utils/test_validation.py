"""One place looks at stacks."""

import numpy as np
import pytest
import torch

from sklearn_ei.metrics import psnr, ssim
from sklearn_ei.operators import Downsampling, Inpainting, ParallelBeamCT
from sklearn_ei.utils import stack_check
from sklearn_ei.utils.params import brief, check_real, check_shape
from sklearn_ei.utils.stack_check import check_stack


def test_memory_is_shared_where_nothing_has_to_be_converted():
    stack = np.ones((3, 4), np.float32)
    assert np.shares_memory(check_stack(stack, "Y", "measurements"), stack)
    tensor = torch.ones(3, 4)
    checked = check_stack(tensor, "Y", "measurements")
    assert checked.ctypes.data == tensor.data_ptr()
    assert check_stack(stack, "x", "images", dtype=np.float64).dtype == np.float64


def test_every_chunk_is_looked_at(monkeypatch):
    monkeypatch.setattr(stack_check, "_CHUNK", 8)
    stack = np.ones((50, 4))
    stack[[37, 49]] = np.nan
    with pytest.raises(ValueError, match="Y contains NaN in sample 37 and 1 other"):
        check_stack(stack, "Y", "measurements")
    stack[[37, 49]] = -np.inf
    with pytest.raises(ValueError, match=r"Y contains infinity \(inf\) in sample 37"):
        check_stack(stack, "Y", "measurements")
    stack[[37, 49]] = -2e30
    with pytest.raises(ValueError, match=r"Y has values up to 2e\+30.*change the unit"):
        check_stack(stack, "Y", "measurements")


def test_small_values_are_refused_only_where_all_are():
    assert not check_stack(np.zeros((2, 3)), "Y", "measurements").any()
    check_stack(np.array([[1.0, 1e-200]]), "Y", "measurements")
    with pytest.raises(ValueError, match="Y has values up to 0, but expected"):
        check_stack(np.array([[1e-200, 0.0]]), "Y", "measurements")


def test_images_that_look_channels_first():
    rgb = np.random.default_rng(0).random((2, 3, 16, 16))
    for operator in (Inpainting(0.3), Downsampling(2), ParallelBeamCT(9)):
        with pytest.raises(ValueError, match=r"look channels first.*moveaxis"):
            operator.measure(rgb)
    # The escape that the message names.
    wide = Inpainting(0.3, image_shape=(3, 16))
    assert wide.measure(rgb).shape == rgb.shape
    assert Inpainting(0.3).measure(np.moveaxis(rgb, 1, -1)).shape == (2, 16, 16, 3)


def test_metrics_of_constant_and_small_images():
    zeros = np.zeros((2, 8, 8))
    assert psnr(zeros, zeros) == np.inf
    assert psnr(zeros, zeros + 1) == -np.inf
    assert ssim(zeros + 3, zeros + 3) == 1
    with pytest.raises(ValueError, match="expected at least 7 pixels"):
        ssim(zeros[:, :5], zeros[:, :5])
    with pytest.raises(ValueError, match="channel_axis=4 for images"):
        ssim(zeros, zeros, channel_axis=4)
    with pytest.raises(ValueError, match="x_pred contains NaN in sample 0"):
        psnr(zeros, zeros + np.nan)


def test_messages_stay_on_one_line():
    assert brief(np.zeros((30, 30))).count("\n") == 0
    assert len(brief("a" * 1000)) == 100
    mask = np.eye(40, dtype=bool)
    with pytest.raises(ValueError, match="image_shape") as caught:
        Inpainting(mask=mask, image_shape=(40, 40)).resolve(image_shape=(3, 3))
    assert "\n" not in str(caught.value)


def test_check_real_refuses_nan():
    assert check_real("rate", 0.5, min_val=0) == 0.5
    with pytest.raises(ValueError, match="Got rate=nan, but expected a finite"):
        check_real("rate", float("nan"), min_val=0)
    with pytest.raises(ValueError, match=r"Got shape=\(\), but expected a tuple"):
        check_shape("shape", ())
