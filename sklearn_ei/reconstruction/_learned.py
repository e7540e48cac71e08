"""Estimators whose reconstruction function is a trained network."""

from abc import abstractmethod
from numbers import Integral, Real
from pathlib import Path

import numpy as np
import torch
from sklearn.utils import check_scalar
from skorch.history import History

from ..training import (
    BestWeights,
    Checkpoint,
    EpochTasks,
    ReconstructionFunction,
    ReconstructionNet,
    WarmUpCosine,
    check_callbacks,
    fingerprint,
    train_epochs,
    warn_if_memory_is_short,
)
from ..utils.callbacks import CallbackSupportMixin, open_callback_context
from ..utils.device import own_stream, resolve_precision
from ..utils.params import brief, check_option, check_path, check_real
from ..utils.processes import resolve_processes
from ..utils.random import spawn_seeds
from ..utils.stack import LazyTensor, stack_to_tensor, take, truth_of_pairs
from ..utils.validation import check_images, check_measurements, record_features
from ._base import BaseReconstructor
from ._network import check_network, make_network
from ._start import root_mean_square, scaled_dataset
from ._uncertainty import UncertaintyMixin

_COMPARED_SAMPLES = 64
# Parameters that may change between a checkpoint and the fit that goes on from it.
_NOT_OF_THE_TRAINING = (
    "accelerate",
    "callbacks",
    "check_rank",
    "checkpoint",
    "cuda_graphs",
    "device",
    "verbose",
    "warm_start",
)


