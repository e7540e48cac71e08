"""Measurement consistency."""

import torch.nn.functional as F

from ._data_term import DataTerm


class MeasurementConsistency(DataTerm):
    """d(A x1, y), the data term of eq. (6) of Chen et al. (ICCV 2021).

    Parameters
    ----------
    operator : ForwardOperator
        A, resolved.
    distance : callable, default=torch.nn.functional.mse_loss
        d.
    """

    name = "measurement_consistency"
    depends_on_tensors_alone = True

    def __init__(self, operator, distance=F.mse_loss):
        super().__init__()
        self.operator = operator
        self.distance = distance

    def forward(self, f, x1, y_in, y_target, truth):
        """Return d(A x1, y_target)."""
        return self.distance(self.operator.forward(x1), y_target)
