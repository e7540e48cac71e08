"""The data term where there is ground truth, for all samples or for some."""

import torch

from ._data_term import DataTerm, zeros_cost
from ._distance import check_distance


class SupervisedError(DataTerm):
    """d(x1, x) where there is ground truth x, w · d(A x1, y) where there is none.

    Samples without ground truth are those whose images are NaN. The term is the mean
    over the samples of a batch; w = m/‖A‖_F² brings measurements to the scale of
    images.

    Parameters
    ----------
    distance : {"l2", "l1", "huber"} or callable, default="l2"
        d, of images and of measurements; see :func:`check_distance`.

    Attributes
    ----------
    weight : float or None
        w, if some samples of the training have no ground truth.
    """

    needs_truth = True
    weight: float | None = None

    def __init__(self, distance="l2"):
        super().__init__()
        self.distance = distance

    def check(self, noise):
        """Refuse what is no distance."""
        check_distance("distance of SupervisedError", self.distance)

    @property
    def name(self):
        """``"supervised_error"``, or ``"semi_supervised_error"``."""
        return "supervised_error" if self.weight is None else "semi_supervised_error"

    def expect_missing_truth(self):
        """Prepare for samples without ground truth, after :meth:`resolve`."""
        self.weight = 1 / self.operator.mean_squared_row_norm()

    @property
    def trusts_measurements(self):
        """True, unless there is noise."""
        return self.noise is None

    @property
    def depends_on_tensors_alone(self):
        """Whether nothing is drawn: A x2 gets no noise."""
        return self.noise is None

    def magnitude(self, y, truth=None):
        """Return d(0, x), or w · d(0, y) where x is missing."""
        distance = check_distance("distance", self.distance)
        if not bool(truth.isnan().any()):
            return zeros_cost(distance, truth)
        return self.weight * zeros_cost(distance, y)

    def forward(self, f, y, A, truth=None, start=None):
        """Return x1 and the mean over samples; see :class:`DataTerm`."""
        distance = check_distance("distance", self.distance)
        x1 = f(y, A, start)
        if self.weight is None:
            return x1, distance(x1, truth)
        # A sample that a distance has nothing to say about is compared with
        # itself: shapes stay fixed, and NaN never meets a gradient.
        known = ~truth.flatten(1).isnan().any(1).reshape(-1, *[1] * (x1.ndim - 1))
        supervised = distance(x1, torch.where(known, truth, x1.detach()))
        y1 = A.forward(x1)
        measured = distance(y1, torch.where(known, y1.detach(), y))
        return x1, supervised + self.weight * measured
