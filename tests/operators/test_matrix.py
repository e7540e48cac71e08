"""MatrixOperator against NumPy and SciPy."""

import copy
import pickle
import re

import numpy as np
import pytest
import torch
from scipy import sparse
from scipy.sparse.linalg import LinearOperator, aslinearoperator
from sklearn.base import clone

from sklearn_ei.operators import MatrixOperator
from sklearn_ei.operators import _matrix as module

A = np.random.default_rng(0).normal(size=(12, 20))
KINDS = {
    "list": A.tolist(),
    "dense": A,
    "float32": A.astype(np.float32),
    "fortran": np.asfortranarray(A),
    "backwards": A[::-1].copy()[::-1],
    "csr": sparse.csr_array(A),
    "coo": sparse.coo_array(A),
    "csr_matrix": sparse.csr_matrix(A),
    "linear": aslinearoperator(A),
}
each_kind = pytest.mark.parametrize("matrix", KINDS.values(), ids=KINDS)


class Diagonal:
    """What PyLops and others offer: shape, dtype, matvec and rmatvec."""

    dtype = np.dtype(np.float64)

    def __init__(self, values):
        self.values = values
        self.shape = (len(values), len(values))

    def matvec(self, x):
        return self.values * x.reshape(-1)

    rmatvec = matvec


@each_kind
def test_agrees_with_numpy(matrix):
    operator = MatrixOperator(matrix, (4, 5), (3, 4))
    images = np.random.default_rng(1).normal(size=(3, 4, 5))
    Y = operator.measure(images)
    expected = (images.reshape(3, 20) @ A.T).reshape(3, 3, 4)
    np.testing.assert_allclose(Y, expected, rtol=1e-4, atol=1e-5)
    y = torch.from_numpy(expected)[:, None]
    expected = (expected.reshape(3, 12) @ A).reshape(3, 1, 4, 5)
    np.testing.assert_allclose(operator.adjoint(y), expected, rtol=1e-5, atol=1e-5)


@each_kind
def test_without_shapes_samples_are_vectors(matrix):
    operator = MatrixOperator(matrix)
    x = np.ones((2, 20))
    np.testing.assert_allclose(operator.measure(x), x @ A.T, rtol=1e-4, atol=1e-5)
    assert operator.forward(torch.ones((1, 2, 20))).shape == (1, 2, 12)
    assert operator.reconstruct(np.ones((2, 12, 3))).shape == (2, 20, 3)


def test_objects_with_matvec_are_adapted():
    values = np.arange(1.0, 7.0)
    operator = MatrixOperator(Diagonal(values), (2, 3))
    np.testing.assert_allclose(
        operator.measure(np.ones((1, 2, 3))), values[None], rtol=1e-6
    )


def test_pinv_of_a_dense_matrix_is_exact():
    y = np.random.default_rng(1).normal(size=(1, 1, 12))
    expected = np.linalg.lstsq(A, y.ravel(), rcond=None)[0]
    actual = MatrixOperator(A).pinv(torch.from_numpy(y))
    np.testing.assert_allclose(actual.ravel(), expected, rtol=1e-10)


@pytest.mark.parametrize("kind", ["csr", "linear", "dense"])
def test_iterative_pinv_approaches_the_exact_one(kind, monkeypatch):
    monkeypatch.setattr(module, "_EXACT_COST", 0)
    y = np.random.default_rng(1).normal(size=(1, 1, 12))
    exact = np.linalg.pinv(A) @ y.ravel()
    errors = []
    for n_iterations in (5, 25, 80):
        operator = MatrixOperator(KINDS[kind], n_iterations=n_iterations)
        x = operator.pinv(torch.from_numpy(y)).numpy().ravel()
        errors.append(np.linalg.norm(x - exact) / np.linalg.norm(exact))
    # The smallest singular value is 0.17 of the largest: 3/5 does not reach it.
    assert errors[0] > 0.05
    assert max(errors[1:]) < 0.005


def test_iterative_pinv_restores_what_the_documentation_says():
    singular_values = np.array([1.0, 0.5, 0.065, 0.01, 0.0])
    operator = MatrixOperator(sparse.diags_array(singular_values), n_iterations=50)
    y = torch.from_numpy(singular_values).reshape(1, 1, 5)
    share = operator.pinv(y).ravel().numpy()
    np.testing.assert_allclose(share[:3], 1, atol=0.005)
    assert 0 < share[3] < 0.5  # damped: its inverse would amplify noise most
    assert share[4] == 0


@pytest.mark.parametrize("matrix", [np.zeros((3, 4)), sparse.csr_array((3, 4))])
def test_zero_matrix_reconstructs_zeros(matrix):
    assert not MatrixOperator(matrix).reconstruct(np.ones((1, 3))).any()


@pytest.mark.parametrize("kind", ["dense", "csr", "linear"])
def test_copies_share_the_matrix_and_what_follows_from_it(kind, monkeypatch):
    operator = MatrixOperator(KINDS[kind], (4, 5))
    twins = [clone(operator), copy.deepcopy(operator), operator.resolve()]
    y = torch.ones((1, 1, 12))
    expected = operator.pinv(y)
    monkeypatch.setattr(module, "_adapt", None)  # nothing is derived again
    monkeypatch.setattr(MatrixOperator, "_build_inverse", None)
    for twin in twins:
        assert twin.matrix is operator.matrix
        assert torch.equal(twin.pinv(y), expected)


