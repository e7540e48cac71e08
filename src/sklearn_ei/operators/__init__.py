"""Forward operators: the physics that turns images into measurements."""

from ._base import ForwardOperator
from ._dot_test import dot_test
from ._inpainting import Inpainting
from ._parallel_beam import ParallelBeamCT

__all__ = ["ForwardOperator", "Inpainting", "ParallelBeamCT", "dot_test"]
