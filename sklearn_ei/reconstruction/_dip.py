"""The deep image prior: one untrained network for each measurement."""

import warnings
from numbers import Integral, Real
from typing import Any, Self

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_scalar
from torch import nn

from ..networks import EncoderDecoder, ResidualUNet
from ..training import MovingVariance
from ..utils.device import resolve_device, resolve_precision
from ..utils.params import check_option
from ..utils.random import make_generator, seeded_initialisation, spawn_seeds
from ..utils.validation import check_measurements, record_features
from ._base import OperatorEstimator

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
        iterations take 6 to 10 times as long on a processor.
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
        self.random_state = random_state
        self.verbose = verbose

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
        """
        self._check_params()
        device = resolve_device(self.device)
        checked = check_measurements(self, Y, reset=True)
        fitted = self._resolve_operator(checked)
        operator = fitted["operator_"]
        fitted["device_"] = device
        fitted["precision_"] = resolve_precision(
            self.precision, device, len(operator.image_shape)
        )
        seeds = spawn_seeds(self.random_state, 2 * len(checked))
        results = []
        for number, sample in enumerate(checked):
            tensor = fitted["measurement_layout_"].to_tensor(sample[None])
            fit = _SampleFit(self, fitted, tensor.to(device), number)
            results.append(fit.run(*seeds[2 * number : 2 * number + 2]))
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

    def _make_network(self, in_channels, out_channels, n_spatial_dims):
        """Return a new network, with weights from torch's global generator."""
        if callable(self.network):
            return self.network(in_channels, out_channels, n_spatial_dims)
        make = EncoderDecoder if self.network == "encoder-decoder" else _plain_unet
        return make(
            in_channels,
            out_channels=out_channels,
            width=self.width or _WIDTH[self.network],
            depth=self.depth or _DEPTH[self.network],
            n_spatial_dims=n_spatial_dims,
        )


def _plain_unet(*args, **kwargs):
    return ResidualUNet(*args, residual=False, **kwargs)


class _SampleFit:
    """The fit of one network to one measurement (1, channel, *shape)."""

    def __init__(self, estimator, fitted, y, number):
        self.estimator = estimator
        self.operator = fitted["operator_"]
        self.dtype = fitted["precision_"]
        self.number = number
        with torch.no_grad():
            image = self.operator.pinv(y)
        scale = float(image.double().square().mean().sqrt())
        self.scale = scale if scale > 0 else 1.0
        self.y = y / self.scale
        self.image_shape = image.shape

    def run(self, weight_seed, input_seed):
        """Return the image, and how it came about."""
        estimator = self.estimator
        network, z = self._start(weight_seed, input_seed)
        fused = self.y.device.type in ("cpu", "cuda")
        optimizer = torch.optim.Adam(network.parameters(), lr=estimator.lr, fused=fused)
        variance = (
            MovingVariance(estimator.window, estimator.patience)
            if estimator.early_stopping
            else None
        )
        losses, variances, best = [], [], None
        for iteration in range(1, estimator.n_iterations + 1):
            x = self._apply(network, z)
            loss = F.mse_loss(self.operator.forward(x), self.y)
            losses.append(float(loss.detach()))
            if not np.isfinite(losses[-1]):
                self._warn_of_divergence(losses)
                losses.pop()
                break
            best, best_iteration = x.detach(), iteration
            variances.append(variance.update(x) if variance else float("nan"))
            if estimator.verbose > 1 and iteration % _REPORT_EVERY == 0:
                self._report(iteration, losses[-1])
            if variance and variance.should_stop:
                break
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
        if variance:
            best, best_iteration = variance.best, variance.best_iteration
        if estimator.verbose > 0:
            self._report(len(losses), losses[best_iteration - 1], best_iteration)
        return {
            "image": best.cpu() * self.scale,
            "n_iter": len(losses),
            "best_iteration": best_iteration,
            "scale": self.scale,
            "loss": np.array(losses),
            "variance": np.array(variances),
        }

    def _start(self, weight_seed, input_seed):
        """Return a new network and its input z, on the device."""
        estimator, shape = self.estimator, self.image_shape
        n_channels = estimator.input_channels
        if n_channels is None:
            is_unet = estimator.network == "unet"
            n_channels = shape[1] if is_unet else _NOISE_CHANNELS
        with seeded_initialisation(weight_seed):
            network = estimator._make_network(n_channels, shape[1], len(shape) - 2)
        if not isinstance(network, nn.Module):
            raise TypeError(
                f"Got a network of type {type(network).__name__} from network=, but "
                "expected a torch.nn.Module."
            )
        z = torch.randn(
            (1, n_channels, *shape[2:]), generator=make_generator(input_seed)
        ).to(self.y.device)
        network = network.to(self.y.device).train()
        if z.ndim == 4:
            network = network.to(memory_format=torch.channels_last)
            z = z.contiguous(memory_format=torch.channels_last)
        return network, z

    def _apply(self, network, z):
        reduced = self.dtype != torch.float32
        with torch.autocast(z.device.type, dtype=self.dtype, enabled=reduced):
            x = network(z)
        if x.shape != self.image_shape:
            raise ValueError(
                f"Got images of shape {tuple(x.shape)} from the network, but expected "
                f"{tuple(self.image_shape)}."
            )
        return x.float()

    def _warn_of_divergence(self, losses):
        message = (
            f"Got a loss of {losses[-1]} for sample {self.number} in iteration "
            f"{len(losses)}, but expected a finite one; lower lr={self.estimator.lr}."
        )
        if len(losses) == 1:
            raise ValueError(message)
        warnings.warn(
            f"{message} The image from before is kept.",
            ConvergenceWarning,
            stacklevel=4,
        )

    def _report(self, iteration, loss, best=None):
        taken = "" if best is None else f", image of iteration {best}"
        print(
            f"sample {self.number}: {iteration} iterations{taken}, loss {loss:.3g}",
            flush=True,
        )
