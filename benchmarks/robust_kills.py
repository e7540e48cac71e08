"""Kill one training again and again: nothing may be lost, and the end be the same.

python benchmarks/robust_kills.py --kills 50

A parent that has imported everything, and has run no torch operation, forks children
that train with ``checkpoint=`` until SIGKILL ends them: at random moments of the
training, during the very start, or during the checkpoint's write, which some children
do slowly. After every kill the file must be a whole checkpoint that holds every epoch
whose write the child had seen return. What the last child ends with is compared, bit
for bit, with a training that nothing disturbed.
"""

import argparse
import os
import random
import select
import signal
import sys
import tempfile
import time
import traceback
from pathlib import Path

import _record
import numpy as np
import torch

from sklearn_ei import EquivariantReconstructor
from sklearn_ei.groups import Shifts
from sklearn_ei.networks import UNet, Unrolled
from sklearn_ei.operators import Inpainting
from sklearn_ei.training import _checkpoint
from sklearn_ei.utils import files
from sklearn_ei.utils.tensor_file import read_file

SMOKE = ["--kills", "2", "--epochs", "15"]
SMOKE_SLOW = True
AIMS = ("training", "training", "write", "write", "start")
PAUSE = 0.01  # of a slow write, at each of its steps


def make_frames():
    """Return random smooth frames, made without torch."""
    rng = np.random.default_rng(0)
    rough = rng.random((24, 16, 16))
    return sum(np.roll(rough, s, axis=(1, 2)) for s in range(4)).astype(np.float32)


def train(Y, epochs, checkpoint=None):
    return EquivariantReconstructor(
        Inpainting(0.3, random_state=0),
        Shifts(),
        network=Unrolled(UNet(width=4, depth=2), n_stages=2, n_consistency=3),
        max_epochs=epochs,
        checkpoint=checkpoint,
        random_state=0,
    ).fit(Y)


def slow_down(function, before, after):
    def slow(*args, **kwargs):
        time.sleep(before)
        result = function(*args, **kwargs)
        time.sleep(after)
        return result

    return slow


