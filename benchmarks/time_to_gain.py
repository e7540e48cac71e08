"""How long until the paper's gain over A†y: python benchmarks/time_to_gain.py CT.npz

Trains on slices [:80] without ground truth, with nothing set, and looks after every
epoch, off the clock, at the PSNR of [80:] over that of Ram-Lak A†y. It ends with the
first epoch that gains 6.7 dB, as the paper does. `--settings` takes parameters of the
estimator, as JSON.
"""

import argparse
import json
import time
from contextlib import suppress

import _record
import numpy as np
import torch
from _look import reconstruct, scale_of
from skorch.callbacks import Callback

from sklearn_ei import EquivariantReconstructor
from sklearn_ei.metrics import psnr
from sklearn_ei.operators import ParallelBeamCT

NAME = "time_to_gain"
SMOKE = ["{ct16}", "--threads", "1", "--name", "one epoch"]
SMOKE += ["--settings", '{"max_epochs": 1}']
SMOKE_SLOW = True
GAIN = 6.7


class Reached(Exception):
    """The training need not go on."""


class Watch(Callback):
    """Stop the clock, score, start it again."""

    def __init__(self, Y, images, baseline, scale):
        self.data = Y, images, baseline, scale
        self.rows = []

    def on_train_begin(self, net, **kwargs):
        self.lost = [0.0, 0.0]

    def on_epoch_end(self, net, **kwargs):
        now, cpu = time.perf_counter(), time.process_time()
        Y, images, baseline, scale = self.data
        gain = psnr(images, reconstruct(net, Y, scale))
        self.rows.append(
            {
                "epoch": len(net.history),
                "wall_s": now - self.start[0] - self.lost[0],
                "processor_s": cpu - self.start[1] - self.lost[1],
                "gain_dB": gain - baseline,
            }
        )
        print(self.rows[-1], flush=True)
        if gain - baseline >= GAIN:
            raise Reached
        self.lost[0] += time.perf_counter() - now
        self.lost[1] += time.process_time() - cpu


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("ct")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--settings", type=json.loads, default={})
    parser.add_argument("--name", help="under which the row is kept; none: not kept")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)

    images = np.load(options.ct)["images"][:90] / np.float32(65535)
    operator = ParallelBeamCT(n_views=50, image_shape=images.shape[1:])
    Y = operator.measure(images)
    baseline = psnr(images[80:], operator.reconstruct(Y[80:]))

    scale = scale_of(operator, Y[:80])
    watch = Watch(Y[80:], images[80:], baseline, scale)
    estimator = EquivariantReconstructor(
        operator, random_state=0, callbacks=[watch], **options.settings
    )
    watch.start = time.perf_counter(), time.process_time()
    with suppress(Reached):
        estimator.fit(Y[:80])
    reached = [row for row in watch.rows if row["gain_dB"] >= GAIN]
    row = {
        "machine": _record.machine(),
        "settings": options.settings,
        "baseline_dB": baseline,
        "epochs": watch.rows,
        "first_above": reached[0] if reached else None,
    }
    print("first above", GAIN, "dB:", row["first_above"])
    if options.name:
        result = _record.read(NAME)
        result[options.name] = row
        _record.write(NAME, result)


if __name__ == "__main__":
    main()
