"""What the demo's choice of threads costs beside busy processes, against one thread.

python benchmarks/busy_machine.py

A short fit of the demo's first training (measurement consistency, 50 views of 128²) is
timed in turns with one thread, with the threads that `choose_n_threads` chooses, and
with all that torch takes by itself: beside nothing, then beside four busy processes.
Threads wait as in the demo, asleep (OMP_WAIT_POLICY), unless the environment says else.
Seconds are of the wall, the choice included. Asked for: at most 1.3 times one thread.
"""

# First, as it says how threads wait before torch is loaded.
import sklearn_ei.demo  # noqa: F401

# isort: split
import argparse
import os
import statistics
import subprocess
import sys
import time
from contextlib import contextmanager

import _record
import torch
from _timing import ratio

from sklearn_ei import EquivariantReconstructor
from sklearn_ei.datasets import make_thorax_phantoms
from sklearn_ei.groups import Rotations
from sklearn_ei.operators import ParallelBeamCT
from sklearn_ei.utils.threads import choose_n_threads

SMOKE = ["--rounds", "1", "--size", "16", "--samples", "2", "--busy", "1"]
SMOKE_SLOW = True


@contextmanager
def beside(n_processes):
    """Keep so many other processes busy."""
    command = [sys.executable, "-c", "while True: pass"]
    others = [subprocess.Popen(command) for _ in range(n_processes)]
    try:
        time.sleep(1 if others else 0)  # until they have started
        yield
    finally:
        for other in others:
            other.kill()
            other.wait()


def time_in_turns(fit, most, rounds):
    """Return seconds of each choice, one value a round, and the threads chosen."""
    choices = {
        "one thread": lambda: 1,
        "chosen": lambda: choose_n_threads(most),
        "all": lambda: most,
    }
    seconds = {name: [] for name in choices}
    chosen = []
    for _ in range(rounds):
        for name, choose in choices.items():
            start = time.perf_counter()
            torch.set_num_threads(choose())
            fit()
            seconds[name].append(time.perf_counter() - start)
            if name == "chosen":
                chosen.append(torch.get_num_threads())
    return seconds, chosen


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--busy", type=int, default=4, help="processes beside it")
    parser.add_argument("--samples", type=int, default=2)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument(
        "--threads", type=int, help="that torch is said to take by itself"
    )
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()

    most = options.threads or torch.get_num_threads()
    shape = (options.size, options.size)
    operator = ParallelBeamCT(50, image_shape=shape)
    images = make_thorax_phantoms(options.samples, shape, random_state=options.seed)
    Y = operator.measure(images)
    estimator = EquivariantReconstructor(
        operator, Rotations(360), alpha=0, max_epochs=1, random_state=options.seed
    )

    def fit():
        estimator.fit(Y)

    fit()  # the matrix of A is made once
    result = {
        "machine": _record.machine() | {"torch_threads": most},
        "options": vars(options),
        "wait_policy": os.environ["OMP_WAIT_POLICY"],
        "load_average_before": os.getloadavg()[0],
        "asked_ratio": 1.3,
    }
    for name, n_others in (("alone", 0), ("beside busy processes", options.busy)):
        with beside(n_others):
            seconds, chosen = time_in_turns(fit, most, options.rounds)
        result[name] = {
            "processes": n_others,
            "threads_chosen": chosen,
            "median_seconds": {k: statistics.median(v) for k, v in seconds.items()},
            "seconds": seconds,
            "chosen_over_one_thread": ratio(seconds, "chosen", "one thread"),
            "all_over_one_thread": ratio(seconds, "all", "one thread"),
        }
    print(_record.write("busy_machine", result).read_text())


if __name__ == "__main__":
    main()
