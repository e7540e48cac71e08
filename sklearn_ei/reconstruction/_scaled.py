"""f in the units of the user."""


class ScaledFunction:
    """y, A ↦ s · f(y/s, A), with tensors on any device.

    Parameters
    ----------
    function : ReconstructionFunction
        f, in the units of its training.
    scale : float
        s.
    device : torch.device
        Where f lives.
    """

    def __init__(self, function, scale, device):
        self.function = function
        self.scale = scale
        self.device = device

    def __call__(self, y, A):
        """Return images of measurements by A, both tensors."""
        return self.function(y.to(self.device) / self.scale, A) * self.scale
