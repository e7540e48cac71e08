"""What fits leave behind, how they are interrupted, and what they take for divergence.

python benchmarks/robust_training.py --signals 200 --seeds 20

leaks       tensors alive after three fits that are alive no more after one.
interrupts  real SIGINTs, one or two in a row, at random moments of fits, with and
            without early stopping: none may end a fit short and silent, and each
            checkpoint has to be resumed to the bits of a fit that nothing disturbed.
blank       fits whose samples are blank for 25 to 90 %, the first ones above all: none
            of them diverges; with lr=1e3 all others do, within an epoch.
"""

import argparse
import gc
import multiprocessing
import os
import random
import signal
import tempfile
import time
import warnings
from pathlib import Path

import _record
import numpy as np
import torch

from sklearn_ei import (
    DeepImagePriorReconstructor,
    DivergenceError,
    EquivariantReconstructor,
    EquivariantReconstructorCV,
)
from sklearn_ei.groups import Shifts
from sklearn_ei.networks import UNet, Unrolled
from sklearn_ei.noise import GaussianNoise, PoissonNoise
from sklearn_ei.operators import CompressedSensing, Inpainting
from sklearn_ei.utils.tensor_file import read_file

SMOKE = ["--signals", "4", "--seeds", "1"]
SMOKE_SLOW = True

torch.set_num_threads(1)
NETWORK = Unrolled(UNet(width=4, depth=2))
KINDS = (
    "trials",
    "ended by a warning",
    "ended by KeyboardInterrupt",
    "came too late",
    "silent",
    "broken epochs",
    "wrongly complete",
    "resumed with other bits",
    "no answer",
)
SHARE_BLANK = (0.25, 0.5, 0.75, 0.9)


def frames(n, shape, seed=0):
    """Return random smooth images."""
    rough = np.random.default_rng(seed).random((n, *shape))
    return sum(np.roll(rough, s, axis=-1) for s in range(4)).astype(np.float32)


def ei(operator, **parameters):
    settings = {"network": NETWORK, "max_epochs": 2, "random_state": 0}
    settings["check_rank"] = False  # which takes longer than these fits
    return EquivariantReconstructor(operator, Shifts(), **{**settings, **parameters})


# ---------------------------------------------------------------------- leaks
def live_tensors():
    gc.collect()
    return sum(issubclass(type(thing), torch.Tensor) for thing in gc.get_objects())


def leaks():
    Y = Inpainting(0.3).measure(frames(6, (12, 12)))
    cv = EquivariantReconstructorCV(
        Inpainting(0.3), Shifts(), [1, 2], network=NETWORK, max_epochs=2, random_state=0
    )
    dip = DeepImagePriorReconstructor(
        Inpainting(0.3), width=4, depth=2, n_iterations=5, window=2, random_state=0
    )
    with tempfile.TemporaryDirectory() as folder:
        estimators = {
            "default": ei(Inpainting(0.3)),
            "adversarial": ei(Inpainting(0.3), beta=0.1),
            "noise": ei(Inpainting(0.3), noise=GaussianNoise(0.01)),
            "unsure": ei(Inpainting(0.3), data_term="unsure"),
            "early stopping": ei(Inpainting(0.3), early_stopping=True),
            "checkpoints": ei(Inpainting(0.3), checkpoint=folder),
            "cv": cv,
            "deep image prior": dip,
        }
        result = {}
        for name, estimator in estimators.items():
            counts = []
            for _ in range(3):
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    estimator.fit(Y)
                for attribute in [a for a in vars(estimator) if a.endswith("_")]:
                    delattr(estimator, attribute)
                counts.append(live_tensors())
            result[name] = counts[2] - counts[0]
    return result


# ----------------------------------------------------------------- interrupts
def fit_in_child(pipe, path, early_stopping):
    """Fit with a checkpoint, and tell how it ended."""
    Y = Inpainting(0.3).measure(frames(16, (16, 16)))
    estimator = ei(
        Inpainting(0.3),
        network=UNet(width=4, depth=2),
        max_epochs=30,
        checkpoint=path,
        early_stopping=early_stopping,
        n_iter_no_change=99,
    )
    end = {"warned": False, "raised": False}
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            pipe.send("starts")
            estimator.fit(Y)
        end["warned"] = any("was interrupted" in str(w.message) for w in caught)
    except KeyboardInterrupt:
        end["raised"] = True
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    end["epochs"] = getattr(estimator, "n_iter_", 0)
    if hasattr(estimator, "function_"):
        weights = [p.detach().flatten() for p in estimator.function_.parameters()]
        end["weights"] = torch.cat(weights).numpy().tobytes()
        losses = [epoch.get("train_loss") for epoch in estimator.history_]
        end["whole"] = all(loss is not None for loss in losses)
    pipe.send(end)


