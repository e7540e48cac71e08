"""A user's own matrix as a forward operator."""

import math
import warnings
from numbers import Integral
from types import SimpleNamespace

import numpy as np
import torch
from scipy import sparse
from scipy.sparse.linalg import LinearOperator, aslinearoperator
from sklearn.utils import check_scalar

from ..utils.device import Constants
from ..utils.params import brief, check_shape
from ..utils.random import make_generator
from ._base import ForwardOperator
from ._dot_test import adjoint_error
from ._iterative import chebyshev_pinv
from ._sparse import apply_sparse, torch_csr

# Dense matrices with m·n·min(m, n) up to this are inverted exactly: seconds.
_EXACT_COST = 1e10
_RTOL = 1e-6
_MAX_DOT_ERROR = 1e-3


class _ApplyLinearOperator(torch.autograd.Function):
    """x ↦ A x in NumPy with the backward pass Aᵀ, itself differentiable."""

    @staticmethod
    def forward(ctx, x, linear, transpose):
        ctx.linear, ctx.transpose = linear, transpose
        dtype = getattr(linear.dtype, "kind", None) == "f" and linear.dtype
        # A copy: the user's code must not write into tensors that autograd holds.
        columns = np.array(x.detach().cpu().numpy().T, dtype=dtype or "f8", order="C")
        rows = np.ascontiguousarray(np.asarray(linear.matmat(columns)).T)
        return torch.from_numpy(rows).to(device=x.device, dtype=x.dtype)

    @staticmethod
    def backward(ctx, grad):
        grad = _ApplyLinearOperator.apply(grad, ctx.transpose, ctx.linear)
        return grad, None, None


class _LinearConstants(Constants):
    """A ``LinearOperator`` and its transpose in the place of two tensors."""

    def __init__(self, linear):
        super().__init__()
        self._namespace = SimpleNamespace(A=linear, At=linear.H)

    def like(self, x):
        return self._namespace


