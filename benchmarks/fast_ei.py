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
import time

import _record
import numpy as np
import torch
from torch.nn.functional import mse_loss

from sklearn_ei import EquivariantReconstructor
from sklearn_ei.groups import Rotations
from sklearn_ei.losses import DataTerm, EquivariantObjective, Evaluation
from sklearn_ei.operators import ParallelBeamCT
from sklearn_ei.utils.random import make_generator


class VariableSplitting(EquivariantObjective):
    """Pseudo-supervision by images u that fit the measurements."""

    n_inner = 10

    def forward(self, f, y, truth=None, start=None, critic=None):
        x1 = f(y, start)
        u = x1.detach()
        with torch.no_grad():
            for _ in range(self.n_inner):
                u = self.operator.refine(u, y)
            x2 = self._transformed(u)
        data = self.operator.mean_squared_row_norm() * mse_loss(x1, u)
        equivariance = mse_loss(f(self.operator.forward(x2)), x2)
        return Evaluation(
            data + self.alpha * equivariance, (data, equivariance), x1, x2
        )


class FastEI(EquivariantReconstructor):
    def _make_objective(self, seeds):
        plain = super()._make_objective(seeds)
        return VariableSplitting(
            plain.data_term, plain.operator, plain.group, plain.alpha, seed=seeds[0]
        )


class SomeViews(DataTerm):
    """f sees a share of the views, scaled up, and has to explain all of them."""

    name = "splitting_error"

    def __init__(self, operator, share=0.7):
        super().__init__()
        self.operator, self.share = operator, share
        self.generator = make_generator(0)

    def split(self, y):
        keep = torch.rand((len(y), 1, y.shape[2], 1), generator=self.generator)
        return y * (keep < self.share) / self.share, y

    def forward(self, f, x1, y_in, y_target, truth):
        return mse_loss(self.operator.forward(x1), y_target)


class Averaged(torch.nn.Module):
    """T_g⁻¹ G(T_g x): one random g in training, the mean over some in prediction."""

    def __init__(self, network, group, n_average=4):
        super().__init__()
        self.network, self.group, self.n_average = network, group, n_average
        self.generator = make_generator(0)

    def forward(self, x):
        images = [
            self.group.inverse_transform(
                self.network(self.group.transform(x, g)).float(), g
            )
            for g in (
                self.group.sample(self.generator, len(x))
                for _ in range(1 if self.training else self.n_average)
            )
        ]
        return torch.stack(images).mean(0)


class EquivariantSplitting(EquivariantReconstructor):
    n_splits = 4

    def _make_objective(self, seeds):
        term = SomeViews(self.operator_)
        return EquivariantObjective(term, self.operator_, None, 0.0)

    def _make_network(self, operator, n_image_channels, seed=0):
        network = super()._make_network(operator, n_image_channels, seed)
        return Averaged(network, self.group.resolve(operator.image_shape))

    def _reconstruct(self, y):
        term = self.net_.criterion_.data_term
        f = super()._reconstruct
        images = [f(term.split(y)[0]) for _ in range(self.n_splits)]
        return torch.stack(images).mean(0)


# name: (class, parameters)
METHODS = {
    "plain: EI": (EquivariantReconstructor, {"n_consistency": 0}),
    "plain: fast EI": (FastEI, {"n_consistency": 0}),
    "plain: equivariant splitting": (EquivariantSplitting, {"n_consistency": 0}),
    "default: EI": (EquivariantReconstructor, {}),
    "default: fast EI": (FastEI, {}),
    "default: EI, half the epochs": (EquivariantReconstructor, {"max_epochs": 0.5}),
    "default: unrolled EI, half the epochs": (
        EquivariantReconstructor,
        {"n_stages": 2, "max_epochs": 0.5},
    ),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file")
    parser.add_argument("--only", nargs="*", choices=METHODS, default=None)
    parser.add_argument("--epochs", type=int, default=23)
    options = parser.parse_args()
    torch.set_num_threads(1)
    images = np.load(options.file)["images"][:80] / np.float32(65535)
    operator = ParallelBeamCT(n_views=50)
    Y = operator.measure(images)
    result = {**_record.read("fast_ei"), "machine": _record.machine()}
    result["setting"] = f"CT100 [:70] / [70:80], {options.epochs} epochs, seed 0"
    rows = result.setdefault("rows", {})
    for name, (method, own) in METHODS.items():
        if name in rows if options.only is None else name not in options.only:
            continue
        parameters = {"n_stages": 1, **own}
        parameters["max_epochs"] = round(own.get("max_epochs", 1) * options.epochs)
        estimator = method(operator, Rotations(360), random_state=0, **parameters)
        start = time.process_time()
        estimator.fit(Y[:70])
        seconds = time.process_time() - start
        psnr = estimator.score(Y[70:], images[70:])
        rows[name] = {"psnr": psnr, "cpu_seconds": seconds}
        _record.write("fast_ei", result)
        print(name, rows[name], flush=True)


if __name__ == "__main__":
    main()
