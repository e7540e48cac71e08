"""Least squares over non-negative images, for a batch."""

import torch

# Iterations between two looks at the gradient, each of which costs one A and one Aᵀ.
_CHECK_EVERY = 10


def nonnegative_least_squares(
    forward, adjoint, data, *, squared_norm, tol, n_iterations
):
    """Return min ‖A x − b‖² over x ≥ 0, by accelerated projected gradients.

    FISTA from zero, whose momentum starts anew in each sample where it points uphill.

    Parameters
    ----------
    forward, adjoint : callable
        A and Aᵀ on tensors, samples along the first axis.
    data : torch.Tensor of shape (batch, ...)
        b.
    squared_norm : float
        An upper bound on ‖A‖².
    tol : float
        Stop once the projected gradient, without entries that only x ≥ 0 keeps from
        descending, is at most ``tol`` · ‖Aᵀb‖ long.
    n_iterations : int
        Most iterations.

    Returns
    -------
    x : torch.Tensor of shape (batch, ...)
        Each sample's iterate when it first met ``tol``, or the last.
    converged : torch.Tensor of bool, (batch,)
        For each sample, whether there was such an iterate.
    """
    x = adjoint(data)
    target = tol * _norm(x)
    x = torch.zeros_like(x)
    momentum = torch.ones_like(target)
    converged = torch.zeros_like(target, dtype=torch.bool)
    found, ahead = x, x
    for iteration in range(1, n_iterations + 1):
        slope = adjoint(forward(ahead) - data)
        stepped = (ahead - slope / squared_norm).clamp_min(0)
        if iteration % _CHECK_EVERY == 0 or iteration == n_iterations:
            slope = adjoint(forward(stepped) - data)
            blocked = (stepped <= 0) & (slope > 0)
            below = _norm(slope.masked_fill(blocked, 0)) <= target
            found = torch.where(_beside(converged, x), found, stepped)
            converged = converged | below
            if bool(converged.all()):
                break
        uphill = ((ahead - stepped) * (stepped - x)).flatten(1).sum(1) > 0
        momentum = torch.where(uphill, 1, momentum)
        following = (1 + (1 + 4 * momentum**2).sqrt()) / 2
        pull = torch.where(uphill, 0, (momentum - 1) / following)
        ahead = stepped + _beside(pull, x) * (stepped - x)
        x, momentum = stepped, following
    return found, converged


def _norm(z):
    return z.flatten(1).norm(dim=1)


def _beside(numbers, z):
    return numbers.reshape(-1, *[1] * (z.ndim - 1))