class MatrixOperator(ForwardOperator):
    """Any real matrix, dense, sparse or matrix-free.

    Parameters
    ----------
    matrix : array-like, SciPy sparse array or LinearOperator, of shape (m, n)
        A, from the n pixels of an image in C order to m measurements. Anything
        that ``scipy.sparse.linalg.aslinearoperator`` takes will do, such as the
        operators of PyLops; it is called on the CPU, with matrices of samples.
    image_shape : tuple of int, default=None
        Spatial shape of the images, with n pixels. None: vectors (n,).
    measurement_shape : tuple of int, default=None
        Shape of one measurement, with m elements. None: vectors (m,).
    n_iterations : int, default=50
        Steps of the iterative pseudo-inverse, where there is no exact one.

    Notes
    -----
    - forward: A x;
    - adjoint: Aᵀ y;
    - pseudo-inverse: for dense matrices with m·n·min(m, n) ≤ 10¹⁰ (about
      2000 × 2000) exact, in float64, with singular values below 10⁻⁶ of the
      largest taken as zero. Otherwise ``n_iterations`` = k steps of Chebyshev's
      semi-iteration on AᵀA x = Aᵀy from zero. They are linear in y, unlike
      conjugate gradients: components whose singular value is above 3.2/k of the
      largest are restored to within 0.5 %, smaller ones are damped.

    When a ``LinearOperator`` is first used, the dot test compares its ``matvec``
    with its ``rmatvec``, and refuses it if they differ by more than 10⁻³.

    Copies, clones and operators resolved from this one share the matrix and
    all that is derived from it; nothing is computed twice. Treat the matrix as
    read-only. A pickle contains the matrix, but not what is derived from it.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_ei.operators import MatrixOperator
    >>> moving_sum = np.eye(4, 5) + np.eye(4, 5, k=1)
    >>> operator = MatrixOperator(moving_sum)
    >>> operator.measure([[1.0, 2.0, 3.0, 4.0, 5.0]])
    array([[3., 5., 7., 9.]], dtype=float32)
    """

    # A parameter here, where other operators derive it.
    measurement_shape = None

    def __init__(
        self, matrix, image_shape=None, measurement_shape=None, *, n_iterations=50
    ):
        self.matrix = matrix
        self.image_shape = image_shape
        self.measurement_shape = measurement_shape
        self.n_iterations = n_iterations

    @property
    def _image_n_dims(self):
        return None if self.image_shape is not None else 1

    @property
    def _measurement_n_dims(self):
        return None if self.measurement_shape is not None else 1

    # ----------------------------------------------------------------- copies
    def __sklearn_clone__(self):
        return type(self)(**self.get_params(deep=False))  # of the same matrix

    def __deepcopy__(self, memo):
        return self.__sklearn_clone__()

    # ----------------------------------------------------------------- shapes
    def _infer_shapes(self, image_shape, measurement_shape):
        check_scalar(self.n_iterations, "n_iterations", Integral, min_val=1)
        n_rows, n_columns = self._adapted.shape
        image_shape = self._check_size("image_shape", image_shape, n_columns, "columns")
        if self.measurement_shape is not None:
            own = self._check_size(
                "measurement_shape", self.measurement_shape, n_rows, "rows"
            )
            if measurement_shape is not None and tuple(measurement_shape) != own:
                raise ValueError(
                    f"MatrixOperator has measurement_shape={own}, but got measurements "
                    f"of shape {tuple(measurement_shape)}."
                )
            measurement_shape = own
        measurement_shape = self._check_size(
            "measurement_shape", measurement_shape, n_rows, "rows"
        )
        return image_shape, measurement_shape

    def _check_size(self, name, shape, size, what):
        if shape is None:
            return (size,)
        shape = check_shape(name, shape)
        if math.prod(shape) != size:
            raise ValueError(
                f"MatrixOperator got {name}={shape}, {math.prod(shape)} elements, but "
                f"expected the {size} of the matrix's {what}."
            )
        return shape

    def _fix_shapes(self, image_shape, measurement_shape):
        self.image_shape = image_shape
        self.measurement_shape = measurement_shape

    # ------------------------------------------------------------- the matrix
    def _depends_on(self):
        return ["matrix"]  # whatever the shapes are

    @property
    def _adapted(self):
        """The matrix, checked: an ndarray, a sparse array or a LinearOperator."""
        return self._derived("adapted", lambda: _adapt(self.matrix))

    def _build(self, image_shape, measurement_shape):
        matrix = self._adapted
        if isinstance(matrix, LinearOperator):
            _check_adjoint(matrix)
            return _LinearConstants(matrix)
        with warnings.catch_warnings():
            # Memory maps are read-only, and operators never write.
            warnings.filterwarnings("ignore", "The given NumPy array is not writable")
            if sparse.issparse(matrix):
                return Constants(A=torch_csr(matrix), At=torch_csr(matrix.T.tocsr()))
            return Constants(A=torch.from_numpy(matrix))

    @property
    def _inverse(self):
        """The exact pseudo-inverse as Constants; None where it is iterative."""
        return self._derived("inverse", self._build_inverse)

    def _build_inverse(self):
        matrix = self._adapted
        m, n = matrix.shape
        if not isinstance(matrix, np.ndarray) or m * n * min(m, n) > _EXACT_COST:
            return None
        inverse = np.linalg.pinv(matrix.astype(np.float64), rtol=_RTOL)
        return Constants(P=torch.from_numpy(inverse))

    def as_sparse(self):
        """Return the matrix where it is sparse, else None."""
        matrix = self._adapted
        return sparse.csr_array(matrix) if sparse.issparse(matrix) else None

    def _measured(self):
        matrix = self._adapted
        if not isinstance(matrix, np.ndarray):
            return super()._measured()
        return matrix.any(axis=1).reshape(1, *self._fixed.measurement_shape)

    @property
    def _refinement_spectrum(self):
        """‖B A‖, and whether B A is a projection."""
        return self._derived(
            "refinement",
            self._find_refinement_spectrum,
            lambda: ["matrix", "n_iterations"],
        )

    # -------------------------------------------------------- the mathematics
    def _forward(self, x, constants):
        return _product(x, constants, False).reshape(
            *x.shape[:2], *self.measurement_shape
        )

    def _adjoint(self, y, constants):
        return _product(y, constants, True).reshape(*y.shape[:2], *self.image_shape)

    def _pinv(self, y, constants):
        inverse = self._inverse
        if inverse is not None:
            flat = y.flatten(2) @ inverse.like(y).P.t()
            return flat.reshape(*y.shape[:2], *self.image_shape)
        return chebyshev_pinv(
            lambda x: self._forward(x, constants),
            lambda y: self._adjoint(y, constants),
            y,
            self.squared_norm(),
            self.n_iterations,
        )

    def mean_squared_row_norm(self):
        """Return ‖A‖_F²/m, exactly unless A is a ``LinearOperator``."""
        matrix = self._adapted
        if isinstance(matrix, LinearOperator):
            return super().mean_squared_row_norm()
        values = matrix.data if sparse.issparse(matrix) else matrix.ravel()
        return float(np.square(values, dtype=np.float64).sum() / matrix.shape[0])


