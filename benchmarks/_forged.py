"""Forged checkpoints and model files of new kinds, for robust_forged.py and the tests.

Every file is an honest one, with a few entries of its JSON or its tensors exchanged,
and a right checksum: what it says has to be refused for what it is. Entries are found
by their names, so that it does not matter where in a file they stand.
"""

import copy
import json
import os
import socket
import struct
from functools import partial

import _model_files
import numpy as np
import scipy.sparse
import torch
from skorch.callbacks import Callback

from sklearn_ei import EquivariantReconstructor, PseudoInverseReconstructor, save
from sklearn_ei.groups import Rotations, Shifts
from sklearn_ei.noise import GaussianNoise
from sklearn_ei.operators import Inpainting, MatrixOperator, ParallelBeamCT
from sklearn_ei.training._state_json import pack, unpack
from sklearn_ei.utils.tensor_file import read_file, write_file

N_EPOCHS, N_DONE = 4, 2
OPERATOR = ParallelBeamCT(6, (12, 12))
Y = OPERATOR.measure(np.random.default_rng(0).random((6, 12, 12)))
HUGE = 30_000  # pixels along one side of an image that nobody should make
# What describes a huge instrument, or a critic of a training to come, may load: but
# nothing may be computed or made for it, so that it takes no memory.
DESCRIBED = "described"


class Normed(torch.nn.Module):
    """A user's network, with batch normalisation."""

    def __init__(self, n_channels=1, width=8):
        super().__init__()
        self.first = torch.nn.Conv2d(n_channels, width, 3, padding=1)
        self.norm = torch.nn.BatchNorm2d(width)
        self.last = torch.nn.Conv2d(width, n_channels, 3, padding=1)

    def forward(self, x):
        return x + self.last(self.norm(self.first(x)).relu())


def make_normed(n_channels, n_dims):
    """Return a user's network, as a factory."""
    return Normed(n_channels, 8)


CUSTOM = {"Normed": Normed, "make_normed": make_normed}


class PowerCut(Callback):
    """Ends a training as a power cut would, but for the process."""

    def on_epoch_begin(self, net, **kwargs):
        if len(net.history) > N_DONE:
            raise RuntimeError("power cut")


def make(width=2, **parameters):
    """Return an estimator that trains in a moment."""
    settings = {"group": Rotations(12), "max_epochs": N_EPOCHS, "width": width}
    settings |= {"depth": 2, "n_stages": 1, "random_state": 0, "check_rank": False}
    settings |= {"operator": OPERATOR}
    return EquivariantReconstructor(**{**settings, **parameters})


TRAININGS = {
    "plain": {},
    "constant": {"lr_schedule": "constant"},
    "critic": {"beta": 0.1},
    "normed": {"network": make_normed},
    "early": {"early_stopping": True, "validation_fraction": 0.3},
    "unsure": {"data_term": "unsure", "group": None, "alpha": 0},
}


def honest_checkpoint(kind, path, width):
    """Write the checkpoint of a training after some of its epochs."""
    cut = make(width, **TRAININGS[kind], checkpoint=path, callbacks=[PowerCut()])
    try:
        cut.fit(Y)
    except RuntimeError as error:
        if "power cut" not in str(error):
            raise


def resume(kind, path, width):
    """Go on from a checkpoint."""
    return make(width, **TRAININGS[kind], checkpoint=path).fit(Y)


# -------------------------------------------------------------------- altering
def entries(value, name):
    """Yield (container, key) of all entries of that name, at any depth."""
    if isinstance(value, dict | list):
        pairs = value.items() if isinstance(value, dict) else enumerate(value)
        for key, item in list(pairs):
            if key == name or (isinstance(key, str) and key.endswith(f".{name}")):
                yield value, key
            yield from entries(item, name)


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


def filled(number):
    return lambda tensor: torch.full_like(tensor, number)


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
    _rewrite(path, document, tensors)


def forge_document(source, path, change):
    """Write a copy of a file with an altered document, or other tensors."""
    document, stored = read_file(source)
    tensors = dict(stored)
    change(document, tensors)
    _rewrite(path, document, tensors)


def _rewrite(path, document, tensors):
    for name in ("sha256", "format"):
        document.pop(name, None)
    write_file(path, document, tensors)


# ---------------------------------------------------------------- special files
def special(path, kind):
    """Make something that is no regular file, or is one of holes."""
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder of a file":
        os.mkdir(path)
        (path / "file").touch()
    elif kind == "socket":
        server = socket.socket(socket.AF_UNIX)
        server.bind(os.path.relpath(path))
        server.close()
    elif kind == "link to /dev/zero":
        os.symlink("/dev/zero", path)
    elif kind == "link to itself":
        os.symlink(path, path)
    elif kind == "4 GB of holes":
        with open(path, "wb") as file:
            file.truncate(2**32)
    elif kind == "2 GB of holes as a tensor":
        table = {"a": {"dtype": "F32", "shape": [2**29], "data_offsets": [0, 2**31]}}
        header = json.dumps(table).encode()
        with open(path, "wb") as file:
            file.write(struct.pack("<Q", len(header)) + header)
            file.truncate(8 + len(header) + 2**31)


