"""Try forged checkpoints and model files: none may load, crash or take memory.

python benchmarks/robust_forged.py

Every file is tried in a process of its own, which may crash, hang or run out of
memory without taking others along. That process first does the same with an honest
file, so that all code is loaded; what its peak memory then grows by while it refuses
the forged one is compared with what it grows by on the honest one.
"""

import argparse
import ctypes
import gc
import json
import os
import resource
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from functools import partial
from itertools import islice
from pathlib import Path

import _forged
import _forged_checkpoints
import _forged_models
import _record
import torch

from sklearn_ei import load

SMOKE = ["--files", "3"]
SMOKE_SLOW = True
SECONDS = 60  # after which a process hangs
LIMIT = 2**34  # bytes of addresses
NOISE = 2**20  # bytes by which the peak may move on its own
WIDTHS = {"checkpoints": 96, "models": 160}  # so that honest files have megabytes


def in_process(function):
    """Run a function in a fork; return how that ended, and what it returned."""
    reading, writing = os.pipe()
    process = os.fork()
    if process == 0:
        try:  # the child never returns
            os.close(reading)
            signal.alarm(SECONDS)
            resource.setrlimit(resource.RLIMIT_AS, (LIMIT, LIMIT))
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            torch.set_num_threads(1)
            os.write(writing, json.dumps(function()).encode())
            os._exit(0)
        except BaseException as error:
            print(type(error).__name__, error, file=sys.stderr)
        finally:
            os._exit(1)
    os.close(writing)
    with open(reading, "rb") as file:
        answer = file.read()
    status = os.waitpid(process, 0)[1]
    if os.WIFSIGNALED(status):
        hung = os.WTERMSIG(status) == signal.SIGALRM
        return "hung" if hung else "crashed", None
    return ("failed", None) if status else ("ended", json.loads(answer))


def peak():
    """Return the peak of the resident memory in bytes."""
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    line = next(ln for ln in status.read_text().splitlines() if ln.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


def forget_peak():
    """Let the peak begin anew, from as little memory as there can be; Linux alone."""
    gc.collect()
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None).malloc_trim(0)
        Path("/proc/self/clear_refs").write_text("5")


def tried(attempt, path, warm_up):
    """Return outcome, message and growth of the peak memory of one attempt."""
    attempt(warm_up)
    forget_peak()
    before = peak()
    try:
        attempt(path)
    except (ValueError, OSError) as error:
        outcome, message = "refused", f"{type(error).__name__}: {error}"
    except Exception as error:
        outcome, message = "other error", f"{type(error).__name__}: {error}"
    else:
        outcome, message = "loaded", ""
    growth = peak() - before
    if "\n" in message or len(message) > 900:
        outcome = "long message"
    return outcome, message, growth


def try_all(folder, honest, forged, attempts):
    """Try every forged file; return one row each.

    Parameters
    ----------
    folder : Path
    honest : dict of str to Path
    forged : iterable of (kind, name, write)
    attempts : dict of str to callable
        Called with a path, by kind.
    """
    least, rows = {}, []
    warm, again = folder / "warm", folder / "again"
    for kind, source in honest.items():
        shutil.copyfile(source, warm)
        shutil.copyfile(source, again)
        how, answer = in_process(partial(tried, attempts[kind], again, warm))
        assert how == "ended", (kind, how)
        assert answer[0] == "loaded", (kind, answer)
        least[kind] = answer[2]
    for number, (kind, name, write) in enumerate(forged):
        path = folder / f"{number}.bad"
        how, _ = in_process(partial(write, path))
        assert how == "ended", name
        shutil.copyfile(honest[kind], warm)
        how, answer = in_process(partial(tried, attempts[kind], path, warm))
        outcome, message, growth = answer or (how, "", 0)
        ratio = max(0, growth - NOISE) / max(least[kind], NOISE)
        if outcome == "loaded" and name.startswith(_forged.DESCRIBED):
            outcome = "described"
        rows.append({"name": name, "outcome": outcome, "memory": round(ratio, 3)})
        if outcome not in ("refused", "described") or ratio > 1.2:
            print("NOT AS EXPECTED:", outcome, kind, name, f"{ratio:.2f}", message)
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
    return rows, least


def of_checkpoints(folder, n_files):
    honest = {}
    for kind in _forged.TRAININGS:
        honest[kind] = folder / f"{kind}.checkpoint"
        make = partial(
            _forged.honest_checkpoint, kind, honest[kind], WIDTHS["checkpoints"]
        )
        assert in_process(make)[0] == "ended"
    attempts = {kind: partial(resume, kind, WIDTHS["checkpoints"]) for kind in honest}
    forged = islice(_forged_checkpoints.checkpoints(honest), n_files)
    return try_all(folder, honest, forged, attempts)


def resume(kind, width, path):
    _forged.resume(kind, path, width)


def of_models(folder, n_files):
    make = partial(_forged_models.honest_models, folder, WIDTHS["models"])
    how, _ = in_process(lambda: len(make()))
    assert how == "ended"
    honest = {path.stem: path for path in folder.glob("*.safetensors")}
    attempts = dict.fromkeys(honest, load_with_custom)
    forged = islice(_forged_models.models(honest), n_files)
    return try_all(folder, honest, forged, attempts)


def load_with_custom(path):
    load(path, _forged.CUSTOM)


def summary(rows, least):
    counts = Counter(row["outcome"] for row in rows)
    worst = max(rows, key=lambda row: row["memory"])
    return {
        "forged": len(rows),
        "refused": counts["refused"],
        "loaded": counts["loaded"],
        "huge_instruments_described_and_not_computed": counts["described"],
        "crashed": counts["crashed"] + counts["hung"] + counts["failed"],
        "other_errors": counts["other error"] + counts["long message"],
        "noise_bytes": NOISE,
        "most_memory_per_honest_memory": worst["memory"],
        "of": worst["name"],
        "honest_megabytes": {
            kind: round(growth / 2**20, 1) for kind, growth in sorted(least.items())
        },
        "kinds": [row["name"] for row in rows],
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, help="of each kind; all by default")
    parser.add_argument("--no-record", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    start = time.monotonic()
    result = {"machine": _record.machine()}
    for name, run in (("checkpoints", of_checkpoints), ("models", of_models)):
        with tempfile.TemporaryDirectory() as folder:
            before = Path.cwd()
            os.chdir(folder)  # names of sockets have to be short
            result[name] = summary(*run(Path(folder), arguments.files))
            os.chdir(before)
    result["seconds"] = round(time.monotonic() - start, 1)
    shown = {
        name: {k: v for k, v in part.items() if k != "kinds"}
        for name, part in result.items()
        if name in WIDTHS
    }
    print(json.dumps(shown, indent=1))
    if not arguments.no_record:
        print(_record.write("robust_forged", result))
    good = all(
        part["refused"] + part["huge_instruments_described_and_not_computed"]
        == part["forged"]
        and part["most_memory_per_honest_memory"] <= 1.2
        for part in (result["checkpoints"], result["models"])
    )
    return int(not good)


if __name__ == "__main__":
    sys.exit(main())
