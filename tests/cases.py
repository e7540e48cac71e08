"""The operators, groups and devices that every generic test runs over.

To have an operator or a group of your own tested, add a case.
"""

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from scipy import sparse
from scipy.sparse.linalg import LinearOperator

from sklearn_ei.groups import Rotations, Shifts
from sklearn_ei.operators import (
    MRI,
    BlockOperator,
    Blur,
    CompressedSensing,
    Downsampling,
    Inpainting,
    MatrixOperator,
    ParallelBeamCT,
    gaussian_kernel,
)

DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]


@dataclass(frozen=True)
class OperatorCase:
    """One operator, with its shapes fixed.

    ``range_error`` is the documented accuracy of A†: the largest relative error
    ‖A A† y − y‖/‖y‖ for y in the range of A that belongs to a smooth image.
    ``n_channels`` are those of the images; the operator may measure others.
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


class RunningSums(LinearOperator):
    """Sums of neighbouring elements, without a matrix; of a class for pickle's sake."""

    def __init__(self, n):
        super().__init__(np.float64, (n - 1, n))

    def _matvec(self, x):
        x = x.reshape(-1)
        return x[1:] + x[:-1]

    def _rmatvec(self, y):
        y = y.reshape(-1)
        return np.append(y, 0) + np.append(0, y)


def _random_matrix(*shape):
    return np.random.default_rng(0).normal(size=shape)


def coils(n_coils, height, width):
    """Return smooth complex sensitivities, each strongest in one place."""
    rng = np.random.default_rng(0)
    y, x = np.meshgrid(
        np.linspace(-1, 1, height), np.linspace(-1, 1, width), indexing="ij"
    )
    places = rng.uniform(-1, 1, size=(n_coils, 2, 1, 1))
    size = np.exp(-((y - places[:, 0]) ** 2) - (x - places[:, 1]) ** 2)
    return size * np.exp(2j * np.pi * rng.uniform(size=(n_coils, 1, 1)) + 1j * x)


_LOSSY = sparse.csr_array(np.where(_random_matrix(30, 42) > 0.8, 1.0, 0.0))
_ASYMMETRIC = np.array([[0.0, 0.2, 0.1], [0.1, 1.0, 0.3], [0.0, 0.0, -0.2]])

OPERATORS = [
    OperatorCase("parallel", ParallelBeamCT(20, (16, 16)), 0.05),
    OperatorCase("parallel-odd", ParallelBeamCT(9, (15, 12), n_refinements=0), 0.4),
    OperatorCase(
        "parallel-units",
        ParallelBeamCT(24, (16, 16), pixel_size=0.3, bin_size=0.25, filter="hann"),
        0.2,
    ),
    OperatorCase("inpainting-1d", Inpainting(0.3, (20,)), 1e-6),
    OperatorCase("inpainting-rgb", Inpainting(0.5, (8, 9)), 1e-6, n_channels=3),
    OperatorCase(
        "inpainting-mask", Inpainting(mask=np.eye(7, 5), image_shape=(7, 5)), 1e-6
    ),
    OperatorCase("dense", MatrixOperator(_random_matrix(12, 30), (6, 5), (3, 4)), 1e-6),
    OperatorCase(
        "dense-tall",
        MatrixOperator(_random_matrix(9, 7), (7,), (9,)),
        1e-6,
        n_channels=2,
    ),
    OperatorCase("sparse", MatrixOperator(_LOSSY, (7, 6), (30,)), 0.01),
    OperatorCase(
        "linear-operator", MatrixOperator(RunningSums(21), (21,), (20,)), 0.01
    ),
    OperatorCase(
        "linear-operator-rgb", MatrixOperator(RunningSums(20), (4, 5), (19,)), 0.01, 3
    ),
    OperatorCase("compressed", CompressedSensing(31, (9, 8)), 1e-5),
    OperatorCase("compressed-rgb", CompressedSensing(8, (5, 5)), 1e-5, n_channels=3),
    OperatorCase("compressed-1d", CompressedSensing(10, (40,), random_state=3), 1e-5),
    OperatorCase("blur", Blur(gaussian_kernel(1.0), (16, 15)), 0.02),
    OperatorCase(
        "blur-exact", Blur(_ASYMMETRIC, (9, 8), regularization=0), 1e-6, n_channels=2
    ),
    OperatorCase(
        "blur-valid", Blur(gaussian_kernel(0.7), (16, 15), boundary="valid"), 0.02
    ),
    OperatorCase("blur-1d", Blur([0.2, 0.6, 0.3, 0.1], (15,)), 0.02),
    OperatorCase(
        "blur-1d-valid", Blur([0.2, 0.6, 0.3, 0.1], (16,), boundary="valid"), 0.02
    ),
    OperatorCase("downsampling", Downsampling(3, (9, 12)), 1e-6),
    OperatorCase("decimation", Downsampling(2, (8, 6), antialias=False), 1e-6, 3),
    OperatorCase("downsampling-1d", Downsampling(4, (20,)), 1e-6),
    OperatorCase("mri", MRI(4, (16, 15), center_fraction=0.2), 1e-6, n_channels=2),
    OperatorCase(
        "mri-points", MRI(mask=_random_matrix(9, 12) > 0, image_shape=(9, 12)), 1e-6, 2
    ),
    OperatorCase(
        "mri-coils",
        MRI(2, (12, 13), sensitivities=coils(4, 12, 13), n_refinements=3),
        0.2,
        n_channels=2,
    ),
    OperatorCase(
        "block", BlockOperator([Downsampling(2), Inpainting(0.5, (8, 10))]), 0.1
    ),
    OperatorCase(
        "block-ct",
        BlockOperator(
            [ParallelBeamCT(20, (16, 16)), MatrixOperator(_random_matrix(20, 256))]
        ),
        0.1,
        n_channels=2,
    ),
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