SPECIAL = (
    "pipe", "socket", "link to /dev/zero", "link to itself", "4 GB of holes",
    "2 GB of holes as a tensor",
)  # fmt: skip


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


# ------------------------------------------------------------------ model files
def honest_models(folder, width=2):
    """Write honest model files, and return their paths by name."""
    tiny = {"max_epochs": 1, "lr_schedule": "constant"}
    matrix = scipy.sparse.random_array((64, 144), density=0.3, rng=0).tocsr()
    sparse = MatrixOperator(matrix, (12, 12))
    Z = sparse.measure(np.random.default_rng(1).random((2, 12, 12)))
    frames = np.random.default_rng(2).random((3, 12, 12))
    mask = np.random.default_rng(3).random((12, 12)) < 0.7
    estimators = {
        "ct": make(width, **tiny, noise=GaussianNoise(0.1)).fit(Y),
        "sparse": make(width, **tiny, operator=sparse).fit(Z),
        "module": make(width, **tiny, network=Normed()).fit(Y),
        "factory": make(width, **tiny, network=make_normed).fit(Y),
        "semi": make(width, **tiny, supervised=True, network=make_normed).fit(
            Y, np.where(np.arange(6)[:, None, None] > 3, np.nan, np.zeros((6, 12, 12)))
        ),
        "mask": make(width, **tiny, operator=Inpainting(mask=mask), group=Shifts()).fit(
            frames
        ),
        "linear": PseudoInverseReconstructor(sparse).fit(Z),
    }
    return {
        name: save(estimator, folder / f"{name}.safetensors")
        for name, estimator in estimators.items()
    }


def parameters_of(document, kind):
    """Yield the parameters of all objects of a class."""
    if isinstance(document, dict):
        if kind in (document.get("object"), document.get("custom")):
            yield document.setdefault("params", {})
        for value in document.values():
            yield from parameters_of(value, kind)
    elif isinstance(document, list):
        for value in document:
            yield from parameters_of(value, kind)


def parameter(kind, name, value):
    def change(document, tensors):
        found = list(parameters_of(document, kind))
        assert found, kind
        for params in found:
            params[name] = value

    return change


def fitted(name, value):
    def change(document, tensors):
        assert name in document["fitted"]
        document["fitted"][name] = value

    return change


def sparse_entry(**entries_):
    """Alter all sparse matrices of a document."""

    def change(document, tensors):
        found = list(entries(document, "sparse"))
        assert found
        for container, key in found:
            container[key].update(copy.deepcopy(entries_))

    return change


def on_tensors(part, new, which=0):
    """Alter a tensor whose name has a part."""

    def change(document, tensors):
        name = [n for n in tensors if part in n][which]
        tensors[name] = new(tensors[name])

    return change


def huge_image(document, tensors):
    """Let the operator be one of images that take gigabytes."""
    shape = ParallelBeamCT(6, (HUGE, HUGE)).measurement_shape
    for params in parameters_of(document, "ParallelBeamCT"):
        params["image_shape"] = {"tuple": [HUGE, HUGE]}
        if params.get("n_bins") is not None:
            params["n_bins"] = shape[-1]
    document["fitted"]["measurement_shape_"] = {"tuple": list(shape)}
    for kind in ("Rotations", "Shifts"):
        for container in objects_of(document, kind):
            if "image_shape" in container:
                container["image_shape"] = [HUGE, HUGE]


def objects_of(document, kind):
    if isinstance(document, dict):
        if document.get("object") == kind:
            yield document
        for value in document.values():
            yield from objects_of(value, kind)
    elif isinstance(document, list):
        for value in document:
            yield from objects_of(value, kind)


def extra_tensor(document, tensors):
    tensors["extra"] = torch.zeros(2**25)


def both(*changes):
    def change(document, tensors):
        for one in changes:
            one(document, tensors)

    return change


