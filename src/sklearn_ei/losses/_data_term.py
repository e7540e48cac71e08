"""The contract of data terms."""

from abc import ABCMeta, abstractmethod

from torch import nn


class DataTerm(nn.Module, metaclass=ABCMeta):
    """Base class of the terms that tie f(y) to the measurements.

    A subclass has a ``name``, under which the term stands in the history, and
    supplies :meth:`forward`. What has to survive a checkpoint is a buffer.
    """

    #: The key in the history.
    name = "data_term"

    def split(self, y):
        """Return what f reconstructs from, and what it is compared with.

        Parameters
        ----------
        y : torch.Tensor of shape (batch, channel, *measurement_shape)
            Measurements.

        Returns
        -------
        y_in, y_target : torch.Tensor
            Both ``y``, unless the term says otherwise.
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
            f(y_in). Gradients flow through it.
        y_in, y_target : torch.Tensor of shape (batch, channel, *measurement_shape)
            What :meth:`split` returned.
        truth : torch.Tensor of shape (batch, channel, *image_shape) or None
            Ground truth, where it is given.

        Returns
        -------
        loss : torch.Tensor, scalar
            Mean over all elements.
        """
