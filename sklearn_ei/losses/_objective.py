"""The training objective: a data term, equivariance and an adversary."""

from typing import NamedTuple

import torch
from torch import nn

from ..operators import part_of
from ..utils.params import brief
from ..utils.random import RandomStream
from ._adversarial import adversarial_error
from ._equivariance import EquivarianceTerm


class Evaluation(NamedTuple):
    """One evaluation of the objective.

    Attributes
    ----------
    loss : torch.Tensor, scalar
        The weighted sum.
    terms : tuple of torch.Tensor
        In the order of ``term_names``, before weighting.
    x1 : torch.Tensor
        Reconstructions f(y).
    x2 : torch.Tensor or None
        Transformed ones, T_g x1, if any term needs them.
    """

    loss: torch.Tensor
    terms: tuple
    x1: torch.Tensor
    x2: torch.Tensor | None


class EquivariantObjective(nn.Module):
    """Data term + α · equivariance + β · adversary.

    Eqs. (6) and (7) of Chen et al. (ICCV 2021), with means over all elements:

        data(f, y) + α · d(f(A x2), x2) + β · MSE(D(x2), 1),
        x1 = f(y),  x2 = T_g x1,  g random.

    Parameters
    ----------
    data_term : DataTerm
        Measurement consistency, or what takes its place; resolved.
    group : Group or None
        The action T, resolved; may be None if ``alpha`` and ``beta`` are 0.
    alpha : float
        Weight of the equivariance term.
    beta : float, default=0
        Weight of the adversarial term.
    equivariance_term : EquivarianceTerm or None, default=None
        How that term is made. None: with its defaults.
    masks : Masks or None, default=None
        Of measurements with holes (NaN).
    seed : int, default=0
        Of the group elements and of the noise added to A x2.
    """

    def __init__(
        self,
        data_term,
        group,
        alpha,
        *,
        beta=0.0,
        equivariance_term=None,
        masks=None,
        seed=0,
    ):
        super().__init__()
        self.data_term = data_term
        self.group = group
        self.alpha = alpha
        self.beta = beta
        self.equivariance_term = equivariance_term or EquivarianceTerm()
        self.masks = masks
        self.stream = RandomStream(seed)

    @property
    def term_names(self):
        """Names of the terms, as :meth:`forward` returns them."""
        names = (self.data_term.name,)
        if self.alpha > 0:
            names += (self.equivariance_term.name,)
        if self.beta > 0:
            names += ("adversarial_error",)
        return names

    @property
    def n_transforms(self):
        """Group elements drawn for each sample."""
        return self.equivariance_term.n_transforms

    @property
    def depends_on_tensors_alone(self):
        """Whether :meth:`forward`, given elements, computes on tensors and no more.

        Noise models and their data terms draw numbers on the CPU as they go; where
        there are holes, A is another one for each batch.
        """
        if self.masks is not None or self.data_term.operator.depends_on_measurements:
            return False
        return self.data_term.depends_on_tensors_alone

    def magnitude(self, y, truth, start):
        """Return what images of zeros would cost, the measure of an explosion.

        Parameters
        ----------
        y, truth, start : torch.Tensor or None
            Measurements, ground truth and A†y.

        Returns
        -------
        magnitude : float
        """
        total = self.data_term.magnitude(y, truth)
        if self.alpha > 0:
            total += self.alpha * self.equivariance_term.magnitude(start)
        return total + self.beta

    def draw(self, n_samples):
        """Return random group elements for a batch, or None if no term needs them."""
        if self.alpha == 0 and self.beta == 0:
            return None
        return self.group.sample(self.stream.generator, n_samples, self.n_transforms)

    def forward(self, f, y, truth=None, start=None, *, critic=None, elements=None):
        """Evaluate the objective.

        Parameters
        ----------
        f : callable
            ``f(y, A, start=None)``, from measurements by A to images.
        y : torch.Tensor of shape (batch, channel, *measurement_shape)
            Measurements; with ``masks``, NaN where there are none.
        truth : torch.Tensor of shape (batch, channel, *image_shape), default=None
            Ground truth, for data terms that look at it.
        start : torch.Tensor of shape (batch, channel, *image_shape), default=None
            A†y, where it is known already.
        critic : callable, default=None
            D; needed if ``beta`` > 0.
        elements : torch.Tensor of shape (batch * n_transforms,), default=None
            What :meth:`draw` returned; None draws them.

        Returns
        -------
        evaluation : Evaluation
        """
        if elements is None:
            elements = self.draw(len(y))
        A = self.data_term.operator
        if self.masks is not None or A.depends_on_measurements:
            A, y = part_of(A, y)
        x1, loss = _checked(self.data_term(f, y, A, truth, start), self.data_term)
        terms, x2 = (loss,), None
        if elements is not None:
            x2 = self.equivariance_term.transform(self.group, x1, elements)
        if self.alpha > 0:
            generator = self.stream.generator
            if self.masks is not None:
                A = self.masks.operator_of(A, len(y), len(x2), generator)
            elif len(x2) > len(y):
                A = A.take(torch.arange(len(y)).repeat_interleave(len(x2) // len(y)))
            equivariance = self.equivariance_term.error(
                f, self.data_term, x2, A, generator
            )
            loss = loss + self.alpha * equivariance
            terms += (equivariance,)
        if self.beta > 0:
            adversarial = adversarial_error(critic, x2)
            loss = loss + self.beta * adversarial
            terms += (adversarial,)
        return Evaluation(loss, terms, x1, x2)


def _checked(result, term):
    """Refuse what is no pair of images and a loss, from a term of the user's own."""
    pair = isinstance(result, tuple) and len(result) == 2
    if not pair or not isinstance(result[1], torch.Tensor) or result[1].ndim > 0:
        raise TypeError(
            f"Got {brief(result)} from {type(term).__name__}, but expected (x1, loss): "
            "images f(y), and a scalar tensor with a gradient."
        )
    return result
