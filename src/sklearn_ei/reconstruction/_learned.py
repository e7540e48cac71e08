"""Estimators whose reconstruction function is a trained network."""

import warnings
from abc import abstractmethod
from numbers import Integral, Real

import torch
from sklearn.utils import check_scalar
from skorch.history import History

from ..training import (
    EpochTasks,
    ReconstructionFunction,
    ReconstructionNet,
    WarmUpCosine,
    check_callbacks,
)
from ..utils._arrays import array_to_tensor
from ..utils._callbacks import CallbackSupportMixin, open_callback_context
from ..utils._dataset import BatchedDataset
from ..utils._device import resolve_device, resolve_precision
from ..utils._params import check_option
from ..utils._random import spawn_seeds
from ..utils._validation import check_images, check_measurements, record_features
from ._base import BaseReconstructor
from ._network import check_network, make_network
from ._uncertainty import UncertaintyMixin

_SCALE_SAMPLES = 64
_CACHE_BYTES = 2**30  # A†y of the training set is kept up to this size


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
    def _resolve_n_consistency(self):
        """Return how many data-consistency steps follow the network."""

    @abstractmethod
    def _make_objective(self, seeds):
        """Return the training objective, given two seeds."""

    def _make_critic(self, seed):
        """Return the discriminator of adversarial training, or None."""

    def _check_training_params(self):
        for name in ("width", "depth", "max_epochs", "batch_size"):
            check_scalar(getattr(self, name), name, Integral, min_val=1)
        if self.n_consistency != "auto":
            check_scalar(self.n_consistency, "n_consistency", Integral, min_val=0)
        check_scalar(self.lr, "lr", Real, min_val=0, include_boundaries="neither")
        check_option("lr_schedule", self.lr_schedule, ("cosine", "constant"))
        check_network(self.network)
        check_callbacks(self.callbacks)

    def _fit_epochs(self, Y, truth, *, goes_on, incremental):
        """Check everything, then train: all epochs, or one if ``incremental``.

        ``goes_on`` starts from the trained network and its ``scale_`` rather than
        new ones.
        """
        # Calls of partial_fit share one net, and so the optimizer's moments.
        same_net = incremental and getattr(self, "_incremental", False)
        dataset, network = self._prepare(
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
            schedule = None
            if not incremental and self.lr_schedule == "cosine":
                schedule = WarmUpCosine(n_epochs * -(-len(dataset) // self.batch_size))
            if goes_on:
                earlier = self.net_.history
            self.net_ = self._make_net(network, schedule)
            self._incremental = incremental
        try:
            self._train(dataset, n_epochs, context)
        finally:
            # A fit that fails keeps the epochs that went well. Callbacks of skorch
            # count from the length of the history, so that what earlier fits
            # recorded can only come back now.
            self.net_.history_ = History([*earlier, *self.net_.history])
            for number, epoch in enumerate(self.net_.history, start=1):
                epoch["epoch"] = number
            self.history_ = self.net_.history
            self.n_iter_ = len(self.history_)
            self.net_.module_.eval()
        if context is not None:
            context.call_on_fit_task_end(estimator=self)
        return self

    def _prepare(self, Y, truth, *, goes_on, reset, same_net):
        """Check all, set fitted attributes, return the data and a new network."""
        self._check_training_params()
        device = resolve_device(self.device)
        checked = check_measurements(self, Y, reset=reset)
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
            truth = check_images(truth, len(checked), shape, name, missing_ok=True)
            truth = array_to_tensor(truth, n_image_channels is not None)
        y = array_to_tensor(checked, n_channels is not None)
        precision = resolve_precision(self.precision, device, len(operator.image_shape))
        network = None
        if reset and goes_on:
            self._check_same_network(operator, n_image_channels)
        elif reset:
            model["scale_"] = _root_mean_square(operator, y)
            network = self._make_network(operator, n_image_channels)
        model.update(self._resolve_data(operator, y, truth, known))

        # Nothing is refused from here on.
        if reset:
            record_features(self, Y)
        if not same_net:
            for name, value in model.items():
                setattr(self, name, value)
            self.device_ = device
            self.precision_ = precision
        y = y / self.scale_
        truth = None if truth is None else (truth / self.scale_).to(device)
        start = _pseudo_inverse(operator, y, device)
        return BatchedDataset(y.to(device), truth, start), network

    def _resolve_data(self, operator, y, truth, known):
        """Return further fitted attributes that follow from the data as tensors."""
        return {}

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
            "network": self.network,
            "width": self.width,
            "depth": self.depth,
            "n_channels": n_image_channels or 1,
            "n_spatial_dims": len(operator.image_shape),
        }

    def _seeds(self):
        """Seeds of weights, order, elements, the data term's own, and the critic."""
        return spawn_seeds(self.random_state, 5)

    def _make_network(self, operator, n_image_channels):
        return make_network(
            self.network,
            n_image_channels or 1,
            operator.image_shape,
            width=self.width,
            depth=self.depth,
            seed=self._seeds()[0],
        )

    def _make_net(self, network, schedule):
        """Return the net of a new network, or of the trained one for None."""
        _, order, elements, own, critic = self._seeds()
        if network is None:
            network = self.net_.module_.network
        else:
            self._trained_architecture = self._architecture(
                self.operator_, self._n_image_channels
            )
        function = ReconstructionFunction(
            self.operator_,
            network,
            n_consistency=self._resolve_n_consistency(),
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
        if net.interrupted_:
            warnings.warn(
                f"Training was interrupted; {type(self).__name__} keeps the state "
                f"after {len(net.history)} of {n_epochs} epochs.",
                UserWarning,
                stacklevel=5,
            )

    def _reconstruct(self, y):
        scaled = y.to(self.device_) / self.scale_
        return self.net_.module_(scaled) * self.scale_


@torch.no_grad()
def _root_mean_square(operator, y):
    """Root mean square of A†y over the first samples, or 1 for all-zero data."""
    images = operator.pinv(y[:_SCALE_SAMPLES])
    rms = float(images.double().square().mean().sqrt())
    return rms if rms > 0 else 1.0


@torch.no_grad()
def _pseudo_inverse(operator, y, device):
    """Return A†y of all samples, which training would compute in every epoch.

    None if the images need more memory than the cache may take.
    """
    first = operator.pinv(y[:1].to(device))
    if first.numel() * first.element_size() * len(y) > _CACHE_BYTES:
        return None
    start = first.new_empty((len(y), *first.shape[1:]))
    for i in range(0, len(y), _SCALE_SAMPLES):
        batch = slice(i, i + _SCALE_SAMPLES)
        start[batch] = operator.pinv(y[batch].to(device))
    return start
