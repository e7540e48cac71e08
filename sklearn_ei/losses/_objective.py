"""The training objective: a data term, equivariance and an adversary."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import nn

from ..utils.random import RandomStream
from ._adversarial import adversarial_error
from ._equivariance import equivariance_error


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
        Measurement consistency, or what takes its place.
    operator : ForwardOperator
        A, resolved.
    group : Group or None
        The action T, resolved; may be None if ``alpha`` and ``beta`` are 0.
    alpha : float
        Weight of the equivariance term.
    beta : float, default=0
        Weight of the adversarial term.
    noise : NoiseModel or None, default=None
        Noise added to A x2.
    distance : callable, default=torch.nn.functional.mse_loss
        d.
    n_transforms : int, default=1
        Group elements drawn for each sample.
    seed : int, default=0
        Of the group elements and of the noise.
    """

    def __init__(
        self,
        data_term,
        operator,
        group,
        alpha,
        *,
        beta=0.0,
        noise=None,
        distance=F.mse_loss,
        n_transforms=1,
        seed=0,
    ):
        super().__init__()
        self.data_term = data_term
        self.operator = operator
        self.group = group
        self.alpha = alpha
        self.beta = beta
        self.noise = noise
        self.distance = distance
        self.n_transforms = n_transforms
        self.stream = RandomStream(seed)

    @property
    def term_names(self):
        """Names of the terms, as :meth:`forward` returns them."""
        names = (self.data_term.name,)
        if self.alpha > 0:
            names += ("equivariance_error",)
        if self.beta > 0:
            names += ("adversarial_error",)
        return names

    @property
    def depends_on_tensors_alone(self):
        """Whether :meth:`forward`, given elements, computes on tensors and no more.

        Noise models and their data terms draw numbers on the CPU as they go.
        """
        return self.data_term.depends_on_tensors_alone and self.noise is None

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
            ``f(y, start=None)``, from measurements to images.
        y : torch.Tensor of shape (batch, channel, *measurement_shape)
            Measurements.
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
        y_in, y_target = self.data_term.split(y)
        x1 = f(y_in, start if y_in is y else None)
        loss = self.data_term(f, x1, y_in, y_target, truth)
        terms, x2 = (loss,), None
        if elements is not None:
            x2 = self._transformed(x1, elements)
        if self.alpha > 0:
            equivariance = equivariance_error(
                f,
                self.operator,
                x2,
                noise=self.noise,
                generator=self.stream.generator,
                distance=self.distance,
            )
            loss = loss + self.alpha * equivariance
            terms += (equivariance,)
        if self.beta > 0:
            adversarial = adversarial_error(critic, x2)
            loss = loss + self.beta * adversarial
            terms += (adversarial,)
        return Evaluation(loss, terms, x1, x2)

    def _transformed(self, x1, elements):
        n = self.n_transforms
        repeated = x1.repeat_interleave(n, dim=0) if n > 1 else x1
        return self.group.transform(repeated, elements)
