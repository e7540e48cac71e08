"""Later ideas beside plain EI: variable and equivariant splitting, unrolling.

    python benchmarks/fast_ei.py ct100_train_128.npz [--only NAME ...]

CT100, 50 noise-free views: trained on [:70], validated on [70:80] (the slices that
figures are reported on are never looked at), for equally many epochs; processor
seconds beside them. What is compared:

- fast EI (arXiv 2507.06764): images u that fit the measurements are found by some
  steps from f(y), then f learns f(y) ≈ u and f(A T_g u) ≈ T_g u. Without the
  plug-and-play denoiser of that paper, which needs weights learned elsewhere.
- equivariant splitting (arXiv 2510.00929): f sees some of the views and has to
  explain all, with a network that is averaged over the group: one random element a
  step in training, several in prediction, over several splits.
- unrolled: two networks in turn with data consistency, for half the epochs.
"""

import argparse
import math
import time

import _record
import numpy as np
import torch
from torch.nn.functional import mse_loss

from sklearn_ei import EquivariantReconstructor
from sklearn_ei.groups import Rotations
from sklearn_ei.losses import DataTerm
from sklearn_ei.metrics import psnr
from sklearn_ei.networks import UNet, Unrolled
from sklearn_ei.operators import ParallelBeamCT
from sklearn_ei.utils.random import RandomStream, make_generator

SMOKE = ["{ct16}", "--epochs", "1"]
SMOKE_SLOW = True
OPERATOR, GROUP = ParallelBeamCT(n_views=50), Rotations(360)
PLAIN = UNet(width=16, depth=3)
SHARE, N_SPLITS, N_AVERAGE = 0.7, 4, 4


class VariableSplitting(DataTerm):
    """Pseudo-supervision by images u that fit the measurements.

    The other term goes on with u in place of f(y).
    """

    name = "splitting_error"
    trusts_measurements = True

    def __init__(self, n_inner=10):
        super().__init__()
        self.n_inner = n_inner

    def forward(self, f, y, A, truth=None, start=None):
        x1 = f(y, A, start)
        u = x1.detach()
        with torch.no_grad():
            for _ in range(self.n_inner):
                u = A.refine(u, y)
        return u, self.operator.mean_squared_row_norm() * mse_loss(x1, u)


def some_views(y, generator):
    """Return a share of the views (the last axis but one), scaled up."""
    shape = (*y.shape[:-1], 1)
    keep = torch.rand(shape, generator=generator) < SHARE
    return y * keep.to(y.device) / SHARE


class SomeViews(DataTerm):
    """f sees a share of the views, and has to explain all of them."""

    name = "splitting_error"

    def forward(self, f, y, A, truth=None, start=None):
        x1 = f(some_views(y, self.generator), A)
        return x1, mse_loss(A.forward(x1), y)


class Averaged(torch.nn.Module):
    """T_g⁻¹ G(T_g x): one random g in training, the mean over some in prediction."""

    def __init__(self, network):
        super().__init__()
        self.network, self.stream = network, RandomStream(0)

    def forward(self, x):
        group = GROUP.resolve(tuple(x.shape[2:]))
        images = [
            group.inverse_transform(self.network(group.transform(x, g)).float(), g)
            for g in (
                group.sample(self.stream.generator, len(x))
                for _ in range(1 if self.training else N_AVERAGE)
            )
        ]
        return torch.stack(images).mean(0)


def averaged(n_channels, n_spatial_dims):
    return Averaged(*PLAIN.build(n_channels, n_spatial_dims, make_generator(0)))


def predict(estimator, Y):
    """Return images; of several shares of the views where f has learned from one."""
    if not isinstance(estimator.data_term, SomeViews):
        return estimator.predict(Y)
    y, generator = torch.from_numpy(Y), make_generator(0)
    shares = [some_views(y, generator).numpy() for _ in range(N_SPLITS)]
    return np.mean([estimator.predict(share) for share in shares], axis=0)


def unrolled(n_stages):
    return Unrolled(PLAIN, n_stages=n_stages, n_consistency=3)


# name: (parameters, share of the epochs)
METHODS = {
    "plain: EI": ({"network": PLAIN}, 1),
    "plain: fast EI": ({"network": PLAIN, "data_term": VariableSplitting()}, 1),
    "plain: equivariant splitting": (
        {"network": averaged, "data_term": SomeViews(), "alpha": 0},
        1,
    ),
    "data consistency: EI": ({"network": unrolled(1)}, 1),
    "data consistency: fast EI": (
        {"network": unrolled(1), "data_term": VariableSplitting()},
        1,
    ),
    "data consistency: EI, half the epochs": ({"network": unrolled(1)}, 1 / 2),
    "two networks: EI, half the epochs": ({"network": unrolled(2)}, 1 / 2),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file")
    parser.add_argument("--only", nargs="*", choices=METHODS, default=None)
    parser.add_argument("--epochs", type=int, default=23)
    options = parser.parse_args()
    torch.set_num_threads(1)
    images = np.load(options.file)["images"][:80] / np.float32(65535)
    OPERATOR.set_params(image_shape=images.shape[1:])
    Y = OPERATOR.measure(images)
    result = {**_record.read("fast_ei"), "machine": _record.machine()}
    result["setting"] = f"CT100 [:70] / [70:80], {options.epochs} epochs, seed 0"
    rows = result.setdefault("rows", {})
    for name, (parameters, share) in METHODS.items():
        if name in rows if options.only is None else name not in options.only:
            continue
        estimator = EquivariantReconstructor(
            OPERATOR,
            GROUP,
            max_epochs=math.ceil(share * options.epochs),
            random_state=0,
            **parameters,
        )
        start = time.process_time()
        estimator.fit(Y[:70])
        seconds = time.process_time() - start
        found = predict(estimator, Y[70:])
        rows[name] = {"psnr": psnr(images[70:], found), "cpu_seconds": seconds}
        _record.write("fast_ei", result)
        print(name, rows[name], flush=True)


if __name__ == "__main__":
    main()
