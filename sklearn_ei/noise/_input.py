"""Measurements as users have them, for who judges their noise."""

import torch

from ..utils.stack import LazyTensor, stack_to_tensor
from ..utils.stack_check import check_stack, check_tensor


def as_tensor(operator, y):
    """Return an operator with its shapes, and measurements as a tensor.

    Parameters
    ----------
    operator : ForwardOperator or RestrictedOperator
        A.
    y : array-like of shape (n_samples, *measurement_shape[, n_channels]), or \
            torch.Tensor or LazyTensor of shape (n_samples, channel, *measurement_shape)
        Measurements. Arrays are checked, and may settle shapes that A leaves open.

    Returns
    -------
    operator : ForwardOperator or RestrictedOperator
        Resolved.
    y : torch.Tensor or LazyTensor of shape (n_samples, channel, *measurement_shape)

    Raises
    ------
    TypeError, ValueError
        If an array is no stack of numbers, or does not fit the operator.
    """
    if isinstance(y, torch.Tensor | LazyTensor):
        if isinstance(y, torch.Tensor):
            check_tensor(y, "y", operator.measurement_layout.shape)
        if operator.measurement_layout.shape is None:
            operator = operator.resolve(measurement_shape=tuple(y.shape[2:]))
        return operator, y
    checked = check_stack(
        y,
        "y",
        "measurements",
        lazy=True,
        missing_ok=True,
        complex_ok=operator.has_complex_channels,
    )
    is_complex = checked.dtype.kind == "c"
    whole = operator.operator if hasattr(operator, "kept") else operator
    _, layout = whole.layouts(measurement=checked.shape[1:], is_complex=is_complex)
    if whole is operator:
        operator = operator.resolve(measurement_shape=layout.shape)
    return operator, stack_to_tensor(checked, layout)
