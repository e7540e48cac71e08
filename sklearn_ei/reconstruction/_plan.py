"""From an estimator's parameters and data to a plan; nothing is changed on the way."""

import warnings
from dataclasses import replace
from functools import partial
from numbers import Integral

import numpy as np
import torch

from ..identifiability import GroupRankWarning, cheap_failure
from ..losses import choose_data_term, masks_of
from ..metrics import psnr
from ..model_selection import score_without_truth, told_noise
from ..networks import (
    PatchDiscriminator,
    ReconstructionFunction,
    build_average,
    build_module,
    build_stages,
)
from ..operators import part_of
from ..training import Checkpoint, FitPlan, Seeds
from ..utils.device import resolve_precision
from ..utils.params import brief
from ..utils.random import make_generator, spawn_seeds
from ..utils.stack import (
    LazyTensor,
    has_missing,
    stack_to_tensor,
    take,
    truth_of_pairs,
)
from ..utils.validation import check_images, check_measurements
from ._auto import (
    choose_equivariance_term,
    choose_group,
    choose_rate,
    choose_steps,
)
from ._identity import check_same, identity
from ._noise import quieted, resolve_noise
from ._parameters import needs_group, refuse_no_group, resolve_terms
from ._scaled import ScaledFunction
from ._start import root_mean_square, scaled_dataset

# α = 1.5 ‖A‖_F²/m is where the best values of the paper's Table 2 lie, for CT
# and inpainting alike.
_AUTO_ALPHA = 1.5
_VALIDATION_SHARE = 0.1
_CRITIC = {"width": 16, "depth": 3}


