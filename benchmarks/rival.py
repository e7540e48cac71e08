r"""deepinv as a careful user trains it, beside our default, for as many seconds.

    python benchmarks/rival.py ct100_train_128.npz --tune --size 64 --seconds 40
    python benchmarks/rival.py ct100_train_128.npz --tune --size 64 --epochs 6 \
        --only ours
    python benchmarks/rival.py ct100_train_128.npz [--only NAME ...] [--seeds 0]

The file holds an array `images` of CT100 slices, (90, 128, 128), uint16. With `--tune`,
the variants in TUNE train on [:70], and [70:80] is looked at; `--size 64` averages
slices and halves the views, so that as much is missing. Without it, the models in
FINAL, which that chose, and `EquivariantReconstructor(operator)` with nothing else set
train on [:80], and figures are those of [80:]. `ours` is first and takes what it takes;
the others have as many processor seconds of one thread (or `--seconds`), in which their
learning rate falls as a cosine. Looks at the images are off the clock.

Both sides see the same measurements, by the same projector: deepinv's physics is a
`LinearPhysics` around our operator, and its A† is our filtered back-projection.
Networks of both compute in bfloat16 where the processor does. What is not in deepinv,
its user has to write, as _deepinv.py does: a data fidelity that the ramp filter
weights, and a splitting by views. Its `Trainer` is left out: this loop logs less.
results/rival.json has a cell for each variant, model and seed.
"""

import argparse
import time
import warnings
from typing import Any, NamedTuple

import _record
import deepinv
import numpy as np
import torch
from _deepinv import SIZE, Physics, make_losses, make_model
from _look import scale_of
from skorch.callbacks import Callback
from torch.optim.swa_utils import AveragedModel

from sklearn_ei import EquivariantReconstructor
from sklearn_ei.metrics import psnr
from sklearn_ei.operators import ParallelBeamCT

SMOKE = ["{ct16}", "--seconds", "1", "--epochs", "1"]
SMOKE_NEEDS = ["deepinv", "kornia"]
NAME = "rival"
N_VIEWS = 50
N_LOOKS, N_LOOKS_TUNE = 10, 2
WARM_UP = 0.05  # share of the time in which the rate rises, as it does in ours

DEFAULT = {
    "model": "artifact",  # "gradient", "cg" or "filtered" are unrolled
    "widths": (16, 32, 64),
    "n_stages": 3,
    "n_inner": 2,  # of conjugate gradients, or of steps
    "lr": 4e-3,
    "alpha": 100.0,
    "group": "similarity",  # any angle, zooms of 0.7 to 1; or "rotations"
    "no_grad": True,  # through x2
    "loss": "EI",  # or "splitting"
    "averaged": False,  # weights over steps, as ours are
}
ARTIFACT = {"model": "artifact"}
GRADIENT = {"model": "gradient"}
CG = {"model": "cg", "n_inner": 10}
FILTERED = {"model": "filtered"}
TUNE = {
    "A†": ARTIFACT,
    "A†, lr 1e-3": ARTIFACT | {"lr": 1e-3},
    "A†, lr 1e-2": ARTIFACT | {"lr": 1e-2},
    "A†, as the paper": ARTIFACT | {"group": "rotations", "no_grad": False},
    "gradient": GRADIENT,
    "gradient, lr 1e-3": GRADIENT | {"lr": 1e-3},
    "CG": CG,
    "CG, lr 1e-3": CG | {"lr": 1e-3},
    "CG, lr 1e-2": CG | {"lr": 1e-2},
    "CG, 5 iterations": CG | {"n_inner": 5},
    "CG, alpha 1000": CG | {"alpha": 1000.0},
    "filtered": FILTERED,
    "filtered, lr 1e-2": FILTERED | {"lr": 1e-2},
    "filtered, five networks": FILTERED | {"n_stages": 5},
    "filtered, rotations": FILTERED | {"group": "rotations"},
    "filtered, averaged": FILTERED | {"averaged": True},
    "filtered, splitting": FILTERED | {"loss": "splitting"},
}
FINAL = {"filtered": FILTERED, "A†": ARTIFACT}


class Problem(NamedTuple):
    """What is trained on, and looked at."""

    operator: Any
    Y: np.ndarray
    test: np.ndarray
    images: np.ndarray


class Looks:
    """The curve of a training, and its clock, which stops for each look."""

    def __init__(self, images, n_looks):
        self.images, self.n_looks = images, n_looks
        self.curve, self.lost = [], 0.0
        self.start = time.process_time()

    @property
    def seconds(self):
        return time.process_time() - self.start - self.lost

    def look(self, reconstruct):
        """Record the seconds so far, and the PSNR of ``reconstruct()``."""
        began, seconds = time.process_time(), self.seconds
        found = reconstruct()
        finite = np.isfinite(found).all()  # it has not diverged
        value = round(float(psnr(self.images, found)), 3) if finite else None
        self.curve.append([round(seconds, 1), value])
        self.lost += time.process_time() - began


def step_of_average(average, weights, n_averaged):
    """Move an average towards new weights as ours moves."""
    return average + (weights - average) * max(9 / (10 + n_averaged), 1e-3)