def slow_writes():
    """Make every step of a checkpoint's write take long enough to be hit."""
    os.fsync = slow_down(os.fsync, PAUSE, PAUSE)
    os.replace = slow_down(os.replace, PAUSE, PAUSE)
    whole = files.write_atomically

    def in_pieces(path, chunks):
        def pieces():
            for chunk in chunks:
                data = bytes(chunk)
                step = max(1, len(data) // 2)
                for start in range(0, len(data), step):
                    time.sleep(PAUSE / 10)
                    yield data[start : start + step]

        whole(path, pieces())

    from sklearn_ei.utils import tensor_file

    tensor_file.write_atomically = in_pieces


def report_writes(pipe):
    """Tell the parent when a write begins (w) and which epoch it made last."""
    write = _checkpoint.Checkpoint.write

    def reported(self, net, *, complete):
        os.write(pipe, b"w\n")
        write(self, net, complete=complete)
        os.write(pipe, f"{len(net.history)}\n".encode())

    _checkpoint.Checkpoint.write = reported


def fork(Y, epochs, checkpoint, result, slow):
    """Start a training; return its process and the pipe with what it reports."""
    reading, writing = os.pipe()
    process = os.fork()
    if process:
        os.close(writing)
        os.set_blocking(reading, False)
        return process, reading
    code = 1
    try:  # the child never returns
        os.close(reading)
        torch.set_num_threads(1)
        report_writes(writing)
        if slow:
            slow_writes()
        ei = train(Y, epochs, checkpoint)
        state = {k: v.numpy() for k, v in ei.net_.module_.state_dict().items()}
        losses = np.array(ei.history_[:, "train_loss"])
        np.savez(result, losses=losses, **state)
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


class Reports:
    """What a child has said so far."""

    def __init__(self, pipe):
        self.pipe, self.text = pipe, b""

    def read(self, seconds=0.0):
        if select.select([self.pipe], [], [], seconds)[0]:
            self.text += os.read(self.pipe, 65536)

    def wait_for(self, n_writes, seconds=60):
        """Wait until so many writes have begun."""
        end = time.monotonic() + seconds
        while self.text.count(b"w") < n_writes and time.monotonic() < end:
            self.read(0.2)

    def last_epoch(self):
        """Return the last epoch whose checkpoint was written, by the child's word."""
        lines = [ln for ln in self.text.split(b"\n")[:-1] if ln.isdigit()]
        return int(lines[-1]) if lines else 0


def epochs_in(path):
    """Return how many epochs a checkpoint has; raises if it is not whole."""
    if not path.exists():
        return 0
    document, tensors = read_file(path)  # with its checksum
    assert tensors
    return len(dict(document["state"]["dict"])["history"])


def time_an_epoch(Y, folder):
    """Return seconds from the start to the first write, and from then to the next."""
    path = folder / "timing.checkpoint"
    start = time.monotonic()
    process, pipe = fork(Y, 12, path, folder / "timing.npz", False)
    reports, moments = Reports(pipe), []
    for n in (1, 12):
        reports.wait_for(n)
        moments.append(time.monotonic())
    os.waitpid(process, 0)
    os.close(pipe)
    return moments[0] - start, (moments[1] - moments[0]) / 11


def kill_one(training, rng, aim, times):
    """Let one child live for a while; return what its death left."""
    checkpoint = training[2]
    first, epoch = times
    before = epochs_in(checkpoint)
    process, pipe = fork(*training, aim == "write")
    reports = Reports(pipe)
    if aim == "start":
        time.sleep(rng.uniform(0, first))
    elif aim == "training":
        reports.wait_for(1)
        time.sleep(rng.uniform(0, 2.5 * epoch))
    else:
        reports.wait_for(rng.randint(1, 3))
        time.sleep(rng.uniform(0, 10 * PAUSE))
    os.kill(process, signal.SIGKILL)
    status = os.waitpid(process, 0)[1]
    reports.read()
    os.close(pipe)
    after = epochs_in(checkpoint)
    return {
        "aim": aim,
        "killed": os.WIFSIGNALED(status),
        "partial_file": any(checkpoint.parent.glob(f".{checkpoint.name}.*.tmp")),
        "epochs": after,
        "went_back": after < before,
        "lost": max(0, max(before, reports.last_epoch()) - after),
    }


def run(folder, arguments):
    rng = random.Random(arguments.seed)
    Y = make_frames()
    times = time_an_epoch(Y, folder)
    files = folder / "fit.checkpoint", folder / "killed.npz"
    kills, damaged = [], 0
    start = time.monotonic()
    while len(kills) < arguments.kills and not files[1].exists():
        aim = AIMS[len(kills) % len(AIMS)]
        try:
            kills.append(kill_one((Y, arguments.epochs, *files), rng, aim, times))
        except ValueError as error:
            print("DAMAGED:", error)
            damaged += 1
            break
    process, pipe = fork(Y, arguments.epochs, *files, False)
    assert os.waitpid(process, 0)[1] == 0
    os.close(pipe)
    process, pipe = fork(Y, arguments.epochs, None, folder / "whole.npz", False)
    assert os.waitpid(process, 0)[1] == 0
    os.close(pipe)
    killed, whole = (np.load(folder / f"{n}.npz") for n in ("killed", "whole"))
    same = killed.files == whole.files and all(
        killed[name].tobytes() == whole[name].tobytes() for name in whole.files
    )
    return {
        "machine": _record.machine(),
        "kills": sum(kill["killed"] for kill in kills),
        "kills_that_left_a_partial_file": sum(kill["partial_file"] for kill in kills),
        "kills_by_aim": {
            aim: sum(k["aim"] == aim for k in kills) for aim in sorted(set(AIMS))
        },
        "damaged_checkpoints": damaged,
        "checkpoints_with_fewer_epochs_than_before": sum(
            kill["went_back"] for kill in kills
        ),
        "epochs_lost_beyond_the_one_in_hand": sum(kill["lost"] for kill in kills),
        "epochs_at_the_kills": [kill["epochs"] for kill in kills],
        "epochs": arguments.epochs,
        "final_weights_and_losses_bit_equal": same,
        "left_over_files": sum(1 for _ in folder.glob(".*.tmp")),
        "seconds_to_first_write_and_an_epoch": [round(t, 3) for t in times],
        "seconds": round(time.monotonic() - start, 1),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--epochs", type=int, default=150)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--no-record", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        result = run(Path(folder), arguments)
    print(result)
    if not arguments.no_record:
        print(_record.write("robust_kills", result))
    good = result["final_weights_and_losses_bit_equal"] and not (
        result["damaged_checkpoints"]
        or result["checkpoints_with_fewer_epochs_than_before"]
        or result["epochs_lost_beyond_the_one_in_hand"]
    )
    return int(not good or result["kills"] < arguments.kills)


if __name__ == "__main__":
    sys.exit(main())
