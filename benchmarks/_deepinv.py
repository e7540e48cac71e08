"""deepinv's reconstructors and losses on our operator, for rival.py."""

import torch
from deepinv.loss import EILoss, EquivariantSplittingLoss, MCLoss
from deepinv.models import ArtifactRemoval, UNet
from deepinv.optim import HQS, PGD, PnP
from deepinv.optim.data_fidelity import L2, DataFidelity
from deepinv.physics import LinearPhysics
from deepinv.physics.generator import BernoulliSplittingMaskGenerator
from deepinv.transform import Rotate
from deepinv.transform.projective import Similarity

from sklearn_ei.utils.device import resolve_precision

SIZE = 128  # of the paper's slices, for which alpha is said
_SHARE = 0.9  # of the views that splitting keeps, as deepinv does


class Physics(LinearPhysics):
    """Our operator as deepinv's, with filtered back-projection as A†."""

    def __init__(self, operator, n_inner):
        super().__init__(
            A=operator.forward,
            A_adjoint=operator.adjoint,
            img_size=(1, *operator.image_shape),
            max_iter=n_inner,
            tol=1e-6,
            implicit_backward_solver=False,  # exact for so few iterations
        )
        self.operator = operator

    def A_dagger(self, y, **kwargs):
        return self.operator.pinv(y)


def ram_lak(operator):
    """Return the matrix K of A† = AᵀK, on the bins of a view."""
    n_views, n_bins = operator.measurement_shape
    n = torch.arange(n_bins, dtype=torch.float64)
    n = (n[:, None] - n).abs()
    kernel = torch.where(n % 2 == 1, -1 / (torch.pi * n.clamp(min=1)) ** 2, 0.0)
    kernel.fill_diagonal_(1 / 4)
    return (torch.pi / n_views * kernel).float()


class Filtered(DataFidelity):
    """½(Ax − y)ᵀK(Ax − y): its gradient step is a back-projection that is filtered.

    In place of the prox are some such steps, whose sizes are learned.
    """

    def __init__(self, operator, n_steps):
        super().__init__()
        self.register_buffer("kernel", ram_lak(operator))
        sizes = torch.tensor(operator.refinement_steps(n_steps))  # ours, to begin with
        self.steps = torch.nn.Parameter(sizes)

    def grad(self, x, y, physics, *args, **kwargs):
        return physics.A_adjoint((physics.A(x) - y) @ self.kernel)

    def prox(self, x, y, physics, *args, **kwargs):
        for step in self.steps:
            x = x - step * self.grad(x, y, physics)
        return x


class Mixed(UNet):
    """deepinv's residual U-Net, zero to begin with, in the precision that ours has."""

    def __init__(self, widths):
        super().__init__(1, 1, channels_per_scale=list(widths))
        torch.nn.init.zeros_(self.Conv_1x1.weight)
        torch.nn.init.zeros_(self.Conv_1x1.bias)
        self.to(memory_format=torch.channels_last)
        self.dtype = resolve_precision("auto", torch.device("cpu"))

    def forward(self, x, sigma=None, **kwargs):
        reduced = self.dtype != torch.float32
        with torch.autocast("cpu", self.dtype, enabled=reduced, cache_enabled=False):
            found = super().forward(x.contiguous(memory_format=torch.channels_last))
        return found.float()


class Views(BernoulliSplittingMaskGenerator):
    """Masks of whole views, of which some are always left out."""

    def batch_step(self, **kwargs):
        n_views = self.img_size[-2]
        n_out = max(1, round((1 - self.split_ratio) * n_views))
        mask = torch.ones(self.img_size)
        mask[..., torch.randperm(n_views, generator=self.rng)[:n_out], :] = 0
        return mask


def make_model(operator, settings):
    """Return a reconstructor of deepinv that begins as A†, or close to it."""
    model, n_stages = settings["model"], settings["n_stages"]
    if model == "artifact":
        return ArtifactRemoval(Mixed(settings["widths"]), mode="pinv")
    kernel = ram_lak(operator)
    common = {
        "prior": [PnP(Mixed(settings["widths"])) for _ in range(n_stages)],
        "max_iter": n_stages,
        "custom_init": lambda y, physics: physics.A_adjoint(y @ kernel),
        "unfold": True,
        "trainable_params": [] if model == "filtered" else ["stepsize"],
    }
    if model == "gradient":
        blank = torch.ones(1, 1, *operator.image_shape)
        norm = Physics(operator, 50).compute_sqnorm(blank, verbose=False)
        return PGD(L2(), stepsize=[1 / float(norm)] * n_stages, **common)
    fidelity = L2()
    if model == "filtered":
        fidelity = [Filtered(operator, settings["n_inner"]) for _ in range(n_stages)]
    # The prior first, so that images are made to agree with y at the end.
    return HQS(fidelity, stepsize=[1.0] * n_stages, g_first=True, **common)


def make_losses(operator, generator, settings):
    """Return what is summed in a training step."""
    if settings["loss"] == "splitting":
        once, often = (
            Rotate(n_trans=n, interpolation_mode="bilinear", rng=generator)
            for n in (1, 4)
        )
        views = Views((1, *operator.measurement_shape), _SHARE, rng=generator)
        loss = EquivariantSplittingLoss(
            mask_generator=views, transform=once, eval_transform=often
        )
        return [loss]
    if settings["group"] == "rotations":
        group = Rotate(interpolation_mode="bilinear", rng=generator)
    else:
        group = Similarity(
            zoom_factor_min=0.7,
            shift_max=0,
            padding="zeros",
            interpolation="bicubic",
            rng=generator,
        )
    invariance = EILoss(
        group,
        apply_noise=False,
        weight=settings["alpha"] * operator.image_shape[0] / SIZE,  # as ‖A‖²
        no_grad=settings["no_grad"],
    )
    return [MCLoss(), invariance]