def train_deepinv(problem, settings, seed, seconds, n_looks):
    """Train one model of deepinv for so many seconds."""
    torch.manual_seed(seed)
    looks = Looks(problem.images, n_looks)
    generator = torch.Generator().manual_seed(seed)
    physics = Physics(problem.operator, settings["n_inner"])
    losses = make_losses(problem.operator, generator, settings)
    model = make_model(problem.operator, settings)
    for loss in losses:
        model = loss.adapt_model(model)
    splits = {"update_parameters": True} if settings["loss"] == "splitting" else {}
    optimizer = torch.optim.Adam(model.parameters(), settings["lr"], fused=True)
    shown = model
    if settings["averaged"]:
        shown = AveragedModel(model, avg_fn=step_of_average, use_buffers=True)
    Y, test = (torch.from_numpy(y)[:, None] for y in (problem.Y, problem.test))

    @torch.no_grad()
    def reconstruct():
        shown.eval()
        found = torch.cat([shown(y, physics) for y in test.split(1)])
        model.train()
        return found[:, 0].numpy()

    n_steps, order = 0, []
    while (progress := looks.seconds / seconds) < 1:
        if progress >= len(looks.curve) / n_looks:
            looks.look(reconstruct)
        rise = min(1.0, progress / WARM_UP + 1e-3)
        rate = settings["lr"] * rise * (1 + np.cos(np.pi * progress)) / 2
        optimizer.param_groups[0]["lr"] = rate
        order = order or torch.randperm(len(Y), generator=generator).tolist()
        y = Y[order.pop()][None]
        optimizer.zero_grad()
        x = model(y, physics, **splits)
        told = {"x_net": x, "y": y, "physics": physics, "model": model}
        sum(loss(**told).mean() for loss in losses).backward()
        optimizer.step()
        if shown is not model:
            shown.update_parameters(model)
        n_steps += 1
        if looks.curve[-1][1] is None:
            break
    looks.look(reconstruct)
    return looks, {"n_steps": n_steps, "settings": settings}


class Watch(Callback):
    """Look some times in the training of ours."""

    def __init__(self, looks, problem):
        self.looks, self.operator = looks, problem.operator
        self.scale = scale_of(problem.operator, problem.Y)
        self.test = torch.from_numpy(problem.test)[:, None] / self.scale

    def on_epoch_begin(self, net, **kwargs):
        every = -(-net.max_epochs // self.looks.n_looks)
        if (len(net.history) - 1) % every == 0:  # this epoch is there already
            self.looks.look(lambda: self.reconstruct(net))

    @torch.no_grad()
    def reconstruct(self, net):
        f = net.function.eval()  # of averaged weights, a copy of what is trained
        found = torch.cat([f(y, self.operator) for y in self.test.split(1)])
        return self.scale * found[:, 0].numpy()


def train_ours(problem, seed, epochs):
    """Fit our estimator with nothing set."""
    looks = Looks(problem.images, N_LOOKS)
    estimator = EquivariantReconstructor(
        problem.operator,
        max_epochs="auto" if epochs is None else epochs,
        random_state=seed,
        callbacks=[Watch(looks, problem)],
    )
    estimator.fit(problem.Y)
    looks.look(lambda: estimator.predict(problem.test))
    return looks, {"n_steps": estimator.n_steps_}


def read_problem(options):
    """Return the problem that the command line means."""
    images = np.load(options.ct)["images"] / np.float32(65535)
    step = max(1, images.shape[1] // options.size)
    size = images.shape[1] // step
    images = images.reshape(len(images), size, step, size, step).mean((2, 4))
    operator = ParallelBeamCT(max(4, N_VIEWS * size // SIZE), (size, size))
    Y = operator.measure(images)
    operator = operator.resolve(image_shape=(size, size))
    n_train = 70 if options.tune else 80
    shown = slice(n_train, n_train + 10)
    return Problem(operator, Y[:n_train], Y[shown], images[shown])


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("ct")
    parser.add_argument("--tune", action="store_true", help="on validation slices")
    parser.add_argument("--size", type=int, default=SIZE)
    parser.add_argument("--seconds", type=float, help="for each of deepinv's")
    parser.add_argument("--epochs", type=int, help="of ours, for a short look")
    parser.add_argument("--only", nargs="*")
    parser.add_argument("--seeds", nargs="*", type=int, default=[0])
    options = parser.parse_args()
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore", module="deepinv")
    problem = read_problem(options)
    section = f"tune, {options.size} pixels" if options.tune else "runs"
    names = TUNE if options.tune else {"ours": None, **FINAL}
    for seed in options.seeds:
        for name in names if options.only is None else options.only:
            cells = _record.read(NAME).get(section, {})
            key = f"{name} | {seed}"
            if key in cells:
                continue
            if name == "ours":
                looks, found = train_ours(problem, seed, options.epochs)
            else:
                seconds = options.seconds
                if seconds is None:
                    seconds = cells[f"ours | {seed}"]["cpu_seconds"]
                n_looks = N_LOOKS_TUNE if options.tune else N_LOOKS
                settings = DEFAULT | names[name]
                looks, found = train_deepinv(problem, settings, seed, seconds, n_looks)
            found["cpu_seconds"], found["psnr"] = looks.curve[-1]
            found["curve"] = looks.curve
            found["machine"] = _record.machine()
            result = _record.read(NAME) | {"deepinv": deepinv.__version__}
            result.setdefault(section, {})[key] = found
            _record.write(NAME, result)
            print(section, key, found, flush=True)


if __name__ == "__main__":
    main()
