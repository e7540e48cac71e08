"""The deep image prior as a function to be trained: f(y, A) = g(z)."""

import torch
from skorch.callbacks import Callback
from torch import nn


class DeepPrior(nn.Module):
    """g(z), whatever the measurements.

    Parameters
    ----------
    network : torch.nn.Module
        g.
    z : torch.Tensor of shape (1, channel, *image_shape)
        Its fixed input.
    image_shape : tuple of int
        Shape (1, channel, *image_shape) that images have to have.
    dtype : torch.dtype, default=torch.float32
        In which the network computes.
    """

    def __init__(self, network, z, image_shape, *, dtype=torch.float32):
        super().__init__()
        self.network = network
        self.image_shape = tuple(image_shape)
        self.dtype = dtype
        self.register_buffer("z", z, persistent=False)

    def forward(self, y, A, start=None):
        """Return g(z)."""
        reduced = self.dtype != torch.float32
        with torch.autocast(
            self.z.device.type, dtype=self.dtype, enabled=reduced, cache_enabled=False
        ):
            x = self.network(self.z)
        if x.shape != self.image_shape:
            raise ValueError(
                f"Got images of shape {tuple(x.shape)} from the network, but expected "
                f"{self.image_shape}."
            )
        return x.float()


class Iterates(Callback):
    """Looks at the image of every iteration, and may end the training.

    Parameters
    ----------
    variance : MovingVariance or None, default=None
        Which decides when to stop. None: never, and the last image is the best.
    report : callable or None, default=None
        Called with the number of iterations and the loss after each.

    Attributes
    ----------
    best : torch.Tensor
        The image to keep.
    best_iteration : int
        Its number, from 1.
    losses, variances : list of float
        Of all iterations.
    """

    def __init__(self, variance=None, report=None):
        self.variance = variance
        self.report = report
        self.best, self.best_iteration = None, 0
        self.losses, self.variances = [], []

    def on_batch_end(self, net, y_pred=None, **kwargs):
        """Remember the image: its loss has not been looked at yet."""
        self.image_ = y_pred

    def on_epoch_end(self, net, **kwargs):
        """Take one more iterate."""
        self.losses.append(net.history[-1]["train_loss"])
        # Of the history, an epoch an iteration, nothing else is needed.
        del net.history[:-1]
        if self.variance is None:
            self.best, self.best_iteration = self.image_.clone(), len(self.losses)
            self.variances.append(float("nan"))
        else:
            self.variances.append(self.variance.update(self.image_))
            self.best = self.variance.best
            self.best_iteration = self.variance.best_iteration
        if self.report is not None:
            self.report(len(self.losses), self.losses[-1])
        if self.variance is not None and self.variance.should_stop:
            raise KeyboardInterrupt  # skorch's way to stop after this epoch
