"""How many threads to compute with on a machine that others use as well."""

import os
import time
from pathlib import Path

_STAT = Path("/proc/stat")
_QUOTA = Path("/sys/fs/cgroup/cpu.max")


def choose_n_threads(most, seconds=0.3):
    """Choose one thread for each core that is idle.

    Parameters
    ----------
    most : int
        At most so many, such as ``torch.get_num_threads()`` before it is set: torch
        takes one for each core, or what ``OMP_NUM_THREADS`` says.
    seconds : float, default=0.3
        For so long the machine is watched.

    Returns
    -------
    n_threads : int
        From 1 to ``most``, and not more than the process may use cores, by its
        affinity and the quota of its control group (version 2).

    Notes
    -----
    Threads of one tensor operation wait for each other. Where other processes have
    the cores, that is most of what they do, and two threads may take much longer than
    one.

    Idle cores are watched, as the load average lags by a minute. It stands in where
    the system has nothing to watch (macOS).
    """
    cores = _allowed_cores()
    most = min(most, len(cores))
    if most <= 1:
        return 1
    free = min(_n_idle(cores, seconds), _quota())
    return max(1, min(most, round(free)))


def _allowed_cores():
    """Numbers of the cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return os.sched_getaffinity(0)
    return set(range(os.cpu_count() or 1))


def _quota():
    """Cores' worth of time that the control group may use."""
    try:
        quota, period = _QUOTA.read_text().split()
        return int(quota) / int(period)
    except (OSError, ValueError):  # no such group, or "max"
        return float("inf")


def _n_idle(cores, seconds):
    """Cores that are idle, added up over those given."""
    before = _ticks()
    if not before:
        load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0
        return (os.cpu_count() or 1) - load
    time.sleep(seconds)
    idle = 0.0
    for core, (idle_now, all_now) in _ticks().items():
        if core in cores and core in before:
            idle_before, all_before = before[core]
            idle += (idle_now - idle_before) / max(1, all_now - all_before)
    return idle


def _ticks():
    """Return (idle ticks, all ticks) of each core since it started, or nothing."""
    try:
        lines = _STAT.read_text().splitlines()
    except OSError:
        return {}
    ticks = {}
    for name, *values in (line.split() for line in lines if line.startswith("cpu")):
        if name != "cpu":  # the sum
            # user nice system idle iowait irq softirq steal; guests count as users
            counts = [int(value) for value in values[:8]]
            ticks[int(name[3:])] = counts[3] + counts[4], sum(counts)
    return ticks
