"""Operators that weight pixels, and groups that permute them: S is diagonal."""

import numpy as np
import torch

from ._matrices import batch_size
from ._spectrum import from_values
from ._system import relative_error

_MAX_ELEMENTS = 4096
_N_DIRECTIONS = 6


def diagonal_spectrum(system, tol, budget):
    """Return the exact spectrum of a diagonal S, or None if S is not diagonal.

    AᵀA = diag(d) and permutations T_g give S = diag(mean_g T_gᵀ d). Whether AᵀA
    is diagonal, AᵀA w = d ∘ w tells for a Gaussian w, with d = AᵀA 1.
    """
    order = system.group.n_elements
    if order > _MAX_ELEMENTS:
        return None
    weights = pixel_weights(system)
    if weights is None:
        return None
    total = torch.zeros_like(weights)
    size = batch_size(4 * system.n)
    for start in range(0, order, size):
        budget.need()
        g = torch.arange(start, min(start + size, order))
        total += system.transpose(weights.expand(len(g), -1), g).sum(0)
    values = (total[0] / order).numpy()
    spectrum = from_values("diagonal S, closed form", values, tol)
    weakest = np.argsort(values, kind="stable")[:_N_DIRECTIONS]
    spectrum.directions = np.zeros((len(weakest), system.n))
    spectrum.directions[np.arange(len(weakest)), weakest] = 1
    return spectrum


def pixel_weights(system):
    """Return d of AᵀA = diag(d) as a row, or None if A does not weight pixels."""
    w = system.randn()
    weights = system.normal(torch.ones_like(w))
    if relative_error(system.normal(w), weights * w) < system.identity_tolerance:
        return weights
    return None
