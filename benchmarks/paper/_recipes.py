"""Strategies and presets, as estimators."""

from dataclasses import dataclass, replace

from sklearn_ei import (
    DeepImagePriorReconstructor,
    EquivariantReconstructor,
    PseudoInverseReconstructor,
    TotalVariationReconstructor,
)
from sklearn_ei.groups import Rotations
from sklearn_ei.losses import EquivarianceTerm
from sklearn_ei.networks import UNet

PRESETS = ("default", "plain", "paper")

_ROTATIONS = Rotations(360)  # the paper's, for CT
# Whether f ends with data consistency depends on what it is told of the noise.
_SUPERVISED = {"data_term": "supervised", "noise": "auto"}
# strategy: (title, parameters, whether it gets ground truth)
LEARNED = {
    "mc": ("measurement consistency", {"alpha": 0}, False),
    "ei": ("EI", {}, False),
    "ei-adversarial": ("EI adversarial", {"beta": None}, False),
    "supervised": ("supervised", {"alpha": 0, **_SUPERVISED}, True),
    "supervised-ei": ("supervised + EI", {"alpha": 1, **_SUPERVISED}, True),
    "ei-rotations": ("EI, the paper's group", {"group": _ROTATIONS}, False),
    "ei-robust": ("EI, noise level estimated", {"noise": "auto"}, False),
    "ei-single": ("EI on the single measurement", {}, False),
}
CLASSICAL = {
    "pinv": "A†y",
    "pinv-hann": "A†y, Hann window",
    "tv": "total variation",
}
DIP = {"dip-1": "DIP-1 (U-Net)", "dip-2": "DIP-2 (encoder–decoder)"}
HANN = {"ei-robust-hann": ("EI, noise level estimated, Hann window", "ei-robust")}
TITLES = {
    **CLASSICAL,
    **{name: recipe[0] for name, recipe in LEARNED.items()},
    **{name: recipe[0] for name, recipe in HANN.items()},
    **DIP,
}

# λ of total variation is chosen among these with the first training images.
TV_GRID = (1e-5, 3e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2)
N_TV = 4

_PLAIN = {
    "max_epochs": 20,
    "batch_size": 2,
    "lr": 2e-3,
    "network": UNet(width=16, depth=3),
}
_PAPER = {
    "network": UNet(width=64, depth=4),
    "lr_schedule": "constant",
    "precision": "float32",
}
_ESTIMATOR = {
    # Nothing is set: for 80 images, max_epochs="auto" stands for as many.
    ("default", "ct"): {"group": "auto", "max_epochs": 20},
    ("default", "inpainting"): {"group": "auto", "max_epochs": 20},
    ("plain", "ct"): {**_PLAIN, "max_epochs": 60},
    ("plain", "inpainting"): {**_PLAIN, "max_epochs": 40},
    ("paper", "ct"): {
        **_PAPER,
        "alpha": 100.0,
        "lr": 5e-4,
        "batch_size": 2,
        "equivariance_term": EquivarianceTerm(n_transforms=5),
        "max_epochs": 5000,
    },
    ("paper", "inpainting"): {
        **_PAPER,
        "alpha": 1.0,
        "lr": 1e-3,
        "batch_size": 1,
        "equivariance_term": EquivarianceTerm(n_transforms=3),
        "max_epochs": 2000,
    },
}
# In units in which A†y has root mean square 1; the paper's number is of its own units.
_BETA = {"default": 1e-4, "plain": 1e-4, "paper": 1e-8}
# Where the paper's rate falls to a tenth, as shares of all epochs.
_MILESTONES = {"ct": (0.4, 0.6, 0.8), "inpainting": (0.25, 0.5, 0.75)}
_WEIGHT_DECAY = 1e-8
# Of training on one measurement; by default "auto" stands for as many.
_SINGLE_EPOCHS = {"default": 300, "plain": 400, "paper": 400}
_DIP = {
    "default": {"n_iterations": 2000},
    "plain": {"n_iterations": 2000},
    "paper": {"n_iterations": 5000, "early_stopping": False},
}
_DIP_NETWORK = {"dip-1": ("unet", 64), "dip-2": ("encoder-decoder", 128)}


@dataclass(frozen=True)
class Spec:
    """One run: what is trained, on what."""

    problem: str
    strategy: str
    alpha: float | None = None  # None: the preset's
    sample: int | None = None  # number of a test image, for what sees one alone

    def canonical(self, preset):
        """Return the one name of runs that have several: EI with α = 0 is MC."""
        parameters = _ESTIMATOR[preset, _kind(self.problem)]
        if self.strategy == "ei-rotations" and "group" not in parameters:
            return replace(self, strategy="ei").canonical(preset)
        if self.strategy != "ei" or self.alpha is None:
            return self
        if self.alpha == 0:
            return replace(self, strategy="mc", alpha=None)
        if self.alpha == parameters.get("alpha"):
            return replace(self, alpha=None)
        return self

    @property
    def title(self):
        alpha = "" if self.alpha is None else f", α = {self.alpha:g}"
        return TITLES[self.strategy] + alpha

    @property
    def needs_truth(self):
        return self.strategy in LEARNED and LEARNED[self.strategy][2]

    @property
    def cost(self):
        """Roughly how long it takes, to begin with the longest."""
        return {"mc": 1, "supervised": 1}.get(self.strategy, 2) * (
            self.strategy not in CLASSICAL
        )


def _kind(problem):
    return "inpainting" if problem == "inpainting" else "ct"


def make_estimator(spec, problem, settings):
    """Return the estimator of a run, without checkpoint and callbacks."""
    operator, strategy = problem.operator, spec.strategy
    if strategy in HANN:
        strategy = HANN[strategy][1]
        operator = type(operator)(**{**operator.get_params(), "filter": "hann"})
    if strategy == "pinv-hann":
        return PseudoInverseReconstructor(
            type(operator)(**{**operator.get_params(), "filter": "hann"})
        )
    if strategy == "pinv":
        return PseudoInverseReconstructor(operator)
    if strategy == "tv":
        return TotalVariationReconstructor(operator)
    if strategy in DIP:
        network, paper_width = _DIP_NETWORK[strategy]
        parameters = dict(_DIP[settings.preset])
        if settings.preset == "paper":
            parameters["width"] = paper_width
        if settings.iterations is not None:
            parameters["n_iterations"] = settings.iterations
        return DeepImagePriorReconstructor(
            operator,
            network=network,
            random_state=settings.seed,
            device=settings.device,
            **parameters,
        )
    parameters = {
        "group": problem.group,
        "noise": None,  # as in the paper; who is told of it is "ei-robust"
        **_ESTIMATOR[settings.preset, _kind(problem.name)],
        **LEARNED[strategy][1],
    }
    if spec.alpha is not None:
        parameters["alpha"] = spec.alpha
    if parameters.get("beta", 0) is None:
        parameters["beta"] = _BETA[settings.preset]
    if strategy == "ei-single":
        parameters.update(batch_size=1, max_epochs=_SINGLE_EPOCHS[settings.preset])
    estimator = EquivariantReconstructor(
        operator, random_state=settings.seed, device=settings.device, **parameters
    )
    return estimator.set_params(max_epochs=settings.scaled(estimator.max_epochs))


def schedule_of(spec, settings, n_epochs):
    """Return milestones and weight decay, or None without the paper's schedule."""
    if settings.preset != "paper":
        return None
    shares = _MILESTONES[_kind(spec.problem)]
    return tuple(round(share * n_epochs) for share in shares), _WEIGHT_DECAY
