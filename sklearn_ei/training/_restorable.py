"""Whether a state that comes from a file is one that a training could have had."""

import math

import torch
from torch import nn
from torch.nn.modules.batchnorm import _NormBase

from ._state_json import Stored, fetch

# Of an optimizer's settings those that follow the machine, not the file.
_OF_THE_MACHINE = ("fused", "foreach", "capturable")
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
    _expect(
        isinstance(history, list) and all(isinstance(e, dict) for e in history),
        "the history is no list of epochs",
    )
    for number, epoch in enumerate(history, start=1):
        names = all(isinstance(name, str) for name in epoch)
        _expect(names and "batches" not in epoch, "an epoch has entries without names")
        _expect(
            type(epoch.get("epoch")) is int and epoch["epoch"] == number,
            f"epoch {number} is not where it should be",
        )
        loss, count = epoch.get("train_loss"), epoch.get(_COUNT)
        _expect(_is_finite(loss), f"the loss of epoch {number} is no finite number")
        _expect(
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
    _expect(state.keys() == {"net", "best", "history"}, "it has other parts")
    history = state["history"]
    for epoch in history:
        for name in getattr(net.criterion_, "term_names", ()):
            _expect(_is_finite(epoch.get(name)), f"{name} is no finite number")
    n_steps = sum(epoch[_COUNT] for epoch in history)
    reader = _Reader(tensors, trained=n_steps > 0)
    own = net.training_state()
    _expect(
        isinstance(state["net"], dict) and state["net"].keys() == own.keys(),
        "the net has other parts",
    )
    read = {}
    for name, expected in own.items():
        found, part = state["net"][name], getattr(net, name, None)
        if isinstance(part, torch.optim.Optimizer):
            read[name] = _check_optimizer(reader, found, part, net, n_steps)
        elif isinstance(part, nn.Module):
            read[name] = _check_module(reader, found, part)
        else:
            read[name] = _check_number(name, found, expected)
    if dict(net.callbacks_).get("lr_schedule") is not None:
        _expect(read.get("step") == n_steps, "the schedule is at another step")
    return {
        "net": read,
        "best": _check_best(reader, state["best"], best, net, history),
        "history": fetch(history, tensors),
    }


class _Reader:
    """Reads tensors that are as expected.

    Parameters
    ----------
    tensors : StoredTensors
        Of the file.
    trained : bool
        Whether a step has been taken, so that nothing is NaN any more.
    """

    def __init__(self, tensors, trained):
        self.tensors = tensors
        self.trained = trained

    def tensor(self, name, found, expected):
        """Return a stored tensor of the shape and dtype of another one."""
        _expect(isinstance(found, Stored) and not found.is_array, f"{name} is missing")
        like = self.tensors.like(found.name)
        _expect(
            like.shape == expected.shape and like.dtype == expected.dtype,
            f"{name} has shape {tuple(like.shape)} and {like.dtype}, where "
            f"{tuple(expected.shape)} and {expected.dtype} are expected",
        )
        tensor = self.tensors[found.name]
        if tensor.is_floating_point() or tensor.is_complex():
            bad = ~tensor.isfinite()
            if bad.any():
                fresh = expected.detach().cpu()
                # A buffer may begin with infinity, or with NaN until the first step.
                same = bad & (tensor == fresh)
                if not self.trained:
                    same |= tensor.isnan() & fresh.isnan()
                _expect(torch.equal(same, bad), f"{name} is not finite")
        return tensor

    def generator(self, name, found, expected):
        """Return the state of a stream of random numbers."""
        state = self.tensor(name, found, expected)
        trial = torch.Generator()
        try:
            trial.set_state(state)
        except RuntimeError as error:
            raise ValueError(f"{name} is no state of a generator") from error
        # What it has ready for the next call is part of its state.
        drawn = [
            torch.randn(1, generator=trial, dtype=dtype)
            for dtype in (torch.float64, torch.float32)
        ]
        _expect(all(x.isfinite() for x in drawn), f"{name} draws NaN")
        return state


def _check_module(reader, found, module):
    """Return the state dictionary of a module."""
    expected = module.state_dict()
    _expect(
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
                _expect(bool((state[key] >= 0).all()), f"{key} of {name} is negative")
    if hasattr(layer, "check_state"):
        layer.check_state(state)


def _is_generator(name, value):
    extra = name.rpartition(".")[2] == "_extra_state"
    return extra and value.dtype == torch.uint8 and value.shape == (_GENERATOR_BYTES,)


def _check_optimizer(reader, found, optimizer, net, n_steps):
    """Return the state dictionary of Adam.

    The fused kernel trusts that moments have the shape of their weights.
    """
    _expect(
        isinstance(found, dict) and found.keys() == {"state", "param_groups"},
        "the optimizer has other parts",
    )
    weights = [w for group in optimizer.param_groups for w in group["params"]]
    moments = ["exp_avg", "exp_avg_sq"]
    if any(group.get("amsgrad") for group in optimizer.param_groups):
        moments.append("max_exp_avg_sq")
    states = found["state"]
    _expect(
        isinstance(states, dict)
        and all(type(i) is int and 0 <= i < len(weights) for i in states)
        and (len(states) > 0) == (n_steps > 0),
        "the optimizer has moments of other weights",
    )
    read = {}
    for index, state in states.items():
        _expect(
            isinstance(state, dict) and state.keys() == {"step", *moments},
            "the optimizer has other moments",
        )
        like = torch.zeros((), dtype=torch.float32)
        step = reader.tensor("the optimizer's step", state["step"], like)
        whole = 1 <= float(step) <= n_steps and float(step).is_integer()
        _expect(whole, f"the optimizer's step is {float(step):g} of {n_steps}")
        read[index] = {"step": step}
        for name in moments:
            moment = reader.tensor(name, state[name], weights[index])
            if name != "exp_avg":
                _expect(bool((moment >= 0).all()), f"{name} is negative")
            read[index][name] = moment
    groups = found["param_groups"]
    _expect(
        isinstance(groups, list) and len(groups) == len(optimizer.param_groups),
        "the optimizer has other groups of weights",
    )
    own = optimizer.state_dict()["param_groups"]
    checked = [
        _check_group(reader, group, expected, net)
        for group, expected in zip(groups, own, strict=True)
    ]
    return {"state": read, "param_groups": checked}


def _check_group(reader, found, expected, net):
    """Return the settings of a group of weights: this net's, but for the numbers."""
    _expect(isinstance(found, dict), "a group of weights has no settings")
    _expect(found.get("params") == expected["params"], "a group has other weights")
    # Callbacks of the user may have set rates, and begin anew.
    changeable = any(name != "lr_schedule" for name, _ in _callbacks_of_users(net))
    scheduled = dict(net.callbacks_).get("lr_schedule") is not None
    read = dict(expected)
    for name, stored in found.items():
        if name in (*_OF_THE_MACHINE, "params"):
            continue
        value = _setting(reader, name, stored)
        if name not in expected:
            _expect(changeable, f"{name} is no setting of the optimizer")
        else:
            own = _comparable(expected[name])
            free = changeable or (name == "lr" and scheduled)
            free = free and isinstance(own, float | tuple) and type(value) is type(own)
            _expect(value == own or free, f"{name} is not that of this training")
        read[name] = value
    return read


def _setting(reader, name, stored):
    """Return a number or truth value of a group of weights, or a pair of numbers."""
    value = stored
    if isinstance(value, Stored):  # a rate that lay on a GPU
        like = reader.tensors.like(value.name)
        _expect(like.numel() == 1, f"{name} is no number")
        value = float(reader.tensors[value.name])
    numbers = value if isinstance(value, list) else [value]
    _expect(
        all(
            v is None or isinstance(v, bool) or (_is_finite(v) and v >= 0)
            for v in numbers
        ),
        f"{name} is no number from zero",
    )
    if name == "betas":
        in_range = len(numbers) == 2 and all(v < 1 for v in numbers)
        _expect(in_range, "betas are not below one")
    return _comparable(value)


def _comparable(value):
    """Return a setting as it would be if it had never been in a file, or on a GPU."""
    if isinstance(value, torch.Tensor):
        return float(value)
    if isinstance(value, list):
        return tuple(value)
    return float(value) if type(value) is int else value


def _callbacks_of_users(net):
    """Return the callbacks of a net beside those that skorch adds itself."""
    return [
        (name, callback)
        for name, callback in net.callbacks_
        if name not in {name for name, _ in net._default_callbacks}
    ]


def _check_number(name, found, expected):
    """Return a number of the state, perhaps None before the first step."""
    _expect(
        (found is None and expected is None) or (_is_finite(found) and found >= 0),
        f"{name} is no number from zero",
    )
    if type(expected) is int:
        _expect(type(found) is int, f"{name} is not whole")
    return found


def _check_best(reader, found, best, net, history):
    """Return what the best weights were, or None without early stopping."""
    _expect((found is None) == (best is None), "it does not stop early as this one")
    if found is None:
        return None
    _expect(
        isinstance(found, dict) and found.keys() == best.state_dict().keys(),
        "the best weights have other parts",
    )
    epoch, waited, score = found["epoch"], found["waited"], found["score"]
    _expect(
        type(epoch) is int
        and type(waited) is int
        and epoch >= 0 <= waited
        and epoch + waited == len(history),
        "the best weights are of no epoch",
    )
    if found["state"] is None:
        _expect(epoch == 0, "there are no best weights")
        return {**found, "score": -math.inf}
    _expect(
        epoch > 0 and _is_finite(score) and history[epoch - 1]["valid_score"] == score,
        "the best weights have another score than their epoch",
    )
    return {**found, "state": _check_module(reader, found["state"], net.module_)}


def _is_finite(value):
    return type(value) in (int, float) and math.isfinite(value)


def _expect(holds, complaint):
    if not holds:
        raise ValueError(complaint)
