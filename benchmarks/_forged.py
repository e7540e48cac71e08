"""What forged checkpoints and forged model files have in common.

Every file is an honest one, with a few entries of its JSON or its tensors exchanged,
and a right checksum: what it says has to be refused for what it is. Entries are found
by their names, so that it does not matter where in a file they stand.
"""

import json
import os
import socket
import struct

import numpy as np
import torch
from skorch.callbacks import Callback

from sklearn_ei import EquivariantReconstructor
from sklearn_ei.groups import Rotations
from sklearn_ei.networks import UNet, Unrolled
from sklearn_ei.operators import ParallelBeamCT
from sklearn_ei.utils.tensor_file import read_file, write_file

N_EPOCHS, N_DONE = 4, 2
OPERATOR = ParallelBeamCT(6, (12, 12))
Y = OPERATOR.measure(np.random.default_rng(0).random((6, 12, 12)))
HUGE = 30_000  # pixels along one side of an image that nobody should make
# What honestly describes a huge instrument may load: but nothing may be computed for
# it, so that it takes no memory.
DESCRIBED = "described"


class Normed(torch.nn.Module):
    """A user's network, with batch normalisation."""

    def __init__(self, n_channels=1, width=256):
        super().__init__()
        self.first = torch.nn.Conv2d(n_channels, width, 3, padding=1)
        self.norm = torch.nn.BatchNorm2d(width)
        self.mixed = torch.nn.Conv2d(width, width, 3, padding=1)
        self.last = torch.nn.Conv2d(width, n_channels, 3, padding=1)

    def forward(self, x):
        return x + self.last(self.mixed(self.norm(self.first(x)).relu()))


def make_normed(n_channels, n_dims):
    """Return a user's network, as a factory."""
    return Normed(n_channels)


CUSTOM = {"Normed": Normed, "make_normed": make_normed}


class PowerCut(Callback):
    """Ends a training as a power cut would, but for the process."""

    def on_epoch_begin(self, net, **kwargs):
        if len(net.history) > N_DONE:
            raise RuntimeError("power cut")


def make(width=2, **parameters):
    """Return an estimator that trains in a moment."""
    network = Unrolled(UNet(width=width, depth=2), n_stages=1)
    settings = {"operator": OPERATOR, "group": Rotations(12), "network": network}
    settings |= {"max_epochs": N_EPOCHS, "random_state": 0, "check_rank": False}
    settings |= {"lr": 1e-5}  # wide networks leap
    return EquivariantReconstructor(**{**settings, **parameters})


TRAININGS = {
    "plain": {},
    "constant": {"lr_schedule": "constant"},
    "critic": {"beta": 0.1},
    "normed": {"network": make_normed},
    "early": {"early_stopping": 0.3},
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


def forge_document(source, path, change):
    """Write a copy of a file with an altered document, or other tensors."""
    document, stored = read_file(source)
    tensors = dict(stored)
    change(document, tensors)
    rewrite(path, document, tensors)


def rewrite(path, document, tensors):
    for name in ("sha256", "format"):
        document.pop(name, None)
    write_file(path, document, tensors)


def filled(number):
    return lambda tensor: torch.full_like(tensor, number)


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
