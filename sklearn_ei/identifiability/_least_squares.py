"""Conjugate gradients for several right-hand sides at once."""

import torch

# Residuals are followed in float64; below this share they are rounding.
_TOLERANCE = 1e-9


def cgls(maps, y, n_iterations, budget, tolerance=_TOLERANCE):
    """Return z and y − B z of min ‖B z − y‖ for each row of ``y``.

    CGLS, started from zero, so that z converges to B†y. SciPy's ``lsmr`` takes
    one right-hand side; operators are several times faster on batches.

    Parameters
    ----------
    maps : tuple of callable
        B and Bᵀ, on rows.
    y : torch.Tensor of shape (k, m)
    n_iterations : int
        The most that are made.
    budget : Budget
    tolerance : float
        Stop when every ‖Bᵀ(y − B z)‖ is this share of ‖Bᵀ y‖.

    Returns
    -------
    z : torch.Tensor of shape (k, n)
    residual : torch.Tensor of shape (k, m)
        Its norm never grows: after any number of iterations ‖residual‖ is an
        upper bound of what is left in the end.
    n_iterations : int
        Iterations made.
    """
    apply, transpose = maps
    residual = y.clone()
    gradient = transpose(residual)
    direction = gradient.clone()
    z = torch.zeros_like(gradient)
    squared = gradient.square().sum(1, keepdim=True)
    goal = tolerance**2 * squared
    for iteration in range(n_iterations):
        budget.need()
        if (squared <= goal).all():
            return z, residual, iteration
        image = apply(direction)
        step = squared / image.square().sum(1, keepdim=True).clamp_min(1e-300)
        z += step * direction
        residual -= step * image
        gradient = transpose(residual)
        updated = gradient.square().sum(1, keepdim=True)
        direction = gradient + updated / squared.clamp_min(1e-300) * direction
        squared = updated
    return z, residual, n_iterations