def model_changes():
    """Yield (honest model, name, function of document and tensors)."""
    nan, inf = {"float": "nan"}, {"float": "inf"}
    shape = [64, 600_000_000]
    for form in ("csr", "csc", "coo", "bsr", "lil", "dok"):
        change = sparse_entry(shape=shape, format=form)
        yield "sparse", f"600 million columns in {form}", change
        yield "linear", f"600 million columns of a linear one in {form}", change
    yield "sparse", "600 million rows", sparse_entry(shape=[600_000_000, 144])
    for part in ("data", "indices", "indptr"):
        yield "sparse", f"matrix without {part}", sparse_entry(**{part: None})
        yield (
            "sparse",
            f"matrix whose {part} are a network's weights",
            sparse_entry(**{part: {"array": "network.last.weight"}}),
        )
    yield "sparse", "matrix that is perhaps an array", sparse_entry(is_array="yes")
    for value in (1e-300, 1e-45, 1e-38, 1e300, 1e39, True):
        yield "ct", f"scale_={value}", fitted("scale_", value)
    for name in ("detector_offset", "bin_size", "pixel_size"):
        for value in (nan, inf):
            yield "ct", f"{name} {value}", parameter("ParallelBeamCT", name, value)
    yield "ct", "noise of NaN", parameter("GaussianNoise", "sigma", nan)
    for name in ("alpha", "lr", "beta"):
        yield "ct", f"{name} NaN", parameter("EquivariantReconstructor", name, nan)
        yield (
            "ct",
            f"{name} infinite",
            parameter("EquivariantReconstructor", name, inf),
        )
    yield "ct", "alpha_ infinite", fitted("alpha_", inf)
    yield "mask", "mask of NaN", on_tensors("array", lambda t: t.double() * np.nan)
    yield "linear", "matrix of NaN", sparse_values(float("nan"))
    yield "linear", "matrix of infinity", sparse_values(float("inf"))
    for value in (-1.0, -1e-3, float("nan")):
        yield (
            "module",
            f"running variance {value}",
            on_tensors("running_var", filled(value)),
        )
        yield (
            "factory",
            f"factory's running variance {value}",
            on_tensors("running_var", filled(value)),
        )
    yield "factory", "batches below zero", on_tensors("num_batches", filled(-1))
    yield (
        "module",
        "a user's network of width a million",
        parameter("Normed", "width", 1_000_000),
    )
    yield (
        "module",
        "a user's network of a million channels",
        parameter("Normed", "n_channels", 1_000_000),
    )
    for name in ("ct", "factory", "module", "semi"):
        yield name, f"{DESCRIBED}: {name} of images of {HUGE}²", huge_image
    yield (
        "ct",
        "a network by reference and a huge image",
        both(
            huge_image,
            parameter(
                "EquivariantReconstructor", "network", {"reference": "ResidualUNet"}
            ),
        ),
    )
    yield (
        "factory",
        f"{DESCRIBED}: a critic of width a million",
        both(
            parameter("EquivariantReconstructor", "width", 1_000_000),
            parameter("EquivariantReconstructor", "beta", 0.1),
        ),
    )
    yield "ct", "128 MB that nothing names", extra_tensor
    yield (
        "ct",
        "128 MB as weights",
        on_tensors("network", lambda t: torch.zeros(2**25), 1),
    )
    yield "ct", "a path that is a number", parameter(
        "EquivariantReconstructor", "checkpoint", {"path": 3}
    )  # fmt: skip
    yield "ct", "a path that is a list", parameter(
        "EquivariantReconstructor", "checkpoint", {"path": ["/", "etc"]}
    )  # fmt: skip


def sparse_values(value):
    def change(document, tensors):
        container, key = next(entries(document, "sparse"))
        name = container[key]["data"]["array"]
        tensors[name] = torch.full_like(tensors[name], value)

    return change


def table_forgeries(source):
    """Yield (name, content) of files whose table of tensors lies."""
    data = source.read_bytes()
    document, _ = _model_files.parts(data)
    text = json.dumps({**document, "sha256": _model_files.BLANK})

    def forged(table, body):
        header = json.dumps({"__metadata__": {"sklearn_ei": text}, **table}).encode()
        file = struct.pack("<Q", len(header)) + header + body
        digest = _model_files.hashlib.sha256(file).hexdigest().encode()
        return file.replace(_model_files.BLANK.encode(), digest, 1)

    def entry(dtype, shape, first, last, **more):
        return {"dtype": dtype, "shape": shape, "data_offsets": [first, last], **more}

    eight = bytes(8)
    yield "tensors that overlap", forged(
        {"a": entry("F32", [2], 0, 8), "b": entry("F32", [1], 4, 8)}, eight
    )  # fmt: skip
    yield "bytes after the tensors", forged({"a": entry("F32", [1], 0, 4)}, eight)
    yield "a size that is true", forged({"a": entry("U8", [True] * 3, 0, 1)}, b"\0")
    yield "a dtype without a size", forged({"a": entry("F4", [16], 0, 8)}, eight)
    yield (
        "a tensor with a secret",
        forged({"a": entry("F32", [2], 0, 8, code="exec")}, eight),
    )
    yield (
        "65 dimensions",
        forged({"a": entry("F32", [1] * 64 + [2], 0, 8)}, eight),
    )
    yield (
        "nothing, of 2**62 by 2**62",
        forged({"a": entry("F32", [0, 2**62, 2**62], 0, 0)}, b""),
    )
    yield "truth values of 2", forged({"a": entry("BOOL", [8], 0, 8)}, b"\2" * 8)
    yield (
        "a million numbers",
        forged({"a": entry("F32", [1] * 2_000_000 + [2], 0, 8)}, eight),
    )


def write_bytes(path, content):
    path.write_bytes(content)


def models(sources):
    """Yield (honest model, name, function that writes the forged file at a path)."""
    for kind, name, change in model_changes():
        yield kind, name, partial(forge_document, sources[kind], change=change)
    for name, content in table_forgeries(sources["ct"]):
        yield "ct", name, partial(write_bytes, content=content)
    for kind in SPECIAL:
        yield "ct", kind, partial(special, kind=kind)
