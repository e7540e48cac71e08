"""Whole epochs of a net: the loop, what is undone, and the losses of each."""

import torch

from ._divergence import EXPLOSION, check_epoch
from ._interrupts import Interrupts
from .machine import CapturedStep, can_capture


def run_epochs(
    net, dataset, n_epochs, *, best=None, checkpoint=None, tasks=None, interrupts=None
):
    """Train for whole epochs; one that fails is undone as a whole.

    Parameters
    ----------
    net : ReconstructionNet
        Initialised.
    dataset : BatchedDataset
        What to train on.
    n_epochs : int
        How long, unless a callback ends it by ``KeyboardInterrupt`` at the end
        of an epoch, as is skorch's way.
    best : BestWeights or None, default=None
        Scores epochs, and ends training when they get no better.
    checkpoint : Checkpoint or None, default=None
        Written after every epoch.
    tasks : EpochTasks or None, default=None
        Told of each epoch, after all other callbacks.
    interrupts : Interrupts or None, default=None
        Who notes Ctrl-C. None: nobody, and it may fall anywhere.

    Raises
    ------
    DivergenceError
        See :func:`check_epoch`.
    KeyboardInterrupt
        If the user interrupted the training.
    """
    net.interrupts_ = interrupts or Interrupts()
    watchers = [] if tasks is None else [("tasks", tasks)]
    net.callbacks_ += watchers
    if net.capture and net.processes is None and net.captured_ is None:
        net.captured_ = CapturedStep(net) if can_capture(net) else None
    try:
        net.notify("on_train_begin", X=dataset, y=None)
        loader = net.get_iterator(dataset, training=True)
        for _ in range(n_epochs):
            stop = _take_epoch(net, loader, best)
            if checkpoint is not None:
                checkpoint.write(net, complete=False)
            net.interrupts_.check()
            if stop:
                break
        net.notify("on_train_end", X=dataset, y=None)
    finally:
        net.callbacks_ = [c for c in net.callbacks_ if c not in watchers]


def _take_epoch(net, loader, best):
    """Take an epoch and score it; if it fails, go back to where it began.

    Returns whether it is to be the last.
    """
    interrupts = net.interrupts_
    before, n_epochs = _copied(net.training_state()), len(net.history)
    best_before = None if best is None else best.state_dict()
    dataset = {"dataset_train": loader.dataset, "dataset_valid": None}
    stop = False
    try:
        with interrupts.computing():
            net.notify("on_epoch_begin", **dataset)
            _take_steps(net, loader)
            if best is not None:
                best.score_epoch(net)
                stop = best.exhausted
            try:
                net.notify("on_epoch_end", **dataset)
            except KeyboardInterrupt:
                if interrupts.cut:
                    raise
                stop = True  # how skorch's callbacks end a training
    except BaseException:
        net.load_training_state(before)
        if best is not None:
            best.load_state_dict(best_before)
        del net.history[n_epochs:]
        raise
    return stop


def _take_steps(net, loader):
    """Take a step with each batch; look at losses when all are taken."""
    net._set_training(True)
    sizes, rows = [], []
    for batch in loader:
        net.interrupts_.check()
        net.notify("on_batch_begin", batch=batch, training=True)
        step = net.train_step(batch)
        sizes.append(len(batch[0]))
        rows.append(torch.stack([step["loss"], *step["terms"]]))
        net.notify("on_batch_end", batch=batch, training=True, **step)
    record_losses(net, sizes, torch.stack(rows).tolist())


def record_losses(net, sizes, rows):
    """Write the losses of an epoch into the history, unless it diverged.

    Parameters
    ----------
    net : ReconstructionNet
        Whose history has a record of each batch.
    sizes : list of int
        Of the batches.
    rows : list of list of float
        The loss of each batch, and its terms.

    Raises
    ------
    DivergenceError
        See :func:`check_epoch`.
    """
    history = net.history
    names = ["train_loss", *net.criterion_.term_names]
    limit = net.explosion_
    if limit > 0:  # before the first step, nothing has exploded
        limit = max(limit, EXPLOSION * _first_loss(history, rows))
    check_epoch(len(history), names, rows, limit, f"lr={net.lr:g}")
    for record, size, row in zip(history[-1]["batches"], sizes, rows, strict=True):
        record.update(zip(names, row, strict=True))
        record["train_batch_size"] = size
    for name, column in zip(names, zip(*rows, strict=True), strict=True):
        total = sum(value * size for value, size in zip(column, sizes, strict=True))
        history.record(name, total / sum(sizes))
    history.record("train_batch_count", len(rows))


def _first_loss(history, rows):
    """Return the loss before the first step, as far as it is known.

    Of one that goes on from a file, the mean of the first epoch is.
    """
    epoch = history[0]
    if len(history) == 1:
        return rows[0][0]
    batches = epoch.get("batches")  # none of them are in files
    return (batches[0] if batches else epoch)["train_loss"]


def _copied(state):
    """Return a state whose tensors nobody else changes; faster than ``deepcopy``."""
    if isinstance(state, torch.Tensor):
        return state.detach().clone()
    if isinstance(state, dict):
        return {name: _copied(part) for name, part in state.items()}
    if isinstance(state, list | tuple):
        return type(state)(map(_copied, state))
    return state
