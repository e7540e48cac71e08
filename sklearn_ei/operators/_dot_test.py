"""The dot test, which tells whether an adjoint is one."""

import torch

from ..utils.random import make_generator
from ._base import ForwardOperator
from ._checks import check_operator


@torch.no_grad()
def dot_test(
    operator: ForwardOperator,
    n_channels: int = 1,
    dtype: torch.dtype = torch.float64,
    device: str | torch.device = "cpu",
    seed: int = 0,
) -> float:
    """Return the relative error of ⟨A x, y⟩ = ⟨x, Aᵀ y⟩ for random x.

    Parameters
    ----------
    operator : ForwardOperator
        An operator whose shapes are known.
    n_channels : int, default=1
        Channels of x, where the operator does not fix them itself.
    dtype : torch.dtype, default=torch.float64
        Precision of the test.
    device : str or torch.device, default="cpu"
        Where to run it.
    seed : int, default=0
        Of the random x and y.

    Returns
    -------
    error : float
        |⟨A x, y⟩ − ⟨x, Aᵀ y⟩| / (‖A x‖ ‖y‖), the larger one of a random y and of
        y = A x. A random y is almost orthogonal to A x where there are many
        measurements, and alone would hardly see a wrong scale.

    Raises
    ------
    ValueError
        If ``forward`` or ``adjoint`` returns tensors of another shape, or with
        other channels, than the operator declares (``image_shape``,
        ``measurement_shape``, ``image_channels``, ``measurement_channels``).
    """
    generator = make_generator(seed)
    operator = check_operator(operator).resolve()
    layouts = operator.image_layout, operator.measurement_layout
    images, measurements = (
        layout.settle(channels=n_channels) if layout.channels == "any" else layout
        for layout in layouts
    )
    x = torch.randn((2, *images.tensor_shape), generator=generator, dtype=dtype)
    return adjoint_error(
        lambda x: _as_declared(operator, "forward", x, measurements),
        lambda y: _as_declared(operator, "adjoint", y, images),
        x.to(device),
        generator,
    )


def adjoint_error(forward, adjoint, x, generator):
    """Return the error that :func:`dot_test` does, of two functions.

    Parameters
    ----------
    forward, adjoint : callable
        A and Aᵀ on tensors of any shapes.
    x : torch.Tensor
        What to apply A to.
    generator : torch.Generator
        Source of y, on the CPU.
    """
    Ax = forward(x)
    y = torch.randn(Ax.shape, generator=generator, dtype=Ax.dtype).to(Ax.device)
    return max(_relative_error(adjoint, x, Ax, y) for y in (y, Ax))


def _relative_error(adjoint, x, Ax, y):
    error = (Ax * y).sum() - (x * adjoint(y)).sum()
    norms = torch.linalg.norm(Ax) * torch.linalg.norm(y)
    # Of two zeros, the error is zero, too.
    return float(error.abs() / norms.clamp_min(torch.finfo(norms.dtype).tiny))


def _as_declared(operator, method, tensor, layout):
    """Call a method, and refuse a result that does not lie as was declared."""
    side = "measurement" if method == "forward" else "image"
    declared = (
        f"{type(operator).__name__} declares {side}s of shape {layout.shape} with "
        f"{side}_channels={getattr(operator, f'{side}_channels')!r}, so that {method} "
        f"of {len(tensor)} samples has to return {(len(tensor), *layout.tensor_shape)}"
    )
    try:
        result = getattr(operator, method)(tensor)
    except RuntimeError as error:  # of torch: sizes that do not go together
        raise ValueError(f"{declared}, but it failed: {error}") from error
    if result.shape != (len(tensor), *layout.tensor_shape):
        raise ValueError(f"{declared}, but it returned {tuple(result.shape)}.")
    return result
