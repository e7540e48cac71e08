"""One run of training: who watches it, where it begins, and how it can end."""

import warnings

import torch

from ._best import StopWhenExhausted


def train_epochs(
    net, dataset, n_epochs, *, name, tasks=None, best=None, checkpoint=None
):
    """Train a net, from a checkpoint if there is one.

    Parameters
    ----------
    net : ReconstructionNet
        Initialised.
    dataset : BatchedDataset
        What to train on.
    n_epochs : int
        With those that a checkpoint has done already.
    name : str
        Of the estimator, for messages.
    tasks : EpochTasks or None, default=None
        Reports epochs to scikit-learn's callbacks.
    best : BestWeights or None, default=None
        Scores epochs, and ends training when they get no better.
    checkpoint : Checkpoint or None, default=None
        Read already; written after every epoch.

    Raises
    ------
    DivergenceError
        See :func:`check_epoch`.
    MemoryError
        If a GPU runs out of memory.

    Warns
    -----
    UserWarning
        If training was interrupted.
    """
    # In this order: a checkpoint holds the score of its epoch, and whoever ends
    # training comes last.
    watchers = [best, checkpoint, tasks]
    if best is not None:
        watchers.append(StopWhenExhausted(best))
    watchers = [(type(w).__name__, w) for w in watchers if w is not None]
    before = len(net.history)
    complete = checkpoint is not None and checkpoint.restore(net)
    over = best is not None and best.exhausted
    remaining = 0 if over else n_epochs - (len(net.history) - before)
    # Killed after its last epoch, a fit has nothing left but to be marked.
    if complete and remaining == 0:
        return
    net.callbacks_ += watchers
    net.interrupted_ = False
    try:
        net.partial_fit(dataset, y=None, epochs=remaining)
    except torch.cuda.OutOfMemoryError as error:
        raise MemoryError(_what_would_fit(net, name)) from error
    finally:
        net.callbacks_ = [pair for pair in net.callbacks_ if pair not in watchers]
    if net.interrupted_:
        warnings.warn(
            f"Training was interrupted; {name} keeps the state after "
            f"{len(net.history)} of {n_epochs} epochs.",
            UserWarning,
            stacklevel=5,
        )
    elif checkpoint is not None:
        checkpoint.write(net, complete=True)


def _what_would_fit(net, name):
    """Say what to try after a GPU ran out of memory."""
    n_epochs = len(net.history)
    advice = f"batch_size={net.batch_size // 2}"
    if net.batch_size == 1:
        advice = "a smaller network (width, depth, n_stages), or device='cpu'"
    return (
        f"The GPU ran out of memory in epoch {n_epochs + 1}: got batch_size="
        f"{net.batch_size}, but expected one that fits; try {advice}. {name} keeps the "
        f"state after {n_epochs} epochs."
    )