def _product(x, constants, transposed):
    """Return A x, or Aᵀ x, with flattened samples: (batch · channel, size)."""
    flat = x.reshape(-1, math.prod(x.shape[2:]))
    if not hasattr(constants, "At"):
        return flat @ (constants.A if transposed else constants.A.t())
    A, At = constants.A, constants.At
    matrix, transpose = (At, A) if transposed else (A, At)
    if isinstance(matrix, LinearOperator):
        return _ApplyLinearOperator.apply(flat, matrix, transpose)
    return apply_sparse(flat, matrix, transpose)


def _adapt(matrix):
    """Return a real floating-point ndarray, sparse array or LinearOperator."""
    if not sparse.issparse(matrix) and not hasattr(matrix, "matvec"):
        try:
            matrix = np.asarray(matrix)
        except ValueError as error:  # rows of different lengths
            raise ValueError(
                f"Got matrix={brief(matrix)}, but expected a real 2-D array, sparse "
                "array or LinearOperator."
            ) from error
    kind = getattr(getattr(matrix, "dtype", None), "kind", "f")
    if kind not in "fiub" or len(getattr(matrix, "shape", ())) != 2:
        raise ValueError(
            f"Got matrix of type {type(matrix).__name__}, shape "
            f"{getattr(matrix, 'shape', None)} and dtype "
            f"{getattr(matrix, 'dtype', None)}, but expected a real 2-D array, sparse "
            "array or LinearOperator."
        )
    if 0 in matrix.shape:
        raise ValueError(
            f"Got an empty matrix of shape {tuple(matrix.shape)}, but expected at "
            "least one row and one column."
        )
    if hasattr(matrix, "matvec"):
        return aslinearoperator(matrix)
    if matrix.dtype not in (np.float32, np.float64):
        matrix = matrix.astype(np.float32)
    if isinstance(matrix, np.ndarray) and min(matrix.strides) < 0:
        matrix = matrix.copy()  # torch cannot step backwards
    if sparse.issparse(matrix):
        matrix = matrix.tocsr()
        if not matrix.has_canonical_format:  # the user's own stays as it is
            matrix = matrix.copy()
            matrix.sum_duplicates()
    if not np.isfinite(matrix.data if sparse.issparse(matrix) else matrix).all():
        raise ValueError(
            "Got a matrix with NaN or infinity, but expected finite values."
        )
    return matrix


def _check_adjoint(linear):
    apply = _ApplyLinearOperator.apply
    generator = make_generator(0)
    x = torch.randn((2, linear.shape[1]), generator=generator, dtype=torch.float64)
    try:
        error = adjoint_error(
            lambda x: apply(x, linear, linear.H),
            lambda y: apply(y, linear.H, linear),
            x,
            generator,
        )
    except (NotImplementedError, TypeError) as missing:
        # SciPy calls None where a LinearOperator was given no rmatvec.
        raise ValueError(
            f"Got a LinearOperator that cannot be called ({missing}), but expected one "
            "that defines matvec and rmatvec."
        ) from missing
    if not error <= _MAX_DOT_ERROR:  # NaN is refused as well
        raise ValueError(
            f"Got a LinearOperator whose rmatvec is not the transpose of its matvec: "
            f"⟨A x, y⟩ and ⟨x, Aᵀ y⟩ differ by {error:.2g} of ‖A x‖·‖y‖, but expected "
            f"at most {_MAX_DOT_ERROR}."
        )
