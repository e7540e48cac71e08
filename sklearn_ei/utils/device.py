"""Devices, precision and constants that follow a tensor."""

import threading
from contextlib import contextmanager
from functools import lru_cache
from types import SimpleNamespace

import torch

from .params import brief

_VARIANTS_LOCK = threading.RLock()
_PRECISIONS = {"auto": None, "float32": torch.float32, "bfloat16": torch.bfloat16}


def resolve_device(device):
    """Return the ``torch.device`` meant by ``device``.

    ``"auto"`` is CUDA where a GPU is usable and the CPU elsewhere. Anything
    that torch does not know, or that this machine does not have, is refused.
    """
    if isinstance(device, str) and device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        resolved = torch.device(device)
        torch.empty(0, device=resolved)
    except (RuntimeError, AssertionError, TypeError, NotImplementedError) as error:
        raise ValueError(
            f"Got device={brief(device)}, which is not usable on this machine; "
            f"expected 'auto', 'cpu' or an available device such as 'cuda:0'."
        ) from error
    return resolved


def _cpu_computes_bfloat16():
    """Whether the processor multiplies bfloat16 natively (AVX512-BF16 or AMX)."""
    probes = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(getattr(torch.cpu, probe, bool)() for probe in probes)


def resolve_precision(precision, device, n_spatial_dims=2):
    """Return the dtype in which the network's convolutions run.

    ``"auto"`` looks the processor up rather than timing it, so that the same
    seed gives the same bits in every run on one machine. Only convolutions of
    images are known to gain; signals and volumes stay in float32.
    """
    if not isinstance(precision, str) or precision not in _PRECISIONS:
        raise ValueError(
            f"Got precision={brief(precision)}, but expected 'auto', 'float32' or "
            "'bfloat16'."
        )
    if precision != "auto":
        return _PRECISIONS[precision]
    if n_spatial_dims != 2:
        return torch.float32
    if device.type == "cuda":
        gains = torch.cuda.is_bf16_supported()
    else:
        gains = device.type == "cpu" and _cpu_computes_bfloat16()
    return torch.bfloat16 if gains else torch.float32


@lru_cache(maxsize=128)
def table(values, device):
    """Return a tuple of numbers as a float64 tensor, copied to a device only once.

    A copy from the host makes a GPU wait, and cannot be part of a CUDA graph.
    """
    return settled(torch.tensor(values, dtype=torch.float64, device=device))


def settled(constant):
    """Return a constant once every stream of its GPU may read it."""
    if constant.is_cuda:
        torch.cuda.current_stream(constant.device).synchronize()
    return constant


@contextmanager
def own_stream(device):
    """Work on a stream of one's own where a thread of a pool uses a GPU.

    So do fits that share a GPU with each other (joblib's threading backend).
    """
    if device.type != "cuda" or threading.current_thread() is threading.main_thread():
        yield
        return
    stream = torch.cuda.Stream(device)
    stream.wait_stream(torch.cuda.current_stream(device))
    try:
        with torch.cuda.stream(stream):
            yield
    finally:
        stream.synchronize()


class Constants:
    """Tensors of an operator: built once, handed out on any device and dtype.

    What ``_build`` of a :class:`~sklearn_ei.operators.ForwardOperator` returns, and
    ``_forward``, ``_adjoint`` and ``_pinv`` get as attributes of ``constants``.

    Parameters
    ----------
    shared : Constants, default=None
        Constants owned by several objects (big matrices), handed out as well.
    **tensors : torch.Tensor
        The named constants. Sparse CSR tensors are allowed; complex ones have to be
        stored as ``torch.view_as_real`` shows them.

    Examples
    --------
    >>> import torch
    >>> from sklearn_ei.operators import Constants
    >>> constants = Constants(gains=torch.ones(3))
    >>> constants.like(torch.zeros(1, dtype=torch.float64)).gains.dtype
    torch.float64
    """

    def __init__(self, shared=None, /, **tensors):
        self._shared = shared
        self._tensors = tensors
        self._variants = {}

    def like(self, x):
        """Return a namespace of the constants with the device and dtype of ``x``."""
        key = (x.device, x.dtype)
        if key not in self._variants:
            with _VARIANTS_LOCK:  # threads that share an operator share its tensors
                if key not in self._variants:
                    self._variants[key] = self._variant(x)
        return self._variants[key]

    def _variant(self, x):
        shared = {} if self._shared is None else vars(self._shared.like(x))
        own = {
            name: settled(tensor.to(device=x.device, dtype=x.dtype))
            for name, tensor in self._tensors.items()
        }
        return SimpleNamespace(**shared, **own)
