"""The training objective: a data term and, weighted by α, equivariance."""

from torch import nn

from ..utils._random import RandomStream
from ._equivariance import equivariance_error
from ._measurement import measurement_consistency
from ._supervised import supervised_error


class EquivariantObjective(nn.Module):
    """Data term + α · equivariance, eq. (6) of Chen et al. (ICCV 2021).

    Parameters
    ----------
    operator : ForwardOperator
        A, resolved.
    group : Group or None
        The action T, resolved; may be None if ``alpha`` is 0.
    alpha : float
        Weight of the equivariance term.
    supervised : bool, default=False
        Whether the data term compares with ground truth instead of measurements.
    n_transforms : int, default=1
        Group elements drawn for each sample.
    seed : int, default=0
        Of the group elements.
    """

    def __init__(
        self, operator, group, alpha, *, supervised=False, n_transforms=1, seed=0
    ):
        super().__init__()
        self.operator = operator
        self.group = group
        self.alpha = alpha
        self.supervised = supervised
        self.n_transforms = n_transforms
        self.stream = RandomStream(seed)

    @property
    def term_names(self):
        """Names of the terms, as :meth:`forward` returns them."""
        data = "supervised_error" if self.supervised else "measurement_consistency"
        return (data, "equivariance_error") if self.alpha > 0 else (data,)

    def forward(self, reconstruct, x1, y, x):
        """Return the loss and its terms.

        Parameters
        ----------
        reconstruct : callable
            f, from measurements to images.
        x1 : torch.Tensor of shape (batch, channel, *image_shape)
            f(y).
        y : torch.Tensor of shape (batch, channel, *measurement_shape)
            Measurements.
        x : torch.Tensor of shape (batch, channel, *image_shape)
            Ground truth; looked at only if ``supervised``.

        Returns
        -------
        loss : torch.Tensor, scalar
        terms : tuple of torch.Tensor
            In the order of ``term_names``, before weighting.
        """
        if self.supervised:
            data = supervised_error(x1, x)
        else:
            data = measurement_consistency(self.operator, x1, y)
        if self.alpha == 0:
            return data, (data,)
        g = self.group.sample(self.stream.generator, len(x1), self.n_transforms)
        equivariance = equivariance_error(reconstruct, self.operator, self.group, x1, g)
        return data + self.alpha * equivariance, (data, equivariance)
