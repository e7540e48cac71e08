"""A sparse matrix and its transpose as one differentiable torch operation."""

import warnings

import numpy as np
import torch
from scipy import sparse


class _Apply(torch.autograd.Function):
    """x ↦ A x with the backward pass Aᵀ, itself differentiable."""

    @staticmethod
    def forward(ctx, x, matrix, transpose):
        ctx.matrix, ctx.transpose = matrix, transpose
        return (matrix @ x.t().contiguous()).t()

    @staticmethod
    def backward(ctx, grad):
        return _Apply.apply(grad, ctx.transpose, ctx.matrix), None, None


def apply_sparse(x, matrix, transpose):
    """Return ``x @ matrix.T`` for rows ``x`` of shape (batch, n).

    Parameters
    ----------
    x : torch.Tensor of shape (batch, n)
    matrix, transpose : torch.Tensor
        A of shape (m, n) and Aᵀ, both CSR: the transpose of a CSR product is an
        order of magnitude slower than a second CSR product.

    Returns
    -------
    torch.Tensor of shape (batch, m)
    """
    return _Apply.apply(x, matrix, transpose)


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
