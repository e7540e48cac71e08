"""What `import sklearn_ei` costs beyond `import sklearn`, in fresh processes.

python benchmarks/bench_import.py
"""

import statistics
import subprocess
import sys
import time

import _record

PAIRS = 15


def seconds(code):
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True)
    return time.perf_counter() - start


def main():
    pairs = [
        (seconds("import sklearn"), seconds("import sklearn, sklearn_ei"))
        for _ in range(PAIRS)
    ]
    differences = [ours - theirs for theirs, ours in pairs]
    result = {
        "machine": _record.machine(),
        "asked_seconds": 0.3,
        "import_sklearn_seconds": statistics.median(theirs for theirs, _ in pairs),
        "extra_seconds_median": statistics.median(differences),
        "extra_seconds_max": max(differences),
        "pairs": PAIRS,
    }
    print(_record.write("import", result).read_text())


if __name__ == "__main__":
    main()
