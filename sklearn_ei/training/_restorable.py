"""Whether a state that comes from a file is one that a training could have had."""

import math

import torch
from torch import nn
from torch.nn.modules.batchnorm import _NormBase

from ._reader import Reader, expect, is_finite
from ._restorable_optimizer import check_optimizer
from ._state_json import fetch

_COUNT = "train_batch_count"
_GENERATOR_BYTES = len(torch.Generator().get_state())


def check_history(history):
    """Refuse what is no history of epochs in their order.

    Parameters
    ----------
    history : object
        One dictionary an epoch.

    Raises
    ------
    ValueError
        Which says what is wrong.
    """
    expect(
        isinstance(history, list) and all(isinstance(e, dict) for e in history),
        "the history is no list of epochs",
    )
    for number, epoch in enumerate(history, start=1):
        names = all(isinstance(name, str) for name in epoch)
        expect(names and "batches" not in epoch, "an epoch has entries without names")
        expect(
            type(epoch.get("epoch")) is int and epoch["epoch"] == number,
            f"epoch {number} is not where it should be",
        )
        loss, count = epoch.get("train_loss"), epoch.get(_COUNT)
        expect(is_finite(loss), f"the loss of epoch {number} is no finite number")
        expect(
            type(count) is int and count > 0 and count == history[0].get(_COUNT),
            f"epoch {number} has not as many steps as others",
        )


def check_state(state, tensors, net, best):
    """Return the state with its tensors, after comparing it with a net's own.

    Keys, shapes and types are those of the net as it has been initialised, numbers
    are finite, and counts are those of the epochs in the history. Tensors are read
    one by one, and only after their shape has been found right.

    Parameters
    ----------
    state : dict
        Of net, best weights and history, as :class:`Checkpoint` writes it, with a
        :class:`Stored` for each tensor.
    tensors : StoredTensors
        Of the file.
    net : ReconstructionNet
        Initialised, and not trained yet.
    best : BestWeights or None
        Who keeps the best weights of this training.

    Returns
    -------
    state : dict

    Raises
    ------
    ValueError
        Which says what is wrong.
    """
    expect(state.keys() == {"net", "best", "history"}, "it has other parts")
    history = state["history"]
    for epoch in history:
        for name in getattr(net.criterion_, "term_names", ()):
            expect(is_finite(epoch.get(name)), f"{name} is no finite number")
    n_steps = sum(epoch[_COUNT] for epoch in history)
    reader = Reader(tensors, trained=n_steps > 0)
    own = net.training_state()
    expect(
        isinstance(state["net"], dict) and state["net"].keys() == own.keys(),
        "the net has other parts",
    )
    read = {}
    for name, expected in own.items():
        found, part = state["net"][name], getattr(net, name, None)
        if isinstance(part, torch.optim.Optimizer):
            read[name] = check_optimizer(reader, found, part, net, n_steps)
        elif isinstance(part, nn.Module):
            read[name] = _check_module(reader, found, part)
        else:
            read[name] = _check_number(name, found, expected)
    if "average_" in read:
        n_averaged = int(read["average_"]["n_averaged"])
        expect(n_averaged == n_steps, "the average is of another number of steps")
    if dict(net.callbacks_).get("lr_schedule") is not None:
        expect(read.get("step") == n_steps, "the schedule is at another step")
    return {
        "net": read,
        "best": _check_best(reader, state["best"], best, net, history),
        "history": fetch(history, tensors),
    }


def _check_module(reader, found, module):
    """Return the state dictionary of a module."""
    expected = module.state_dict()
    expect(
        isinstance(found, dict) and found.keys() == expected.keys(),
        "a network or term has other weights",
    )
    read = {}
    for name, value in expected.items():
        if not isinstance(value, torch.Tensor):  # a module's own extra state
            read[name] = fetch(found[name], reader.tensors)
        elif _is_generator(name, value):
            read[name] = reader.generator(name, found[name], value)
        else:
            read[name] = reader.tensor(name, found[name], value)
    for name, layer in module.named_modules():
        own = {
            key: value
            for key, value in read.items()
            if key.rpartition(".")[0] == name and isinstance(value, torch.Tensor)
        }
        own = {key.rpartition(".")[2]: value for key, value in own.items()}
        check_layer(name, layer, own)
    return read


def check_layer(name, layer, state):
    """Refuse numbers that no training gives a layer, though they are finite.

    Parameters
    ----------
    name : str
        Of the layer, for the message.
    layer : torch.nn.Module
        A layer with a method ``check_state(state)`` is asked itself; it raises
        ``ValueError``.
    state : dict of str to torch.Tensor
        Its own parameters and buffers.

    Raises
    ------
    ValueError
        If batch normalisation has a negative variance or count, or the layer says no.
    """
    if isinstance(layer, _NormBase):
        for key in ("running_var", "num_batches_tracked"):
            if key in state:
                expect(bool((state[key] >= 0).all()), f"{key} of {name} is negative")
    if hasattr(layer, "check_state"):
        layer.check_state(state)


def _is_generator(name, value):
    extra = name.rpartition(".")[2] == "_extra_state"
    return extra and value.dtype == torch.uint8 and value.shape == (_GENERATOR_BYTES,)


def _check_number(name, found, expected):
    """Return a number of the state, perhaps None before the first step."""
    expect(
        (found is None and expected is None) or (is_finite(found) and found >= 0),
        f"{name} is no number from zero",
    )
    if type(expected) is int:
        expect(type(found) is int, f"{name} is not whole")
    return found


def _check_best(reader, found, best, net, history):
    """Return what the best weights were, or None without early stopping."""
    expect((found is None) == (best is None), "it does not stop early as this one")
    if found is None:
        return None
    expect(
        isinstance(found, dict) and found.keys() == best.state_dict().keys(),
        "the best weights have other parts",
    )
    epoch, waited, score = found["epoch"], found["waited"], found["score"]
    expect(
        type(epoch) is int
        and type(waited) is int
        and epoch >= 0 <= waited
        and epoch + waited == len(history),
        "the best weights are of no epoch",
    )
    if found["state"] is None:
        expect(epoch == 0, "there are no best weights")
        return {**found, "score": -math.inf}
    expect(
        epoch > 0 and is_finite(score) and history[epoch - 1]["valid_score"] == score,
        "the best weights have another score than their epoch",
    )
    return {**found, "state": _check_module(reader, found["state"], net.function)}
