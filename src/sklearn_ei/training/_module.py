"""The reconstruction function f = G ∘ A†."""

import torch
from torch import nn


class ReconstructionFunction(nn.Module):
    """f(y) = G(A†y), then steps of data consistency.

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

    def forward(self, y):
        """Return images ``(batch, channel, *image_shape)`` of measurements ``y``."""
        x = self.operator.pinv(y)
        if x.ndim == 4:
            x = x.contiguous(memory_format=torch.channels_last)
        reduced = self.dtype != torch.float32
        with torch.autocast(x.device.type, dtype=self.dtype, enabled=reduced):
            x = self.network(x)
        for _ in range(self.n_consistency):
            x = self.operator.refine(x, y)
        return x
