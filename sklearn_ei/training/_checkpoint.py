"""A training that survives being killed."""

import hashlib
import json
import math
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import FunctionType, MethodType

import numpy as np
import torch
from scipy import sparse
from skorch.callbacks import Callback
from skorch.history import History
from torch import nn

from ..utils.files import remove_abandoned
from ..utils.stack import LazyTensor
from ..utils.tensor_file import ModelFileError, read_file, write_file
from .machine import Processes

_KIND = "checkpoint"


class Checkpoint(Callback):
    """Write everything that the rest of a training depends on, after every epoch.

    One file: weights, optimizers, schedule, random streams, history, and what the
    best weights were. It is written under a temporary name, synced and renamed:
    at any moment the file is a whole checkpoint, the new one or the one before.

    Parameters
    ----------
    path : path-like
        The file; or a folder that holds a file for each training, named by its
        fingerprint.
    fingerprint : dict of str to str
        What the training is of, from :func:`fingerprint`.
    processes : Processes or None, default=None
        Who shares the training: all read the file, the main one writes it.

    Attributes
    ----------
    best : BestWeights or None
        Part of the state, if there is one; to be set before :meth:`restore`.
    """

    best = None

    def __init__(self, path, fingerprint, processes=None):
        self.path = Path(path)
        self.fingerprint = fingerprint
        self.processes = Processes() if processes is None else processes
        self.muted = False
        self.in_folder = self.path.is_dir()
        if self.in_folder:
            name = hashlib.sha256(json.dumps(sorted(fingerprint.items())).encode())
            self.path /= f"{name.hexdigest()[:32]}.checkpoint"

    def read(self, n_epochs):
        """Read the file, if there is one, and refuse it if it does not belong here.

        Parameters
        ----------
        n_epochs : int
            That the training is to have. A file with more of them is refused; one
            in a folder belongs to a longer search, and is left alone.

        Returns
        -------
        self : Checkpoint

        Raises
        ------
        ValueError
            If the file is not a checkpoint, is damaged, or belongs to another
            training: the message says what differs.
        """
        self.found_ = None
        self.processes.check_same({"checkpoint files": self._find(n_epochs)})
        return self

    def _find(self, n_epochs):
        """Read the file, and return its digest, empty if there is none."""
        remove_abandoned(self.path)
        if not self.path.exists():
            return ""
        document, tensors = read_file(self.path)
        if document.get("kind") != _KIND:
            raise ModelFileError(
                f"{str(self.path)!r} is no checkpoint; expected one, or a path at "
                "which there is no file."
            )
        theirs = document.get("fingerprint")
        theirs = theirs if isinstance(theirs, dict) else {}
        names = sorted(self.fingerprint.keys() | theirs.keys())
        changed = [n for n in names if self.fingerprint.get(n) != theirs.get(n)]
        if changed:
            raise ValueError(
                f"{str(self.path)!r} is the checkpoint of another training, which "
                f"differs in {', '.join(changed)}; expected the same data and "
                "parameters to go on, or another path to start anew."
            )
        with self._readable():
            state = _unpack(document["state"], tensors)
            n_done, complete = len(state["history"]), bool(document["complete"])
        if n_done <= n_epochs:
            self.found_ = state, complete
        elif self.in_folder:
            self.muted = True
        else:
            raise ValueError(
                f"{str(self.path)!r} is the checkpoint of {n_done} epochs, but "
                f"expected no more than max_epochs={n_epochs}."
            )
        return document.get("sha256", "")

    def restore(self, net):
        """Go to the state that was read, if there was one.

        Parameters
        ----------
        net : ReconstructionNet
            Initialised; its state and history are set.

        Returns
        -------
        complete : bool
            Whether that training, perhaps to fewer epochs, was over.
        """
        if self.found_ is None:
            return False
        (state, complete), self.found_ = self.found_, None
        with self._readable():
            net.load_training_state(state["net"])
            if self.best is not None:
                self.best.load_state_dict(state["best"])
            net.history_ = History(
                {**epoch, "batches": []} for epoch in state["history"]
            )
        return complete

    @contextmanager
    def _readable(self):
        """Say of any error within that the file is no such training's state."""
        try:
            yield
        except Exception as error:  # what a damaged state makes torch raise
            raise ModelFileError(
                f"{str(self.path)!r} does not hold the state of such a training: "
                f"{type(error).__name__}."
            ) from error

    def write(self, net, *, complete):
        """Write the state of a net; an ``OSError`` leaves the file as it was.

        Parameters
        ----------
        net : ReconstructionNet
            Initialised.
        complete : bool
            Whether the training is over.

        Raises
        ------
        OSError
            If the main process could not write; in all processes.
        """
        if self.muted:
            return
        error = None
        if self.processes.is_main:
            try:
                self._write(net, complete)
            except Exception as caught:
                error = caught
        # Nobody goes on before, or if the main process could not write.
        error = self.processes.from_main(error)
        if error is not None:
            raise error

    def _write(self, net, complete):
        state = {
            "net": net.training_state(),
            "best": None if self.best is None else self.best.state_dict(),
            "history": [
                {name: value for name, value in epoch.items() if name != "batches"}
                for epoch in net.history
            ],
        }
        tensors = {}
        document = {
            "kind": _KIND,
            "complete": complete,
            "fingerprint": self.fingerprint,
            "state": _pack(state, tensors),
        }
        write_file(self.path, document, tensors)

    def on_epoch_end(self, net, **kwargs):
        """Write the state after this epoch."""
        self.write(net, complete=False)


