"""A and Aᵀ with a part of the matrix, against another version of the library.

    python benchmarks/geometry_speed.py --against FOLDER

FOLDER holds the other version's ``sklearn_ei``. Both are timed in processes of
their own, in turns, by processor time and with one thread; the ratios go to
``benchmarks/results/geometry_speed.json``.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import _record
import numpy as np
import torch

SMOKE = ["--against", "{data}/other_tree", "--rounds", "1"]  # another checkout
SEED = 0
SCANS = {"parallel": "50 views over 180°", "fan": "100 views over 360°"}
BATCHES = (1, 2, 4, 10)
REQUIRED = {"parallel, batch 2": 0.4}


def operators():
    from sklearn_ei.operators import FanBeamCT, ParallelBeamCT

    return {
        "parallel": ParallelBeamCT(50, (128, 128)),
        "fan": FanBeamCT(100, (128, 128), source_distance=300.0),
    }


def n_bytes(projector):
    """Return the memory of a matrix pair, of this version or an older one."""
    if hasattr(projector, "n_bytes"):
        return projector.n_bytes()
    return sum(
        part.nbytes
        for matrix in (projector.A, projector.At)
        for part in (matrix.values(), matrix.col_indices(), matrix.crow_indices())
    )


def time_once(n_repeats=100):
    """Print the milliseconds of A forward + backward, and the bytes of the pair."""
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(SEED)
    figures = {}
    for name, operator in operators().items():
        projector = operator._constants.like(torch.empty(0)).projector
        figures[f"{name}, bytes"] = n_bytes(projector)
        for batch in BATCHES:
            x = torch.randn((batch, 1, 128, 128), generator=generator)
            x.requires_grad_()
            y = torch.randn(
                (batch, 1, *operator.measurement_shape), generator=generator
            )
            seconds = []
            for repeat in range(n_repeats + 10):
                x.grad = None
                start = time.process_time()
                operator.forward(x).backward(y)
                if repeat >= 10:
                    seconds.append(time.process_time() - start)
            figures[f"{name}, batch {batch}"] = 1e3 * float(np.median(seconds))
    print(json.dumps(figures))


def timed(folder):
    output = subprocess.run(
        [sys.executable, "-W", "ignore", __file__, "--once"],
        env={**os.environ, "PYTHONPATH": str(folder)},
        capture_output=True,
        check=True,
        text=True,
    )
    return json.loads(output.stdout.splitlines()[-1])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--against", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    here = Path(__file__).resolve().parents[1]
    load = os.getloadavg()[0]
    rounds = [
        {"this": timed(here), "other": timed(arguments.against.resolve())}
        for _ in range(arguments.rounds)
    ]
    ratios = {
        name: [each["this"][name] / each["other"][name] for each in rounds]
        for name in rounds[0]["this"]
    }
    results = {
        "machine": _record.machine(),
        "load_before": load,
        "seed": SEED,
        "scans": SCANS,
        "ratio": {name: float(np.median(values)) for name, values in ratios.items()},
        "ratio_of_each_round": ratios,
        "median_ms_or_bytes": {
            side: {
                name: float(np.median([each[side][name] for each in rounds]))
                for name in rounds[0][side]
            }
            for side in ("this", "other")
        },
        "required": REQUIRED,
    }
    print(_record.write("geometry_speed", results).read_text())


if __name__ == "__main__":
    time_once() if "--once" in sys.argv else main()
