"""f made equivariant, by its average over a group."""

from numbers import Integral

import torch
from sklearn.utils import check_scalar
from torch import nn

from ..utils.params import brief
from ..utils.random import make_generator
from ..utils.spread import spread
from ._specs import NetworkSpec, Unrolled, as_spec, check_network

_HOOKS = ("resolve", "transform", "inverse_transform")


class GroupAveraged(NetworkSpec):
    """A network made equivariant by averaging f over a group.

    Parameters
    ----------
    network : NetworkSpec, torch.nn.Module, callable or None
        What f consists of. None: ``Unrolled()``.
    group : Group
        {T_g}, such as ``Rotations(4) * Reflections()``, which is exact.
    n_elements : int or None, default=None
        How many elements predictions are averaged over, evenly chosen; with more than
        the group has, or None, over all of them. Each takes a pass through f.

    See Also
    --------
    Unrolled : What is usually averaged.

    Notes
    -----
    A reconstruction function is equivariant if f(y, A T_g) = T_g⁻¹ f(y, A) [1]_. Any f
    becomes so by its average

        (1/|G|) Σ_g T_g f(y, A T_g),

    which predictions and scores are. Training takes one g at random for each sample
    and step, as the authors' code for MRI does; it is the same in all passes through f
    that a step takes, so that each step trains an f.

    A† of A T_g is T_g⁻¹ A† where T_g is orthogonal. Then T_g f(y, A T_g) is f(y, A)
    with each network G replaced by

        x + T_g (G(T_g⁻¹ x) − T_g⁻¹ x),

    and its steps of data consistency left as they are; this is what is computed. It
    is T_g G(T_g⁻¹ x), but for interpolated actions, which blur what the network adds
    alone; f is then equivariant as far as they are a group. The weights are those of
    ``network``, whatever the group.

    References
    ----------
    .. [1] V. Sechaud, J. Scanvic, Q. Barthélemy, P. Abry and J. Tachella, "Equivariant
       Splitting: Self-supervised learning from incomplete data", ICLR 2026.

    Examples
    --------
    >>> from sklearn_ei.groups import Reflections, Rotations
    >>> from sklearn_ei.networks import GroupAveraged, UNet, Unrolled
    >>> network = GroupAveraged(Unrolled(UNet(width=8)), Rotations(4) * Reflections())
    >>> network.get_params()["network__network__width"]
    8
    """

    averages = True

    def __init__(self, network, group, *, n_elements=None):
        self.network = network
        self.group = group
        self.n_elements = n_elements

    def _part(self):
        return Unrolled() if self.network is None else self.network

    @property
    def n_consistency(self):
        """Steps of data consistency after each network, those of ``network``."""
        return getattr(self._part(), "n_consistency", 0)

    def check(self):
        """Refuse what is no group, no network, or an average already."""
        if not all(callable(getattr(self.group, hook, None)) for hook in _HOOKS):
            raise TypeError(
                f"Got group={brief(self.group)} of GroupAveraged, but expected a Group "
                "such as Rotations(4)."
            )
        if self.n_elements is not None:
            check_scalar(self.n_elements, "n_elements", Integral, min_val=1)
        part = self._part()
        check_network(part, "network of GroupAveraged")
        if getattr(part, "averages", False):
            raise ValueError(
                f"Got network={brief(part)} of GroupAveraged, but expected one that is "
                "no average yet; multiply the groups instead."
            )

    def build(self, n_channels, n_spatial_dims, generator):
        """Return the networks of ``network``; see :class:`NetworkSpec`."""
        return as_spec(self._part()).build(n_channels, n_spatial_dims, generator)

    def build_average(self, image_shape):
        """Return the average that f takes; see :class:`NetworkSpec`."""
        return GroupAverage(self.group.resolve(image_shape), self.n_elements)


class GroupAverage(nn.Module):
    """The elements of a group that f is averaged over; has no weights.

    Parameters
    ----------
    group : Group
        For images of one shape.
    n_elements : int or None, default=None
        How many elements are averaged over in evaluation mode; None: all.

    Attributes
    ----------
    step_seed : int
        From which the elements of a training step follow.
    """

    def __init__(self, group, n_elements=None):
        super().__init__()
        self.group = group
        self.n_elements = n_elements
        self.step_seed = 0

    @property
    def elements(self):
        """The elements averaged over in evaluation mode, as a list."""
        order = self.group.n_elements
        return spread(order, order if self.n_elements is None else self.n_elements)

    def draw(self, size):
        """Return an element for each of ``size`` samples; the same within a step."""
        generator = make_generator(self.step_seed)
        return torch.randint(self.group.n_elements, (size,), generator=generator)
