"""The dot test, which tells whether an adjoint is one."""

import torch

from ..utils._random import make_generator


@torch.no_grad()
def dot_test(operator, n_channels=1, dtype=torch.float64, device="cpu", seed=0):
    """Return the relative error of ⟨A x, y⟩ = ⟨x, Aᵀ y⟩ for random x and y.

    Parameters
    ----------
    operator : ForwardOperator
        A resolved operator.
    n_channels : int, default=1
        Channels of x and y.
    dtype : torch.dtype, default=torch.float64
        Precision of the test.
    device : str or torch.device, default="cpu"
        Where to run it.
    seed : int, default=0
        Of the random x and y.

    Returns
    -------
    error : float
        |⟨A x, y⟩ − ⟨x, Aᵀ y⟩| / (‖A x‖ ‖y‖).
    """
    generator = make_generator(seed)

    def draw(shape):
        x = torch.randn((2, n_channels, *shape), generator=generator, dtype=dtype)
        return x.to(device)

    x, y = draw(operator.image_shape), draw(operator.measurement_shape)
    Ax, Aty = operator.forward(x), operator.adjoint(y)
    error = (Ax * y).sum() - (x * Aty).sum()
    return float(error.abs() / (torch.linalg.norm(Ax) * torch.linalg.norm(y)))
