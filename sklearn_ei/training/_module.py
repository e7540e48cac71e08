"""The reconstruction function f = G ∘ A†."""

import torch
from torch import nn


class ReconstructionFunction(nn.Module):
    """f(y): networks from A†y on, each followed by steps of data consistency.

    One network without such steps is the paper's f = G ∘ A†; several, with steps
    between them, are an unrolled network.

    Parameters
    ----------
    operator : ForwardOperator
        Resolved; gives A, A† and the step w.
    network : torch.nn.Module
        G, from images to images; a ``ModuleList`` of several take turns.
    n_consistency : int, default=1
        Steps x += w·A†(y − A x) after each network. The paper has none.
    last_consistency : bool, default=True
        Whether they follow the last network as well. Noise in y argues against.
    dtype : torch.dtype, default=torch.float32
        In which the network computes; the operator stays in float32.
    """

    def __init__(
        self,
        operator,
        network,
        *,
        n_consistency=1,
        last_consistency=True,
        dtype=torch.float32,
    ):
        super().__init__()
        self.operator = operator
        self.network = network
        self.n_consistency = n_consistency
        self.last_consistency = last_consistency
        self.dtype = dtype

    @property
    def stages(self):
        """The networks, in their order."""
        several = isinstance(self.network, nn.ModuleList)
        return self.network if several else [self.network]

    def n_steps_after(self, stage):
        """Return how many data-consistency steps follow a network."""
        follows = stage < len(self.stages) - 1 or self.last_consistency
        return self.n_consistency if follows else 0

    def precision(self, device_type):
        """Return the context in which networks compute."""
        reduced = self.dtype != torch.float32
        return torch.autocast(device_type, dtype=self.dtype, enabled=reduced)

    def forward(self, y, start=None):
        """Return f(y).

        Parameters
        ----------
        y : torch.Tensor of shape (batch, channel, *measurement_shape)
            Measurements.
        start : torch.Tensor of shape (batch, channel, *image_shape), default=None
            A†y, where it is known already.

        Returns
        -------
        x : torch.Tensor of shape (batch, channel, *image_shape)
            Images.
        """
        x = self.operator.pinv(y) if start is None else start
        for i, stage in enumerate(self.stages):
            x = self._take(stage, x)
            for _ in range(self.n_steps_after(i)):
                x = self.operator.refine(x, y)
        return x

    def _take(self, stage, x):
        if x.ndim == 4:
            x = x.contiguous(memory_format=torch.channels_last)
        with self.precision(x.device.type):
            x = stage(x)
        return x.float() if x.dtype in (torch.bfloat16, torch.float16) else x
