"""Displays that show what an estimator has found."""

from ._uncertainty import UncertaintyDisplay

__all__ = ["UncertaintyDisplay"]
