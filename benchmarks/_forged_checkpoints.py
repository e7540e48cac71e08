"""Forged checkpoints, for robust_forged.py and the tests."""

import copy
import json
from functools import partial

import torch
from _forged import SPECIAL, entries, filled, forge_document, rewrite, special

from sklearn_ei.training._state_json import pack, unpack
from sklearn_ei.utils.tensor_file import read_file


def put(name, new, which=0):
    """Return a function that exchanges an entry; ``new`` may be a function of it."""

    def change(state):
        container, key = list(entries(state, name))[which]
        if new is ...:
            del container[key]
        else:
            container[key] = new(container[key]) if callable(new) else new

    return change


def put_all(name, new):
    def change(state):
        for container, key in entries(state, name):
            container[key] = new(container[key]) if callable(new) else new

    return change


def add(name, container_of, value):
    """Return a function that adds an entry beside one of a known name."""

    def change(state):
        container, _ = next(entries(state, container_of))
        container[name] = copy.deepcopy(value)

    return change


def on_weights(alter):
    """Return a function that alters the dictionary of the network's weights."""

    def change(state):
        def search(value):
            if isinstance(value, dict):
                tensors = [v for v in value.values() if isinstance(v, torch.Tensor)]
                if len(tensors) > 2 and all(isinstance(k, str) for k in value):
                    return value
                for item in value.values():
                    if (found := search(item)) is not None:
                        return found
            return None

        alter(search(state))

    return change


def first_weight(new):
    def alter(weights):
        name = next(n for n, w in weights.items() if w.ndim > 1)
        if new is ...:
            del weights[name]
        else:
            weights[name] = new(weights[name])

    return on_weights(alter)


def rename(weights):
    name = next(iter(weights))
    weights[f"{name}x"] = weights.pop(name)


def group(name, value):
    """Return a function that alters a setting of the optimizer's weights."""

    def change(state):
        container, key = next(entries(state, "param_groups"))
        if value is ...:
            del container[key][0][name]
        else:
            container[key][0][name] = value

    return change


def repeat_epoch(state):
    state["history"].append(copy.deepcopy(state["history"][-1]))


def noise_like(tensor):
    rng = torch.Generator().manual_seed(1)
    return torch.randint(0, 256, tensor.shape, generator=rng).to(torch.uint8)


