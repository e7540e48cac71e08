"""Layouts: arrays with channels last, tensors with channels first."""

import numpy as np
import pytest
import torch

from sklearn_ei.operators import Layout


@pytest.mark.parametrize(
    ("layout", "array_shape", "tensor_shape"),
    [
        (Layout((4, 5), "none"), (4, 5), (1, 4, 5)),
        (Layout((4, 5), 1), (4, 5, 1), (1, 4, 5)),
        (Layout((4, 5), 3), (4, 5, 3), (3, 4, 5)),
        (Layout((7,), 2), (7, 2), (2, 7)),
    ],
)
def test_there_and_back(layout, array_shape, tensor_shape):
    stack = np.random.default_rng(0).random((2, *array_shape), dtype=np.float32)
    tensor = layout.to_tensor(stack)
    assert layout.array_shape == array_shape
    assert layout.tensor_shape == tuple(tensor.shape[1:]) == tensor_shape
    assert tensor.dtype == torch.float32
    for channel in range(layout.n_channels):
        part = stack[..., channel] if layout.has_channel_axis else stack
        np.testing.assert_array_equal(tensor[:, channel].numpy(), part)
    np.testing.assert_array_equal(layout.to_array(tensor), stack)
    tensor += 1
    assert stack.max() < 1  # a copy


@pytest.mark.parametrize(
    ("layout", "sample", "n_dims", "expected"),
    [
        (Layout(), (9,), None, Layout((9,), "none")),
        (Layout(), (9, 8), None, Layout((9, 8), "none")),
        (Layout(), (9, 8, 2), None, Layout((9, 8), 2)),
        (Layout(), (9, 8, 2), 3, Layout((9, 8, 2), "none")),
        (Layout(), (9, 2), 1, Layout((9,), 2)),
        (Layout((9,)), (9, 2), None, Layout((9,), 2)),
        (Layout((9,)), (8, 2), None, Layout((8,), 2)),  # resolve tells
        (Layout(None, 2), (9, 8, 2), None, Layout((9, 8), 2)),
        (Layout(None, 2), (9, 2), None, Layout((9,), 2)),
        (Layout(None, "none"), (9, 8, 2), None, Layout((9, 8, 2), "none")),
        (Layout((9, 8), "none"), (9, 8), None, Layout((9, 8), "none")),
    ],
)
def test_a_sample_settles_a_layout(layout, sample, n_dims, expected):
    settled = layout.of_sample(sample, n_dims=n_dims)
    assert settled == expected


@pytest.mark.parametrize(
    ("layout", "sample", "message"),
    [
        (Layout((9, 8)), (9,), "expected 2 axes.*passed as a stack of one"),
        (Layout((9, 8)), (9, 8, 2, 2), "at most one channel axis behind"),
        (Layout(), (9, 0), r"samples of shape \(9, 0\)"),
        (Layout((9, 8), 3), (9, 8), "got images with no channel axis, but expected 3"),
        (Layout((9, 8), 3), (9, 8, 2), "with 2 channels, but expected 3 channels al"),
        (Layout((9, 8), "none"), (9, 8, 2), "2 channels, but expected no channel axis"),
    ],
)
def test_samples_that_cannot_be_are_refused(layout, sample, message):
    with pytest.raises(ValueError, match=message):
        layout.of_sample(sample, "image")


@pytest.mark.parametrize("channels", [0, -1, 2.0, True, None, "all"])
def test_channels_are_any_none_or_a_number(channels):
    with pytest.raises(ValueError, match="but expected 'any', 'none' or a positive"):
        Layout((4, 4), channels)
