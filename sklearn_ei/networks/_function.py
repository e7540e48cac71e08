"""The reconstruction function f = G ∘ A†."""

import torch
from torch import nn

from ..utils.phase import mean_phase, turned


class ReconstructionFunction(nn.Module):
    """f(y, A): networks from A†y on, each followed by steps of data consistency.

    One network without such steps is the paper's f = G ∘ A†; several, with steps
    between them, are an unrolled network. The operator is an argument: the same
    weights reconstruct from a part of A, or from another A. Complex images, of which
    channels are real and imaginary parts, are turned such that Σ z|z| is real and
    positive, and back: f(e^{iφ} y, A) = e^{iφ} f(y, A), whatever the networks.

    Parameters
    ----------
    stages : sequence of torch.nn.Module
        The networks, from images to images.
    n_consistency : int, default=0
        Steps x += w·A†(y − A x) after each network, of the sizes that
        ``A.refinement_steps`` says, with noise if none follow the last network. The
        paper has none.
    last_consistency : bool, default=True
        Whether they follow the last network as well. Noise in y argues against.
    dtype : torch.dtype, default=torch.float32
        In which the networks compute; the operator stays in float32.
    average : GroupAverage or None, default=None
        The elements of a group that f is averaged over in evaluation mode; in training
        mode each sample has one at random. See :class:`GroupAveraged`.
    """

    def __init__(
        self,
        stages,
        *,
        n_consistency=0,
        last_consistency=True,
        dtype=torch.float32,
        average=None,
    ):
        super().__init__()
        self.stages = nn.ModuleList(stages)
        self.n_consistency = n_consistency
        self.last_consistency = last_consistency
        self.dtype = dtype
        self.average = average

    def begin_step(self, seed):
        """Draw anew in the passes of a training step, the same in all of them.

        Parameters
        ----------
        seed : int
            Of the draws.
        """
        if self.average is not None:
            self.average.step_seed = seed

    def n_steps_after(self, stage):
        """Return how many data-consistency steps follow a network."""
        follows = stage < len(self.stages) - 1 or self.last_consistency
        return self.n_consistency if follows else 0

    @property
    def keeps_measurements(self):
        """Whether images are made to agree with the measurements at the end."""
        return self.n_steps_after(len(self.stages) - 1) > 0

    def precision(self, device_type):
        """Return the context in which networks compute."""
        reduced = self.dtype != torch.float32
        # Without a cache, which within an autocast of the user's would outlive steps
        # of the optimizer; each weight is used once anyway.
        return torch.autocast(
            device_type, dtype=self.dtype, enabled=reduced, cache_enabled=False
        )

    def forward(self, y, A, start=None):
        """Return f(y, A).

        Parameters
        ----------
        y : torch.Tensor of shape (batch, channel, *measurement_shape)
            Measurements.
        A : ForwardOperator
            What measured them.
        start : torch.Tensor of shape (batch, channel, *image_shape), default=None
            A†y, where it is known already.

        Returns
        -------
        x : torch.Tensor of shape (batch, channel, *image_shape)
            Images.
        """
        x = A.pinv(y) if start is None else start
        if not A.has_complex_channels:
            return self._averaged(x, y, A)
        cos, sin = mean_phase(x)
        x, y = turned(x, cos, -sin), turned(y, cos, -sin)
        return turned(self._averaged(x, y, A), cos, sin)

    def _averaged(self, x, y, A):
        """Return f(y, A) from x = A†y; the mean over a group, if there is one."""
        if self.average is None:
            return self._reconstruct(x, y, A)
        if self.average.training:
            return self._reconstruct(x, y, A, self.average.draw(len(x)))
        elements = self.average.elements
        total = self._reconstruct(x, y, A, elements[0])
        for g in elements[1:]:
            total = total + self._reconstruct(x, y, A, g)
        return total / len(elements)

    def _reconstruct(self, x, y, A, g=None):
        """Return f(y, A) from x = A†y or, with elements g, T_g f(y, A T_g)."""
        for i, stage in enumerate(self.stages):
            x = self._take(stage, x) if g is None else self._take_turned(stage, x, g)
            n_steps = self.n_steps_after(i)
            x = A.refine(x, y, n_steps, noisy=not self.last_consistency)
        return x

    def _take_turned(self, stage, x, g):
        """Return T_g G(T_g⁻¹ x), interpolating what the network adds alone."""
        turned = self.average.group.inverse_transform(x, g)
        added = self._take(stage, turned) - turned
        return x + self.average.group.transform(added, g)

    def _take(self, stage, x):
        if x.ndim == 4:
            x = x.contiguous(memory_format=torch.channels_last)
        with self.precision(x.device.type):
            x = stage(x)
        return x.float() if x.dtype in (torch.bfloat16, torch.float16) else x
