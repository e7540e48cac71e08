"""Forward operators: the physics that turns images into measurements."""

from ..utils.device import Constants
from ..utils.layout import Layout
from ._axis_tilt import AxisTilt, estimate_axis_tilt
from ._base import ForwardOperator
from ._block import BlockOperator
from ._blur import Blur, gaussian_kernel
from ._checks import check_operator
from ._compressed_sensing import CompressedSensing
from ._consistency import (
    ModelMismatchWarning,
    check_consistency,
)
from ._dot_test import dot_test
from ._downsampling import Downsampling
from ._explain import ConsistencyReport
from ._fan_beam import FanBeamCT
from ._inpainting import Inpainting
from ._matrix import MatrixOperator
from ._mri import MRI
from ._odl_adapter import as_odl_operator
from ._odl_backend import JosephRayTransformImpl
from ._odl_operator import ODLOperator
from ._parallel_beam import ParallelBeamCT
from ._restricted import RestrictedOperator, part_of
from ._search import (
    ParameterEstimate,
    estimate_detector_offset,
    estimate_parameters,
)
from ._sensitivities import estimate_sensitivities
from ._symmetries import Symmetry

__all__ = [
    "MRI",
    "AxisTilt",
    "BlockOperator",
    "Blur",
    "CompressedSensing",
    "ConsistencyReport",
    "Constants",
    "Downsampling",
    "FanBeamCT",
    "ForwardOperator",
    "Inpainting",
    "JosephRayTransformImpl",
    "Layout",
    "MatrixOperator",
    "ModelMismatchWarning",
    "ODLOperator",
    "ParallelBeamCT",
    "ParameterEstimate",
    "RestrictedOperator",
    "Symmetry",
    "as_odl_operator",
    "check_consistency",
    "check_operator",
    "dot_test",
    "estimate_axis_tilt",
    "estimate_detector_offset",
    "estimate_parameters",
    "estimate_sensitivities",
    "gaussian_kernel",
    "part_of",
]
