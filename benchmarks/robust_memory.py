"""Peak memory of training on a memory map, beside that on a small one.

python benchmarks/robust_memory.py --gigabytes 6

Frames of 50 × 183 float32 values, as sinograms have them, and a network as small as
can be: what is measured is the data's way, not the network's. Each training is a
process of its own, one epoch long.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

SMOKE = ["--gigabytes", "0.01", "--small", "0.005"]
SMOKE_SLOW = True
SHAPE = (50, 183)
BYTES = 4 * SHAPE[0] * SHAPE[1]


def write_frames(path, n_samples):
    """Write random frames, no two of them alike, a block at a time."""
    rng = np.random.default_rng(0)
    block = rng.random((256, *SHAPE), dtype=np.float32)
    with open(path, "wb") as file:
        for start in range(0, n_samples, len(block)):
            frames = block * np.float32(1 + start / n_samples)
            file.write(frames[: n_samples - start].data)


def peak_bytes():
    """Return the most memory that this process has had, mapped pages included."""
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return 1024 * int(line.split()[1])
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def train(path, n_samples):
    """Train one epoch, and print what it took."""
    import torch

    from sklearn_ei import EquivariantReconstructor
    from sklearn_ei.networks import UNet
    from sklearn_ei.operators import Inpainting

    torch.set_num_threads(1)
    Y = np.memmap(path, np.float32, "r", shape=(n_samples, *SHAPE))
    start = time.perf_counter()
    imported = peak_bytes()
    ei = EquivariantReconstructor(
        Inpainting(0.3),
        alpha=0,
        network=UNet(width=1, depth=1),
        batch_size=64,
        max_epochs=1,
        random_state=0,
    ).fit(Y)
    result = {
        "samples": n_samples,
        "data_gigabytes": round(n_samples * BYTES / 1e9, 3),
        "peak_megabytes": round(peak_bytes() / 1e6, 1),
        "after_import_megabytes": round(imported / 1e6, 1),
        "seconds": round(time.perf_counter() - start, 1),
        "train_loss": ei.history_[-1, "train_loss"],
    }
    print(json.dumps(result))


def run(gigabytes):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "frames.raw"
        n_samples = max(1, round(gigabytes * 1e9 / BYTES))
        write_frames(path, n_samples)
        command = [sys.executable, __file__, "--child", str(path), str(n_samples)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gigabytes", type=float, default=6)
    parser.add_argument("--small", type=float, default=0.06)
    parser.add_argument("--no-record", action="store_true")
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        path, n_samples = arguments.child
        train(path, int(n_samples))
        return 0
    small, large = run(arguments.small), run(arguments.gigabytes)
    import _record

    result = {
        "machine": _record.machine(),
        "small": small,
        "large": large,
        "peak_above_small_megabytes": round(
            large["peak_megabytes"] - small["peak_megabytes"], 1
        ),
    }
    print(result)
    if not arguments.no_record:
        print(_record.write("robust_memory", result))
    return int(result["peak_above_small_megabytes"] > 1000)


if __name__ == "__main__":
    sys.exit(main())
