"""Networks as parameters: small objects that say what is to be built."""

import copy
from abc import ABCMeta, abstractmethod
from contextlib import nullcontext
from functools import partial
from numbers import Integral

import torch
from sklearn.base import BaseEstimator
from sklearn.utils import check_scalar
from torch import nn

from ..utils.params import brief
from ..utils.random import make_generator, seeded_initialisation
from ._unet import ResidualUNet
from ._weights import build_module

# That f goes on with; what is shorter, networks of mixed precision return.
_DTYPES = (torch.float32, torch.bfloat16, torch.float16)


class NetworkSpec(BaseEstimator, metaclass=ABCMeta):
    """Base class of descriptions of a network, which estimators build from.

    A description is a parameter like any other: it is cloned, searched in a grid
    (``network__width``) and saved. A subclass supplies :meth:`build`.
    """

    #: Steps x += w·A†(y − A x) after each of the networks.
    n_consistency = 0

    #: Whether f is an average over a group; see :class:`GroupAveraged`.
    averages = False

    @abstractmethod
    def build(self, n_channels, n_spatial_dims, generator):
        """Return the networks that take turns, with new weights.

        Parameters
        ----------
        n_channels : int
            Of the images.
        n_spatial_dims : int
            Of the images.
        generator : torch.Generator or None
            Source of the weights. None: without memory, on the ``meta`` device.

        Returns
        -------
        stages : list of torch.nn.Module
            From images (batch, channel, *image_shape) to such images.
        """

    def build_average(self, image_shape):
        """Return the :class:`GroupAverage` that f takes; None if it takes none.

        Parameters
        ----------
        image_shape : tuple of int
            Of the images.
        """

    def check(self):
        """Refuse parameters that are out of their range."""


class UNet(NetworkSpec):
    """The residual U-Net: f = G ∘ A†, as in the paper.

    Parameters
    ----------
    width : int, default=64
        Channels of the first level; each level below doubles them.
    depth : int, default=4
        Number of levels.

    See Also
    --------
    ResidualUNet : The module that it describes.
    Unrolled : Several of them, with data consistency in between.

    Examples
    --------
    >>> from sklearn_ei import EquivariantReconstructor
    >>> from sklearn_ei.groups import Shifts
    >>> from sklearn_ei.networks import UNet
    >>> from sklearn_ei.operators import Inpainting
    >>> ei = EquivariantReconstructor(Inpainting(0.3), Shifts(), network=UNet())
    >>> ei.set_params(network__width=8).network
    UNet(width=8)
    """

    def __init__(self, width=64, depth=4):
        self.width = width
        self.depth = depth

    def check(self):
        """Refuse parameters that are no positive integers."""
        for name in ("width", "depth"):
            check_scalar(getattr(self, name), name, Integral, min_val=1)

    def build(self, n_channels, n_spatial_dims, generator):
        """Return one network; see :class:`NetworkSpec`."""
        make = partial(
            ResidualUNet,
            n_channels,
            width=self.width,
            depth=self.depth,
            n_spatial_dims=n_spatial_dims,
        )
        return [build_module(make, generator)]


class Unrolled(NetworkSpec):
    """Networks that take turns with steps of data consistency.

    Parameters
    ----------
    network : NetworkSpec, torch.nn.Module, callable or None, default=None
        What each stage consists of. None: ``UNet(width=16, depth=3)``.
    n_stages : int, default=3
        Networks, each with weights of its own.
    n_consistency : int, default=2
        Steps x += w·A†(y − A x) after each network. None follow the last one
        where measurements are not to be trusted to the end
        (:attr:`~sklearn_ei.losses.DataTerm.trusts_measurements`): they would put
        the noise of y back into the image.

    Examples
    --------
    >>> from sklearn_ei.networks import UNet, Unrolled
    >>> Unrolled(UNet(width=8), n_stages=2).get_params()["network__width"]
    8
    """

    def __init__(self, network=None, *, n_stages=3, n_consistency=2):
        self.network = network
        self.n_stages = n_stages
        self.n_consistency = n_consistency

    def _part(self):
        return UNet(width=16, depth=3) if self.network is None else self.network

    def check(self):
        """Refuse counts out of range, and a network that is none."""
        check_scalar(self.n_stages, "n_stages", Integral, min_val=1)
        check_scalar(self.n_consistency, "n_consistency", Integral, min_val=0)
        part = self._part()
        check_network(part, "network of Unrolled")
        if getattr(part, "averages", False):
            raise ValueError(
                f"Got network={brief(part)} of Unrolled, but expected the average "
                "outside: GroupAveraged(Unrolled(…), group)."
            )
        if isinstance(part, NetworkSpec) and part.n_consistency > 0:
            raise ValueError(
                f"Got network={brief(part)} of Unrolled, whose own n_consistency would "
                "not count, but expected one without steps of data consistency; "
                "multiply n_stages instead."
            )

    def build(self, n_channels, n_spatial_dims, generator):
        """Return all stages; see :class:`NetworkSpec`."""
        part = as_spec(self._part())
        return [
            stage
            for _ in range(self.n_stages)
            for stage in part.build(n_channels, n_spatial_dims, generator)
        ]