class LearnedReconstructor(CallbackSupportMixin, UncertaintyMixin, BaseReconstructor):
    """Base class of estimators that train f = G ∘ A† with skorch.

    A subclass has the parameters that :meth:`_check_training_params` names,
    calls :meth:`_fit_epochs` in ``fit`` and ``partial_fit``, and supplies
    :meth:`_resolve_model` and :meth:`_make_objective`.
    """

    @abstractmethod
    def _resolve_model(self, Y, truth, reset):
        """Return the fitted attributes that follow from parameters and data.

        With ``reset`` they contain those of :meth:`_resolve_operator`; without,
        the fitted ones stay. Refuses what does not fit together, sets nothing.
        """

    @abstractmethod
    def _trusts_measurements(self):
        """Return whether the images have to agree with the measurements."""

    @abstractmethod
    def _make_objective(self, seeds):
        """Return the training objective, given two seeds."""

    def _make_critic(self, seed):
        """Return the discriminator of adversarial training, or None."""

    def _check_training_params(self):
        for name in ("n_stages", "width", "depth", "max_epochs", "batch_size"):
            check_scalar(getattr(self, name), name, Integral, min_val=1)
        check_scalar(self.n_consistency, "n_consistency", Integral, min_val=0)
        check_real("lr", self.lr, min_val=0, include_boundaries="neither")
        check_scalar(self.verbose, "verbose", Integral, min_val=0)
        for name in ("warm_start", "early_stopping"):
            check_scalar(getattr(self, name), name, bool)
        check_option("lr_schedule", self.lr_schedule, ("cosine", "constant"))
        check_network(self.network)
        check_callbacks(self.callbacks)
        check_path("checkpoint", self.checkpoint, folder_ok=True)
        check_scalar(self.cuda_graphs, "cuda_graphs", bool)
        if self.early_stopping:
            check_scalar(self.n_iter_no_change, "n_iter_no_change", Integral, min_val=1)
            check_scalar(
                self.validation_fraction,
                "validation_fraction",
                Real,
                min_val=0,
                max_val=1,
                include_boundaries="neither",
            )

    def _fit_epochs(self, Y, truth, *, goes_on, incremental):
        """Check everything, then train: all epochs, or one if ``incremental``.

        ``goes_on`` starts from the trained network and its ``scale_`` rather than
        new ones.
        """
        # Calls of partial_fit share one net, and so the optimizer's moments.
        same_net = incremental and getattr(self, "_incremental", False)
        if goes_on and not incremental and self.checkpoint is not None:
            raise ValueError(
                f"Got checkpoint={self.checkpoint!r} with warm_start=True on a fitted "
                "estimator, but expected one of them: a checkpoint belongs to one fit "
                "from its start."
            )
        processes = resolve_processes(self.accelerate, self.device)
        seeds = processes.from_main(self._draw_seeds())
        dataset, network, valid, checkpoint = self._prepare(
            Y,
            truth,
            seeds,
            processes,
            goes_on=goes_on,
            reset=not (goes_on and incremental),
            same_net=same_net,
            whole_fit=not incremental,
        )
        n_epochs = 1 if incremental else self.max_epochs
        context = open_callback_context(self, n_epochs)
        tasks = None
        if context is not None:
            context.call_on_fit_task_begin(estimator=self)
            tasks = EpochTasks(self, context, processes).initialize()
        earlier = []
        if not same_net:
            schedule = None
            if not incremental and self.lr_schedule == "cosine":
                schedule = WarmUpCosine(n_epochs * -(-len(dataset) // self.batch_size))
            if goes_on:
                earlier = self.net_.history
            self.net_ = self._make_net(network, schedule, seeds)
            self.net_.verbose *= processes.is_main
            self._incremental = incremental
        best = None
        if valid is not None:
            best = BestWeights(
                lambda: processes.from_main(self.score(*valid)), self.n_iter_no_change
            )
            best.initialize()
        if checkpoint is not None:
            checkpoint.best = best
        try:
            with own_stream(self.device_):
                if not same_net:
                    warn_if_memory_is_short(
                        self.net_, dataset.Y[[0]], len(dataset), processes.size
                    )
                self.net_.processes = processes if processes.size > 1 else None
                train_epochs(
                    self.net_,
                    dataset,
                    n_epochs,
                    name=type(self).__name__,
                    tasks=tasks,
                    best=best,
                    checkpoint=checkpoint,
                )
        finally:
            self.net_.processes = None
            # A fit that fails keeps the epochs that went well. Callbacks of skorch
            # count from the length of the history, so that what earlier fits
            # recorded can only come back now.
            self.net_.history_ = History([*earlier, *self.net_.history])
            for number, epoch in enumerate(self.net_.history, start=1):
                epoch["epoch"] = number
            self.history_ = self.net_.history
            self.n_iter_ = len(self.history_)
            if best is not None and best.best_state_ is not None:
                self.net_.module_.load_state_dict(best.best_state_)
                self.best_validation_score_ = best.best_score_
            self.net_.module_.eval()
            # A record holds the memory of a step.
            self.net_.captured_ = self.net_.captured_ if incremental else None
        if context is not None:
            context.call_on_fit_task_end(estimator=self)
        return self

    def _identity(self, y, truth):
        """Return digests of all that a training depends on."""
        parameters = self.get_params(deep=False)
        in_folder = self.checkpoint is not None and Path(self.checkpoint).is_dir()
        for name in _NOT_OF_THE_TRAINING:
            # In a folder, callbacks may be all that tells two trainings apart.
            if not (in_folder and name == "callbacks"):
                parameters.pop(name, None)
        parameters["estimator"] = type(self).__qualname__
        if not isinstance(self.random_state, Integral):
            if in_folder:
                raise ValueError(
                    f"Got random_state={brief(self.random_state)} with a folder as "
                    "checkpoint, but expected an integer: without one, trainings in "
                    "the folder cannot be told apart."
                )
            # A checkpoint, and the main process, have the seeds that were drawn.
            parameters.pop("random_state")
        if self.lr_schedule == "constant":
            # A longer training begins with the shorter one.
            parameters.pop("max_epochs")
        return fingerprint(parameters, {"Y": y, "y": truth})

    def _check_same(self, processes, y, truth):
        """Refuse processes that were given different data or parameters."""
        if processes.size == 1:
            return
        if self.batch_size < processes.size:
            raise ValueError(
                f"Got batch_size={self.batch_size} in {processes.size} processes, but "
                f"expected at least {processes.size}: batch_size counts the samples "
                "of a step in all of them together."
            )
        # The first samples tell parts of a data set apart, at the cost of no pass.
        first = None if truth is None else truth[:_COMPARED_SAMPLES]
        digests = self._identity(y[:_COMPARED_SAMPLES], first)
        sizes = {"n_samples": str(len(y)), "max_epochs": str(self.max_epochs)}
        processes.check_same({**digests, **sizes})

    def _prepare(
        self, Y, truth, seeds, processes, *, goes_on, reset, same_net, whole_fit
    ):
        """Check everything, then set fitted attributes.

        Returns the data, a new network (or None where the trained one goes on),
        data to validate on and the checkpoint (or None without).
        """
        self._check_training_params()
        device = processes.resolve_device(self.device)
        checked = check_measurements(self, Y, reset=reset, lazy=True)
        truth = truth_of_pairs(Y, truth)
        model = self._resolve_model(checked, truth, reset)
        known = {**vars(self), **model}
        operator, n_channels = known["operator_"], known["_n_channels"]
        n_image_channels = known["_n_image_channels"]
        if not self.supervised:
            truth = None  # from here on; it may have settled the images' shape
        else:
            channels = () if n_image_channels is None else (n_image_channels,)
            shape = (*operator.image_shape, *channels)
            name = type(self).__name__
            truths = check_images(
                truth, len(checked), shape, name, missing_ok=True, lazy=True
            )
            truth = stack_to_tensor(truths, n_image_channels is not None)
        y = stack_to_tensor(checked, n_channels is not None)
        precision = resolve_precision(self.precision, device, len(operator.image_shape))
        self._check_same(processes, y, truth)
        network = None
        if reset and goes_on:
            self._check_same_network(operator, n_image_channels)
        elif reset:
            model["scale_"] = processes.from_main(root_mean_square(operator, y))
            network = self._make_network(operator, n_image_channels, seeds[0])
        seen = truth
        if isinstance(truth, LazyTensor):  # one image tells whether any is missing
            seen = truth[[truths.first_missing]]
        resolved = self._resolve_data(operator, y, seen, same_net)
        model.update(processes.from_main(resolved))

        splits = whole_fit and self.early_stopping
        train, valid = self._split(len(y), seeds[5]) if splits else (None, None)
        checkpoint = None
        if whole_fit and self.checkpoint is not None:
            identity = self._identity(y, truth)
            checkpoint = Checkpoint(self.checkpoint, identity, processes)
            checkpoint.read(self.max_epochs)

        if splits:
            valid = checked[valid], None if truth is None else truths[valid]
            y, truth = take(y, train), None if truth is None else take(truth, train)
        scale = {**vars(self), **model}["scale_"]
        dataset = scaled_dataset(operator, y, truth, scale, device)

        # Nothing is refused from here on.
        if reset:
            record_features(self, Y)
        if not same_net:
            for name, value in model.items():
                setattr(self, name, value)
            self.device_ = device
            self.precision_ = precision
        return dataset, network, valid, checkpoint

    def _split(self, n_samples, seed):
        """Return the numbers of samples to train on, and to stop early by."""
        n_valid = max(1, round(self.validation_fraction * n_samples))
        if n_valid >= n_samples:
            raise ValueError(
                f"Got {n_samples} sample(s) (n_samples = {n_samples}) with "
                "early_stopping=True, but expected enough to leave some for training."
            )
        if self.checkpoint is not None and not isinstance(self.random_state, Integral):
            seed = 0  # whoever goes on has to find the same samples
        order = np.random.default_rng(seed).permutation(n_samples)
        return np.sort(order[n_valid:]), np.sort(order[:n_valid])

    def _resolve_data(self, operator, y, truth, same_net):
        """Return further fitted attributes that follow from the data as tensors."""
        return {}

    def _check_same_network(self, operator, n_image_channels):
        """Refuse to go on with a network that the parameters no longer describe."""
        now = self._architecture(operator, n_image_channels)
        for name, value in self._trained_architecture.items():
            if now[name] != value:
                raise ValueError(
                    f"Got {name}={brief(now[name])} with warm_start=True, but "
                    f"expected {brief(value)}, which the trained network has."
                )

    def _architecture(self, operator, n_image_channels):
        return {
            "network": self.network,
            "n_stages": self.n_stages,
            "width": self.width,
            "depth": self.depth,
            "n_channels": n_image_channels or 1,
            "n_spatial_dims": len(operator.image_shape),
        }

    def _draw_seeds(self):
        """Seeds of weights, order, elements, data term, critic, validation split."""
        return spawn_seeds(self.random_state, 6)

    def _make_network(self, operator, n_image_channels, seed=0):
        return make_network(
            self.network,
            n_image_channels or 1,
            operator.image_shape,
            n_stages=self.n_stages,
            width=self.width,
            depth=self.depth,
            seed=seed,
        )

    def _make_net(self, network, schedule=None, seeds=None):
        """Return the net of a new network, or of the trained one for None."""
        _, order, elements, own, critic, _ = seeds or self._draw_seeds()
        if network is None:
            network = self.net_.module_.network
        else:
            self._trained_architecture = self._architecture(
                self.operator_, self._n_image_channels
            )
        function = ReconstructionFunction(
            self.operator_,
            network,
            n_consistency=self.n_consistency,
            last_consistency=self._trusts_measurements(),
            dtype=self.precision_,
        )
        callbacks = list(self.callbacks or [])
        if schedule is not None:
            callbacks.append(("lr_schedule", schedule))
        return ReconstructionNet(
            function,
            self._make_objective((elements, own)),
            critic=self._make_critic(critic),
            seed=order,
            capture=self.cuda_graphs and self.device_.type == "cuda",
            optimizer=torch.optim.Adam,
            # One kernel for all weights: the plain loop over them costs a tenth of
            # a step.
            optimizer__fused=self.device_.type in ("cpu", "cuda"),
            lr=self.lr,
            max_epochs=self.max_epochs,
            batch_size=self.batch_size,
            train_split=None,
            device=self.device_,
            verbose=self.verbose,
            callbacks=callbacks,
        ).initialize()

    def _reconstruct(self, y):
        scaled = y.to(self.device_) / self.scale_
        return self.net_.module_(scaled) * self.scale_
