"""What machines need and learning does not: CUDA graphs, processes, memory."""

from ._captured import CapturedStep, can_capture, graphs_wanted
from ._draws import may_draw
from ._memory import available_memory, predict_memory, warn_if_memory_is_short
from ._processes import Processes, resolve_processes
from ._sharing import SharedFunction

__all__ = [
    "CapturedStep",
    "Processes",
    "SharedFunction",
    "available_memory",
    "can_capture",
    "graphs_wanted",
    "may_draw",
    "predict_memory",
    "resolve_processes",
    "warn_if_memory_is_short",
]
