"""Whether the state of an optimizer is one that a training could have had."""

import torch

from ._reader import expect, is_finite
from ._state_json import Stored

# Settings that follow the machine, not the file.
_OF_THE_MACHINE = ("fused", "foreach", "capturable")


def check_optimizer(reader, found, optimizer, net, n_steps):
    """Return the state dictionary of Adam, after comparing it with a net's own.

    The fused kernel trusts that moments have the shape of their weights.

    Parameters
    ----------
    reader : Reader
        Of the file.
    found : object
        What the file has in the place of the dictionary.
    optimizer : torch.optim.Adam
        Of the net's weights, or the critic's.
    net : ReconstructionNet
        Initialised.
    n_steps : int
        Steps that have been taken.

    Returns
    -------
    state : dict

    Raises
    ------
    ValueError
        Which says what is wrong.
    """
    expect(
        isinstance(found, dict) and found.keys() == {"state", "param_groups"},
        "the optimizer has other parts",
    )
    weights = [w for group in optimizer.param_groups for w in group["params"]]
    moments = ["exp_avg", "exp_avg_sq"]
    if any(group.get("amsgrad") for group in optimizer.param_groups):
        moments.append("max_exp_avg_sq")
    states = found["state"]
    expect(
        isinstance(states, dict)
        and all(type(i) is int and 0 <= i < len(weights) for i in states)
        and (len(states) > 0) == (n_steps > 0),
        "the optimizer has moments of other weights",
    )
    read = {}
    for index, state in states.items():
        expect(
            isinstance(state, dict) and state.keys() == {"step", *moments},
            "the optimizer has other moments",
        )
        like = torch.zeros((), dtype=torch.float32)
        step = reader.tensor("the optimizer's step", state["step"], like)
        whole = 1 <= float(step) <= n_steps and float(step).is_integer()
        expect(whole, f"the optimizer's step is {float(step):g} of {n_steps}")
        read[index] = {"step": step}
        for name in moments:
            moment = reader.tensor(name, state[name], weights[index])
            if name != "exp_avg":
                expect(bool((moment >= 0).all()), f"{name} is negative")
            read[index][name] = moment
    groups = found["param_groups"]
    expect(
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
    expect(isinstance(found, dict), "a group of weights has no settings")
    expect(found.get("params") == expected["params"], "a group has other weights")
    # Callbacks of the user may have set rates, and begin anew.
    changeable = any(name != "lr_schedule" for name, _ in _callbacks_of_users(net))
    scheduled = dict(net.callbacks_).get("lr_schedule") is not None
    read = dict(expected)
    for name, stored in found.items():
        if name in (*_OF_THE_MACHINE, "params"):
            continue
        value = _setting(reader, name, stored)
        if name not in expected:
            expect(changeable, f"{name} is no setting of the optimizer")
        else:
            own = _comparable(expected[name])
            free = changeable or (name == "lr" and scheduled)
            free = free and isinstance(own, float | tuple) and type(value) is type(own)
            expect(value == own or free, f"{name} is not that of this training")
        read[name] = value
    return read


def _setting(reader, name, stored):
    """Return a number or truth value of a group of weights, or a pair of numbers."""
    value = stored
    if isinstance(value, Stored):  # a rate that lay on a GPU
        like = reader.tensors.like(value.name)
        expect(like.numel() == 1, f"{name} is no number")
        value = float(reader.tensors[value.name])
    numbers = value if isinstance(value, list) else [value]
    expect(
        all(
            v is None or isinstance(v, bool) or (is_finite(v) and v >= 0)
            for v in numbers
        ),
        f"{name} is no number from zero",
    )
    if name == "betas":
        in_range = len(numbers) == 2 and all(v < 1 for v in numbers)
        expect(in_range, "betas are not below one")
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
