"""Why measurement consistency alone gains more here than in the paper.

    python benchmarks/consistency_alone.py ct100_train_128.npz [--only NAME ...]

G ∘ A† as in the paper gains 0.8 dB there by A f(y) = y alone, and 5.5 dB in the preset
``plain`` of benchmarks.paper. What differs is tried one at a time: where the last layer
begins, how long is trained and at which rate, and the width. 64², 25 views: as many for
a pixel as in the paper. Trained on [:70], validated on [70:80]; images that figures are
reported on, [80:], are never looked at. EI beside them, with the paper's group, one
transform a step and α = 100.
"""

import argparse
import time

import _record
import numpy as np
import torch
from _look import reconstruct, scale_of
from skorch.callbacks import Callback

from sklearn_ei import EquivariantReconstructor
from sklearn_ei.groups import Rotations
from sklearn_ei.metrics import psnr
from sklearn_ei.networks import ResidualUNet
from sklearn_ei.operators import ParallelBeamCT

SMOKE = ["{ct16}", "--effort", "0.02", "--only", "as `plain`"]
SMOKE_SLOW = True
N_TRAIN, N_ALL, N_LOOKS = 70, 80, 20
PAPER_RATE = {"lr": 5e-4, "lr_schedule": "constant"}
# name: (width, depth, whether the last layer begins at zero, epochs, parameters)
ROWS = {
    "as `plain`": (16, 3, True, 60, {}),
    "last layer begins at random": (16, 3, False, 60, {}),
    "the paper's rate": (16, 3, True, 60, PAPER_RATE),
    "five times as long": (16, 3, True, 300, {}),
    "five times as long, at random, the paper's rate": (16, 3, False, 300, PAPER_RATE),
    "the paper's network": (64, 4, True, 15, {}),
    "the paper's network, at random, its rate": (64, 4, False, 15, PAPER_RATE),
    "EI as `plain`": (16, 3, True, 60, {"alpha": 100.0}),
    "EI, last layer begins at random": (16, 3, False, 60, {"alpha": 100.0}),
    "EI, five times as long": (16, 3, True, 300, {"alpha": 100.0}),
}


def network(width, depth, starts_at_zero):
    """Return the residual U-Net; its last layer at zero or as torch draws it."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = ResidualUNet(width=width, depth=depth)
        if not starts_at_zero:
            net.last.reset_parameters()
    return net


class Curve(Callback):
    """PSNR on held-out images against the epoch."""

    def __init__(self, Y, images, scale, every):
        self.Y, self.images, self.scale, self.every = Y, images, scale, every

    def on_train_begin(self, net, **kwargs):
        self.epochs, self.psnr = [], []

    def on_epoch_end(self, net, **kwargs):
        epoch = len(net.history)
        if epoch % self.every == 0:
            self.epochs.append(epoch)
            found = reconstruct(net, self.Y, self.scale)
            self.psnr.append(round(psnr(self.images, found), 3))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file")
    parser.add_argument("--only", nargs="*", choices=tuple(ROWS), default=None)
    parser.add_argument("--effort", type=float, default=1.0, help="times the epochs")
    options = parser.parse_args()
    torch.set_num_threads(1)
    images = np.load(options.file)["images"][:N_ALL] / np.float32(65535)
    shape = (N_ALL, images.shape[1] // 2, 2, images.shape[2] // 2, 2)
    images = images.reshape(shape).mean((2, 4), dtype=np.float32)
    operator = ParallelBeamCT(n_views=25, image_shape=images.shape[1:])
    Y, held_out = operator.measure(images), images[N_TRAIN:]
    scale = scale_of(operator, Y[:N_TRAIN])
    for name, (width, depth, at_zero, epochs, parameters) in ROWS.items():
        result = {**_record.read("consistency_alone"), "machine": _record.machine()}
        result["pinv"] = psnr(held_out, operator.reconstruct(Y[N_TRAIN:]))
        rows = result.setdefault("rows", {})
        if name in rows if options.only is None else name not in options.only:
            continue
        n_epochs = max(1, round(options.effort * epochs))
        curve = Curve(Y[N_TRAIN:], held_out, scale, max(1, n_epochs // N_LOOKS))
        estimator = EquivariantReconstructor(
            operator,
            Rotations(360),
            network=network(width, depth, at_zero),
            max_epochs=n_epochs,
            callbacks=[curve],
            random_state=0,
            **{"alpha": 0, "batch_size": 2, "lr": 2e-3, **parameters},
        )
        start = time.process_time()
        estimator.fit(Y[:N_TRAIN])
        train = estimator.history_[-1]
        rows[name] = {
            "psnr": psnr(held_out, estimator.predict(Y[N_TRAIN:])),
            "train_error": float(train["measurement_consistency"]),
            "epochs": curve.epochs,
            "curve": curve.psnr,
            "cpu_seconds": time.process_time() - start,
        }
        _record.write("consistency_alone", result)
        print(name, rows[name], flush=True)


if __name__ == "__main__":
    main()
