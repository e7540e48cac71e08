"""The learning rate over a fit."""

import math

from skorch.callbacks import Callback

_WARM_UP = 0.05  # share of the steps


class WarmUpCosine(Callback):
    """Raise the learning rate linearly, then let it decay to zero as a cosine.

    Without the rise, the first steps of an untrained network can cost quality at the
    end.

    Parameters
    ----------
    n_steps : int
        Steps of the whole fit.
    """

    def __init__(self, n_steps):
        self.n_steps = n_steps

    def initialize(self):
        """Start with the first step."""
        self.step_ = 0
        return self

    def factor(self, step):
        """Return the factor of the rate in [0, 1] for step number ``step``."""
        rise = min(1.0, (step + 1) / max(_WARM_UP * self.n_steps, 1))
        progress = min(step / self.n_steps, 1.0)
        return rise * 0.5 * (1 + math.cos(math.pi * progress))

    def on_batch_begin(self, net, training=False, **kwargs):
        """Set the rate of the coming step."""
        if not training:
            return
        self.rate_ = net.lr * self.factor(self.step_)
        net.set_rate(self.rate_)
        self.step_ += 1

    def on_epoch_end(self, net, **kwargs):
        """Record the rate at the end of the epoch."""
        net.history.record("lr", self.rate_)
