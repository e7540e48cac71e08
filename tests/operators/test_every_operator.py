"""What every operator has to satisfy."""

import copy
import pickle

import numpy as np
import pytest
import torch
from sklearn.base import clone

from sklearn_ei.operators import Layout, MatrixOperator, dot_test
from tests.cases import each_device, each_operator


def smooth_images(case):
    """Return a bump in the middle of the image, the same in every channel."""
    shape = case.operator.image_layout.shape
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
        x = torch.ones((3, case.n_channels, *operator.image_layout.shape), dtype=dtype)
        y = operator.forward(x)
        assert y.shape[2:] == operator.measurement_shape
        assert y.dtype == operator.adjoint(y).dtype == operator.pinv(y).dtype == dtype
        assert operator.adjoint(y).shape == operator.pinv(y).shape == x.shape


@each_operator
@pytest.mark.parametrize("method", ["forward", "adjoint", "pinv"])
def test_first_and_second_derivatives(case, method):
    shape = (
        case.operator.image_layout.shape
        if method == "forward"
        else case.operator.measurement_shape
    )
    channels = case.n_channels
    if method != "forward":
        probe = torch.zeros((1, channels, *case.operator.image_layout.shape))
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
    x = torch.zeros(
        (1, case.n_channels, *operator.image_layout.shape), dtype=torch.float64
    )
    before = torch.linalg.norm(y)
    rounding = 1e-12 * before
    for _ in range(3):
        x = operator.refine(x, y)
        after = torch.linalg.norm(operator.forward(x) - y)
        assert after <= before * (1 + 1e-6) + rounding
        before = after


@each_operator
def test_fifty_refinements_from_zero_do_not_diverge(case):
    operator = case.operator
    y = operator.forward(smooth_images(case))
    x = torch.zeros((1, case.n_channels, *operator.image_layout.shape)).double()
    for _ in range(50):
        x = operator.refine(x, y)
    left = torch.linalg.norm(operator.forward(x) - y) / torch.linalg.norm(y)
    assert left <= max(case.range_error, 1e-6)


@each_operator
@pytest.mark.parametrize("n_steps", [2, 3, 5])
def test_several_steps_of_refining_leave_no_more_than_there_was(case, n_steps):
    """On an eigenvector of B A they leave p(λ) with |p| ≤ 1, or nothing."""
    operator = case.operator
    y = operator.forward(smooth_images(case))
    x = torch.zeros((1, case.n_channels, *operator.image_layout.shape)).double()
    x = operator.refine(x, y, n_steps)
    left = torch.linalg.norm(operator.forward(x) - y) / torch.linalg.norm(y)
    assert left <= 1 + 1e-6
    if len(operator.refinement_steps(n_steps)) == 1:
        assert left <= max(case.range_error, 1e-6)


@pytest.mark.parametrize(("noisy", "low"), [(False, 0.05), (True, 0.3)])
@pytest.mark.parametrize("n_steps", [2, 3, 4])
def test_several_steps_are_those_of_the_chebyshev_polynomial(n_steps, noisy, low):
    """What they leave of eigenvectors is T_n on [a L, L], one at 0."""

    class Plain(MatrixOperator):
        def _pinv(self, y, constants):
            return self._adjoint(y, constants)

    eigenvalues = np.array([0.1, 0.3, 0.8, 1.7])
    operator = Plain(np.diag(np.sqrt(eigenvalues)), (4,), (4,))
    y = operator.forward(torch.ones((1, 1, 4), dtype=torch.float64))
    x = torch.zeros((1, 1, 4), dtype=torch.float64)
    x = operator.refine(x, y, n_steps, noisy=noisy)
    cheb = np.polynomial.Chebyshev.basis(n_steps, domain=[low * 1.7, 1.7])
    np.testing.assert_allclose(
        1 - x.numpy().ravel(), cheb(eigenvalues) / cheb(0), atol=1e-4
    )


