"""What the classical estimators share: they learn nothing but ‖A‖."""

from abc import abstractmethod
from numbers import Integral, Real
from typing import Any, Self

import numpy as np
from sklearn.utils import check_scalar

from ..utils.torch_state import own_torch
from ..utils.validation import check_measurements, record_features
from ._base import BaseReconstructor


class ClassicalReconstructor(BaseReconstructor):
    """Base class of estimators that minimise a convex function for each sample.

    A subclass has parameters ``operator``, ``regularization`` and
    ``n_iterations``, and supplies :meth:`_learn` and ``_reconstruct``.
    """

    @abstractmethod
    def _learn(self, operator, y):
        """Return further fitted attributes; ``y`` is the stack as a tensor."""

    def _check_params(self):
        check_scalar(self.regularization, "regularization", Real, min_val=0)
        if not np.isfinite(self.regularization):
            raise ValueError(
                f"Got regularization={self.regularization}, but expected a finite "
                "number."
            )
        check_scalar(self.n_iterations, "n_iterations", Integral, min_val=1)

    @own_torch()
    def fit(self, Y: Any, y: Any = None) -> Self:
        """Fix the operator's shapes and the scale of the regularization.

        Parameters
        ----------
        Y : array-like of shape (n_samples, *measurement_shape[, n_channels])
            Measurements.
        y : object
            Ignored; here for API consistency.

        Returns
        -------
        self : estimator

        Raises
        ------
        TypeError, ValueError
            If a parameter is out of its range, the data is not a finite real
            stack, or operator and data do not fit.
        """
        self._check_params()
        checked = check_measurements(self, Y, reset=True)
        fitted = self._resolve_operator(checked)
        operator = fitted["operator_"]
        fitted["operator_norm_"] = operator.squared_norm() ** 0.5
        tensor = fitted["measurement_layout_"].to_tensor(checked)
        fitted.update(self._learn(operator, tensor))
        for name, value in fitted.items():
            setattr(self, name, value)
        record_features(self, Y)
        return self

    @property
    def _norm(self):
        """‖A‖ to divide by."""
        return self.operator_norm_ if self.operator_norm_ > 0 else 1.0
