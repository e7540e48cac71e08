"""The skorch net behind the estimators."""

import math

import torch
from skorch import NeuralNet
from skorch.callbacks import EpochTimer, LRScheduler, PassthroughScoring, PrintLog
from torch.utils.data import DataLoader

from ..utils._dataset import identity
from ..utils._random import RandomStream

_WARM_UP = 0.05  # share of the steps


class ReconstructionNet(NeuralNet):
    """skorch net that trains f with an objective of several named terms.

    Parameters
    ----------
    module : ReconstructionFunction
        f.
    criterion : EquivariantObjective
        The objective; it sees f itself, which the equivariance term calls again.
    seed : int, default=0
        Of the order of the samples.
    **kwargs
        As for :class:`skorch.NeuralNet`.
    """

    def __init__(self, module, criterion, *, seed=0, **kwargs):
        super().__init__(module, criterion, **kwargs)
        self.seed = seed

    def initialize(self):
        """Initialise the net, and the stream that orders the samples."""
        self.stream_ = RandomStream(self.seed)
        return super().initialize()

    @property
    def _default_callbacks(self):
        terms = ("train_loss", *self.criterion.term_names)
        return [
            ("epoch_timer", EpochTimer()),
            *((name, PassthroughScoring(name, on_train=True)) for name in terms),
            ("print_log", PrintLog()),
        ]

    def get_iterator(self, dataset, training=False):
        """Return a loader of whole batches, shuffled by this net's own stream."""
        return DataLoader(
            dataset,
            batch_size=self.batch_size,
            shuffle=training,
            generator=self.stream_.generator,
            collate_fn=identity,
        )

    def get_loss(self, y_pred, y_true, X=None, training=False):
        """Return the objective and record its terms in the history."""
        X, y_true = X.to(self.device), y_true.to(self.device)
        loss, terms = self.criterion_(self.module_, y_pred, X, y_true)
        for name, term in zip(self.criterion_.term_names, terms, strict=True):
            self.history.record_batch(name, term.item())
        return loss


def learning_rate_schedule(name, n_steps):
    """Return the skorch callback of a learning-rate schedule, or None.

    Parameters
    ----------
    name : {"cosine", "constant"}
        ``"cosine"`` rises linearly over the first twentieth of the steps, then
        decays to zero: without the rise, the first steps of an untrained
        network can cost a dB at the end.
    n_steps : int
        Steps of the whole fit.

    Returns
    -------
    callback : skorch.callbacks.LRScheduler or None
    """
    if name == "constant":
        return None
    return LRScheduler(
        policy=torch.optim.lr_scheduler.LambdaLR,
        lr_lambda=WarmUpCosine(n_steps),
        step_every="batch",
    )


class WarmUpCosine:
    """Factor of the learning rate at a step: linear rise, cosine decay.

    Parameters
    ----------
    n_steps : int
        Steps of the whole fit.
    """

    def __init__(self, n_steps):
        self.n_steps = n_steps

    def __call__(self, step):
        """Return the factor in [0, 1] for step number ``step``."""
        rise = min(1.0, (step + 1) / max(_WARM_UP * self.n_steps, 1))
        progress = min(step / self.n_steps, 1.0)
        return rise * 0.5 * (1 + math.cos(math.pi * progress))
