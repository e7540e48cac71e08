"""Ratios of times, taken in turns in one run."""

import time

import numpy as np
import torch


def clock(device):
    """Return seconds: of all processors on a CPU, of the wall beside a GPU."""
    if device == "cpu":
        return time.process_time()
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


def in_turns(tasks, *, device="cpu", rounds=7, warm_up=2):
    """Time callables in turns, so that what disturbs one disturbs all.

    Parameters
    ----------
    tasks : dict of str to callable
        Without arguments.
    device : {"cpu", "cuda", "wall"}
        Whose clock counts.
    rounds, warm_up : int
        How often each is timed, after how many times without.

    Returns
    -------
    seconds : dict of str to list of float
        One value for each round.
    """
    for _ in range(warm_up):
        for task in tasks.values():
            task()
    seconds = {name: [] for name in tasks}
    for _ in range(rounds):
        for name, task in tasks.items():
            start = clock(device)
            task()
            seconds[name].append(clock(device) - start)
    return seconds


def ratio(seconds, above, below):
    """Return the median over rounds of a ratio, and its quartiles."""
    quotients = np.divide(seconds[above], seconds[below])
    low, middle, high = np.percentile(quotients, [25, 50, 75])
    return {"ratio": middle, "quartiles": [low, high]}


def milliseconds(seconds):
    """Return the medians in ms."""
    return {name: 1e3 * float(np.median(values)) for name, values in seconds.items()}
