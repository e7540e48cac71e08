"""How much memory a training will take, told before it starts."""

from pathlib import Path

import torch
from torch.autograd.graph import saved_tensors_hooks

from ...operators import part_of
from ...utils.warn import warn

# Tensors as large as the largest one kept for the backward pass that live for a
# moment: gradients on their way, and what convolutions rearrange.
_TRANSIENT = 4
# Beside the weights: gradients, two moments, and the copy of weights and moments
# that an epoch which fails goes back to.
_COPIES_OF_WEIGHTS = 6
_COPIES_OF_AVERAGE = 2  # itself, and what such an epoch goes back to
_WORKSPACE = 2**25  # of libraries


def predict_memory(net, y):
    """Predict the memory that a training takes beside what is there already.

    Parameters
    ----------
    net : ReconstructionNet
        Initialised, before its first step.
    y : torch.Tensor of shape (1, channel, *measurement_shape)
        A measurement, in the units of the training. f reconstructs it, alone and
        twice at a time, in evaluation mode; what autograd would keep is added up.

    Returns
    -------
    fixed, per_sample : int
        Bytes: a step on n samples takes ``fixed + n * per_sample``.
    """
    function, objective = net.module_, net.criterion_
    function.eval()
    if getattr(function, "average", None) is not None:
        function.average.train()  # a step takes one element, not their average
    y = y.to(net.device)
    A, y = part_of(objective.data_term.operator, y)
    once, twice = (_kept(function, y.repeat(n, *[1] * (y.ndim - 1)), A) for n in (1, 2))
    # What does not grow with the samples, such as matrices of A, is there already.
    of_sample = twice.of_samples - once.of_samples
    n_transforms = objective.n_transforms if objective.alpha > 0 else 0
    n_passes = objective.data_term.n_passes + n_transforms
    largest = min(once.largest, of_sample)
    widest = _TRANSIENT * largest * max(1, n_transforms)
    weights = sum(p.numel() * p.element_size() for p in function.parameters())
    n_contexts = objective.data_term.n_passes + (n_transforms > 0)
    n_copies = _COPIES_OF_WEIGHTS + (_COPIES_OF_AVERAGE if net.average else 0)
    fixed = _WORKSPACE + n_copies * weights + n_contexts * once.of_weights
    return fixed, n_passes * of_sample + widest


def _kept(function, y, A):
    """Return what autograd keeps of f(y, A)."""
    kept = _Kept(function)
    with saved_tensors_hooks(kept.pack, lambda tensor: tensor):
        function(y, A)
    return kept


class _Kept:
    """Adds up the storages that autograd keeps."""

    def __init__(self, function):
        self._shapes = {p.shape for p in function.parameters()}
        self._seen = {p.untyped_storage().data_ptr() for p in function.parameters()}
        self.of_samples = self.of_weights = self.largest = 0

    def pack(self, tensor):
        """Count a tensor, once for each storage."""
        if tensor.layout == torch.strided:
            storage = tensor.untyped_storage()
            if storage.data_ptr() not in self._seen:
                self._seen.add(storage.data_ptr())
                self._count(tensor.shape, storage.nbytes())
        # The tensor itself would keep the graph that keeps it, for ever.
        return tensor.detach()

    def _count(self, shape, n_bytes):
        # Weights in another precision do not grow with the batch.
        if shape in self._shapes:
            self.of_weights += n_bytes
        else:
            self.of_samples += n_bytes
            self.largest = max(self.largest, n_bytes)


def available_memory(device):
    """Return the bytes free for new tensors on a device, or None if not known."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        cached = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(
            device
        )
        return free + cached
    if device.type != "cpu" or not Path("/proc/meminfo").exists():
        return None
    fields = dict(
        line.split(":") for line in Path("/proc/meminfo").read_text().splitlines()
    )
    free = [int(fields["MemAvailable"].split()[0]) * 1024]
    # A container may have less than its machine.
    group = Path("/sys/fs/cgroup")
    limit, used = group / "memory.max", group / "memory.current"
    if limit.exists() and used.exists() and limit.read_text().strip() != "max":
        stat = dict(line.split() for line in (group / "memory.stat").open())
        cache = int(stat.get("inactive_file", 0)) + int(stat.get("active_file", 0))
        free.append(int(limit.read_text()) - int(used.read_text()) + cache)
    return min(free)


def warn_if_memory_is_short(net, y, n_samples, n_processes=1):
    """Warn if a training is not going to fit, and say what would.

    Parameters
    ----------
    net : ReconstructionNet
        Initialised, before its first step.
    y : torch.Tensor of shape (1, channel, *measurement_shape)
        A measurement, in the units of the training.
    n_samples : int
        That there are to train on.
    n_processes : int, default=1
        Among which a batch is shared.

    Returns
    -------
    needed : int or None
        Bytes that a step takes; None if not even one sample could be tried.
    """
    device = torch.device(net.device)
    try:
        fixed, per_sample = predict_memory(net, y)
    except torch.cuda.OutOfMemoryError:
        return None  # training will say so
    batch_size = -(-min(net.batch_size, n_samples) // n_processes)
    needed, free = fixed + batch_size * per_sample, available_memory(device)
    if net.verbose:
        print(f"Training takes about {_human(needed)} of memory.", flush=True)
    if free is None or needed <= free:
        return needed
    fitting = int((free - fixed) // max(per_sample, 1)) * n_processes
    advice = (
        f"batch_size={fitting} would fit"
        if fitting >= 1
        else "not even one sample fits: use a smaller network"
    )
    warn(
        f"Training with batch_size={net.batch_size} takes about {_human(needed)} of "
        f"memory, but {device} has {_human(free)} free; {advice}.",
    )
    return needed


def _human(n_bytes):
    unit = "GiB" if n_bytes >= 2**30 else "MiB"
    return f"{n_bytes / (2**30 if unit == 'GiB' else 2**20):.1f} {unit}"
