"""Forward operators: the physics that turns images into measurements."""

from ._base import ForwardOperator
from ._block import BlockOperator
from ._blur import Blur, gaussian_kernel
from ._compressed_sensing import CompressedSensing
from ._dot_test import dot_test
from ._downsampling import Downsampling
from ._inpainting import Inpainting
from ._matrix import MatrixOperator
from ._mri import MRI
from ._parallel_beam import ParallelBeamCT

__all__ = [
    "MRI",
    "BlockOperator",
    "Blur",
    "CompressedSensing",
    "Downsampling",
    "ForwardOperator",
    "Inpainting",
    "MatrixOperator",
    "ParallelBeamCT",
    "dot_test",
    "gaussian_kernel",
]
