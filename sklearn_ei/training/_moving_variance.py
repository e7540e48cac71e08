"""When to stop a deep image prior, without ground truth."""

import torch


class MovingVariance:
    """Windowed moving variance of the iterates, and the iterate at its minimum.

    Parameters
    ----------
    window : int
        Iterates W in the window.
    patience : int
        Iterations P without a new minimum after which to stop.

    Attributes
    ----------
    best : torch.Tensor or None
        The last iterate of the window with the least variance; while no window has
        been full, the last iterate.
    best_iteration : int
        Its number, from 1.
    n_iterations : int
        Iterates seen.

    Notes
    -----
    The variance of W iterates is 1/(W n) Σ_w ‖x_w − x̄‖², with n elements each. It
    falls while the image is being learned, and rises when noise begins to be
    ([1]_, algorithm ES-WMV). Sums are updated rather than formed anew, in float64.

    References
    ----------
    .. [1] H. Wang, T. Li, Z. Zhuang, T. Chen, H. Liang and J. Sun, "Early Stopping
       for Deep Image Prior", arXiv 2112.06074.
    """

    def __init__(self, window, patience):
        self.window = window
        self.patience = patience
        self.best = None
        self.best_iteration = 0
        self.n_iterations = 0
        self._minimum = float("inf")
        self._iterates = None

    def update(self, x):
        """Take one more iterate and return the variance, NaN until W are there."""
        if self._iterates is None:
            self._iterates = x.new_empty((self.window, x.numel()))
            # Sums of differences from the first iterate lose fewer digits.
            self._origin = x.detach().flatten().double()
            self._sum = torch.zeros_like(self._origin)
            self._squares = torch.zeros((), dtype=torch.float64, device=x.device)
        slot = self._iterates[self.n_iterations % self.window]
        if self.n_iterations >= self.window:
            self._add(slot, -1)
        slot.copy_(x.detach().flatten())
        self._add(slot, 1)
        self.n_iterations += 1
        if self.n_iterations < self.window:
            self._keep(x)
            return float("nan")
        mean_square = self._squares / self.window
        squared_mean = self._sum.square().sum() / self.window**2
        variance = float(mean_square - squared_mean) / x.numel()
        if variance < self._minimum:
            self._minimum = variance
            self._keep(x)
        return variance

    @property
    def should_stop(self):
        """Whether the minimum is P iterations old."""
        full = self.n_iterations >= self.window
        return full and self.n_iterations - self.best_iteration >= self.patience

    def _add(self, iterate, sign):
        difference = iterate.double() - self._origin
        self._sum += sign * difference
        self._squares += sign * difference.square().sum()

    def _keep(self, x):
        self.best = x.detach().clone()
        self.best_iteration = self.n_iterations
