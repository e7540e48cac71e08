"""Load damaged and hostile model files: none may load, none may run anything.

python benchmarks/robust_model_files.py
"""

import argparse
import resource
import sys
import tempfile
import time
import tracemalloc
from collections import Counter
from pathlib import Path

import _model_files
import _record
import torch

from sklearn_ei import ModelFileError, load

SMOKE = ["--cuts", "9", "--flips", "3"]
SMOKE_SLOW = True
# What code that a file brought along would do. Importing and compiling happen when
# torch loads its own parts, which the good file before has made it do.
EVENTS = (
    "exec", "compile", "import", "os.system", "os.exec", "os.posix_spawn", "os.fork",
    "subprocess.Popen", "socket.connect", "pickle.find_class", "marshal.loads",
    "ctypes.dlopen", "os.remove", "os.rename",
)  # fmt: skip


watching, events = [False], Counter()


def hook(event, _):
    if watching[0] and event in EVENTS:
        events[event] += 1


def try_to_load(path):
    """Return what became of it, and the message."""
    watching[0] = True
    try:
        load(path)
    except ModelFileError as error:
        long = "\n" in str(error) or len(str(error)) > 500
        return "long message" if long else "refused", str(error)
    except Exception as error:
        return "other error", f"{type(error).__name__}: {error}"
    finally:
        watching[0] = False
    return "loaded", ""


def python_memory(path):
    """Return the bytes that Python allocates at most while it loads."""
    tracemalloc.start()
    try_to_load(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


def run(folder, arguments):
    files = list(
        _model_files.all_files(folder, n_cuts=arguments.cuts, n_flips=arguments.flips)
    )
    for good in ("ct", "sparse"):
        # scikit-learn imports its printer when it first prints.
        repr(load(folder / f"{good}.safetensors"))
    path = folder / "bad.safetensors"
    counts, memory, largest = Counter(), 0.0, 0
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.perf_counter()
    for name, content in files:
        path.write_bytes(content)
        outcome, message = try_to_load(path)
        counts[outcome] += 1
        if outcome != "refused":
            print("NOT AS EXPECTED:", outcome, name, message)
        largest = max(largest, len(content))
    seconds = time.perf_counter() - start
    growth = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    for _, content in files:
        if len(content) > 2**20:
            path.write_bytes(content)
            memory = max(memory, python_memory(path) / len(content))
    executed = (folder / "executed").exists() + sum(events.values())
    return {
        "machine": _record.machine(),
        "files": len(files),
        "refused_with_ModelFileError": counts["refused"],
        "loaded": counts["loaded"],
        "executed": executed,
        "other_errors": counts["other error"],
        "messages_beyond_one_line": counts["long message"],
        "largest_file_bytes": largest,
        "peak_memory_growth_bytes": growth * 1024,
        "python_memory_per_byte_of_large_files": round(memory, 2),
        "seconds": round(seconds, 2),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cuts", type=int, default=80)
    parser.add_argument("--flips", type=int, default=240)
    parser.add_argument("--no-record", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    sys.addaudithook(hook)
    with tempfile.TemporaryDirectory() as folder:
        result = run(Path(folder), arguments)
    print(events or "nothing executed", result)
    if not arguments.no_record:
        print(_record.write("robust_model_files", result))
    return int(result["refused_with_ModelFileError"] < result["files"])


if __name__ == "__main__":
    sys.exit(main())