@pytest.mark.parametrize("factor", [0.5, 2.2, 3.5, 40.0])
def test_the_step_of_refining_makes_up_for_an_inverse_of_any_scale(factor):
    class Scaled(MatrixOperator):
        def _pinv(self, y, constants):
            return factor * super()._pinv(y, constants)

    matrix = np.random.default_rng(0).normal(size=(6, 10))
    operator = Scaled(matrix, (10,), (6,))
    # B A is `factor` times a projection, and w·factor has to stay below 2.
    (step,) = operator.refinement_steps(1)
    assert step == pytest.approx(min(1, 1.8 / factor), rel=1e-3)
    y = torch.from_numpy(np.random.default_rng(1).normal(size=(1, 1, 6)))
    x = torch.zeros((1, 1, 10), dtype=torch.float64)
    for _ in range(50):
        x = operator.refine(x, y)
    torch.testing.assert_close(operator.forward(x), y, rtol=0, atol=1e-4)


@each_operator
@each_device
@pytest.mark.parametrize("method", ["forward", "adjoint", "pinv", "refine"])
def test_autocast_changes_nothing(case, device, method):
    generator = torch.Generator().manual_seed(3)
    shape = (2, case.n_channels, *case.operator.image_layout.shape)
    x = torch.randn(shape, generator=generator).to(device)
    arguments = [x] if method == "forward" else [case.operator.forward(x)]
    if method == "refine":
        arguments.insert(0, torch.zeros_like(x))
    function = getattr(case.operator, method)
    expected = function(*arguments)
    with torch.autocast(device, dtype=torch.bfloat16):
        result = function(*arguments)
    assert result.dtype == torch.float32
    # Eight bits of a bfloat16 number would leave an error of 1e-3.
    torch.testing.assert_close(result, expected, rtol=1e-5, atol=1e-6)


@each_operator
def test_is_linear_and_acts_on_samples_independently(case):
    generator = torch.Generator().manual_seed(1)
    shape = (2, case.n_channels, *case.operator.image_layout.shape)
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
def test_layouts_say_what_arrays_and_tensors_look_like(case):
    operator = case.operator
    image, measurement = operator.image_layout, operator.measurement_layout
    assert image.shape is not None
    assert measurement.shape == operator.measurement_shape
    channels = case.n_channels
    if image.channels == "any" and channels == 1:
        channels = "none"
    given = Layout(image.shape, channels if image.channels == "any" else image.channels)
    settled = operator.layouts(image=given.array_shape)
    x = torch.zeros((1, *settled[0].tensor_shape))
    assert settled[0] == given
    assert settled[1].channels != "any"
    assert operator.forward(x).shape[1:] == settled[1].tensor_shape
    assert operator.layouts(measurement=settled[1].array_shape) == settled
    if image.channels == "any":
        assert operator.layouts() == (image, measurement)
        return
    with pytest.raises(ValueError, match=r"got images with .*, but expected"):
        operator.layouts(image=(*image.shape, 7))
    with pytest.raises(ValueError, match=r"got measurements with .*, but expected"):
        operator.layouts(measurement=(*measurement.shape, 7))


def dense(case):
    """Return A for all channels, (m, n), in float64."""
    shape = (case.n_channels, *case.operator.image_layout.shape)
    n = int(np.prod(shape))
    columns = case.operator.forward(
        torch.eye(n, dtype=torch.float64).reshape(n, *shape)
    )
    return columns.reshape(n, -1).T.numpy()


