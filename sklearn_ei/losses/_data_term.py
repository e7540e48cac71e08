"""The contract of data terms: what ties f(y) to the data."""

from abc import ABCMeta, abstractmethod

import torch
from sklearn.base import BaseEstimator, clone
from torch import nn

from ..utils.random import RandomStream


class DataTerm(BaseEstimator, nn.Module, metaclass=ABCMeta):
    """Base class of the first term of the objective.

    What a user passes has parameters alone, and can be searched in a grid and
    saved. :meth:`resolve` returns the term of one training. A subclass has a
    ``name``, under which its mean appears in ``history_``, and supplies
    :meth:`forward`; if its constructor has parameters, it calls
    ``super().__init__()`` and keeps them under their names.

    Attributes
    ----------
    operator : ForwardOperator
        A; after :meth:`resolve`.
    noise : NoiseModel or None
        Of the measurements, in the units of the training; after :meth:`resolve`.
    generator : torch.Generator
        For the term's own draws; after :meth:`resolve`. Its position is part of
        checkpoints.

    Examples
    --------
    A term of one's own: the largest error counts.

    >>> from sklearn_ei.losses import DataTerm
    >>> class LargestError(DataTerm):
    ...     name = "largest_error"
    ...
    ...     def forward(self, f, y, A, truth=None, start=None):
    ...         x1 = f(y, A, start)
    ...         return x1, (A.forward(x1) - y).abs().max()
    """

    name: str | None = None

    #: Whether the term compares with ground truth.
    needs_truth = False

    #: Whether the term has a use for a noise model: ``"optional"``, ``"needed"`` or
    #: ``"never"``.
    takes_noise = "optional"

    #: Whether that may be a model without recorrupted pairs.
    takes_mixtures = True

    #: Passes through f that the term takes.
    n_passes = 1

    #: Whether the term computes on tensors alone: it draws nothing, and no number
    #: leaves the device. Only then can a step be a CUDA graph.
    depends_on_tensors_alone = False

    #: Whether :meth:`reconstruct` averages over several passes through f.
    averages = False

    operator = None
    noise = None

    def __init__(self):
        super().__init__()

    def check(self, noise):
        """Refuse wrong parameters, and noise that the term is not made for.

        Parameters
        ----------
        noise : NoiseModel or None
            As the user passed it; levels may still be ``"auto"``.
        """

    def resolve(self, operator, noise, seed):
        """Return the term of one training.

        Parameters
        ----------
        operator : ForwardOperator
            A, resolved.
        noise : NoiseModel or None
            With numbers for parameters, in the units of the training.
        seed : int
            Of the term's own draws.

        Returns
        -------
        term : DataTerm
            A copy.
        """
        resolved = clone(self)
        resolved.operator = operator
        resolved.noise = noise
        resolved.stream = RandomStream(seed)
        return resolved

    @property
    def generator(self):
        """Source of the term's own draws."""
        return self.stream.generator

    @property
    def trusts_measurements(self):
        """Whether images may be made to agree with y to the end.

        Then steps of data consistency follow the last network of f as well. Not
        where y has noise, which they would put back into the image.
        """
        return False

    def remeasure(self, x, A, generator):
        """Return measurements of images, as noisy as those that f is trained on.

        Parameters
        ----------
        x : torch.Tensor of shape (batch, channel, *image_shape)
            Images, such as T_g f(y).
        A : ForwardOperator or RestrictedOperator
            What measures them.
        generator : torch.Generator
            Of the noise.

        Returns
        -------
        y : torch.Tensor of shape (batch, channel, *measurement_shape)
            A x, with a draw of ``noise``.
        A : ForwardOperator or RestrictedOperator
            What measured y: the argument, or a part of it.
        """
        y = A.forward(x)
        if self.noise is not None:
            y = A.only_measured(self.noise.sample(y, generator))
        return y, A

    def expect_missing(self, density):
        """Prepare for measurements with holes, after :meth:`resolve`.

        Parameters
        ----------
        density : torch.Tensor of shape (channel, *measurement_shape)
            Share of the samples that have each measurement.
        """

    def reconstruct(self, f, y, A):
        """Return images as f is meant to be used when it is trained: f(y, A).

        Parameters
        ----------
        f : callable
            ``f(y, A)``, trained with this term.
        y : torch.Tensor of shape (batch, channel, *measurement_shape)
            Measurements; zero where there are none.
        A : ForwardOperator or RestrictedOperator
            What measured them.

        Returns
        -------
        x : torch.Tensor of shape (batch, channel, *image_shape)
            Images.
        """
        return f(y, A)

    def magnitude(self, y, truth=None):
        """Return what images of zeros would cost, the measure of an explosion.

        Parameters
        ----------
        y : torch.Tensor of shape (batch, channel, *measurement_shape)
            Measurements.
        truth : torch.Tensor of shape (batch, channel, *image_shape), default=None
            Ground truth.

        Returns
        -------
        magnitude : float
        """
        return float(y.square().mean())

    @abstractmethod
    def forward(self, f, y, A, truth=None, start=None):
        """Return reconstructions and the term.

        Parameters
        ----------
        f : callable
            ``f(y, A, start=None)``, from measurements by A to images.
        y : torch.Tensor of shape (batch, channel, *measurement_shape)
            Measurements; zero where there are none.
        A : ForwardOperator or RestrictedOperator
            What measured them: ``operator``, or the part of it that belongs to
            the measurements of this batch.
        truth : torch.Tensor of shape (batch, channel, *image_shape), default=None
            Ground truth.
        start : torch.Tensor of shape (batch, channel, *image_shape), default=None
            A†y, where it is known already.

        Returns
        -------
        x1 : torch.Tensor of shape (batch, channel, *image_shape)
            Reconstructions, which the other terms go on with.
        term : torch.Tensor, scalar
            Mean over all elements; what is not measured counts as zero in both.
        """


def zeros_cost(distance, values):
    """Return d(0, values) as a number."""
    with torch.no_grad():
        return float(distance(torch.zeros_like(values), values))
