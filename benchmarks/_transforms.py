"""Transforms of chest slices that several scripts compare with the recommended ones."""

from sklearn_ei.groups import Rotations, Scalings
from sklearn_ei.losses import EquivarianceTerm

# f learns from transformed slices, rather than changes them.
NO_GRADIENT = EquivarianceTerm(stop_gradient=True)
TILTS_AND_ZOOMS = Rotations(
    angles=(*range(-12, 0), *range(1, 13)), interpolation="bicubic"
) * Scalings((0.8, 0.85, 0.9, 0.95), reciprocals=False, interpolation="bicubic")
