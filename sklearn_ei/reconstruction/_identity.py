"""What tells one training from another."""

from numbers import Integral
from pathlib import Path

from ..training import fingerprint
from ..utils.params import brief

_COMPARED_SAMPLES = 64
# Parameters that may change between a checkpoint and the fit that goes on from it.
_NOT_OF_THE_TRAINING = (
    "accelerate",
    "callbacks",
    "check_rank",
    "checkpoint",
    "device",
    "verbose",
    "warm_start",
)


def identity(kind, parameters, y, truth):
    """Return digests of all that a training depends on.

    Parameters
    ----------
    kind : type
        Of the estimator.
    parameters : dict
        Its own.
    y, truth : torch.Tensor, LazyTensor or None
        The data.

    Returns
    -------
    digests : dict of str to str
        By the name of what they are of.

    Raises
    ------
    ValueError
        If trainings in a folder could not be told apart.
    """
    checkpoint, told = parameters["checkpoint"], {**parameters, "estimator": kind}
    in_folder = checkpoint is not None and Path(checkpoint).is_dir()
    for name in _NOT_OF_THE_TRAINING:
        # In a folder, callbacks may be all that tells two trainings apart.
        if not (in_folder and name == "callbacks"):
            del told[name]
    if not isinstance(told["random_state"], Integral):
        if in_folder:
            raise ValueError(
                f"Got random_state={brief(told['random_state'])} with a folder as "
                "checkpoint, but expected an integer: without one, trainings in the "
                "folder cannot be told apart."
            )
        # A checkpoint, and the main process, have the seeds that were drawn.
        del told["random_state"]
    if told["lr_schedule"] == "constant":
        # A longer training begins with the shorter one.
        del told["max_epochs"]
    return fingerprint(told, {"Y": y, "y": truth})


def check_same(processes, kind, parameters, y, truth):
    """Refuse processes that were given different data or parameters.

    Parameters
    ----------
    processes : Processes
        Among which the training is to be shared.
    kind, parameters, y, truth
        As for :func:`identity`.
    """
    size, batch_size = processes.size, parameters["batch_size"]
    if size == 1:
        return
    if batch_size != "auto" and batch_size < size:
        raise ValueError(
            f"Got batch_size={batch_size} in {size} processes, but expected at least "
            f"{size}: batch_size counts the samples of a step in all of them together."
        )
    # The first samples tell parts of a data set apart, at the cost of no pass.
    first = None if truth is None else truth[:_COMPARED_SAMPLES]
    digests = identity(kind, parameters, y[:_COMPARED_SAMPLES], first)
    digests["n_samples"] = str(len(y))
    digests["max_epochs"] = str(parameters["max_epochs"])
    processes.check_same(digests)
