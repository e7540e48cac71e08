"""From an estimator's parameters and data to a plan; nothing is changed on the way."""

from dataclasses import replace

from ..losses import choose_data_term, masks_of
from ..model_selection import told_noise
from ..training import Checkpoint, FitPlan, Seeds
from ..utils.device import resolve_precision
from ..utils.params import brief
from ..utils.random import spawn_seeds
from ..utils.stack import (
    LazyTensor,
    has_missing,
    stack_to_tensor,
    take,
    truth_of_pairs,
)
from ..utils.validation import check_images, check_measurements
from ._auto import choose_rate, choose_steps
from ._early_stopping import score_on, split_samples
from ._group import check_group, resolve_alpha, resolve_group
from ._identity import check_same, identity
from ._networks import check_trainable, make_critic, make_function, take_weights
from ._noise import quieted, resolve_noise
from ._parameters import resolve_terms
from ._scaled import ScaledFunction
from ._start import root_mean_square, scaled_dataset


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
            self.estimator._check_explains(operator, checked)
        group, self.equivariance_term = resolve_group(
            parameters,
            operator,
            self.data_term,
            self.equivariance_term,
            checked.shape[1],
        )
        y, truth, images, missing = self._tensors(checked, truth, fitted)
        density = masks_of(y).float().mean(0) if has_missing(y) else None
        alpha, beta = parameters["alpha"], float(parameters["beta"])
        alpha = resolve_alpha(alpha, operator, group, self.data_term, density)
        # Ground truth teaches the null space whatever the group does.
        if new and alpha > 0 and not self.data_term.needs_truth:
            masks = None if density is None else checked
            measuring = operator.for_measurements(y[:1])
            check_group(self.name, parameters, measuring, group, masks)
        kind, n_samples = type(self.estimator), len(y)
        train, valid = None, None
        if parameters["early_stopping"] and not self.incremental:
            train, valid = split_samples(n_samples, parameters, self.seeds.split)
        check_same(self.processes, kind, parameters, y, truth)
        found = resolve_noise(
            parameters["noise"],
            self.data_term,
            operator,
            y,
            name=self.name,
        )
        noise, axis = self.processes.from_main(found)
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
            beta=beta,
            equivariance_term=self.equivariance_term,
            critic=make_critic(image_layout, self.seeds.critic) if beta > 0 else None,
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

    # --------------------------------------------------------------- training
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

    def _validation(self, fitted, group, scale, Y, images, *, noise):
        """Return the score of f on samples left out."""
        device, processes, term = self.device, self.processes, self.data_term
        noise = told_noise(noise, term)
        score = score_on(Y, images, fitted, group=group, noise=noise, device=device)

        def validate(function):
            f = ScaledFunction(function, scale, device, term)
            return processes.from_main(score(f))

        return validate

    def _make_function(self, term, image_layout):
        """Return f with new weights, or with those that were trained."""
        given = self.parameters["network"]
        precision = resolve_precision(
            self.parameters["precision"], self.device, len(image_layout.shape)
        )
        function = make_function(
            self.network, term, image_layout, precision, self.seeds.weights
        )
        check_trainable(function, given)
        if self.goes_on:
            take_weights(function, self.estimator.function_, given, image_layout)
        return function

    def _find_checkpoint(self, y, truth, n_epochs):
        path = self.parameters["checkpoint"]
        if path is None or self.incremental:
            return None
        told = identity(type(self.estimator), self.parameters, y, truth)
        checkpoint = Checkpoint(path, told, self.processes)
        return checkpoint.read(n_epochs)
