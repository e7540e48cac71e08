"""Data terms where there is ground truth, for all samples or for some."""

import torch
import torch.nn.functional as F

from ._data_term import DataTerm


class SupervisedError(DataTerm):
    """d(x1, x), where every sample has ground truth x.

    Parameters
    ----------
    distance : callable, default=torch.nn.functional.mse_loss
        d.
    """

    name = "supervised_error"
    depends_on_tensors_alone = True

    def __init__(self, distance=F.mse_loss):
        super().__init__()
        self.distance = distance

    def forward(self, f, x1, y_in, y_target, truth):
        """Return d(x1, truth)."""
        return self.distance(x1, truth)


class SemiSupervisedError(DataTerm):
    """Ground truth where there is some, another data term where there is none.

    Over the samples of a batch it is the mean of d(x1, x) where x is known, and
    w · term(A x1, y) where it is NaN.

    Parameters
    ----------
    operator : ForwardOperator
        A, resolved.
    weight : float
        w, which brings measurements to the scale of images: m/‖A‖_F².
    distance : callable, default=torch.nn.functional.mse_loss
        d, of images and of measurements.
    """

    name = "semi_supervised_error"
    depends_on_tensors_alone = True

    def __init__(self, operator, weight, distance=F.mse_loss):
        super().__init__()
        self.operator = operator
        self.weight = weight
        self.distance = distance

    def forward(self, f, x1, y_in, y_target, truth):
        """Return the mean over samples with and without ground truth."""
        # A sample that a distance has nothing to say about is compared with
        # itself: shapes stay fixed, and NaN never meets a gradient.
        known = ~truth.flatten(1).isnan().any(1).reshape(-1, *[1] * (x1.ndim - 1))
        supervised = self.distance(x1, torch.where(known, truth, x1.detach()))
        y1 = self.operator.forward(x1)
        measured = self.distance(y1, torch.where(known, y1.detach(), y_target))
        return supervised + self.weight * measured
