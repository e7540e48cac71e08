"""What an operator leaves of measurements, and what of that is noise."""

import math
from dataclasses import dataclass

import torch

from ..utils.random import make_generator

N_STEPS = 12


@dataclass
class Misfit:
    """What an operator leaves of measurements.

    Attributes
    ----------
    residual : torch.Tensor
        y − A x after some steps of conjugate gradients.
    share : float
        ‖y − A x‖/‖y‖.
    levels : list of float
        What of it would be noise, relative to ‖y‖, if it were white along each
        axis of y (those that are long enough).
    """

    residual: torch.Tensor
    share: float
    levels: list

    @property
    def noise(self):
        """The part of ``share`` that may be noise."""
        return min(max(self.levels, default=0.0), self.share)

    @property
    def unexplained(self):
        """The part that neither images nor noise explain."""
        return math.sqrt(self.share**2 - self.noise**2)


@torch.no_grad()
def misfit_of(operator, y, n_steps=N_STEPS):
    """Return what an operator leaves of measurements, and what of that is noise.

    Parameters
    ----------
    operator : ForwardOperator
        With its shapes fixed.
    y : torch.Tensor of shape (batch, channel, *measurement_shape)
        Measurements, not all zero.
    n_steps : int
        Of conjugate gradients, from x = 0.

    Returns
    -------
    misfit : Misfit
    """
    probe = torch.randn(y.shape, generator=make_generator(0)).to(y.device)
    residual, filtered = _conjugate_gradients(operator, y, probe, n_steps)
    scale = math.sqrt(float(filtered.square().mean()) / float(y.square().mean()))
    levels = []
    for axis in range(2, y.ndim):
        if y.shape[axis] < 5:
            continue
        ours, white = (r.diff(n=2, dim=axis).square() for r in (residual, filtered))
        if float(white.mean()) > 0:
            levels.append(scale * math.sqrt(float(ours.mean()) / float(white.mean())))
    share = math.sqrt(float(residual.square().sum()) / float(y.square().sum()))
    return Misfit(residual, share, levels)


def _conjugate_gradients(operator, y, probe, n_steps):
    """Return what CGLS leaves of y, and what the same polynomial leaves of ``probe``.

    ``probe`` has the shape of ``y``, or no samples.
    """

    def energy(z):
        return z.square().sum(dim=tuple(range(1, z.ndim)))

    def scaled(factors, z):
        return factors.reshape(-1, *[1] * (z.ndim - 1)) * z

    both = torch.cat([y, probe])
    residual, gradient = both, operator.adjoint(both)
    direction, n = gradient, len(y)
    copies = len(both) // n
    gamma = energy(gradient[:n])
    smallest = 1e-12 * gamma.clamp_min(1e-30)
    for _ in range(n_steps):
        image = operator.forward(direction)
        step = torch.where(
            gamma > smallest, gamma / energy(image[:n]).clamp_min(1e-30), 0.0
        )
        residual = residual - scaled(step.repeat(copies), image)
        gradient = operator.adjoint(residual)
        previous, gamma = gamma, energy(gradient[:n])
        momentum = torch.where(previous > smallest, gamma / previous, 0.0)
        direction = gradient + scaled(momentum.repeat(copies), direction)
    return residual[:n], residual[n:]


@torch.no_grad()
def squared_misfit(operator, y, n_steps=N_STEPS):
    """Return ‖y − A x‖²/‖y‖² after some steps of conjugate gradients."""
    residual, _ = _conjugate_gradients(operator, y, y[:0], n_steps)
    return float(residual.double().square().sum() / y.double().square().sum())