def run_child(path, early_stopping, delays=()):
    ours, theirs = multiprocessing.Pipe()
    child = multiprocessing.Process(
        target=fit_in_child, args=(theirs, path, early_stopping)
    )
    child.start()
    ours.recv()
    for delay in delays:
        time.sleep(delay)
        if child.is_alive():
            os.kill(child.pid, signal.SIGINT)
    end = ours.recv() if ours.poll(120) else None
    child.join()
    return end


def interrupts(n_signals):
    rng = random.Random(0)
    count = dict.fromkeys(KINDS, 0)
    for early_stopping in (False, True):
        with tempfile.TemporaryDirectory() as folder:
            began = time.monotonic()
            whole = run_child(Path(folder) / "whole", early_stopping)
            duration = time.monotonic() - began
            for trial in range(n_signals // 2):
                path = Path(folder) / f"{trial}"
                delays = [rng.uniform(0, 0.9 * duration)]
                if trial % 2:
                    delays.append(rng.choice([0.0, 0.001, 0.01, 0.05]))
                end = run_child(path, early_stopping, delays)
                count["trials"] += 1
                if end is None:
                    count["no answer"] += 1
                    continue
                count["ended by a warning"] += end["warned"]
                count["ended by KeyboardInterrupt"] += end["raised"]
                told = end["warned"] or end["raised"]
                count["came too late"] += not told and end["epochs"] == whole["epochs"]
                count["silent"] += not told and end["epochs"] < whole["epochs"]
                count["broken epochs"] += not end.get("whole", True)
                if path.exists() and end["epochs"] < whole["epochs"]:
                    document, tensors = read_file(path)
                    tensors.close()
                    count["wrongly complete"] += document["complete"]
                again = run_child(path, early_stopping)
                same = again is not None and again["weights"] == whole["weights"]
                count["resumed with other bits"] += not same
    return count


# ---------------------------------------------------------------------- blank
def problems():
    yield "lost pixels", Inpainting(0.3), (12, 12), {}
    yield "compressed sensing", CompressedSensing(72, (12, 12)), (12, 12), {}
    yield "signals", Inpainting(0.3), (32,), {}
    yield "counts", Inpainting(0.3), (12, 12), {"noise": PoissonNoise(0.05)}


def blank(n_seeds):
    result = {"trials": 0, "false": 0, "true": 0, "missed": 0}
    for seed in range(n_seeds):
        share = SHARE_BLANK[seed % len(SHARE_BLANK)]
        for _, operator, shape, parameters in problems():
            x = frames(16, shape, seed)
            x[np.random.default_rng(seed).permutation(16)[: round(share * 16)]] = 0
            x[:2] = 0
            Y = operator.measure(x)
            if parameters:
                Y = parameters["noise"].add(Y, random_state=seed)
            settings = {"max_epochs": 3, "random_state": seed, **parameters}
            result["trials"] += 1
            try:
                ei(operator, **settings).fit(Y)
            except DivergenceError:
                result["false"] += 1
            wild = {**settings, "max_epochs": 1, "lr": 1e3, "lr_schedule": "constant"}
            try:
                ei(operator, **wild).fit(Y)
            except DivergenceError:
                result["true"] += 1
            else:
                result["missed"] += 1
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--signals", type=int, default=200)
    parser.add_argument("--seeds", type=int, default=20)
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore", message=".*rank check.*")
    # Programs that a shell started in the background ignore SIGINT.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # Before torch has computed: threads do not survive a fork.
    result = {"seed": 0, **_record.machine()}
    result["interrupts"] = interrupts(arguments.signals)
    print(result["interrupts"], flush=True)
    result["leaks"] = leaks()
    print(result["leaks"], flush=True)
    result["blank"] = blank(arguments.seeds)
    print(result["blank"], flush=True)
    print(_record.write("robust_training", result))


if __name__ == "__main__":
    main()
