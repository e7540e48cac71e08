"""What happens after every epoch: the paper's schedule, and a look at the images."""

import time

from skorch.callbacks import Callback

from sklearn_ei.metrics import psnr

from .._look import reconstruct


class StepSchedule(Callback):
    """The paper's schedule: a tenth of the rate after each milestone.

    The rate follows from the number of the epoch alone, so that a training that
    was killed goes on with the right one.

    Parameters
    ----------
    milestones : tuple of int
        Epochs after which the rate falls.
    weight_decay : float
        Of Adam.
    """

    def __init__(self, milestones, weight_decay):
        self.milestones = milestones
        self.weight_decay = weight_decay

    def on_epoch_begin(self, net, **kwargs):
        done = len(net.history) - 1
        rate = net.lr * 0.1 ** sum(done >= epoch for epoch in self.milestones)
        net.set_rate(rate)
        critic = getattr(net, "critic_optimizer_", None)
        for group in [] if critic is None else critic.param_groups:
            group.update(lr=rate, weight_decay=self.weight_decay)
        for group in net.optimizer_.param_groups:
            group["weight_decay"] = self.weight_decay
        if net.captured_ is not None and done in self.milestones:
            net.captured_.forget()  # the critic's rate is part of the record


class Watch(Callback):
    """Record PSNR and processor time in the history; print a line now and then.

    Parameters
    ----------
    label : str
        What is being trained.
    n_epochs : int
        Epochs of the training.
    sets : dict of str to (measurements, images)
        To look at; in the history they are ``psnr_train`` and so on.
    every : int
        Epochs between looks.
    scale : float
        The unit of the training.
    """

    seconds_between_lines = 20

    def __init__(self, label, n_epochs, sets, every, scale):
        self.label = label
        self.n_epochs = n_epochs
        self.sets = sets
        self.every = every
        self.scale = scale
        self.last_line_ = 0.0

    def on_epoch_begin(self, net, **kwargs):
        self.start_ = time.process_time()

    def on_epoch_end(self, net, **kwargs):
        history, epoch = net.history, len(net.history)
        history.record("cpu_seconds", time.process_time() - self.start_)
        if epoch % self.every and epoch < self.n_epochs:
            return
        found = {
            name: psnr(images, reconstruct(net, Y, self.scale))
            for name, (Y, images) in self.sets.items()
        }
        for name, value in found.items():
            history.record(f"psnr_{name}", value)
        now = time.monotonic()
        if now - self.last_line_ < self.seconds_between_lines and epoch < self.n_epochs:
            return
        self.last_line_ = now
        values = ", ".join(f"{value:.2f} ({name})" for name, value in found.items())
        left = (self.n_epochs - epoch) * history[-1]["dur"] / 60
        print(
            f"{self.label}: epoch {epoch}/{self.n_epochs}, PSNR {values} dB, about "
            f"{left:.0f} min left",
            flush=True,
        )
