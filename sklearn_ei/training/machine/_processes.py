"""Processes that share one training."""

import os

import torch
from sklearn.utils import check_scalar
from torch import distributed

from ...utils.device import resolve_device


class Processes:
    """The processes that share one training, and what they tell each other.

    All of them run the same program on the same data; each method that
    communicates has to be called in all of them, in the same order.

    Parameters
    ----------
    rank : int, default=0
        Number of this process.
    size : int, default=1
        How many there are. Alone, a process talks to nobody.
    device : torch.device or None, default=None
        The accelerator of this process; None leaves the choice to ``device="auto"``.
    """

    def __init__(self, rank=0, size=1, device=None):
        self.rank = rank
        self.size = size
        self.device = device

    @property
    def is_main(self):
        """Whether this is the one that prints, and writes files."""
        return self.rank == 0

    def resolve_device(self, device):
        """Return the ``torch.device`` meant by the parameter ``device``."""
        if isinstance(device, str) and device == "auto" and self.device is not None:
            return self.device
        return resolve_device(device)

    def share(self, n_samples):
        """Return the slice of a batch that this process takes; it may be empty."""
        bounds = (r * n_samples // self.size for r in (self.rank, self.rank + 1))
        return slice(*bounds)

    @torch.no_grad()
    def add(self, tensors):
        """Replace tensors by their sums over all processes, in place."""
        if self.size == 1 or not tensors:
            return
        # One message for all of them.
        flat = torch.cat([tensor.flatten() for tensor in tensors])
        distributed.all_reduce(flat)
        sums = flat.split([tensor.numel() for tensor in tensors])
        for tensor, total in zip(tensors, sums, strict=True):
            tensor.copy_(total.view(tensor.shape))

    @torch.no_grad()
    def average(self, tensors):
        """Replace tensors by their means over all processes, in place."""
        self.add(tensors)
        for tensor in tensors:
            tensor.div_(self.size)

    def from_main(self, value):
        """Return the value that the main process passed."""
        if self.size == 1:
            return value
        message = [value]
        distributed.broadcast_object_list(message, src=0, device=self.device)
        return message[0]

    def check_same(self, digests):
        """Refuse to go on unless all processes have the same digests.

        Parameters
        ----------
        digests : dict of str to str
            Of what has to be equal, by the name that a message gives it.

        Raises
        ------
        ValueError
            In all processes.
        """
        if self.size == 1:
            return
        everyone = [None] * self.size
        distributed.all_gather_object(everyone, digests)
        differ = [
            name
            for name in digests
            if any(theirs.get(name) != everyone[0][name] for theirs in everyone)
        ]
        if differ:
            raise ValueError(
                f"Got {', '.join(differ)} that differ between the processes of "
                "accelerate=True, but expected all data and the same parameters in "
                "each of them."
            )


def resolve_processes(accelerate, device):
    """Return the processes that a fit runs in.

    Parameters
    ----------
    accelerate : bool
        Whether to look for those that ``accelerate launch`` or ``torchrun`` started.
    device : str
        The estimator's parameter; ``"cpu"`` keeps away from GPUs.

    Returns
    -------
    processes : Processes

    Raises
    ------
    TypeError, ValueError
        If ``accelerate`` is no bool, or an ``Accelerator`` made before does not know
        of the other processes.
    ImportError
        If the package accelerate is not installed.
    """
    check_scalar(accelerate, "accelerate", bool)
    if not accelerate:
        return Processes()
    try:
        from accelerate import PartialState
    except ImportError as error:
        raise ImportError(
            "accelerate=True needs the package accelerate: "
            "pip install 'sklearn_ei[accelerate]'."
        ) from error
    # What the user's own Accelerator has set up is kept: the state is shared.
    # Without cpu=True processes on machines without GPU would not find each other.
    cpu = resolve_device(device).type == "cpu"
    state = PartialState(cpu=True) if cpu else PartialState()
    launched = int(os.environ.get("WORLD_SIZE", "1"))
    if launched != state.num_processes:
        raise ValueError(
            f"Got accelerate=True in one of {launched} processes, but an Accelerator "
            f"set up before for {state.num_processes}; expected Accelerator(cpu=True) "
            "on machines without GPU, or none."
        )
    return Processes(state.process_index, state.num_processes, state.device)
