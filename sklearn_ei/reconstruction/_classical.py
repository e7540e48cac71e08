"""What the classical estimators share: they learn nothing but ‖A‖ and λ."""

import copy
from abc import abstractmethod
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any, Self

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_scalar

from ..utils.params import check_option
from ..utils.torch_state import own_torch
from ..utils.validation import check_measurements, record_features
from ..utils.warn import warn
from ._base import BaseReconstructor
from ._regularization import search


@dataclass(frozen=True)
class Solution:
    """Minimisers for a stack of measurements.

    Parameters
    ----------
    images : torch.Tensor of shape (batch, channel, *image_shape)
        The minimisers.
    converged : torch.Tensor of bool
        For each problem, whether the tolerance was met.
    """

    images: torch.Tensor
    converged: torch.Tensor


class ClassicalReconstructor(BaseReconstructor):
    """Base class of estimators that minimise a convex function for each sample.

    A subclass has parameters ``operator``, ``regularization``, ``n_iterations``,
    ``tol`` and ``nonneg``, and supplies the three methods below.
    """

    @abstractmethod
    def _learn(self, operator, y):
        """Return further fitted attributes; ``y`` is the stack as a tensor."""

    @abstractmethod
    def _minimise(self, y, A, regularization):
        """Return the :class:`Solution` for a tensor (batch, channel, *shape)."""

    @abstractmethod
    def _error(self, operator, y):
        """Return the error of a λ, as a callable, and where to start the search."""

    def _check_params(self):
        if isinstance(self.regularization, str):
            check_option("regularization", self.regularization, ("auto",))
        else:
            check_scalar(self.regularization, "regularization", Real, min_val=0)
            if not np.isfinite(self.regularization):
                raise ValueError(
                    f"Got regularization={self.regularization}, but expected a finite "
                    "number."
                )
        check_scalar(self.n_iterations, "n_iterations", Integral, min_val=1)
        check_scalar(self.tol, "tol", Real, min_val=0, include_boundaries="neither")
        check_scalar(self.nonneg, "nonneg", (bool, np.bool_))

    @own_torch()
    @torch.no_grad()
    def fit(self, Y: Any, y: Any = None) -> Self:
        """Fix the operator's shapes, and the regularization and its scale.

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

        Warns
        -----
        ModelMismatchWarning
            If no image has such measurements
            (:func:`~sklearn_ei.operators.check_consistency`): what is likely wrong.
        """
        self._check_params()
        checked = check_measurements(self, Y, reset=True)
        fitted = self._resolve_operator(checked)
        operator = fitted["operator_"]
        self._check_explains(operator, checked)
        fitted["operator_norm_"] = operator.squared_norm() ** 0.5
        tensor = fitted["measurement_layout_"].to_tensor(checked)
        tensor = operator.only_measured(tensor)
        fitted.update(self._learn(operator, tensor))
        regularization = self.regularization
        if isinstance(regularization, str):
            solver = copy.copy(self)
            for name, value in fitted.items():
                setattr(solver, name, value)
            regularization = search(*solver._error(operator, tensor))
        fitted["regularization_"] = float(regularization)
        for name, value in fitted.items():
            setattr(self, name, value)
        record_features(self, Y)
        return self

    @torch.no_grad()
    def _reconstruct(self, y, A):
        solution = self._minimise(y, A, self.regularization_)
        missed = int((~solution.converged).sum())
        if missed:
            warn(
                f"{type(self).__name__} stopped after n_iterations="
                f"{self.n_iterations}, but expected all images to reach "
                f"tol={self.tol:g}, and {missed} of {solution.converged.numel()} did "
                "not; raise n_iterations, tol or regularization.",
                ConvergenceWarning,
            )
        return solution.images

    @property
    def _norm(self):
        """‖A‖ to divide by."""
        return self.operator_norm_ if self.operator_norm_ > 0 else 1.0
