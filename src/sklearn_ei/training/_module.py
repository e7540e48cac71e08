"""The reconstruction function f = G ∘ A†."""

import torch
from torch import nn


class ReconstructionFunction(nn.Module):
    """f(y) = G(A†y), then steps of data consistency.

    Several networks in a ``ModuleList`` take turns with these steps: an unrolled
    network.

    Parameters
    ----------
    operator : ForwardOperator
        Resolved; gives A, A† and the step w.
    network : torch.nn.Module
        G, from images to images.
    n_consistency : int, default=1
        Steps x += w·A†(y − A x) after the network. The paper has none.
    dtype : torch.dtype, default=torch.float32
        In which the network computes; the operator stays in float32.
    """

    def __init__(self, operator, network, *, n_consistency=1, dtype=torch.float32):
        super().__init__()
        self.operator = operator
        self.network = network
        self.n_consistency = n_consistency
        self.dtype = dtype

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
        if x.ndim == 4:
            x = x.contiguous(memory_format=torch.channels_last)
        unrolled = isinstance(self.network, nn.ModuleList)
        for network in self.network if unrolled else (self.network,):
            with self.precision(x.device.type):
                x = network(x)
            x = x.float() if x.dtype in (torch.bfloat16, torch.float16) else x
            for _ in range(self.n_consistency):
                x = self.operator.refine(x, y)
        return x