def state_changes():
    """Yield (training, name, function that alters the state) of forged checkpoints."""
    nan, inf = float("nan"), float("inf")
    moments = {
        "of another shape": lambda t: torch.zeros(7, *t.shape),
        "of 64 MB": lambda t: torch.zeros(2**24),
        "of no dimension": lambda t: torch.zeros(()),
        "empty": lambda t: torch.zeros(0),
        "flat": lambda t: t.flatten(),
        "in float64": lambda t: t.double(),
        "in float16": lambda t: t.half(),
        "in int64": lambda t: t.long(),
        "in complex64": lambda t: t.to(torch.complex64),
        "NaN": filled(nan),
        "infinite": filled(inf),
        "missing": ...,
        "that is a number": 1.0,
        "that is a list": [1.0, 2.0],
        "that is an array": lambda t: t.numpy(),
    }
    for name, new in moments.items():
        yield "plain", f"moment {name}", put("exp_avg", new)
    yield "plain", "second moment below zero", put("exp_avg_sq", filled(-1.0))
    yield "plain", "second moment NaN", put("exp_avg_sq", filled(nan), -1)
    yield "plain", "moment too many", add("max_exp_avg_sq", "exp_avg", torch.zeros(3))
    yield (
        "critic",
        "critic's moment of another shape",
        put("exp_avg", lambda t: torch.zeros(9, *t.shape), -1),
    )
    yield "critic", "critic's moments NaN", put("exp_avg_sq", filled(nan), -1)
    for value in (-5.0, 0.0, 1.5, nan, inf, 1e9, 2.0**24 + 2):
        new = torch.tensor(value)
        # A step of the schedule has the same name: that one is no tensor.
        yield (
            "plain",
            f"step {value:g}",
            put_all(
                "step",
                lambda old, new=new: new if isinstance(old, torch.Tensor) else old,
            ),
        )
    for name, new in {
        "of shape (3,)": torch.ones(3), "in float64": torch.tensor(2.0).double(),
        "in int64": torch.tensor(2), "that is a number": 2.0,
    }.items():  # fmt: skip
        yield (
            "plain",
            f"step {name}",
            put_all(
                "step",
                lambda old, new=new: new if isinstance(old, torch.Tensor) else old,
            ),
        )
    for value in (-1, 10**9, 1.5, "3"):
        yield (
            "plain",
            f"schedule at step {value!r}",
            put_all(
                "step",
                lambda old, value=value: (
                    old if isinstance(old, torch.Tensor) else value
                ),
            ),
        )
    weights = {
        "NaN": filled(nan),
        "infinite": filled(-inf),
        "of another shape": lambda t: torch.zeros(3, *t.shape),
        "in float64": lambda t: t.double(),
        "that are numbers": lambda t: 1.0,
        "missing": ...,
    }
    for name, new in weights.items():
        yield "plain", f"weights {name}", first_weight(new)
    yield "plain", "weights renamed", on_weights(rename)
    yield (
        "plain",
        "weights too many",
        on_weights(lambda w: w.update(extra=torch.zeros(2))),
    )
    for value in (-1.0, nan):
        yield "normed", f"running variance {value}", put("running_var", filled(value))
    yield "normed", "batches below zero", put("num_batches_tracked", filled(-1))
    generators = {
        "too short": lambda t: t[:100].clone(),
        "of zeros": torch.zeros_like,
        "of noise": noise_like,
        "too long": lambda t: torch.cat([t, t]),
        "of truth values": lambda t: t.bool(),
        "missing": ...,
        "that is a number": 3,
    }
    for name, new in generators.items():
        yield "plain", f"generator {name}", put("_extra_state", new)
    settings = {
        "lr": (nan, -1.0, "fast"), "betas": ([2.0, 0.5], [-1.0, 0.9], [0.9]),
        "eps": (-1.0, 1e9), "weight_decay": (5.0,), "maximize": (True,),
        "amsgrad": (True,), "params": ([0], []), "secret": (1.0,),
    }  # fmt: skip
    for name, values in settings.items():
        for value in values:
            yield "plain", f"optimizer with {name}={value}", group(name, value)
    yield "constant", "optimizer with another lr", group("lr", 0.5)
    yield "plain", "optimizer without groups", put("param_groups", [])
    yield "plain", "no optimizer's state", put("state", {})
    epochs = {
        "loss NaN": put("train_loss", nan), "loss a string": put("train_loss", "low"),
        "an epoch missing": lambda state: state["history"].pop(0),
        "an epoch twice": repeat_epoch,
        "numbers that jump": put("epoch", 7),
        "unequal steps": put("train_batch_count", 1),
        "steps below zero": put_all("train_batch_count", -3),
        "a loss without terms": put("equivariance_error", ...),
        "none": lambda state: state.update(history=[]),
        "an epoch that is a list": lambda state: state.update(history=[[1], [2]]),
    }  # fmt: skip
    for name, change in epochs.items():
        yield "plain", f"history: {name}", change
    best = {
        "waited": (-1, 9, 1.5), "epoch": (-1, 99), "score": (nan, 1e9),
        "state": (None,),
    }  # fmt: skip
    for name, values in best.items():
        for value in values:
            yield "early", f"best {name}={value}", in_best(name, value)
    yield "early", "no best weights", lambda state: state.update(best=None)
    yield (
        "early",
        "best weights NaN",
        lambda state: first_weight(filled(nan))(state["best"]["state"]),
    )
    yield "plain", "best weights of nobody", lambda state: state.update(best={})
    yield "unsure", "noise level NaN", put("eta", filled(nan))
    yield "unsure", "noise level infinite", put("eta", filled(inf))


def in_best(name, value):
    def change(state):
        state["best"][name] = value

    return change


def document_changes():
    """Yield (name, function of document and tensors) of forged checkpoints."""

    def alias(document, tensors):
        text = json.dumps(document["state"])
        first, second = list(tensors)[:2]
        text = text.replace(f'{{"tensor": "{second}"}}', f'{{"tensor": "{first}"}}')
        document["state"] = json.loads(text)
        del tensors[second]

    def extra(document, tensors):
        tensors["extra"] = torch.zeros(2**24)

    for value in (1, "yes", None):
        yield f"complete={value!r}", lambda d, t, v=value: d.update(complete=v)
    yield "kind of a model", lambda d, t: d.update(kind="model")
    yield "no fingerprint", lambda d, t: d.update(fingerprint=[])
    yield "no state", lambda d, t: d.update(state=[1])
    yield "unknown entry in the state", lambda d, t: d.update(state={"call": "exec"})
    yield "one tensor in two places", alias
    yield "64 MB that nothing names", extra


def forge_state(source, path, change):
    """Write a copy of a checkpoint with an altered state."""
    document, tensors = read_file(source)
    state = unpack(document["state"], tensors)
    change(state)
    tensors = {}
    document["state"] = pack(state, tensors)
    rewrite(path, document, tensors)


def checkpoints(sources):
    """Yield (training, name, function that writes the forged file at a path).

    Parameters
    ----------
    sources : dict of str to path
        Honest checkpoints, one of each training.
    """
    for kind, name, change in state_changes():
        yield kind, name, partial(forge_state, sources[kind], change=change)
    for name, change in document_changes():
        yield "plain", name, partial(forge_document, sources["plain"], change=change)
    for kind in SPECIAL:
        yield "plain", kind, partial(special, kind=kind)
