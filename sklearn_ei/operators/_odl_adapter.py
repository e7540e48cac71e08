"""The other way round: a forward operator as one of ODL's, for its solvers."""

import numpy as np
import torch

from ..utils.odl import import_odl
from ._odl_space import SpaceSide


def as_odl_operator(operator, domain, range):
    """Return a stack of A as an ``odl.Operator`` between two given spaces.

    Parameters
    ----------
    operator : ForwardOperator
        A, with its shapes fixed.
    domain : odl space of shape (n_samples, *image_shape)
        Or a product of such spaces, whose parts are the channels.
    range : odl space of shape (n_samples, *measurement_shape)
        Or a product of such spaces.

    Returns
    -------
    odl_operator : odl.Operator
        x ↦ A x on the CPU. Its ``adjoint`` is the one that belongs to the inner
        products of both spaces, A* y = Aᵀ(w_ran y) / w_dom with their weights w.
    """
    odl, _ = import_odl()

    class TensorOperator(odl.Operator):
        def __init__(self, source, target, function, adjoint):
            super().__init__(source.space, target.space, linear=True)
            self.sides = source, target
            self.functions = function, adjoint

        def _call(self, x):
            source, target = self.sides
            result = self.functions[0](_to_tensor(x, source))
            return target.element(_to_array(result, target))

        @property
        def adjoint(self):
            return TensorOperator(*self.sides[::-1], *self.functions[::-1])

    images, measurements = SpaceSide(domain, "domain"), SpaceSide(range, "range")

    def adjoint(y):
        weighted = y * _channel_axis(measurements)
        return operator.adjoint(weighted) / _channel_axis(images)

    return TensorOperator(images, measurements, operator.forward, adjoint)


def _channel_axis(side):
    """Return the weights of a space, as they apply to tensors."""
    if np.ndim(side.weights) == 0:
        return side.weights
    weights = torch.from_numpy(np.asarray(side.weights))
    return weights.unsqueeze(1) if side.n_parts is None else weights.movedim(0, 1)


def _to_tensor(element, side):
    """Return a tensor (n_samples, channel, *shape) of an element."""
    array = np.asarray(element.asarray())
    if side.n_parts is None:
        return torch.from_numpy(array[:, np.newaxis].copy())
    return torch.from_numpy(np.ascontiguousarray(np.moveaxis(array, 0, 1)))


def _to_array(tensor, side):
    """Return the array, parts first, of a tensor (n_samples, channel, *shape)."""
    array = tensor.numpy()
    return array[:, 0] if side.n_parts is None else np.moveaxis(array, 1, 0)
