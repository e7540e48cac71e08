"""From a plan to a trained f."""

from dataclasses import dataclass
from typing import Any

import torch
from skorch.history import History

from ..losses import EquivariantObjective, Masks
from ..operators import part_of
from ..utils.device import own_stream
from ..utils.warn import warn
from ._best import BestWeights
from ._divergence import EXPLOSION
from ._epochs import run_epochs
from ._interrupts import Interrupts, inside_a_search
from ._net import ReconstructionNet
from ._schedule import WarmUpCosine
from .machine import graphs_wanted, warn_if_memory_is_short


@dataclass(frozen=True)
class Trained:
    """What came of a plan.

    Attributes
    ----------
    net : ReconstructionNet
        The net that was trained.
    n_epochs : int
        Whole epochs that this training took, those of a checkpoint included.
    score : float or None
        Of the weights kept, with early stopping.
    error : BaseException or None
        What ended the training early: the state is that after its last whole
        epoch.
    """

    net: Any
    n_epochs: int
    score: float | None = None
    error: BaseException | None = None

    @property
    def function(self):
        """f, in evaluation mode."""
        return self.net.function

    @property
    def history(self):
        """One entry for each whole epoch."""
        return self.net.history

    def join_history(self, earlier):
        """Return the history with that of earlier trainings before it.

        Parameters
        ----------
        earlier : list of dict
            Epochs. Callbacks of skorch count from the length of the history, so
            that they can only come back when a training is over.

        Returns
        -------
        history : skorch.history.History
            Also that of the net.
        """
        self.net.history_ = History([*earlier, *self.net.history])
        for number, epoch in enumerate(self.net.history, start=1):
            epoch["epoch"] = number
        return self.net.history


def train(plan, net=None, interrupts=None):
    """Train as planned.

    Parameters
    ----------
    plan : FitPlan
        What and how.
    net : ReconstructionNet or None, default=None
        One to go on with: its optimizer, streams and history. None: a new one.
    interrupts : Interrupts or None, default=None
        Who watches for Ctrl-C, also while the result is kept. None: it is watched
        for while this runs.

    Returns
    -------
    trained : Trained
        An error is in it, not raised, so that whole epochs can be kept first.
    """
    if interrupts is None:
        with Interrupts().watched() as watching:
            return train(plan, net, watching)
    new = net is None
    net = make_net(plan) if new else net
    masks = None
    if plan.has_missing:
        masks = Masks(plan.dataset.Y, net.criterion_.equivariance_term.masks)
        net.captured_ = None
    net.criterion_.masks = masks
    best = None
    if plan.validate is not None:
        best = BestWeights(plan.validate, plan.patience)
    before, error = len(net.history), None
    net.processes = plan.processes if plan.processes.size > 1 else None
    with own_stream(plan.device):
        try:
            if new and plan.predicts_memory:
                with interrupts.computing():
                    warn_if_memory_is_short(
                        net, plan.dataset.Y[[0]], len(plan.dataset), plan.processes.size
                    )
            _run(plan, net, best, interrupts)
        except torch.cuda.OutOfMemoryError as caught:
            error = MemoryError(_what_would_fit(net, plan.name))
            error.__cause__ = caught
        except BaseException as caught:  # whole epochs are kept whatever happens
            error = caught
        net.processes = None
        if best is not None and best.best_state_ is not None:
            net.function.load_state_dict(best.best_state_)
        net.module_.eval()
        net.function.eval()
    score = None if best is None else best.best_score_
    return Trained(net, len(net.history) - before, score, error)


def make_net(plan):
    """Return the net of a plan, initialised, before its first step."""
    objective = EquivariantObjective(
        plan.data_term,
        plan.group,
        plan.alpha,
        beta=plan.beta,
        equivariance_term=plan.equivariance_term,
        seed=plan.seeds.elements,
    )
    callbacks = list(plan.callbacks)
    if plan.lr_schedule == "cosine":
        n_steps = plan.n_epochs * -(-len(plan.dataset) // plan.batch_size)
        callbacks.append(("lr_schedule", WarmUpCosine(n_steps)))
    return ReconstructionNet(
        plan.function,
        objective,
        critic=plan.critic,
        seed=plan.seeds.order,
        capture=graphs_wanted(plan.device),
        average=plan.average,
        optimizer=torch.optim.Adam,
        # One kernel for all weights: the plain loop over them costs a tenth of a
        # step.
        optimizer__fused=plan.device.type in ("cpu", "cuda"),
        lr=plan.lr,
        max_epochs=plan.n_epochs,
        batch_size=plan.batch_size,
        train_split=None,
        device=plan.device,
        verbose=plan.verbose * plan.processes.is_main,
        callbacks=callbacks,
    ).initialize()


def _run(plan, net, best, interrupts):
    """Take the epochs that a checkpoint has not done already."""
    checkpoint, before = plan.checkpoint, len(net.history)
    complete = False
    if checkpoint is not None:
        checkpoint.best = best
        complete = checkpoint.restore(net)
    over = best is not None and best.exhausted
    remaining = 0 if over else plan.n_epochs - (len(net.history) - before)
    # Killed after its last epoch, a fit has nothing left but to be marked.
    if complete and remaining == 0:
        return
    net.explosion_ = max(net.explosion_, EXPLOSION * largest_magnitude(net, plan))
    run_epochs(
        net,
        plan.dataset,
        remaining,
        best=best,
        checkpoint=checkpoint,
        tasks=plan.tasks,
        interrupts=interrupts,
    )
    if checkpoint is not None:
        checkpoint.write(net, complete=True)


@torch.no_grad()
def largest_magnitude(net, plan):
    """Return the most that images of zeros would cost for any sample.

    Whole training sets are looked at, as the first samples may be blank.
    """
    needs_start = plan.alpha > 0
    largest = 0.0
    for i in range(len(plan.dataset)):
        y, truth, start = (
            None if part is None else part.to(plan.device)
            for part in plan.dataset.__getitems__([i])
        )
        A, y = part_of(plan.operator, y)
        if start is None and needs_start:
            start = A.pinv(y)
        largest = max(largest, net.criterion_.magnitude(y, truth, start))
    return largest


def finish(trained, plan, interrupts, *, kept):
    """Raise, or warn of, what ended a training early.

    Parameters
    ----------
    trained : Trained
        Whose whole epochs have been kept.
    plan : FitPlan
        Its plan.
    interrupts : Interrupts
        Who has watched for Ctrl-C.
    kept : bool
        Whether there is a state to go on with.

    Raises
    ------
    BaseException
        ``trained.error``. An interruption is a warning instead, where whoever
        called asked for this training alone and it has a whole epoch.
    """
    error = trained.error
    if error is None and interrupts.pending:
        error = KeyboardInterrupt()
    if error is None:
        return
    if not isinstance(error, KeyboardInterrupt):
        raise error
    if inside_a_search():
        raise error
    state = f"the state after {trained.n_epochs} of {plan.n_epochs} epochs"
    if not kept:
        state = "nothing, as no epoch was whole, and is not fitted"
    warn(f"Training was interrupted; {plan.name} keeps {state}.")
    if not kept:
        raise error


def _what_would_fit(net, name):
    """Say what to try after a GPU ran out of memory."""
    n_epochs = len(net.history)
    advice = f"batch_size={net.batch_size // 2}"
    if net.batch_size == 1:
        advice = "a smaller network, or device='cpu'"
    return (
        f"The GPU ran out of memory in epoch {n_epochs + 1}: got batch_size="
        f"{net.batch_size}, but expected one that fits; try {advice}. {name} keeps the "
        f"state after {n_epochs} epochs."
    )
