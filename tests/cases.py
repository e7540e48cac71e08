"""The operators, groups and devices that every generic test runs over.

To have an operator or a group of your own tested, add a case.
"""

from dataclasses import dataclass

import pytest
import torch

from sklearn_ei.groups import Rotations, Shifts
from sklearn_ei.operators import FanBeamCT, Inpainting, ODLOperator, ParallelBeamCT
from sklearn_ei.utils._odl import import_odl

DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]


@dataclass(frozen=True)
class OperatorCase:
    """One operator, with its shapes fixed.

    ``range_error`` is the documented accuracy of A†: the largest relative error
    ‖A A† y − y‖/‖y‖ for y in the range of A that belongs to a smooth image.
    """

    name: str
    operator: object
    range_error: float
    n_channels: int = 1


@dataclass(frozen=True)
class GroupCase:
    """One group and an image shape to act on.

    ``inverse_error`` and ``composition_error`` are the documented relative
    errors of T_g⁻¹ T_g x = x and T_g T_h x = T_gh x for a smooth image.
    """

    name: str
    group: object
    image_shape: tuple
    inverse_error: float = 0.0
    composition_error: float = 0.0


odl, tomo = import_odl()


def odl_space(*shape):
    """Return an ODL space of float64 images, 0.5 wide cells in an even box."""
    half = [n / 4 for n in shape]
    return odl.uniform_discr([-h for h in half], half, shape)


def ray_transform(geometry, shape, *args, **kwargs):
    """Return an ODL ray transform; any backend does, as ours takes its place."""
    space = odl_space(*shape)
    made = getattr(tomo, geometry)(space, *args, **kwargs)
    return tomo.RayTransform(space, made, impl="skimage")


OPERATORS = [
    OperatorCase("parallel", ParallelBeamCT(20, (16, 16)), 0.05),
    OperatorCase("parallel-odd", ParallelBeamCT(9, (15, 12), n_refinements=0), 0.4),
    OperatorCase(
        "parallel-units",
        ParallelBeamCT(24, (16, 16), pixel_size=0.3, bin_size=0.25, filter="hann"),
        0.2,
    ),
    OperatorCase(
        "parallel-matrix-free", ParallelBeamCT(20, (16, 16), memory_budget=0), 0.05
    ),
    OperatorCase(
        "parallel-offset",
        ParallelBeamCT(40, (16, 16), angles=range(0, 360, 9), detector_offset=4.2),
        0.05,
    ),
    OperatorCase("fan", FanBeamCT(40, (16, 16), source_distance=40), 0.05),
    OperatorCase(
        "fan-curved-short",
        FanBeamCT(
            30,
            (15, 12),
            source_distance=9,
            detector_distance=4,
            detector="curved",
            scan="short",
            pixel_size=0.3,
            memory_budget="100 B",
        ),
        0.05,
    ),
    OperatorCase(
        "odl-parallel",
        ODLOperator(ray_transform("parallel_beam_geometry", (16, 16), 20)),
        0.1,
    ),
    OperatorCase(
        "odl-parallel-3d",
        ODLOperator(
            ray_transform("parallel_beam_geometry", (6, 5, 4), 9, det_shape=(9, 5))
        ),
        0.1,
    ),
    OperatorCase(
        "odl-helical",
        ODLOperator(
            ray_transform(
                "helical_geometry", (5, 6, 4), 6, 3, 2, num_angles=12, det_shape=(7, 5)
            ),
            memory_budget=0,
        ),
        0.1,
    ),
    OperatorCase("odl-gradient", ODLOperator(odl.Gradient(odl_space(7, 6))), 0.1),
    OperatorCase(
        "odl-divergence",
        ODLOperator(odl.Divergence(range=odl_space(7, 6)), n_refinements=1),
        0.1,
        n_channels=2,
    ),
    OperatorCase("inpainting-1d", Inpainting(0.3, (20,)), 1e-6),
    OperatorCase("inpainting-rgb", Inpainting(0.5, (8, 9)), 1e-6, n_channels=3),
]

GROUPS = [
    GroupCase("rotations", Rotations(360).resolve((32, 32)), (32, 32), 0.05, 0.05),
    GroupCase("rotations-odd", Rotations(7).resolve((31, 25)), (31, 25), 0.3, 0.3),
    GroupCase(
        "rotations-bicubic",
        Rotations(360, interpolation="bicubic").resolve((32, 32)),
        (32, 32),
        0.02,
        0.02,
    ),
    GroupCase("quarter-turns", Rotations(4).resolve((9, 9)), (9, 9)),
    GroupCase("shifts", Shifts().resolve((6, 5)), (6, 5)),
    GroupCase("shifts-1d", Shifts().resolve((11,)), (11,)),
    GroupCase("shifts-limited", Shifts(2).resolve((8, 8)), (8, 8)),
]

each_operator = pytest.mark.parametrize("case", OPERATORS, ids=lambda case: case.name)
each_group = pytest.mark.parametrize("case", GROUPS, ids=lambda case: case.name)
each_device = pytest.mark.parametrize("device", DEVICES)
