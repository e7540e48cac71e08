"""What `import sklearn_ei` costs beyond `import sklearn`, in fresh processes.

python benchmarks/bench_import.py
"""

import argparse
import statistics
import subprocess
import sys
import time

import _record

SMOKE = ["--pairs", "1"]
SMOKE_SLOW = True


def seconds(code):
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True)
    return time.perf_counter() - start


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=15)
    options = parser.parse_args()
    pairs = [
        (seconds("import sklearn"), seconds("import sklearn, sklearn_ei"))
        for _ in range(options.pairs)
    ]
    differences = [ours - theirs for theirs, ours in pairs]
    result = {
        "machine": _record.machine(),
        "asked_seconds": 0.3,
        "import_sklearn_seconds": statistics.median(theirs for theirs, _ in pairs),
        "extra_seconds_median": statistics.median(differences),
        "extra_seconds_max": max(differences),
        "pairs": options.pairs,
    }
    print(_record.write("import", result).read_text())


if __name__ == "__main__":
    main()
