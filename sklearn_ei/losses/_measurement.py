"""Measurement consistency."""

from ._data_term import DataTerm, zeros_cost
from ._distance import check_distance


class MeasurementConsistency(DataTerm):
    """d(A x1, y), the data term of eq. (6) of Chen et al. (ICCV 2021).

    Parameters
    ----------
    distance : {"l2", "l1", "huber"} or callable, default="l2"
        d, of measurements in units in which A†y has root mean square 1; see
        :func:`check_distance`.
    """

    name = "measurement_consistency"

    def __init__(self, distance="l2"):
        super().__init__()
        self.distance = distance

    def check(self, noise):
        """Refuse what is no distance; any noise will do, and is not looked at."""
        check_distance("distance of MeasurementConsistency", self.distance)

    @property
    def trusts_measurements(self):
        """True, unless there is noise."""
        return self.noise is None

    @property
    def depends_on_tensors_alone(self):
        """Whether nothing is drawn: A x2 gets no noise."""
        return self.noise is None

    def magnitude(self, y, truth=None):
        """Return d(0, y); see :class:`DataTerm`."""
        return zeros_cost(check_distance("distance", self.distance), y)

    def forward(self, f, y, A, truth=None, start=None):
        """Return x1 and d(A x1, y); see :class:`DataTerm`."""
        x1 = f(y, A, start)
        distance = check_distance("distance", self.distance)
        return x1, distance(A.forward(x1), y)