class Planner:
    """Checks all that a fit is given, and resolves it once.

    Parameters
    ----------
    estimator : EquivariantReconstructor
        Whose parameters count. Nothing is set on it.
    processes : Processes
        Among which the training is shared.
    goes_on : bool
        Whether to start from the trained weights and their ``scale_``.
    incremental : bool
        Whether to take one epoch at the constant rate, rather than a whole fit.
    """

    def __init__(self, estimator, processes, *, goes_on, incremental):
        self.estimator = estimator
        self.name = type(estimator).__name__
        self.parameters = estimator.get_params(deep=False)
        self.processes = processes
        self.goes_on = goes_on
        self.incremental = incremental
        terms = resolve_terms(self.parameters)
        self.data_term, self.equivariance_term, self.network = terms
        if goes_on and not incremental and self.parameters["checkpoint"] is not None:
            raise ValueError(
                f"Got checkpoint={self.parameters['checkpoint']!r} with warm_start="
                "True on a fitted estimator, but expected one of them: a checkpoint "
                "belongs to one fit from its start."
            )
        self.device = processes.resolve_device(self.parameters["device"])
        seeds = spawn_seeds(self.parameters["random_state"], len(Seeds._fields))
        self.seeds = Seeds(*processes.from_main(seeds))

    # ------------------------------------------------------------------ plans
    def plan(self, Y, truth):
        """Return the plan of a new training.

        Parameters
        ----------
        Y : array-like of shape (n_samples, *measurement_shape[, n_channels])
            Measurements.
        truth : array-like of shape (n_samples, *image_shape[, n_channels]) or None
            Ground truth.

        Returns
        -------
        plan : FitPlan
        fitted : dict
            Fitted attributes that follow from the operator and the data.
        """
        parameters = self.parameters
        # A network in training keeps the operator that it has seen.
        new = not (self.goes_on and self.incremental)
        checked, truth = self._look_at(Y, truth, reset=new)
        fitted = self._fitted(checked, truth, new)
        operator, image_layout = fitted["operator_"], fitted["image_layout_"]
        if new:
            self.estimator._check_explains(operator, checked, stacklevel=8)
        group = self._resolve_group(operator, checked.shape[1])
        y, truth, images, missing = self._tensors(checked, truth, fitted)
        density = masks_of(y).float().mean(0) if has_missing(y) else None
        alpha = self._resolve_alpha(operator, group, density)
        # Ground truth teaches the null space whatever the group does.
        if new and alpha > 0 and not self.data_term.needs_truth:
            masks = None if density is None else checked
            self._check_group(operator.for_measurements(y[:1]), group, masks)
        kind, n_samples = type(self.estimator), len(y)
        train, valid = None, None
        if parameters["early_stopping"] and not self.incremental:
            train, valid = self._split(n_samples)
        check_same(self.processes, kind, parameters, y, truth)
        noise, axis = self.processes.from_main(self._find_noise(operator, y))
        n_epochs, batch_size = choose_steps(
            n_samples if train is None else len(train),
            parameters["max_epochs"],
            parameters["batch_size"],
            noise is not None,
            at_least=self.processes.size,
        )
        told = self._tell(operator, noise, axis)
        operator = fitted["operator_"] = quieted(operator, told, y)
        scale = self.processes.from_main(self._find_scale(operator, y))
        # Training sees y / scale.
        scaled_noise = None if told is None else told.scaled(1 / scale)
        term = self.data_term.resolve(operator, scaled_noise, self.seeds.term)
        if missing:
            term.expect_missing_truth()
        if density is not None:
            term.expect_missing(density)
        function = self._make_function(term, image_layout)
        validate = None
        checkpoint = self._find_checkpoint(y, truth, n_epochs)
        if train is not None:
            held_out = checked[valid], None if images is None else images[valid]
            validate = self._validation(fitted, group, scale, *held_out, noise=told)
            y, truth = take(y, train), None if truth is None else take(truth, train)
        plan = FitPlan(
            name=self.name,
            function=function,
            operator=operator,
            data_term=term,
            dataset=scaled_dataset(operator, y, truth, scale, self.device),
            seeds=self.seeds,
            device=self.device,
            n_epochs=1 if self.incremental else n_epochs,
            batch_size=batch_size,
            lr=choose_rate(parameters["lr"], self.network, noise is not None),
            lr_schedule="constant" if self.incremental else parameters["lr_schedule"],
            group=group,
            alpha=alpha,
            beta=float(parameters["beta"]),
            equivariance_term=self.equivariance_term,
            critic=self._make_critic(image_layout),
            scale=scale,
            noise=noise,
            image_layout=image_layout,
            measurement_layout=fitted["measurement_layout_"],
            average=True,
            validate=validate,
            patience=int(parameters["n_iter_no_change"]),
            checkpoint=checkpoint,
            callbacks=tuple(parameters["callbacks"] or ()),
            processes=self.processes,
            verbose=int(parameters["verbose"]),
            has_missing=density is not None,
        )
        return plan, fitted

    def next_epoch(self, plan, Y, truth):
        """Return a plan like another one, for one more epoch on other data.

        Parameters
        ----------
        plan : FitPlan
            Of the training that goes on.
        Y, truth : array-like
            As for :meth:`plan`.

        Returns
        -------
        plan : FitPlan
        """
        self.data_term = plan.data_term  # what has changed counts from the next fit
        checked, truth = self._look_at(Y, truth, reset=False)
        y, truth, _, missing = self._tensors(checked, truth, self._fitted())
        if missing and plan.data_term.weight is None:
            raise ValueError(
                "y has samples without an image (NaN), but expected images for all "
                "samples, as in the first call of partial_fit."
            )
        dataset = scaled_dataset(plan.operator, y, truth, plan.scale, plan.device)
        return replace(
            plan,
            dataset=dataset,
            processes=self.processes,
            has_missing=has_missing(y),
        )

    # ------------------------------------------------------------------- data
    def _look_at(self, Y, truth, *, reset):
        checked = check_measurements(self.estimator, Y, reset=reset, lazy=True)
        truth = truth_of_pairs(Y, truth)
        if self.data_term.needs_truth and truth is None:
            raise ValueError(
                f"{self.name} with data_term={brief(self.data_term)} needs ground "
                "truth: expected images as the second argument of fit, got None."
            )
        return checked, truth

    def _fitted(self, checked=None, truth=None, new=False):
        """Return what follows from the operator: resolved, or as it was fitted."""
        if new:
            return self.estimator._resolve_operator(checked, truth)
        names = "operator_", "image_layout_", "measurement_layout_"
        return {name: getattr(self.estimator, name) for name in names}

    def _tensors(self, checked, truth, fitted):
        """Return measurements, images (also as arrays), and whether any is missing."""
        y = stack_to_tensor(checked, fitted["measurement_layout_"])
        y = fitted["operator_"].only_measured(y)
        if not self.data_term.needs_truth:
            return y, None, None, False  # it may have settled the images' shape
        layout = fitted["image_layout_"]
        images = check_images(
            truth,
            len(checked),
            layout.array_shape,
            self.name,
            missing_ok=True,
            lazy=True,
            is_complex=layout.is_complex,
        )
        truth = stack_to_tensor(images, layout)
        seen = truth
        if isinstance(truth, LazyTensor):  # one image tells whether any is missing
            seen = truth[[images.first_missing]]
        return y, truth, images, bool(seen.isnan().any())

    def _find_noise(self, operator, y):
        """Return the noise with its numbers, and the axis along which it correlates."""
        return resolve_noise(
            self.parameters["noise"],
            self.data_term,
            operator,
            y,
            name=self.name,
            stacklevel=7,
        )

    def _tell(self, operator, noise, correlated_axis):
        """Choose the data term now that noise is known; return what it is told."""
        if not isinstance(self.parameters["noise"], str):
            return noise
        name = self.parameters["data_term"]
        unit = operator.natural_axis
        splits = None not in (correlated_axis, unit) and correlated_axis != unit
        if name == "auto" and splits:
            # Risk estimates take entries to be independent, splits only the units.
            self.data_term = choose_data_term("splitting", None)
            return None
        self.data_term = choose_data_term(name, noise)
        return noise

    def _find_scale(self, operator, y):
        """Return the unit of the training."""
        return self.estimator.scale_ if self.goes_on else root_mean_square(operator, y)

    def _split(self, n_samples):
        """Return the numbers of samples to train on, and to stop early by."""
        parameters, seed = self.parameters, self.seeds.split
        share = parameters["early_stopping"]
        share = _VALIDATION_SHARE if share is True else share
        n_valid = max(1, round(share * n_samples))
        if n_valid >= n_samples:
            raise ValueError(
                f"Got {n_samples} sample(s) (n_samples = {n_samples}) with "
                "early_stopping=True, but expected enough to leave some for training."
            )
        fixed = isinstance(parameters["random_state"], Integral)
        if parameters["checkpoint"] is not None and not fixed:
            seed = 0  # whoever goes on has to find the same samples
        order = np.random.default_rng(seed).permutation(n_samples)
        return np.sort(order[n_valid:]), np.sort(order[:n_valid])

    def _validation(self, fitted, group, scale, Y, images, *, noise):
        """Return the score of f on samples left out."""
        operator, device, processes = fitted["operator_"], self.device, self.processes
        term = self.data_term
        noise = told_noise(noise, term)
        to_tensor = fitted["measurement_layout_"].to_tensor
        layout = fitted["image_layout_"]
        # A missing image has no PSNR, nor has a blank one.
        known = [
            i
            for i, x in enumerate(() if images is None else images)
            if np.isfinite(x).all() and np.any(x)
        ]

        @torch.no_grad()
        def validate(function):
            f = ScaledFunction(function, scale, device, term)
            batches = [to_tensor(Y[i : i + 1]).to(device) for i in range(len(Y))]
            if len(known) == 0:
                score = score_without_truth(f, operator, group, batches, noise=noise)
            else:
                parts = [part_of(operator, batches[i]) for i in known]
                made = [layout.to_array(f(y, part)) for part, y in parts]
                score = psnr(images[known], np.concatenate(made))
            return processes.from_main(score)

        return validate

    # ------------------------------------------------------- group and weights
    def _resolve_group(self, operator, n_features):
        """Return the group for these images; settles the equivariance term."""
        group, image_shape = self.parameters["group"], operator.image_shape
        if isinstance(group, str):
            group = self._recommended_group(operator)
        resolved = None if group is None else group.resolve(image_shape)
        if isinstance(self.equivariance_term, str):
            self.equivariance_term = choose_equivariance_term(resolved)
        if resolved is None:
            return None
        n_transforms = self.equivariance_term.n_transforms
        used = self.parameters["alpha"] != 0 or self.parameters["beta"] > 0
        if n_transforms >= resolved.n_elements and used:
            raise ValueError(
                f"{group} has {resolved.n_elements} element(s) on images of shape "
                f"{image_shape} (n_features = {n_features}), but n_transforms="
                f"{n_transforms} needs as many besides the identity."
            )
        return resolved

    def _recommended_group(self, operator):
        """Return the group that group="auto" means for an operator."""
        weights = needs_group(self.parameters, self.data_term)
        if self.data_term.needs_truth and not weights:
            return None  # supervised training asks for one by name
        group = choose_group(operator, len(operator.image_shape))
        if group is None and weights:
            refuse_no_group(
                f"Got group='auto' and {weights} for {type(operator).__name__} and "
                f"images of shape {operator.image_shape}, for which none is recommended"
            )
        return group

    def _resolve_alpha(self, operator, group, density):
        alpha = self.parameters["alpha"]
        if alpha != "auto":
            return float(alpha)
        if group is None:
            return 0.0
        if self.data_term.needs_truth:
            return 1.0
        alpha = _AUTO_ALPHA * operator.mean_squared_row_norm()
        if density is not None:  # rows that are not measured are rows of zeros
            measured = operator.measured_entries(each_channel=True)
            measured = torch.from_numpy(measured).expand(density.shape)
            alpha *= float(density[measured].mean())
        return alpha

    def _check_group(self, operator, group, masks):
        """Warn, or raise, if group and masks rule out learning beyond A†."""
        check_rank = self.parameters["check_rank"]
        if check_rank is False:
            return
        failure = cheap_failure(operator, group, masks=masks)
        if failure is None:
            return
        holes = "" if masks is None else " for a Y with NaN"
        message = (
            f"{self.name} got operator={self.estimator.operator} and "
            f"group={group}{holes}, whose rank check says {failure} "
            "See check_group_rank, or pass check_rank=False."
        )
        if check_rank == "raise":
            raise ValueError(message)
        warnings.warn(message, GroupRankWarning, stacklevel=6)

    # ----------------------------------------------------------------- networks
    def _make_function(self, term, image_layout):
        """Return f with new weights, or with those that were trained."""
        precision = resolve_precision(
            self.parameters["precision"], self.device, len(image_layout.shape)
        )
        function = make_function(
            self.network, term, image_layout, precision, self.seeds.weights
        )
        if not any(weight.requires_grad for weight in function.parameters()):
            raise ValueError(
                f"Got network={brief(self.parameters['network'])}, but expected one "
                "that has weights to train (with requires_grad)."
            )
        if not self.goes_on:
            return function
        trained = self.estimator.function_
        if _outline(function) != _outline(trained):
            raise ValueError(
                f"Got network={brief(self.parameters['network'])} for images of "
                f"{image_layout.n_channels} channel(s) with warm_start=True, but "
                "expected the one that was trained."
            )
        function.load_state_dict(trained.state_dict())
        return function

    def _make_critic(self, image_layout):
        if self.parameters["beta"] == 0:
            return None
        make = partial(
            PatchDiscriminator,
            image_layout.n_channels,
            n_spatial_dims=len(image_layout.shape),
            **_CRITIC,
        )
        return build_module(make, make_generator(self.seeds.critic))

    # ------------------------------------------------------- who else is there
    def _find_checkpoint(self, y, truth, n_epochs):
        path = self.parameters["checkpoint"]
        if path is None or self.incremental:
            return None
        told = identity(type(self.estimator), self.parameters, y, truth)
        checkpoint = Checkpoint(path, told, self.processes)
        return checkpoint.read(n_epochs)


def make_function(network, data_term, image_layout, precision, seed, *, trial=True):
    """Return f with new weights.

    Parameters
    ----------
    network : NetworkSpec, torch.nn.Module or callable
        What it consists of.
    data_term : DataTerm
        Resolved; says whether images keep to the measurements in the end.
    image_layout : Layout
        Of the images, settled.
    precision : torch.dtype
        In which networks compute.
    seed : int or None
        Of the weights. None: they are described, on the ``meta`` device.

    Returns
    -------
    function : ReconstructionFunction
    """
    return ReconstructionFunction(
        build_stages(network, image_layout, seed, trial=trial),
        n_consistency=getattr(network, "n_consistency", 0),
        last_consistency=data_term.trusts_measurements,
        dtype=precision,
        average=build_average(network, image_layout),
    )


def _outline(function):
    """Return layers and shapes of weights, which tell networks apart."""
    shapes = [(name, tuple(t.shape)) for name, t in function.state_dict().items()]
    return str(function.stages), shapes
