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
        Channels of x.
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
        x = torch.randn((2, *shape), generator=generator, dtype=dtype)
        return x.to(device)

    x = draw((n_channels, *operator.image_shape))
    Ax = operator.forward(x)
    y = draw(Ax.shape[1:])  # which may have other channels than the images
    Aty = operator.adjoint(y)
    error = (Ax * y).sum() - (x * Aty).sum()
    return float(error.abs() / (torch.linalg.norm(Ax) * torch.linalg.norm(y)))
