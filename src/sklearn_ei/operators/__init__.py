"""Forward operators: the physics that turns images into measurements."""

from ._base import ForwardOperator
from ._dot_test import dot_test
from ._fan_beam import FanBeamCT
from ._inpainting import Inpainting
from ._odl_backend import JosephRayTransformImpl
from ._odl_operator import ODLOperator
from ._parallel_beam import ParallelBeamCT

__all__ = [
    "FanBeamCT",
    "ForwardOperator",
    "Inpainting",
    "JosephRayTransformImpl",
    "ODLOperator",
    "ParallelBeamCT",
    "dot_test",
]
