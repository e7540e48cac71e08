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
    data_term : DataTerm
        That it was trained with, which knows how f is meant to be used.
    """

    def __init__(self, function, scale, device, data_term):
        self.function = function
        self.data_term = data_term
        self.scale = scale
        self.device = device

    def __call__(self, y, A):
        """Return images of measurements by A, both tensors."""
        y = y.to(self.device) / self.scale
        return self.data_term.reconstruct(self.function, y, A) * self.scale
