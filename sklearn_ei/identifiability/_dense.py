"""The reference for small images: singular values of M itself."""

import numpy as np
import torch

from ..utils.spread import spread
from ._spectrum import from_values

_MAX_BYTES = 4e9
_ROWS = 20_000
_N_DIRECTIONS = 6


def dense_spectrum(system, tol, budget):
    """Return all singular values of M, from its QR factorisation in pieces.

    M is stacked element by element, and [R; A T_g] replaced by its factor R, so
    that singular values are not squared and small ones keep their digits.
    """
    order = system.group.n_elements
    n_bytes = 8 * (system.n * (4 * system.n + min(order * system.m, _ROWS)))
    if n_bytes > _MAX_BYTES:
        raise ValueError(
            f"method='dense' with n = {system.n} pixels would take about "
            f"{n_bytes / 1e9:.0f} GB of memory, but expected at most "
            f"{_MAX_BYTES / 1e9:.0f} GB; method='auto' does without the matrix."
        )
    identity = torch.eye(system.n, dtype=torch.float64)
    factor = np.empty((0, system.n))
    pending = []
    for g in range(order):
        budget.need()
        pending.append(system.forward(system.transform(identity, g)).numpy().T)
        if sum(map(len, pending)) >= _ROWS or g == order - 1:
            factor = np.linalg.qr(np.concatenate([factor, *pending]), mode="r")
            pending = []
            budget.tell(f"{g + 1} of {order} elements factorised", every=2)
    _, singular, right = np.linalg.svd(factor, full_matrices=True)
    values = np.zeros(system.n)
    values[: len(singular)] = singular**2 / order
    spectrum = from_values(
        "dense SVD", values, tol, elements=spread(order, order), whole_group=True
    )
    spectrum.directions = right[::-1][:_N_DIRECTIONS]
    return spectrum
