"""A training that survives being killed."""

import hashlib
import json
from contextlib import contextmanager
from pathlib import Path

from skorch.history import History

from ..utils.files import check_writable, remove_abandoned
from ..utils.tensor_file import ModelFileError, read_file, write_file
from ..utils.warn import warn
from ._restorable import check_history, check_state
from ._state_json import pack, pack_history, tensors_in, unpack
from .machine import Processes

_KIND = "checkpoint"


class Checkpoint:
    """Write everything that the rest of a training depends on, after every epoch.

    One file: weights, optimizers, schedule, random streams, history, and what the
    best weights were. It is written under a temporary name, synced and renamed:
    at any moment the file is a whole checkpoint, the new one or the one before.

    Parameters
    ----------
    path : path-like
        The file; or a folder that holds a file for each training, named by its
        fingerprint. Made absolute at once: where the process goes later does not
        matter.
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
        self.path = Path(path).absolute()
        self.fingerprint = fingerprint
        self.processes = Processes() if processes is None else processes
        self.muted = False
        self.left_out = set()
        self.found_ = None
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
            training: the message says what differs. Or if nothing could be written
            there: this is tried, before anything is trained.
        """
        self.found_ = None
        self.processes.check_same({"checkpoint files": self._find(n_epochs)})
        over = self.found_ is not None and self.found_[2]
        done = 0 if self.found_ is None else len(self.found_[0]["history"])
        if not self.muted and not (over and done == n_epochs):
            self._try_to_write()
        return self

    def _find(self, n_epochs):
        """Read the file, and return its digest, empty if there is none."""
        if self.processes.is_main:
            remove_abandoned(self.path)
        try:
            document, tensors = read_file(self.path)
        except FileNotFoundError:
            return ""
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
            # No tensor is read yet: the net will tell which ones there should be.
            state, complete = unpack(document["state"]), document["complete"]
            if type(complete) is not bool:
                raise ValueError("complete is neither true nor false")
            if sorted(tensors_in(state)) != sorted(tensors):
                raise ValueError("there are tensors too many, or too few")
            check_history(state["history"])
        n_done = len(state["history"])
        if n_done <= n_epochs:
            self.found_ = state, tensors, complete
        elif self.in_folder:
            self.muted = True
        else:
            raise ValueError(
                f"{str(self.path)!r} is the checkpoint of {n_done} epochs, but "
                f"expected no more than max_epochs={n_epochs}."
            )
        return document["sha256"]

    def _try_to_write(self):
        error = None
        if self.processes.is_main:
            try:
                check_writable(self.path)
            except OSError as caught:
                error = caught
        error = self.processes.from_main(error)
        if error is not None:
            raise ValueError(
                f"Got checkpoint={str(self.path)!r}, but expected a file that can be "
                f"written: {error.strerror or error}."
            ) from error

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

        Raises
        ------
        ValueError
            If the state is not one that this training could have had, or the net
            has one that no file can hold. Nothing has been loaded then.
        """
        if self.found_ is None:
            self._check_storable(net)
            return False
        (state, tensors, complete), self.found_ = self.found_, None
        with self._readable():
            state = check_state(state, tensors, net, self.best)
            tensors.close()
            net.load_training_state(state["net"])
            if self.best is not None:
                self.best.load_state_dict(state["best"])
            net.history_ = History(
                {**epoch, "batches": []} for epoch in state["history"]
            )
        return complete

    def _check_storable(self, net):
        """Refuse a network whose state only pickle could write, before it trains."""
        try:
            pack(net.training_state(), {})
        except TypeError as error:
            raise TypeError(
                f"Got checkpoint={str(self.path)!r} with a network or a term whose "
                f"state_dict holds {error}, but expected tensors, numbers and strings."
            ) from None

    @contextmanager
    def _readable(self):
        """Say of any error within that the file is no such training's state."""
        try:
            yield
        except Exception as error:  # what a damaged state makes torch raise
            reason = (str(error).splitlines() or [""])[0][:200].rstrip(".")
            raise ModelFileError(
                f"{str(self.path)!r} does not hold the state of such a training "
                f"({type(error).__name__}: {reason}); expected the file as it was "
                "written, or another path to start anew."
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
        tensors = {}
        state = {
            "net": net.training_state(),
            "best": None if self.best is None else self.best.state_dict(),
        }
        packed = pack(state, tensors)
        history, left_out = pack_history(net.history, tensors)
        packed["dict"].append(["history", history])
        if left_out - self.left_out:
            self.left_out |= left_out
            warn(
                f"The checkpoint {str(self.path)!r} leaves out what callbacks recorded "
                f"in the history as {', '.join(sorted(left_out))}; it holds numbers, "
                "strings, arrays, and lists and dictionaries of them.",
            )
        document = {
            "kind": _KIND,
            "complete": complete,
            "fingerprint": self.fingerprint,
            "state": packed,
        }
        write_file(self.path, document, tensors)