def test_a_changed_parameter_is_not_shared():
    operator = MatrixOperator(A)
    x = torch.ones((1, 1, 20))
    y = operator.forward(x)
    twin = clone(operator).set_params(matrix=2 * A)
    torch.testing.assert_close(twin.forward(x), 2 * y)
    torch.testing.assert_close(operator.forward(x), y)


def test_pickles_hold_the_matrix_but_nothing_derived():
    operator = MatrixOperator(A)
    before = len(pickle.dumps(operator))
    y = torch.ones((1, 1, 12))
    x = operator.pinv(y)
    stored = pickle.dumps(operator)
    assert A.nbytes <= len(stored) <= before + 100
    assert torch.equal(pickle.loads(stored).pinv(y), x)


def test_the_users_matrix_stays_as_it_is():
    unsorted = sparse.csr_array(([1.0, 2.0], [1, 0], [0, 2]), shape=(1, 2))
    MatrixOperator(unsorted).measure(np.ones((1, 2)))
    assert unsorted.indices.tolist() == [1, 0]


@pytest.mark.parametrize("kind", ["dense", "csr"])
def test_read_only_matrices_are_taken(kind):
    matrix = KINDS[kind].copy()
    (matrix.data if kind == "csr" else matrix).flags.writeable = False
    assert MatrixOperator(matrix).measure(np.ones((1, 20))).shape == (1, 12)


def test_users_code_gets_arrays_of_its_own():
    def spoil(x):
        y = A @ x
        x[:] = 0
        return y

    operator = MatrixOperator(
        LinearOperator(
            A.shape, matvec=spoil, rmatvec=lambda y: A.T @ y, matmat=spoil, dtype=float
        )
    )
    x = torch.ones((1, 1, 20), dtype=torch.float64)
    operator.forward(x)
    assert (x == 1).all()


@pytest.mark.parametrize(
    ("rmatvec", "error"),
    [
        (lambda y: 0.9 * (A.T @ y), "0.1"),  # only the scale is wrong
        (lambda y: np.linalg.pinv(A) @ y, None),  # an inverse, no adjoint
    ],
)
def test_a_wrong_adjoint_is_refused_with_its_error(rmatvec, error):
    linear = LinearOperator(
        A.shape, matvec=lambda x: A @ x, rmatvec=rmatvec, dtype=np.float64
    )
    operator = MatrixOperator(linear)
    for _ in range(2):  # the second call has not forgotten
        with pytest.raises(ValueError, match="not the transpose") as raised:
            operator.measure(np.ones((1, 20)))
    measured = re.search(r"differ by (\S+) of", str(raised.value)).group(1)
    assert float(measured) > 1e-3
    assert error is None or measured == error


def test_a_slightly_wrong_adjoint_is_taken():
    linear = LinearOperator(
        A.shape,
        matvec=lambda x: A @ x,
        rmatvec=lambda y: (1 + 1e-5) * (A.T @ y),
        dtype=np.float64,
    )
    assert MatrixOperator(linear).measure(np.ones((1, 20))).shape == (1, 12)


def test_a_missing_adjoint_is_refused():
    linear = LinearOperator(A.shape, matvec=lambda x: A @ x, dtype=np.float64)
    with pytest.raises(
        ValueError, match="expected one that defines matvec and rmatvec"
    ):
        MatrixOperator(linear).measure(np.ones((1, 20)))


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"matrix": np.ones(3)}, r"shape \(3,\)"),
        ({"matrix": np.ones((3, 4)) * 1j}, "complex128"),
        ({"matrix": aslinearoperator(A * 1j)}, "complex128"),
        ({"matrix": "abc"}, "real 2-D array"),
        ({"matrix": None}, "real 2-D array"),
        ({"matrix": [[1], [1, 2]]}, r"matrix=\[\[1\], \[1, 2\]\], but expected a real"),
        ({"matrix": np.ones((0, 4))}, "empty matrix"),
        ({"matrix": np.full((3, 4), np.nan)}, "NaN"),
        ({"matrix": sparse.csr_array([[np.inf, 1.0]])}, "infinity"),
        ({"matrix": A, "image_shape": (4, 4)}, "expected the 20 of"),
        ({"matrix": A, "measurement_shape": (4, 4)}, "expected the 12 of"),
        ({"matrix": A, "n_iterations": 0}, "n_iterations == 0"),
    ],
)
def test_bad_parameters_are_refused(parameters, message):
    with pytest.raises(ValueError, match=message):
        MatrixOperator(**parameters).resolve()


def test_other_measurement_shapes_are_refused():
    operator = MatrixOperator(A, (4, 5), (3, 4))
    with pytest.raises(ValueError, match=r"measurement_shape=\(3, 4\)"):
        operator.resolve(measurement_shape=(4, 3))
