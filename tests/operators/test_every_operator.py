"""What every operator has to satisfy."""

import copy
import pickle

import numpy as np
import pytest
import torch
from sklearn.base import clone

from sklearn_ei.operators import dot_test
from tests.cases import each_device, each_operator


def smooth_images(case):
    """Return a bump in the middle of the image, the same in every channel."""
    shape = case.operator.image_shape
    axes = torch.meshgrid(*(torch.linspace(-1, 1, n) for n in shape), indexing="ij")
    bump = torch.exp(-4 * sum(axis**2 for axis in axes))
    return bump.double().expand(1, case.n_channels, *shape)


@each_operator
@each_device
@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-10)]
)
def test_adjoint_passes_the_dot_test(case, device, dtype, tolerance):
    error = dot_test(case.operator, case.n_channels, dtype=dtype, device=device)
    assert error <= tolerance


@each_operator
def test_shapes_and_dtypes_follow_the_input(case):
    operator = case.operator
    for dtype in (torch.float32, torch.float64):
        x = torch.ones((3, case.n_channels, *operator.image_shape), dtype=dtype)
        y = operator.forward(x)
        assert y.shape[2:] == operator.measurement_shape
        assert y.dtype == operator.adjoint(y).dtype == operator.pinv(y).dtype == dtype
        assert operator.adjoint(y).shape == operator.pinv(y).shape == x.shape


@each_operator
@pytest.mark.parametrize("method", ["forward", "adjoint", "pinv"])
def test_first_and_second_derivatives(case, method):
    shape = (
        case.operator.image_shape
        if method == "forward"
        else case.operator.measurement_shape
    )
    channels = case.n_channels
    if method != "forward":
        probe = torch.zeros((1, channels, *case.operator.image_shape))
        channels = case.operator.forward(probe).shape[1]
    generator = torch.Generator().manual_seed(0)
    x = torch.randn((1, channels, *shape), generator=generator, dtype=torch.float64)
    x.requires_grad_()
    function = getattr(case.operator, method)
    assert torch.autograd.gradcheck(function, x, fast_mode=True)
    assert torch.autograd.gradgradcheck(function, x, fast_mode=True)


@each_operator
def test_pseudo_inverse_returns_the_measurements(case):
    y = case.operator.forward(smooth_images(case))
    returned = case.operator.forward(case.operator.pinv(y))
    error = torch.linalg.norm(returned - y) / torch.linalg.norm(y)
    assert error <= case.range_error


@each_operator
def test_refining_brings_images_closer_to_the_measurements(case):
    operator = case.operator
    y = operator.forward(smooth_images(case))
    x = torch.zeros((1, case.n_channels, *operator.image_shape), dtype=torch.float64)
    before = torch.linalg.norm(y)
    rounding = 1e-12 * before
    for _ in range(3):
        x = operator.refine(x, y)
        after = torch.linalg.norm(operator.forward(x) - y)
        assert after <= before * (1 + 1e-6) + rounding
        before = after


@each_operator
def test_is_linear_and_acts_on_samples_independently(case):
    generator = torch.Generator().manual_seed(1)
    shape = (2, case.n_channels, *case.operator.image_shape)
    x = torch.randn(shape, generator=generator, dtype=torch.float64)
    y = case.operator.forward(x)
    torch.testing.assert_close(
        case.operator.forward(2 * x[:1] - x[1:]), 2 * y[:1] - y[1:]
    )
    images = case.operator.pinv(y)
    torch.testing.assert_close(
        case.operator.pinv(2 * y[:1] - y[1:]), 2 * images[:1] - images[1:]
    )


@each_operator
def test_clone_pickle_and_copy_are_small_and_equal(case):
    operator = case.operator
    x = torch.ones((1, case.n_channels, *operator.image_shape))
    y = operator.forward(x)
    stored = pickle.dumps(operator)
    assert len(stored) <= 100_000
    for twin in (clone(operator), pickle.loads(stored), copy.deepcopy(operator)):
        assert torch.equal(twin.forward(x), y)
        assert repr(twin) == repr(operator)


@each_operator
def test_resolving_again_changes_nothing(case):
    again = case.operator.resolve(measurement_shape=case.operator.measurement_shape)
    assert again.image_shape == case.operator.image_shape
    assert again.measurement_shape == case.operator.measurement_shape


@each_operator
def test_wrong_shapes_and_dtypes_are_refused(case):
    operator = case.operator
    too_large = tuple(n + 1 for n in operator.image_shape)
    with pytest.raises(ValueError, match="got images of shape"):
        operator.forward(torch.zeros((1, case.n_channels, *too_large)))
    with pytest.raises(ValueError, match="got images of shape"):
        operator.forward(torch.zeros(operator.image_shape))
    if operator.image_channels != "any":
        expected = operator.image_layout.n_channels
        with pytest.raises(ValueError, match=f"batch, {expected}, "):
            operator.forward(torch.zeros((1, expected + 1, *operator.image_shape)))
    integers = torch.zeros(
        (1, case.n_channels, *operator.image_shape), dtype=torch.int64
    )
    with pytest.raises(ValueError, match="real floating-point"):
        operator.forward(integers)
    with pytest.raises(ValueError, match="image_shape"):
        operator.resolve(image_shape=too_large)


@each_operator
def test_numpy_side_agrees_with_tensors(case):
    x = smooth_images(case).float()
    images = x[:, 0] if case.n_channels == 1 else x.movedim(1, -1)
    y = case.operator.forward(x)
    expected = y[:, 0] if y.shape[1] == 1 else y.movedim(1, -1)
    measured = case.operator.measure(images.numpy())
    np.testing.assert_allclose(measured, expected.numpy(), rtol=1e-6)
    reconstructed = case.operator.reconstruct(measured)
    assert reconstructed.shape == tuple(images.shape)


@each_operator
def test_mean_squared_row_norm(case):
    operator = case.operator
    n = int(np.prod(operator.image_shape)) * case.n_channels
    columns = torch.eye(n).reshape(n, case.n_channels, *operator.image_shape)
    y = operator.forward(columns)
    exact = float(y.square().sum() / y[0].numel())
    assert operator.mean_squared_row_norm() == pytest.approx(exact, rel=0.1)
