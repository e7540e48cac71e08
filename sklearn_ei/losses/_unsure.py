"""SURE where the level of Gaussian noise is not known."""

from numbers import Real

import torch
import torch.nn.functional as F
from sklearn.utils import check_scalar

from ..utils.params import brief
from ._data_term import DataTerm
from ._sure import draw_probe

_STEP = 0.1  # of the estimated level; see the Notes of SURE
_START = 1e-3  # η at first, in mean squares of y


class UNSURE(DataTerm):
    """SURE with a multiplier in place of the variance of Gaussian noise.

    Needs no noise model; A x2 gets noise of the present ``level``.

    Parameters
    ----------
    step_size : float, default=0.005
        Of the multiplier's gradient ascent.
    momentum : float in [0, 1), default=0.9
        Of the same.

    Attributes
    ----------
    level : float
        √η, an estimate of the noise's standard deviation; NaN before training. After
        :meth:`resolve`.

    Notes
    -----
    The problem is max_η min_f of

        mean (h(y) − y)² + 2 η div h(y)/m,   h = A ∘ f,

    eq. (8) of [1]_: of all functions whose expected divergence is zero, which
    cannot let noise through, the one that stays closest to y. Its solution is
    as good as SURE's but for a term of the order of the remaining error, and
    the multiplier is η = σ²/(1 − e/σ²), where e < σ² is the mean squared error
    that the best h leaves: never below σ², and close to it where A f(y)
    removes most of the noise.

    The divergence is estimated by one probe, as in :class:`SURE`. η takes one
    step with each call while the term is in training mode, along the average of
    past gradients. The steps are taken in log η, so that units do not matter and η
    stays positive. η and the average are buffers, and so part of a checkpoint.

    References
    ----------
    .. [1] J. Tachella, M. Davies and L. Jacques, "UNSURE: self-supervised learning
       with Unknown Noise level and Stein's Unbiased Risk Estimate", ICLR 2025.
    """

    name = "unsure"
    takes_noise = "never"
    n_passes = 2

    def __init__(self, step_size=0.005, momentum=0.9):
        super().__init__()
        self.step_size = step_size
        self.momentum = momentum

    def check(self, noise):
        """Refuse parameters out of range, and a noise model."""
        check_scalar(
            self.step_size, "step_size", Real, min_val=0, include_boundaries="neither"
        )
        check_scalar(
            self.momentum,
            "momentum",
            Real,
            min_val=0,
            max_val=1,
            include_boundaries="left",
        )
        if noise is not None:
            raise ValueError(
                f"Got noise={brief(noise)} with data_term='unsure', but expected "
                "noise=None or 'auto': that term is for Gaussian noise whose level is "
                "not known."
            )

    def resolve(self, operator, noise, seed):
        """Return the term of one training, with a multiplier of its own."""
        resolved = super().resolve(operator, noise, seed)
        unknown = torch.tensor(float("nan"), dtype=torch.float64)
        resolved.register_buffer("eta", unknown)
        resolved.register_buffer("velocity", torch.zeros((), dtype=torch.float64))
        return resolved

    def check_state(self, state):
        """Refuse a state, from a checkpoint, that no training could have had.

        Parameters
        ----------
        state : dict
            As ``state_dict`` returns it.

        Raises
        ------
        ValueError
            If the multiplier is negative.
        """
        eta = float(state.get("eta", 0))  # none before a training
        if eta < 0:
            raise ValueError(f"eta is {eta:.3g}, and negative")

    @property
    def level(self):
        """Standard deviation √η, in the units of y."""
        return float(self.eta) ** 0.5

    def remeasure(self, x, A, generator):
        """Return A x with noise of the present level; see :class:`DataTerm`."""
        y = A.forward(x)
        if torch.isnan(self.eta):
            return y, A
        noise = torch.randn(y.shape, generator=generator, dtype=y.dtype)
        return A.only_measured(y + self.level * noise.to(y.device)), A

    @torch.no_grad()
    def _ascend(self, divergence):
        average = self.momentum * self.velocity
        self.velocity.copy_(average + (1 - self.momentum) * divergence)
        self.eta.mul_(torch.exp(2 * self.step_size * self.velocity))

    def forward(self, f, y, A, truth=None, start=None):
        """Return x1 and the Lagrangian; see :class:`DataTerm`."""
        x1 = f(y, A, start)
        h = A.forward(x1)
        residual = F.mse_loss(h, y)
        if torch.isnan(self.eta):
            self.eta.fill_(_START * float(y.square().mean()))
        eta = float(self.eta)
        if eta == 0:  # measurements that are zero
            return x1, residual
        tau = _STEP * eta**0.5
        b = A.only_measured(draw_probe(torch.zeros_like(y), self.generator))
        difference = A.forward(f(y + tau * b, A)) - h
        divergence = (b * difference).mean() / tau
        if self.training:
            self._ascend(divergence)
        return x1, residual + 2 * eta * divergence
