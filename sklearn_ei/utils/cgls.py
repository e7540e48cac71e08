"""Least squares of minimal norm, by conjugate gradients."""

import torch


def cgls(
    forward, adjoint, y, n_iterations, *, rtol=1e-6, before_step=None, alongside=None
):
    """Return x and y − A x of min ‖A x − y‖ by CGLS from zero.

    x never leaves the range of Aᵀ, and converges to A†y. SciPy's ``lsmr`` takes
    one right-hand side; operators are faster on batches.

    Parameters
    ----------
    forward, adjoint : callable
        A and Aᵀ on tensors, samples along the first axis.
    y : torch.Tensor of shape (batch, ...)
        Measurements. Every sample has its own iteration.
    n_iterations : int
        Largest number of steps, each with one A and one Aᵀ.
    rtol : float, default=1e-6
        Stop once ‖Aᵀ(y − A x)‖ ≤ rtol · ‖Aᵀy‖ for every sample.
    before_step : callable, default=None
        Called without arguments; may raise to stop.
    alongside : torch.Tensor of shape (k · batch, ...), default=None
        What the same steps are applied to, with the coefficients that y gives:
        what the linear filter that y goes through makes of it.

    Returns
    -------
    x : torch.Tensor of shape (batch, ...)
        After k steps, components with a large singular value are restored first;
        those that are tiny against the largest one are still close to zero. Those
        of ``alongside`` come behind.
    residual : torch.Tensor of the shape of ``y``
        y − A x, likewise. Its norm never grows: after any number of steps it is an
        upper bound of what is left in the end.
    n_iterations : int
        Steps made.

    References
    ----------
    Å. Björck, "Numerical Methods for Least Squares Problems", 1996, algorithm
    7.4.1.
    """
    n = len(y)
    residual = y if alongside is None else torch.cat([y, alongside])
    k = len(residual) // n
    gradient = adjoint(residual)
    direction, x = gradient, torch.zeros_like(gradient)
    gamma = _energy(gradient[:n])
    target = gamma * rtol**2
    for iteration in range(n_iterations):
        if before_step is not None:
            before_step()
        moving = gamma > target
        if not bool(moving.any()):
            return x, residual, iteration
        image = forward(direction)
        # A sample that is done stands still, and so does not depend on the others.
        step = torch.where(moving, _ratio(gamma, _energy(image[:n])), 0.0).repeat(k)
        x = x + _beside(step, x) * direction
        residual = residual - _beside(step, residual) * image
        gradient = adjoint(residual)
        previous, gamma = gamma, _energy(gradient[:n])
        momentum = _ratio(gamma, previous).repeat(k)
        direction = gradient + _beside(momentum, x) * direction
    return x, residual, n_iterations


def _energy(z):
    return z.flatten(1).square().sum(dim=1)


def _ratio(a, b):
    # A sample that has converged to the last bit, or is zero, stands still.
    tiny = torch.finfo(b.dtype).tiny
    return torch.where(b > 0, a / b.clamp_min(tiny), torch.zeros_like(a))


def _beside(numbers, tensor):
    """Return one number a sample, so that it multiplies that sample."""
    return numbers.reshape(-1, *[1] * (tensor.ndim - 1))
