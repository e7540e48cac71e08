"""Random shapes, dtypes and parameters: results, or refusals of our own.

python benchmarks/robust_fuzz.py --cases 10000
"""

import argparse
import sys
import time
import traceback
from collections import Counter
from pathlib import Path

import _fuzz
import _record
import torch
from hypothesis import HealthCheck, Phase, given, seed, settings

SMOKE = ["--cases", "30"]
SMOKE_SLOW = True
FINE = ("result", "refused", "diverged")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, help="stop after about so many")
    parser.add_argument("--no-record", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    counts, kinds, faults = Counter(), Counter(), {}
    start = time.perf_counter()

    @seed(arguments.seed)
    @settings(
        max_examples=arguments.cases,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(_fuzz.calls())
    def run(drawn):
        if arguments.seconds and time.perf_counter() - start > arguments.seconds:
            return
        kind, description, call = drawn
        outcome, error = _fuzz.fault_of(call)
        counts[outcome] += 1
        kinds[f"{kind}: {outcome}"] += 1
        if outcome not in FINE:
            where = traceback.extract_tb(error.__traceback__) if error else []
            place = (
                f"{Path(where[-1].filename).name}:{where[-1].lineno}" if where else ""
            )
            ours = [f for f in where if "sklearn_ei" in f.filename]
            ours = f"{Path(ours[-1].filename).name}:{ours[-1].lineno}" if ours else ""
            key = f"{outcome} {type(error).__name__} {place} from {ours}"
            faults.setdefault(key, [0, f"{description[:400]} -> {str(error)[:200]}"])
            faults[key][0] += 1

    run()
    for key, (count, example) in sorted(faults.items(), key=lambda item: -item[1][0]):
        print(f"{count:5} {key}\n      {example}")
    result = {
        "machine": _record.machine(),
        "seed": arguments.seed,
        "cases": sum(counts.values()),
        "outcomes": dict(counts),
        "outcomes_by_kind": dict(sorted(kinds.items())),
        "faults": sum(n for kind, n in counts.items() if kind not in FINE),
        "seconds": round(time.perf_counter() - start, 1),
    }
    print(result)
    if not arguments.no_record:
        print(_record.write("robust_fuzz", result))
    return int(result["faults"] > 0)


if __name__ == "__main__":
    sys.exit(main())
