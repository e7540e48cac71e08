"""How long the rank check takes, how much memory, and what it says.

    python benchmarks/bench_group_rank.py [--rows NAME ...] [--repeats 3]

Every repetition runs in a process of its own, whose peak resident memory is
recorded, with what the imports take. The time is that of
`check_group_rank` alone.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time

import _record
import torch

import sklearn_ei.operators as ops
from sklearn_ei import check_group_rank
from sklearn_ei.groups import Reflections, Rotations, Shifts
from sklearn_ei.identifiability._budget import Budget
from sklearn_ei.identifiability._check import _make_system
from sklearn_ei.identifiability._innovation import innovation

SMOKE = ["--rows", "one flip, 128², m < n/2", "--repeats", "1", "--threads", "1"]
SMOKE_SLOW = True
THREADS = 2
CT = ops.ParallelBeamCT
PASS, WEAK = ("PASS_NECESSARY",), ("WEAK",)
LOST = ("FAIL_RANK", "FAIL_INVARIANT")


def row(make, asked, verdicts, seconds, gigabytes=None, **options):
    return {
        "make": make,
        "asked": asked,
        "verdicts": verdicts,
        "seconds": seconds,
        "gigabytes": gigabytes,
        "options": options,
    }


ROWS = {
    "inpainting 30 %, RGB 256², shifts": row(
        lambda: (ops.Inpainting(0.3, (256, 256)), Shifts()),
        "exact",
        PASS,
        2,
        image_shape=(256, 256, 3),
    ),
    "CT 50 views 128², 360 rotations": row(
        lambda: (CT(50, (128, 128)), Rotations(360)),
        "full rank at 1e-3, certified in float64",
        PASS,
        45,
        3,
    ),
    "CT 50 views 128², C4": row(
        lambda: (CT(50, (128, 128)), Rotations(4)),
        "FAIL or WEAK, for the right reason",
        (*LOST, *WEAK),
        60,
    ),
    "CT 50 views 128², shifts": row(
        lambda: (CT(50, (128, 128)), Shifts()),
        "FAIL or WEAK, for the right reason",
        (*LOST, *WEAK),
        60,
    ),
    "MRI ×4 128², shifts": row(
        lambda: (ops.MRI(4, (128, 128)), Shifts()), "exact nullity", LOST, 5
    ),
    "blur σ = 2 128², shifts": row(
        lambda: (ops.Blur(ops.gaussian_kernel(2.0), (128, 128)), Shifts()),
        "exact nullity",
        LOST,
        5,
    ),
    "CT 60 views 256², 360 rotations": row(
        lambda: (CT(60, (256, 256)), Rotations(360)),
        "a verdict with its bound",
        ("PASS_NECESSARY", "WEAK", "FAIL_RANK", "INCONCLUSIVE"),
        180,
        3,
    ),
    "inpainting 30 % 512², shifts": row(
        lambda: (ops.Inpainting(0.3, (512, 512)), Shifts()), "exact", PASS, 10
    ),
    "MRI ×4 512², shifts": row(
        lambda: (ops.MRI(4, (512, 512)), Shifts()), "exact nullity", LOST, 10
    ),
    "one flip, 128², m < n/2": row(
        lambda: (ops.Inpainting(0.6, (128, 128)), Reflections()),
        "FAIL_COUNT",
        ("FAIL_COUNT",),
        0.1,
    ),
}
KEPT = (
    *("verdict", "sentence", "n", "m", "tol", "rank_interval", "nullity"),
    *("sigma_ratio", "sigma_kind", "sigma_lower_bound"),
    *("innovation", "innovation_floor", "method", "certificate"),
    *("failure_probability", "seconds"),
)


def run_once(name, threads):
    """Print one result as JSON; called in a process of its own."""
    torch.set_num_threads(threads)
    case = ROWS[name]
    operator, group = case["make"]()
    start = time.process_time()
    report = check_group_rank(operator, group, random_state=0, **case["options"])
    cpu = time.process_time() - start
    result = {key: report.to_dict()[key] for key in KEPT}
    result["n_elements_used"] = len(report.elements) or report.group_order
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    result["cpu_seconds"] = round(cpu, 3)
    print(json.dumps({**result, "peak_gigabytes": peak * 1024 / 1e9}))


def calibrate():
    """Return the innovation index of CT where the answer is known beforehand.

    Whole view spacings and (small) shifts are useless, fine rotations are not.
    """
    rows = []
    for size, views in [(32, 12), (48, 16), (64, 25), (64, 30), (96, 40), (128, 50)]:
        operator = CT(views, (size, size))
        groups = {
            "360 rotations": Rotations(360),
            "rotations by the view spacing": Rotations(2 * views),
            "rotations by half of it": Rotations(4 * views),
            "shifts": Shifts(),
        }
        for kind, group in groups.items():
            found = []
            for seed in range(3):
                system = _make_system(operator, group, None, seed)
                found.append(innovation(system, Budget()))
            rows.append(
                {
                    "case": f"CT {views} views {size}²",
                    "group": kind,
                    "index": [round(i.index, 4) for i in found],
                    "floor": [round(i.floor, 4) for i in found],
                }
            )
            print(rows[-1])
    return rows


def measure(name, repeats, threads):
    runs = []
    for _ in range(repeats):
        done = subprocess.run(
            [sys.executable, __file__, "--once", name, "--threads", str(threads)],
            capture_output=True,
            text=True,
            check=True,
        )
        runs.append(json.loads(done.stdout))
    case = ROWS[name]
    seconds = statistics.median(run["seconds"] for run in runs)
    memory = max(run["peak_gigabytes"] for run in runs)
    answer = runs[0]
    kept = answer["verdict"] in case["verdicts"] and seconds <= case["seconds"]
    if case["gigabytes"] is not None:
        kept = kept and memory <= case["gigabytes"]
    return {
        "asked": {key: case[key] for key in ("asked", "seconds", "gigabytes")},
        "answer": answer,
        "median_seconds": round(seconds, 4),
        "all_seconds": [round(run["seconds"], 4) for run in runs],
        "peak_gigabytes": round(memory, 2),
        "cpu_seconds": statistics.median(run["cpu_seconds"] for run in runs),
        "threads": threads,
        "kept": kept,
    }


def record(**changes):
    """Change a part of the result; others may have been written meanwhile."""
    known = _record.read("group_rank")
    _record.write("group_rank", {**known, "machine": _record.machine(), **changes})


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", nargs="*", choices=ROWS, default=list(ROWS))
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=THREADS)
    parser.add_argument("--calibrate", action="store_true")
    parser.add_argument("--once", choices=ROWS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.once:
        run_once(options.once, options.threads)
        return
    torch.set_num_threads(options.threads)
    if options.calibrate:
        record(innovation_of_ct=calibrate())
        return
    for name in options.rows:
        entry = measure(name, options.repeats, options.threads)
        rows = {**_record.read("group_rank").get("rows", {}), name: entry}
        record(rows=rows)
    print("| case | asked | answer | time | memory |\n| --- | --- | --- | --- | --- |")
    for name in (name for name in ROWS if name in rows):
        entry = rows[name]
        asked, answer = entry["asked"], entry["answer"]
        print(
            f"| {name} | {asked['asked']}, ≤ {asked['seconds']} s | "
            f"{answer['verdict']}, {answer['certificate']} | "
            f"{entry['median_seconds']:.2f} s | {entry['peak_gigabytes']:.1f} GB |"
            + ("" if entry["kept"] else " not kept")
        )


if __name__ == "__main__":
    main()
