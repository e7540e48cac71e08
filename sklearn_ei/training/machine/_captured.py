"""Training steps recorded once and replayed, as CUDA graphs."""

import copy
import os
import threading

import torch
from skorch.callbacks import Callback, LRScheduler, ParamMapper

from ...utils.warn import warn
from ._draws import has_random_layers

_WARM_UP = 3  # steps on which lazy initialisation happens
# Between the loss of the first replay and the same loss step by step; what bfloat16
# and another order of additions make of it is far below.
_TOLERANCE = 1e-2
# One capture at a time in a process, and nothing may wait for a GPU meanwhile.
_CAPTURING = threading.Lock()


def graphs_wanted(device):
    """Return whether steps on a device should be replayed as CUDA graphs.

    On GPUs, unless the environment variable ``SKLEARN_EI_CUDA_GRAPHS`` is 0.
    """
    return device.type == "cuda" and os.environ.get("SKLEARN_EI_CUDA_GRAPHS") != "0"


def can_capture(net):
    """Return whether every step of a net does the same work on tensors alone.

    Parameters
    ----------
    net : ReconstructionNet
        Initialised.

    Returns
    -------
    possible : bool
        False if a term draws numbers as it goes, the network has dropout or is
        averaged over a group, or a callback looks at the gradients of each step, sets
        rates or freezes weights.
    """
    callbacks = [cb for _, cb in net.callbacks_]
    meddles = any(
        type(cb).on_grad_computed is not Callback.on_grad_computed
        or isinstance(cb, LRScheduler | ParamMapper)
        for cb in callbacks
    )
    random = has_random_layers(net.module_)
    random |= getattr(net.module_, "average", None) is not None
    return net.criterion_.depends_on_tensors_alone and not meddles and not random


class CapturedStep:
    """Take the training steps of a net by replaying a record of one.

    On a GPU most of a small step's time goes into launching its kernels. A CUDA
    graph launches all of them at once. The first steps are taken one kernel at a
    time; then one is recorded, checked against the same step without a record, and
    replayed from there on. Batches of another size than the first one, such as the
    last of an epoch, are never recorded.

    Parameters
    ----------
    net : ReconstructionNet
        Initialised. Its parameters and optimizer states must stay where they are in
        memory: :meth:`forget` the record after they are loaded.
    record : callable, default=record_cuda_graph
        ``record(step, device)`` runs ``step()`` without letting it count, and
        returns a function that replays it and the outputs that the replay will fill.
    """

    def __init__(self, net, record=None):
        self.net = net
        self.record = record or record_cuda_graph
        self.failed = False
        self.forget()

    def forget(self):
        """Drop the record; the next steps warm up for a new one."""
        self._inputs = self._replay = self._outputs = None
        self._n_steps = 0

    def __call__(self, *inputs):
        """Take a step with a batch; the arguments of ``net.compute_step``.

        Parameters
        ----------
        *inputs : torch.Tensor or None
            On the device.

        Returns
        -------
        step : dict
            Of ``compute_step``; a replay writes into the tensors of the one before.
        """
        if self._inputs is None:
            self._inputs = [None if t is None else t.clone() for t in inputs]
        if self.failed or not self._fits(inputs):
            return self.net.compute_step(*inputs)
        self._n_steps += 1
        if self._n_steps <= _WARM_UP:
            return self.net.compute_step(*inputs)
        for static, tensor in zip(self._inputs, inputs, strict=True):
            if static is not None:
                static.copy_(tensor, non_blocking=True)
        if self._replay is None:
            return self._first(inputs)
        self._replay()
        return self._outputs

    def _fits(self, inputs):
        pairs = zip(self._inputs, inputs, strict=True)
        return all(
            (a is None and b is None) or (a is not None and a.shape == b.shape)
            for a, b in pairs
        )

    def _first(self, inputs):
        """Record, replay and check a step; if that fails, go on without."""
        net = self.net
        before = copy.deepcopy(net.training_state())
        expected, n_steps = self._loss(inputs), self._n_steps_of_optimizer()
        try:
            self._replay, self._outputs = self.record(
                lambda: net.compute_step(*self._inputs), inputs[0].device
            )
            if self._n_steps_of_optimizer() != n_steps:
                raise RuntimeError("the step was taken while it was recorded")
            self._replay()
            if self._n_steps_of_optimizer() != n_steps + 1:
                raise RuntimeError("its replay took no step")
            got = self._outputs["loss"]
            if not torch.isclose(got, expected, rtol=_TOLERANCE, equal_nan=True):
                raise RuntimeError(
                    f"its loss was {float(got):.4g} where {float(expected):.4g} was "
                    "expected"
                )
        except RuntimeError as error:
            self.forget()
            self.failed = True
            net.load_training_state(before)
            warn(
                "A training step could not be captured as a CUDA graph, so that "
                f"training goes on kernel by kernel, more slowly: {error}. "
                "SKLEARN_EI_CUDA_GRAPHS=0 in the environment does not try.",
                RuntimeWarning,
            )
            return net.compute_step(*inputs)
        return self._outputs

    def _n_steps_of_optimizer(self):
        """Return the optimizer's own count of steps, which lies on the device."""
        state = next(iter(self.net.optimizer_.state.values()))
        return int(state["step"])

    @torch.no_grad()
    def _loss(self, inputs):
        """Return the loss of a batch without training on it."""
        net = self.net
        modules = [net.module_, net.criterion_]
        buffers = [buffer for module in modules for buffer in module.buffers()]
        kept = [buffer.clone() for buffer in buffers]
        loss = net.evaluate(*inputs).loss
        for buffer, value in zip(buffers, kept, strict=True):
            buffer.copy_(value)
        return loss


def record_cuda_graph(step, device):
    """Record a step as a CUDA graph.

    Parameters
    ----------
    step : callable
        Without arguments; returns a dict with tensors. Not executed, only recorded.
    device : torch.device
        Where it computes.

    Returns
    -------
    replay : callable
        Launches the step on the current stream.
    outputs : dict
        What ``step`` returned; every replay fills its tensors anew.
    """
    graph = torch.cuda.CUDAGraph()
    stream = torch.cuda.Stream(device)
    with torch.cuda.device(device), _CAPTURING:
        previous = torch.cuda.current_stream(device)
        try:
            # Other threads go on with streams of their own.
            with torch.cuda.graph(
                graph, stream=stream, capture_error_mode="thread_local"
            ):
                outputs = step()
        finally:
            # torch stays on the stream of a capture that fails.
            torch.cuda.set_stream(previous)
    return graph.replay, outputs