class _Own(NetworkSpec):
    """The user's own module, or what returns one."""

    def __init__(self, network):
        self.network = network

    def build(self, n_channels, n_spatial_dims, generator):
        if generator is None:
            return [self._make(n_channels, n_spatial_dims)]
        # Modules of others draw from torch's global generator.
        seed = int(torch.randint(2**62, (), generator=generator))
        with seeded_initialisation(seed):
            return [self._make(n_channels, n_spatial_dims)]

    def _make(self, n_channels, n_spatial_dims):
        if isinstance(self.network, nn.Module):
            return copy.deepcopy(self.network)
        try:
            made = self.network(n_channels, n_spatial_dims)
        except TypeError as error:
            raise TypeError(
                f"Got network={brief(self.network)}, which cannot be called with "
                f"({n_channels}, {n_spatial_dims}), but expected a factory "
                f"f(n_channels, n_spatial_dims): {error}."
            ) from error
        if not isinstance(made, nn.Module):
            raise TypeError(
                f"The factory passed as network returned {type(made).__name__}, but "
                "expected a torch.nn.Module."
            )
        # It may return the same one each time, or keep what it returned.
        return copy.deepcopy(made)


def check_network(network, name="network"):
    """Refuse what is neither a description, a module nor a factory.

    Parameters
    ----------
    network : object
        As a user passed it.
    name : str, default="network"
        For the message.
    """
    if isinstance(network, NetworkSpec):
        network.check()
    elif not (isinstance(network, nn.Module) or callable(network)):
        raise TypeError(
            f"Got {name}={brief(network)}, but expected 'auto', a description such as "
            "UNet(width=16), a torch.nn.Module, or a factory f(n_channels, "
            "n_spatial_dims) that returns one."
        )


def is_described(network):
    """Return whether a network consists of descriptions alone, to its innermost."""
    return all(isinstance(part, NetworkSpec) for part in _parts(network))


def _parts(network):
    """Return a network and all that its description is made of."""
    if not isinstance(network, NetworkSpec):
        return [network]
    inner = network.get_params().values()
    return [
        network,
        *(part for part in inner if callable(part) or isinstance(part, NetworkSpec)),
    ]


def _is_ours(part):
    """Return whether a description is one of this package, whose draws are known."""
    package = __name__.partition(".")[0]
    return isinstance(part, NetworkSpec) and type(part).__module__.startswith(package)


def as_spec(network):
    """Return the description of a network: itself, or what stands for the user's."""
    return network if isinstance(network, NetworkSpec) else _Own(network)


def build_stages(network, image_layout, seed, *, trial=True):
    """Return the networks of f with new weights.

    Parameters
    ----------
    network : NetworkSpec, torch.nn.Module or callable
        What to build.
    image_layout : Layout
        Of the images, settled.
    seed : int or None
        Of the weights; None builds them on the ``meta`` device.
    trial : bool, default=True
        Whether to call networks that are not this package's on an image.

    Returns
    -------
    stages : list of torch.nn.Module

    Raises
    ------
    TypeError, ValueError
        If a factory returns no module, or a module no images of that shape.
    """
    n_dims = len(image_layout.shape)
    generator = None if seed is None else make_generator(seed)
    # Modules of others draw from torch's global generator, lazy ones when they are
    # first called.
    draws = seed is not None and not all(map(_is_ours, _parts(network)))
    with seeded_initialisation(seed) if draws else nullcontext():
        stages = as_spec(network).build(image_layout.n_channels, n_dims, generator)
        for stage in stages:
            if trial and not isinstance(stage, ResidualUNet):
                _try_network(stage, (1, *image_layout.tensor_shape))
    if n_dims == 2:
        stages = [stage.to(memory_format=torch.channels_last) for stage in stages]
    return stages


def build_average(network, image_layout):
    """Return the average over a group that f takes, or None.

    Parameters
    ----------
    network : NetworkSpec, torch.nn.Module or callable
        As for :func:`build_stages`.
    image_layout : Layout
        Of the images, settled.

    Returns
    -------
    average : GroupAverage or None

    Raises
    ------
    ValueError
        If the group cannot act on such images.
    """
    return as_spec(network).build_average(image_layout.shape)


@torch.no_grad()
def _try_network(network, shape):
    training = network.training
    try:
        returned = network.eval()(torch.zeros(shape))
    except Exception as error:
        raise ValueError(
            f"network failed on a tensor of shape {shape} (batch, channel, "
            f"*image_shape), with {type(error).__name__}: {error}"
        ) from error
    finally:
        network.train(training)
    got = tuple(getattr(returned, "shape", ()))
    if got != shape:
        raise ValueError(
            f"network returned shape {got} for images of shape {shape} (batch, "
            "channel, *image_shape), but expected the same shape."
        )
    if returned.dtype not in _DTYPES:
        raise ValueError(
            f"network returned {returned.dtype} for torch.float32, but expected the "
            "same; end it with .float()."
        )