@each_operator
def test_the_sparse_matrix_is_A_of_one_channel(case):
    matrix = case.operator.as_sparse()
    stored = ("parallel", "fan", "odl-parallel", "sparse", "inpainting-mask")
    assert case.name not in stored or matrix is not None
    if matrix is not None:
        A = dense(case)
        m, n = (size // case.n_channels for size in A.shape)
        assert matrix.format == "csr"
        np.testing.assert_allclose(matrix.toarray(), A[:m, :n], atol=1e-7)


@each_operator
def test_measured_entries_are_the_rows_that_are_not_zero(case):
    operator = case.operator
    each = operator.measured_entries(each_channel=True)
    assert each.dtype == bool
    assert each.shape == operator.measurement_layout.tensor_shape
    np.testing.assert_array_equal(operator.measured_entries(), each.any(axis=0))
    rows = (np.abs(dense(case)) > 1e-12).any(axis=1)
    rows = rows.reshape(-1, *operator.measurement_shape)
    np.testing.assert_array_equal(np.broadcast_to(each, rows.shape), rows)
    if case.name.startswith(("inpainting", "mri", "snapshot")):
        assert operator.n_measurements == each.sum()


@each_operator
def test_what_stands_where_nothing_is_measured_makes_no_difference(case):
    operator = case.operator
    unseen = torch.from_numpy(~operator.measured_entries(each_channel=True))
    if not case.name.startswith(("inpainting", "mri", "snapshot")):
        return  # filters of projections look at every bin
    y = operator.forward(smooth_images(case))
    spoiled = torch.where(unseen, 1e3, y)
    x = torch.zeros((1, case.n_channels, *operator.image_layout.shape)).double()
    torch.testing.assert_close(operator.adjoint(spoiled), operator.adjoint(y))
    torch.testing.assert_close(operator.pinv(spoiled), operator.pinv(y))
    torch.testing.assert_close(operator.refine(x, spoiled), operator.refine(x, y))


@each_operator
def test_the_squared_norm_is_an_upper_bound(case):
    largest = np.linalg.norm(dense(case), 2) ** 2
    assert largest <= case.operator.squared_norm() <= 1.11 * largest


@each_operator
def test_orthogonal_rows_are_declared_where_they_are(case):
    A = dense(case)
    gram = A @ A.T
    A = torch.from_numpy(A)
    layout = case.operator.measurement_layout
    channels = len(A) // int(np.prod(layout.shape))
    y = torch.eye(len(A)).double().reshape(-1, channels, *layout.shape)
    B = case.operator.pinv(y).reshape(len(A), -1).T
    diagonal = np.abs(gram - np.diag(np.diag(gram))).max() <= 1e-6 * gram.max()
    exact = torch.dist(B, torch.linalg.pinv(A, rtol=1e-5)) <= 1e-5 * torch.norm(B)
    if case.operator.has_orthogonal_rows:
        assert diagonal
        assert exact


@each_operator
def test_clone_pickle_and_copy_are_small_and_equal(case):
    operator = case.operator
    x = torch.ones((1, case.n_channels, *operator.image_layout.shape))
    y = operator.forward(x)
    stored = pickle.dumps(operator)
    assert len(stored) <= 100_000
    for twin in (clone(operator), pickle.loads(stored), copy.deepcopy(operator)):
        assert torch.equal(twin.forward(x), y)
        assert repr(twin) == repr(operator)


@each_operator
def test_resolving_again_changes_nothing(case):
    again = case.operator.resolve(measurement_shape=case.operator.measurement_shape)
    assert again.image_shape == case.operator.image_layout.shape
    assert again.measurement_shape == case.operator.measurement_shape


@each_operator
def test_wrong_shapes_and_dtypes_are_refused(case):
    operator = case.operator
    too_large = tuple(n + 1 for n in operator.image_layout.shape)
    with pytest.raises(ValueError, match="got images of shape"):
        operator.forward(torch.zeros((1, case.n_channels, *too_large)))
    with pytest.raises(ValueError, match="got images of shape"):
        operator.forward(torch.zeros(operator.image_layout.shape))
    if operator.image_channels != "any":
        expected = operator.image_layout.n_channels
        with pytest.raises(ValueError, match=f"batch, {expected}, "):
            operator.forward(
                torch.zeros((1, expected + 1, *operator.image_layout.shape))
            )
    integers = torch.zeros(
        (1, case.n_channels, *operator.image_layout.shape), dtype=torch.int64
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
    n = int(np.prod(operator.image_layout.shape)) * case.n_channels
    columns = torch.eye(n).reshape(n, case.n_channels, *operator.image_layout.shape)
    y = operator.forward(columns)
    exact = float(y.square().sum() / y[0].numel())
    assert operator.mean_squared_row_norm() == pytest.approx(exact, rel=0.1)
