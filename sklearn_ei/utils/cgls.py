"""Least squares of minimal norm, by conjugate gradients."""

import torch


@torch.no_grad()
def minimum_norm_solution(forward, adjoint, y, n_iterations, rtol=1e-6):
    """Return A†y by CGLS from zero, which never leaves the range of Aᵀ.

    Parameters
    ----------
    forward, adjoint : callable
        A and Aᵀ on tensors (batch, channel, *shape).
    y : torch.Tensor of shape (batch, channel, *measurement_shape)
        Measurements. Every sample has its own iteration.
    n_iterations : int
        Largest number of steps, each with one A and one Aᵀ.
    rtol : float, default=1e-6
        Stop once ‖Aᵀ(y − A x)‖ ≤ rtol · ‖Aᵀy‖ for every sample.

    Returns
    -------
    x : torch.Tensor of shape (batch, channel, *image_shape)
        After k steps, components with a large singular value are restored first;
        those that are tiny against the largest one are still close to zero.

    References
    ----------
    Å. Björck, "Numerical Methods for Least Squares Problems", 1996, algorithm
    7.4.1.
    """

    def energy(z):
        return z.square().sum(dim=tuple(range(1, z.ndim)), keepdim=True)

    def ratio(a, b, ndim):
        # A sample that has converged to the last bit, or is zero, stands still.
        quotient = torch.where(b > 0, a / b.clamp_min(1e-37), torch.zeros_like(a))
        return quotient.reshape(-1, *[1] * (ndim - 1))

    residual = y
    gradient = adjoint(residual)
    direction, x = gradient, torch.zeros_like(gradient)
    gamma = energy(gradient)
    target = gamma * rtol**2
    for _ in range(n_iterations):
        if bool((gamma <= target).all()):
            break
        image = forward(direction)
        step = ratio(gamma.flatten(), energy(image).flatten(), x.ndim)
        x = x + step * direction
        residual = residual - step.reshape(-1, *[1] * (y.ndim - 1)) * image
        gradient = adjoint(residual)
        previous, gamma = gamma, energy(gradient)
        momentum = ratio(gamma.flatten(), previous.flatten(), x.ndim)
        direction = gradient + momentum * direction
    return x
