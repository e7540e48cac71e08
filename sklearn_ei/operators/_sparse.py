"""A sparse matrix and its transpose as one differentiable torch operation."""

import warnings

import numpy as np
import torch
from scipy import sparse

# From so many columns on, torch's weighted sums of rows outrun its CSR product on
# a CPU (measured with AVX-512, 16 float32 to a register).
_MANY_COLUMNS = 12
_FEW_ROWS = 16
_AS_ONE_NUMBER = {4: torch.float32, 8: torch.float64, 16: torch.complex128}


class _Apply(torch.autograd.Function):
    """x ↦ A x with the backward pass Aᵀ, itself differentiable."""

    @staticmethod
    def forward(ctx, x, product, transposed):
        ctx.product, ctx.transposed = product, transposed
        return product(x)

    @staticmethod
    def backward(ctx, grad):
        return _Apply.apply(grad, ctx.transposed, ctx.product), None, None


def apply_linear(x, product, transposed):
    """Return ``product(x)``; ``transposed`` is its gradient, and vice versa."""
    return _Apply.apply(x, product, transposed)


def as_columns(rows):
    """Return a contiguous (n, batch) tensor of rows (batch, n)."""
    if not 1 < len(rows) <= _FEW_ROWS:
        return rows.t().contiguous()
    # The same copy in three dimensions is up to four times as fast in torch.
    return rows.unsqueeze(2).permute(1, 2, 0).contiguous().squeeze(1)


def take_rows(tensor, numbers):
    """Return ``tensor[numbers]`` of a contiguous (n, k) tensor."""
    n_bytes = tensor.shape[1] * tensor.element_size()
    if n_bytes not in _AS_ONE_NUMBER:
        return tensor.index_select(0, numbers)
    # A row of up to 16 bytes moves as one number: four times as fast.
    # Flat first: the stride of an axis of length one may be any.
    wide = tensor.view(-1).view(_AS_ONE_NUMBER[n_bytes])
    return wide.index_select(0, numbers).view(tensor.dtype).view(-1, tensor.shape[1])


def sparse_product(matrix, columns):
    """Return the product of a CSR matrix and a contiguous (n, k) tensor."""
    many = columns.shape[1] >= _MANY_COLUMNS and columns.dtype == torch.float32
    if not many or columns.device.type != "cpu":
        return matrix @ columns
    return torch.nn.functional.embedding_bag(
        matrix.col_indices(),
        columns,
        matrix.crow_indices(),
        mode="sum",
        per_sample_weights=matrix.values(),
        include_last_offset=True,
    )


def apply_sparse(x, matrix, transpose):
    """Return ``x @ matrix.T`` for rows ``x`` of shape (batch, n).

    Parameters
    ----------
    x : torch.Tensor of shape (batch, n)
    matrix, transpose : torch.Tensor
        A of shape (m, n) and Aᵀ, both CSR: the transpose of a CSR product is
        much slower than a second CSR product.

    Returns
    -------
    torch.Tensor of shape (batch, m)
    """
    return apply_linear(
        x,
        lambda rows: sparse_product(matrix, as_columns(rows)).t(),
        lambda rows: sparse_product(transpose, as_columns(rows)).t(),
    )


def torch_csr(matrix):
    """Return a torch CSR tensor with int32 indices of a SciPy sparse array."""
    matrix = matrix.tocsr()
    matrix.sort_indices()
    with warnings.catch_warnings():
        # torch announces on first use that CSR support is in beta, and that it
        # does not check the invariants, which SciPy has just established.
        warnings.filterwarnings("ignore", "Sparse", UserWarning)
        return torch.sparse_csr_tensor(
            torch.from_numpy(matrix.indptr.astype(np.int32, copy=False)),
            torch.from_numpy(matrix.indices.astype(np.int32, copy=False)),
            torch.from_numpy(matrix.data),
            size=matrix.shape,
        )


def scipy_csr(tensor):
    """Return the SciPy array that shares the memory of a torch CSR tensor."""
    parts = tensor.values(), tensor.col_indices(), tensor.crow_indices()
    return sparse.csr_array(tuple(part.numpy() for part in parts), shape=tensor.shape)