def fingerprint(parameters, data):
    """Return what tells one training from another, as hexadecimal digests.

    Parameters
    ----------
    parameters : dict of str to object
        Numbers, strings, arrays, estimators, modules and functions with a name.
    data : dict of str to torch.Tensor, LazyTensor or None
        What is trained on; a lazy tensor has the digest of one of equal content.

    Returns
    -------
    fingerprint : dict of str to str
        One digest for every name.
    """
    digests = {}
    for name, value in {**parameters, **data}.items():
        sha = hashlib.sha256()
        _digest(value, sha.update)
        digests[name] = sha.hexdigest()[:32]
    return digests


def _digest(value, update):
    """Feed the content of a value into a hash."""
    if isinstance(value, LazyTensor):
        update(f"Tensor:tensor=ndarray:float32{value.shape}".encode())
        for chunk in value.chunks():
            update(chunk.numpy().view(np.uint8).data)
        return
    update(f"{type(value).__qualname__}:".encode())
    if isinstance(value, np.ndarray):
        update(f"{value.dtype}{value.shape}".encode())
        for part in value if value.ndim > 1 else (value,):
            update(np.ascontiguousarray(part).view(np.uint8).data)
        return
    parts = _parts(value)
    if parts is None:
        update(repr(value).encode())
        return
    for name, part in parts:
        update(f"{name}=".encode())
        _digest(part, update)


def _parts(value):
    """Return named parts that a value consists of, or None for a plain one."""
    parts = None
    if isinstance(value, torch.Tensor):
        parts = {"tensor": value.detach().cpu().numpy()}
    elif sparse.issparse(value):
        coo = value.tocoo()
        parts = {"row": coo.row, "col": coo.col, "data": coo.data}
    elif isinstance(value, nn.Module):
        parts = {"layers": _settings(value), **value.state_dict()}
    elif isinstance(value, dict):
        parts = value
    elif isinstance(value, list | tuple):
        parts = dict(enumerate(value))
    elif hasattr(value, "get_params"):
        parts = value.get_params(deep=False)
    elif isinstance(value, partial):
        parts = {"of": value.func, "args": value.args, "keywords": value.keywords}
    elif isinstance(value, FunctionType):
        parts = _parts_of_function(value)
    elif isinstance(value, MethodType):
        parts = {"function": value.__func__, "self": value.__self__}
    elif isinstance(value, type) or not hasattr(value, "__dict__"):
        parts = {"name": getattr(value, "__qualname__", repr(value))}
        parts = parts if callable(value) else None
    elif callable(value) or isinstance(value, Callback):
        parts = vars(value)
    return None if parts is None else parts.items()


def _settings(module):
    """Return what no weight holds, such as slopes, for each layer."""
    return {
        name: {
            "kind": type(layer).__qualname__,
            **{
                key: setting
                for key, setting in vars(layer).items()
                if not key.startswith("_") and key != "training"
            },
        }
        for name, layer in module.named_modules()
    }


def _parts_of_function(function):
    """Return what a function computes, as far as it can be told."""
    code = function.__code__
    cells = [cell.cell_contents for cell in function.__closure__ or ()]
    cells = [content for content in cells if content is not function]
    constants = [c for c in code.co_consts if not hasattr(c, "co_code")]
    return {
        "name": f"{function.__module__}.{function.__qualname__}",
        "code": code.co_code.hex(),
        "names": code.co_names,
        "constants": constants,
        "defaults": function.__defaults__,
        "keywords": function.__kwdefaults__,
        "closure": cells,
    }


def _pack(value, tensors):
    """Return JSON for nested dictionaries and lists; tensors go beside it."""
    if isinstance(value, torch.Tensor):
        name = str(len(tensors))
        tensors[name] = value.detach().cpu().contiguous().clone()
        return {"tensor": name}
    if isinstance(value, dict):
        # Keys of an optimizer's state are integers.
        return {"dict": [[key, _pack(item, tensors)] for key, item in value.items()]}
    if isinstance(value, list | tuple):
        return [_pack(item, tensors) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return {"float": repr(value)}
    json.dumps(value)  # anything else is a mistake of ours
    return value


def _unpack(value, tensors):
    if isinstance(value, list):
        return [_unpack(item, tensors) for item in value]
    if not isinstance(value, dict):
        return value
    ((kind, content),) = value.items()
    if kind == "tensor":
        return tensors[content]
    if kind == "float":
        return float(content)
    return {key: _unpack(item, tensors) for key, item in content}
