"""What an operator leaves of measurements, and what of that is noise."""

import math
from dataclasses import dataclass

import torch

from ..utils.cgls import cgls
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
    both = operator.take(torch.arange(2 * len(y)) % len(y))
    _, left, _ = cgls(both.forward, both.adjoint, y, n_steps, alongside=probe)
    residual, filtered = left.chunk(2)
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


@torch.no_grad()
def squared_misfit(operator, y, n_steps=N_STEPS):
    """Return ‖y − A x‖²/‖y‖² after some steps of conjugate gradients."""
    _, residual, _ = cgls(operator.forward, operator.adjoint, y, n_steps)
    return float(residual.double().square().sum() / y.double().square().sum())
