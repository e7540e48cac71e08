"""The contract of data terms: what ties f(y) to the data."""

from abc import ABCMeta, abstractmethod

from torch import nn


class DataTerm(nn.Module, metaclass=ABCMeta):
    """Base class of the first term of the objective.

    A subclass has a ``name``, under which its mean appears in ``history_``.
    """

    name: str | None = None

    #: Passes through f that the term takes, that of f(y_in) included.
    n_passes = 1

    #: Whether the term computes on tensors alone: it draws nothing, and no number
    #: leaves the device. Only then can a step be a CUDA graph.
    depends_on_tensors_alone = False

    def split(self, y):
        """Return what f is called with, and what its result is compared with.

        Parameters
        ----------
        y : torch.Tensor of shape (batch, channel, *measurement_shape)
            Measurements.

        Returns
        -------
        y_in, y_target : torch.Tensor
            Both ``y`` itself, unless a term splits or corrupts it.
        """
        return y, y

    @abstractmethod
    def forward(self, f, x1, y_in, y_target, truth):
        """Return the term.

        Parameters
        ----------
        f : callable
            From measurements to images.
        x1 : torch.Tensor of shape (batch, channel, *image_shape)
            f(y_in).
        y_in, y_target : torch.Tensor of shape (batch, channel, *measurement_shape)
            From :meth:`split`.
        truth : torch.Tensor of shape (batch, channel, *image_shape)
            Ground truth; empty where there is none.

        Returns
        -------
        term : torch.Tensor, scalar
            Mean over all elements.
        """
