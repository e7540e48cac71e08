"""ODL operators applied to tensors, sample by sample, with true transposes."""

import numpy as np
import torch

from ..utils.odl import import_odl


class SpaceSide:
    """Shape, parts and weights of one real ODL space.

    Attributes
    ----------
    shape : tuple
        Of an element, or of one part of a product space.
    n_parts : int or None
        Parts of a product space; None for a plain space.
    weights : float or ndarray
        Of the inner product, with the parts first.
    """

    def __init__(self, space, what):
        odl, _ = import_odl()
        self.space = space
        product = isinstance(space, odl.ProductSpace)
        self.n_parts = len(space) if product else None
        parts = list(space) if product else [space]
        shapes = {getattr(part, "shape", None) for part in parts}
        nested = any(isinstance(part, odl.ProductSpace) for part in parts)
        if nested or len(shapes) != 1 or None in shapes:
            raise ValueError(
                f"Got an ODL operator with {what} {space!r}, but expected a space of "
                "arrays, or a product of such spaces with equal shapes."
            )
        self.shape = tuple(shapes.pop())
        dtypes = {np.dtype(part.dtype_identifier) for part in parts}
        if len(dtypes) != 1 or next(iter(dtypes)).kind != "f":
            raise ValueError(
                f"Got an ODL operator with {what} {space!r}, but expected real "
                "floating-point arrays of one dtype."
            )
        self.dtype = dtypes.pop()
        weights = [_weights(part, what) for part in parts]
        if product:
            own = np.broadcast_to(_weights(space, what), (len(parts),))
            weights = [w * o for w, o in zip(weights, own, strict=True)]
            self.weights = np.stack([np.broadcast_to(w, self.shape) for w in weights])
        else:
            self.weights = weights[0]

    def element(self, array):
        """Return an element of an array of shape (*shape) or (n_parts, *shape)."""
        return self.space.element(np.ascontiguousarray(array, dtype=self.dtype))


def _weights(space, what):
    """Return the weights of a space's inner product, a number or an array."""
    weighting = getattr(space, "weighting", None)
    if getattr(weighting, "exponent", 2.0) == 2.0:
        if hasattr(weighting, "const"):
            return float(weighting.const)
        if hasattr(weighting, "array"):
            return np.asarray(weighting.array, dtype=np.float64)
    raise ValueError(
        f"Got an ODL operator with {what} weighting {weighting!r}, but expected "
        "constant or array weights with exponent 2."
    )


class NumpySide:
    """A linear ODL operator and its transpose on batches of tensors.

    Parameters
    ----------
    op : odl.Operator
        Linear, between real spaces.
    """

    def __init__(self, op):
        odl, _ = import_odl()
        if not isinstance(op, odl.Operator):
            raise TypeError(f"Got op={op!r}, but expected an odl.Operator.")
        if not op.is_linear:
            raise ValueError(
                f"Got the non-linear ODL operator {type(op).__name__}, but expected a "
                "linear one."
            )
        self.op = op
        self.domain = SpaceSide(op.domain, "domain")
        self.range = SpaceSide(op.range, "range")

    def forward(self, x):
        """Return A x for a tensor (batch, channel, *domain shape)."""
        return _Loop.apply(x, self, False)

    def adjoint(self, y):
        """Return Aᵀ y for a tensor (batch, channel, *range shape)."""
        return _Loop.apply(y, self, True)

    def _call(self, array, transpose):
        if not transpose:
            return self.op(self.domain.element(array)).asarray()
        result = self.op.adjoint(self.range.element(array / self.range.weights))
        return self.domain.weights * np.asarray(result.asarray())

    def apply(self, tensor, transpose):
        """Return A or Aᵀ of every sample, without a gradient."""
        source, target = self.domain, self.range
        if transpose:
            source, target = target, source
        arrays = tensor.detach().cpu().numpy()
        n_channels = target.n_parts or (1 if source.n_parts else tensor.shape[1])
        if source.n_parts is None:
            arrays = arrays.reshape(-1, *source.shape)
        results = np.empty(
            (len(arrays), *((n_channels,) if target.n_parts else ()), *target.shape),
            dtype=arrays.dtype,
        )
        for result, array in zip(results, arrays, strict=True):
            result[...] = self._call(array, transpose)
        shape = (len(tensor), n_channels, *target.shape)
        return torch.from_numpy(results.reshape(shape)).to(tensor.device)

    def dot_test(self, seed=0):
        """Return |⟨A x, y⟩ − ⟨x, Aᵀ y⟩| / (‖A x‖ ‖y‖), in Euclidean products."""
        rng = np.random.RandomState(seed)
        errors = []
        for _ in range(2):
            x = rng.standard_normal(self.op.domain.shape)
            y = rng.standard_normal(self.op.range.shape)
            Ax, Aty = self._call(x, False), self._call(y, True)
            scale = np.linalg.norm(Ax) * np.linalg.norm(y)
            errors.append(abs(np.vdot(Ax, y) - np.vdot(x, Aty)) / max(scale, 1e-30))
        return max(errors)


class _Loop(torch.autograd.Function):
    """A or Aᵀ of a :class:`NumpySide`; the gradient is the other one."""

    @staticmethod
    def forward(ctx, tensor, side, transpose):
        ctx.side, ctx.transpose = side, transpose
        return side.apply(tensor, transpose)

    @staticmethod
    def backward(ctx, grad):
        return _Loop.apply(grad, ctx.side, not ctx.transpose), None, None
