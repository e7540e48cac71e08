"""The dot test, which tells whether an adjoint is one."""

import torch

from ..utils.random import make_generator
from ._base import ForwardOperator


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
    """
    generator = make_generator(seed)
    operator = operator.resolve()

    def draw(shape):
        return torch.randn(shape, generator=generator, dtype=dtype).to(device)

    n_channels = operator._image_channels or n_channels
    x = draw((2, n_channels, *operator.image_shape))
    Ax = operator.forward(x)
    y = draw(Ax.shape)
    return max(_relative_error(operator, x, Ax, y) for y in (y, Ax))


def _relative_error(operator, x, Ax, y):
    error = (Ax * y).sum() - (x * operator.adjoint(y)).sum()
    norms = torch.linalg.norm(Ax) * torch.linalg.norm(y)
    # Of two zeros, the error is zero, too.
    return float(error.abs() / norms.clamp_min(torch.finfo(norms.dtype).tiny))
