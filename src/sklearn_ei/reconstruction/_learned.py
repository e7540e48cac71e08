"""Estimators whose reconstruction function is a trained network."""

from abc import abstractmethod
from numbers import Integral, Real

import torch
from sklearn.utils import check_scalar
from skorch.history import History

from ..networks import ResidualUNet
from ..training import (
    EpochTasks,
    ReconstructionFunction,
    ReconstructionNet,
    check_callbacks,
    learning_rate_schedule,
)
from ..utils._arrays import array_to_tensor
from ..utils._callbacks import CallbackSupportMixin, open_callback_context
from ..utils._dataset import BatchedDataset
from ..utils._device import resolve_device, resolve_precision
from ..utils._params import check_option
from ..utils._random import seeded_initialisation, spawn_seeds
from ..utils._validation import check_images, check_measurements, record_features
from ._base import BaseReconstructor
from ._uncertainty import UncertaintyMixin

_SCALE_SAMPLES = 64


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
    def _make_objective(self, seed):
        """Return the training objective."""

    def _check_training_params(self):
        for name in ("width", "depth", "max_epochs", "batch_size"):
            check_scalar(getattr(self, name), name, Integral, min_val=1)
        check_scalar(self.n_consistency, "n_consistency", Integral, min_val=0)
        check_scalar(self.lr, "lr", Real, min_val=0, include_boundaries="neither")
        check_option("lr_schedule", self.lr_schedule, ("cosine", "constant"))
        check_callbacks(self.callbacks)

    def _fit_epochs(self, Y, truth, *, goes_on, incremental):
        """Check everything, then train: all epochs, or one if ``incremental``.

        ``goes_on`` starts from the trained network and its ``scale_`` rather than
        new ones.
        """
        # Calls of partial_fit share one net, and so the optimizer's moments.
        same_net = incremental and getattr(self, "_incremental", False)
        dataset = self._prepare(
            Y,
            truth,
            goes_on=goes_on,
            reset=not (goes_on and incremental),
            same_net=same_net,
        )
        n_epochs = 1 if incremental else self.max_epochs
        context = open_callback_context(self, n_epochs)
        if context is not None:
            context.call_on_fit_task_begin(estimator=self)
        earlier = []
        if not same_net:
            n_steps = n_epochs * -(-len(dataset) // self.batch_size)
            schedule = "constant" if incremental else self.lr_schedule
            if goes_on:
                earlier = self.net_.history
            self.net_ = self._make_net(
                goes_on, learning_rate_schedule(schedule, n_steps)
            )
            self._incremental = incremental
        self._train(dataset, n_epochs, context)
        # skorch's schedules count from the length of the history, so that what
        # earlier fits recorded can only come back now.
        self.net_.history_ = History([*earlier, *self.net_.history])
        for number, epoch in enumerate(self.net_.history, start=1):
            epoch["epoch"] = number
        self.history_ = self.net_.history
        self.n_iter_ = len(self.history_)
        if context is not None:
            context.call_on_fit_task_end(estimator=self)
        return self

    def _prepare(self, Y, truth, *, goes_on, reset, same_net):
        """Check parameters and data, set the fitted attributes, return the data."""
        self._check_training_params()
        device = resolve_device(self.device)
        checked = check_measurements(self, Y, reset=reset)
        model = self._resolve_model(checked, truth, reset)
        known = model if reset else vars(self)
        operator, n_channels = known["operator_"], known["_n_channels"]
        n_image_channels = known["_n_image_channels"]
        if not self.supervised:
            truth = None  # from here on; it may have settled the images' shape
        else:
            channels = () if n_image_channels is None else (n_image_channels,)
            shape = (*operator.image_shape, *channels)
            truth = check_images(truth, len(checked), shape, type(self).__name__)
            truth = array_to_tensor(truth, n_image_channels is not None)
        y = array_to_tensor(checked, n_channels is not None)
        precision = resolve_precision(self.precision, device, len(operator.image_shape))

        if reset:
            if goes_on:
                self._check_same_network(operator, n_image_channels)
            else:
                model["scale_"] = _root_mean_square(operator, y)
            record_features(self, Y)
        if not same_net:
            for name, value in model.items():
                setattr(self, name, value)
            self.device_ = device
            self.precision_ = precision
        return BatchedDataset(
            y / self.scale_, None if truth is None else truth / self.scale_
        )

    def _check_same_network(self, operator, n_image_channels):
        """Refuse to go on with a network that the parameters no longer describe."""
        now = self._architecture(operator, n_image_channels)
        for name, value in self._trained_architecture.items():
            if now[name] != value:
                raise ValueError(
                    f"Got {name}={now[name]} with warm_start=True, but expected "
                    f"{value}, which the trained network has."
                )

    def _architecture(self, operator, n_image_channels):
        return {
            "width": self.width,
            "depth": self.depth,
            "n_channels": n_image_channels or 1,
            "n_spatial_dims": len(operator.image_shape),
        }

    def _make_net(self, goes_on, schedule):
        initial, order, elements = spawn_seeds(self.random_state, 3)
        network = self.net_.module_.network if goes_on else self._make_network(initial)
        function = ReconstructionFunction(
            self.operator_,
            network,
            n_consistency=self.n_consistency,
            dtype=self.precision_,
        )
        callbacks = list(self.callbacks or [])
        if schedule is not None:
            callbacks.append(("lr_schedule", schedule))
        return ReconstructionNet(
            function,
            self._make_objective(elements),
            seed=order,
            optimizer=torch.optim.Adam,
            lr=self.lr,
            max_epochs=self.max_epochs,
            batch_size=self.batch_size,
            train_split=None,
            device=self.device_,
            verbose=self.verbose,
            callbacks=callbacks,
        ).initialize()

    def _make_network(self, seed):
        architecture = self._architecture(self.operator_, self._n_image_channels)
        self._trained_architecture = architecture
        with seeded_initialisation(seed):
            network = ResidualUNet(
                architecture["n_channels"],
                width=self.width,
                depth=self.depth,
                n_spatial_dims=architecture["n_spatial_dims"],
            )
        if architecture["n_spatial_dims"] == 2:
            network = network.to(memory_format=torch.channels_last)
        return network

    def _train(self, dataset, n_epochs, context):
        net = self.net_
        if context is not None:
            tasks = EpochTasks(self, context).initialize()
            net.callbacks_.append(("epoch_tasks", tasks))
        try:
            net.partial_fit(dataset, y=None, epochs=n_epochs)
        finally:
            if context is not None:
                net.callbacks_.pop()
        net.module_.eval()

    def _reconstruct(self, y):
        scaled = y.to(self.device_) / self.scale_
        return self.net_.module_(scaled) * self.scale_


def _root_mean_square(operator, y):
    """Root mean square of A†y over the first samples, or 1 for all-zero data."""
    with torch.no_grad():
        images = operator.pinv(y[:_SCALE_SAMPLES])
    rms = float(images.double().square().mean().sqrt())
    return rms if rms > 0 else 1.0
