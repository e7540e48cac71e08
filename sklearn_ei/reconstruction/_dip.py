"""The deep image prior: one untrained network for each measurement."""

from functools import partial
from numbers import Integral, Real
from typing import Any, Self

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_scalar
from torch import nn

from ..losses import MeasurementConsistency
from ..networks import EncoderDecoder, ResidualUNet, build_module
from ..training import (
    DeepPrior,
    DivergenceError,
    FitPlan,
    Iterates,
    MovingVariance,
    Seeds,
    train,
)
from ..utils.dataset import BatchedDataset
from ..utils.device import resolve_device, resolve_precision
from ..utils.params import check_option
from ..utils.random import make_generator, seeded_initialisation, spawn_seeds
from ..utils.torch_state import own_torch
from ..utils.validation import check_measurements, record_features
from ..utils.warn import warn
from ._base import OperatorEstimator
from ._start import root_mean_square

_NETWORKS = ("encoder-decoder", "unet")
_WIDTH = {"encoder-decoder": 32, "unet": 16}
_DEPTH = {"encoder-decoder": 5, "unet": 4}
_NOISE_CHANNELS = 32
_REPORT_EVERY = 500  # iterations, if verbose > 1


class DeepImagePriorReconstructor(OperatorEstimator):
    """Reconstruct each measurement by fitting an untrained network to it alone.

    The structure of a convolutional network g is the prior: its weights are fitted
    to one measurement, from a fixed input z of noise, and the image is g(z).
    Nothing is learned that would serve another measurement, so that there is no
    ``predict``: the images of the stack given to ``fit`` are ``images_``.

    Parameters
    ----------
    operator : ForwardOperator
        A. Shapes that it leaves open are taken from the measurements.
    network : {"encoder-decoder", "unet"} or callable, default="encoder-decoder"
        ``"encoder-decoder"`` is :class:`~sklearn_ei.networks.EncoderDecoder` (DIP-2
        of the EI paper), ``"unet"`` is :class:`~sklearn_ei.networks.ResidualUNet`
        without the skip from input to output (DIP-1). A callable is given
        (in_channels, out_channels, n_spatial_dims) and returns a new network.
    width : int, default=None
        Channels of the first level of the network. None: 32 for the
        encoder–decoder, 16 for the U-Net; the papers have 128 and 64, whose
        iterations take much longer on a processor.
    depth : int, default=None
        Levels of the network. None: 5 for the encoder–decoder, 4 for the U-Net.
    n_iterations : int, default=5000
        Most iterations for each sample.
    lr : float, default=1e-3
        Learning rate of Adam.
    input_channels : int, default=None
        Channels of z, independent normal numbers. None: those of the images for
        the U-Net, else 32.
    early_stopping : bool, default=True
        Whether to stop at the least moving variance of the iterates, and return
        the image there. Otherwise the image is the last one.
    window : int, default=100
        Iterates in the window of that variance. They are kept in memory.
    patience : int, default=1000
        Iterations without a new minimum after which to stop.
    device : str, default="auto"
        ``"cpu"``, ``"cuda"``, …; ``"auto"`` is a GPU where there is one.
    precision : {"auto", "float32", "bfloat16"}, default="auto"
        In which the network computes. ``"auto"`` is bfloat16 where the processor
        has it in hardware.
    allow_missing : bool, default=True
        Whether NaN in measurements is "not measured", sample by sample
        (:class:`~sklearn_ei.operators.RestrictedOperator`). False: NaN is refused.
    random_state : int, RandomState instance or None, default=None
        Determines initial weights and z. Every sample has seeds of its own, which
        depend on its position alone.
    verbose : int, default=0
        Above 0, print a line for each sample; above 1, every 500 iterations.

    Attributes
    ----------
    images_ : ndarray of shape (n_samples, *image_shape[, n_channels])
        Reconstructions of the stack given to ``fit``, float32.
    n_iter_ : ndarray of shape (n_samples,)
        Iterations made for each sample.
    best_iteration_ : ndarray of shape (n_samples,)
        Iterations after which each image was taken.
    history_ : list of dict
        For each sample the arrays ``"loss"`` and ``"variance"``, one value an
        iteration. The variance is NaN until the window is full, and without
        early stopping.
    scale_ : ndarray of shape (n_samples,)
        Root mean square of A†y. Networks are fitted to y / scale_, so that units
        do not matter.
    operator_ : ForwardOperator
        The operator with its shapes fixed.
    device_ : torch.device
        Where the networks were fitted.
    precision_ : torch.dtype
        In which they computed.
    measurement_shape_ : tuple of int
        Shape of one measurement, channels (if any) last.
    n_features_in_ : int
        Length of the first axis of one measurement.

    See Also
    --------
    EquivariantReconstructor : Learns from the whole stack, and predicts.

    Notes
    -----
    For each sample Adam minimises MSE(A g(z), y) [1]_. In the end the network
    would fit the noise, and artefacts in the null space of A, as well. The moving
    variance of the iterates is least near the best image [2]_; ground truth is not
    needed. With measurements free of noise that may never happen within
    ``n_iterations``.

    References
    ----------
    .. [1] D. Ulyanov, A. Vedaldi and V. Lempitsky, "Deep Image Prior", CVPR 2018.
    .. [2] H. Wang, T. Li, Z. Zhuang, T. Chen, H. Liang and J. Sun, "Early Stopping
       for Deep Image Prior", arXiv 2112.06074.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_ei import DeepImagePriorReconstructor
    >>> from sklearn_ei.operators import Inpainting
    >>> operator = Inpainting(0.3)
    >>> Y = operator.measure(np.ones((2, 16, 16)))
    >>> dip = DeepImagePriorReconstructor(
    ...     operator, width=4, depth=2, n_iterations=10, random_state=0
    ... )
    >>> dip.fit_predict(Y).shape
    (2, 16, 16)
    """

    def __init__(
        self,
        operator,
        *,
        network="encoder-decoder",
        width=None,
        depth=None,
        n_iterations=5000,
        lr=1e-3,
        input_channels=None,
        early_stopping=True,
        window=100,
        patience=1000,
        device="auto",
        precision="auto",
        allow_missing=True,
        random_state=None,
        verbose=0,
    ):
        self.operator = operator
        self.network = network
        self.width = width
        self.depth = depth
        self.n_iterations = n_iterations
        self.lr = lr
        self.input_channels = input_channels
        self.early_stopping = early_stopping
        self.window = window
        self.patience = patience
        self.device = device
        self.precision = precision
        self.allow_missing = allow_missing
        self.random_state = random_state
        self.verbose = verbose

    @own_torch()
    def fit(self, Y: Any, y: Any = None) -> Self:
        """Reconstruct a stack of measurements, one by one.

        Parameters
        ----------
        Y : array-like of shape (n_samples, *measurement_shape) or \
                (n_samples, *measurement_shape, n_channels)
            Measurements.
        y : object
            Ignored; here for API consistency.

        Returns
        -------
        self : DeepImagePriorReconstructor

        Raises
        ------
        TypeError, ValueError
            If a parameter is out of its range, the data is not a finite real
            stack, operator and data do not fit, or a network of the user's own
            does not return images.

        Warns
        -----
        ModelMismatchWarning
            If no image has such measurements
            (:func:`~sklearn_ei.operators.check_consistency`): what is likely wrong.
        """
        self._check_params()
        device = resolve_device(self.device)
        checked = check_measurements(self, Y, reset=True)
        fitted = self._resolve_operator(checked)
        self._check_explains(fitted["operator_"], checked)
        fitted["device_"] = device
        fitted["precision_"] = resolve_precision(
            self.precision, device, len(fitted["operator_"].image_shape)
        )
        seeds = spawn_seeds(self.random_state, 2 * len(checked))
        results = []
        for number, sample in enumerate(checked):
            y = fitted["measurement_layout_"].to_tensor(sample[None])
            y = fitted["operator_"].only_measured(y).to(device)
            own = seeds[2 * number : 2 * number + 2]
            results.append(self._fit_sample(y, fitted, own, number))
        images = torch.cat([result.pop("image") for result in results])
        fitted["images_"] = fitted["image_layout_"].to_array(images)
        for name in ("n_iter", "best_iteration", "scale"):
            fitted[f"{name}_"] = np.array([result.pop(name) for result in results])
        fitted["history_"] = results
        for name, value in fitted.items():
            setattr(self, name, value)
        record_features(self, Y)
        return self

    def fit_predict(self, Y: Any, y: Any = None) -> np.ndarray:
        """Reconstruct a stack of measurements and return its images.

        Parameters
        ----------
        Y : array-like of shape (n_samples, *measurement_shape[, n_channels])
            Measurements.
        y : object
            Ignored; here for API consistency.

        Returns
        -------
        images : ndarray of shape (n_samples, *image_shape[, n_channels])
            ``images_``, float32.
        """
        return self.fit(Y).images_

    def _check_params(self):
        if isinstance(self.network, str):
            check_option("network", self.network, _NETWORKS)
        elif isinstance(self.network, nn.Module) or not callable(self.network):
            raise TypeError(
                f"Got network={type(self.network).__name__}, but expected one of "
                f"{', '.join(map(repr, _NETWORKS))}, or a callable that returns a new "
                "network for each sample."
            )
        for name in ("width", "depth", "input_channels"):
            if getattr(self, name) is not None:
                check_scalar(getattr(self, name), name, Integral, min_val=1)
        for name in ("n_iterations", "patience"):
            check_scalar(getattr(self, name), name, Integral, min_val=1)
        check_scalar(self.window, "window", Integral, min_val=2)
        check_scalar(self.lr, "lr", Real, min_val=0, include_boundaries="neither")

    def _fit_sample(self, y, fitted, seeds, number):
        """Return the image of one measurement (1, channel, *shape), and its story."""
        operator = fitted["operator_"]
        scale = root_mean_square(operator, y)
        shape = (1, *fitted["image_layout_"].tensor_shape)
        function = self._make_function(shape, fitted, *seeds)
        iterates = Iterates(
            MovingVariance(self.window, self.patience) if self.early_stopping else None,
            partial(self._report, number) if self.verbose > 1 else None,
        )
        plan = FitPlan(
            name=type(self).__name__,
            function=function,
            operator=operator,
            data_term=MeasurementConsistency().resolve(operator, None, 0),
            dataset=BatchedDataset(y / scale),
            seeds=Seeds(*[0] * len(Seeds._fields)),
            device=fitted["device_"],
            n_epochs=self.n_iterations,
            batch_size=1,
            lr=self.lr,
            callbacks=(("iterates", iterates),),
            has_missing=bool(y.isnan().any()),
            predicts_memory=False,
        )
        trained = train(plan)
        if isinstance(trained.error, DivergenceError):
            self._warn_of_divergence(number, len(iterates.losses))
        elif trained.error is not None:
            raise trained.error
        n_iter, best = len(iterates.losses), iterates.best_iteration
        if self.verbose > 0:
            print(
                f"sample {number}: {n_iter} iterations, image of iteration {best}, "
                f"loss {iterates.losses[best - 1]:.3g}",
                flush=True,
            )
        return {
            "image": iterates.best.cpu() * scale,
            "n_iter": n_iter,
            "best_iteration": best,
            "scale": scale,
            "loss": np.array(iterates.losses),
            "variance": np.array(iterates.variances),
        }

    def _make_function(self, shape, fitted, weight_seed, input_seed):
        """Return a new network with its input z."""
        n_channels = self.input_channels
        if n_channels is None:
            n_channels = shape[1] if self.network == "unet" else _NOISE_CHANNELS
        network = self._make_network(n_channels, shape, weight_seed)
        z = torch.randn(
            (1, n_channels, *shape[2:]),
            generator=make_generator(input_seed),
            dtype=torch.float32,
        )
        if z.ndim == 4:
            network = network.to(memory_format=torch.channels_last)
            z = z.contiguous(memory_format=torch.channels_last)
        return DeepPrior(network, z, shape, dtype=fitted["precision_"])

    def _make_network(self, in_channels, shape, seed):
        n_dims = len(shape) - 2
        if not callable(self.network):
            kind = EncoderDecoder if self.network == "encoder-decoder" else _plain_unet
            make = partial(
                kind,
                in_channels,
                out_channels=shape[1],
                width=self.width or _WIDTH[self.network],
                depth=self.depth or _DEPTH[self.network],
                n_spatial_dims=n_dims,
            )
            return build_module(make, make_generator(seed))
        # Networks of others draw from torch's global generator.
        with seeded_initialisation(seed):
            network = self.network(in_channels, shape[1], n_dims)
        if not isinstance(network, nn.Module):
            raise TypeError(
                f"Got a network of type {type(network).__name__} from network=, but "
                "expected a torch.nn.Module."
            )
        return network

    def _warn_of_divergence(self, number, n_good):
        message = (
            f"Got a loss that is not finite, or huge, for sample {number} in iteration "
            f"{n_good + 1}, but expected a finite one; lower lr={self.lr}."
        )
        if n_good == 0:
            raise ValueError(message)
        warn(
            f"{message} The image from before is kept.",
            ConvergenceWarning,
        )

    def _report(self, number, iteration, loss):
        if iteration % _REPORT_EVERY == 0:
            print(
                f"sample {number}: {iteration} iterations, loss {loss:.3g}", flush=True
            )


def _plain_unet(*args, **kwargs):
    return ResidualUNet(*args, residual=False, **kwargs)
