"""The linear baseline A†y."""

from typing import Any, Self

from ..utils.torch_state import own_torch
from ..utils.validation import check_measurements, record_features
from ._base import BaseReconstructor


class PseudoInverseReconstructor(BaseReconstructor):
    """Linear reconstruction A†y, the baseline that learns nothing.

    For computed tomography this is filtered back-projection.

    Parameters
    ----------
    operator : ForwardOperator
        A. Shapes that it leaves open are taken from the measurements.
    allow_missing : bool, default=True
        Whether NaN in measurements is "not measured", sample by sample
        (:class:`~sklearn_ei.operators.RestrictedOperator`). False: NaN is refused.

    Attributes
    ----------
    operator_ : ForwardOperator
        The operator with its shapes fixed.
    measurement_shape_ : tuple of int
        Shape of one measurement, channels (if any) last.
    n_features_in_ : int
        Length of the first axis of one measurement.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_ei import PseudoInverseReconstructor
    >>> from sklearn_ei.operators import ParallelBeamCT
    >>> operator = ParallelBeamCT(20, image_shape=(16, 16))
    >>> Y = operator.measure(np.ones((3, 16, 16)))
    >>> PseudoInverseReconstructor(operator).fit(Y).predict(Y).shape
    (3, 16, 16)
    """

    def __init__(self, operator, *, allow_missing=True):
        self.operator = operator
        self.allow_missing = allow_missing

    @own_torch()
    def fit(self, Y: Any, y: Any = None) -> Self:
        """Fix the operator's shapes.

        Parameters
        ----------
        Y : array-like of shape (n_samples, *measurement_shape[, n_channels])
            Measurements.
        y : object
            Ignored; here for API consistency.

        Returns
        -------
        self : PseudoInverseReconstructor

        Warns
        -----
        ModelMismatchWarning
            If no image has such measurements
            (:func:`~sklearn_ei.operators.check_consistency`): what is likely wrong.
        """
        checked = check_measurements(self, Y, reset=True, lazy=True)
        fitted = self._resolve_operator(checked)
        self._check_explains(fitted["operator_"], checked)
        record_features(self, Y)
        for name, value in fitted.items():
            setattr(self, name, value)
        return self

    def _reconstruct(self, y, A):
        return A.pinv(y)
