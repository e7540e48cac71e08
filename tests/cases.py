"""The operators, groups and devices that every generic test runs over.

To have an operator or a group of your own tested, add a case.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from scipy import sparse
from scipy.sparse.linalg import LinearOperator

from sklearn_ei.groups import (
    Permutations,
    RandomAffine,
    Reflections,
    Rotations,
    Scalings,
    Shifts,
)
from sklearn_ei.operators import (
    MRI,
    BlockOperator,
    Blur,
    CompressedSensing,
    Constants,
    Downsampling,
    FanBeamCT,
    ForwardOperator,
    Inpainting,
    MatrixOperator,
    ODLOperator,
    ParallelBeamCT,
    gaussian_kernel,
)
from sklearn_ei.utils.odl import import_odl

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
    ``compose(group, g, h)`` returns the elements gh, and is None where the
    elements are a set that composition leaves. ``is_orthogonal`` says that
    T_gᵀ = T_g⁻¹ although composition is interpolated.
    """

    name: str
    group: object
    image_shape: tuple
    inverse_error: float = 0.0
    composition_error: float = 0.0
    compose: Callable | None = None
    is_orthogonal: bool = False


def add(group, g, h):
    return (g + h) % group.n_elements


def add_shifts(group, g, h):
    return group.elements(group.offsets(g) + group.offsets(h))


def flip_both(group, g, h):
    return g ^ h


def dihedral(group, g, h):
    """R_a F^i R_b F^j = R_(a ± b) F^(i + j), as F R_b = R_−b F."""
    order = group.first.n_elements
    (a, i), (b, j) = group.split(g), group.split(h)
    return (a + (1 - 2 * i) * b) % order * 2 + (i ^ j)


def flip_and_shift(group, g, h):
    """F_i S_a F_j S_b = F_(i + j) S_(a ± b), the sign of each axis by F_j."""
    (i, a), (j, b) = group.split(g), group.split(h)
    shifts = group.second
    signs = 1 - 2 * torch.stack([j // 2, j % 2], dim=-1)
    shift = shifts.elements(signs * shifts.offsets(a) + shifts.offsets(b))
    return (i ^ j) * shifts.n_elements + shift


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


class Snapshot(ForwardOperator):
    """Bands of an image through a mask each, added up on one plain detector.

    y = Σ_b M_b x_b; Aᵀ y has the bands M_b y; A† y has M_b y / Σ_b M_b², and 0 where
    no band gets through.
    """

    measurement_channels = "none"
    has_orthogonal_rows = True

    def __init__(self, masks, image_shape=None):
        self.masks = masks  # (n_bands, H, W)
        self.image_shape = image_shape

    @property
    def image_channels(self):
        return len(self.masks)

    def _infer_shapes(self, image_shape, measurement_shape):
        shape = np.shape(self.masks)[1:]
        for other in (image_shape, measurement_shape):
            if other is not None and tuple(other) != shape:
                raise ValueError(f"Got image_shape={other}, but expected {shape}.")
        return shape, shape

    def _build(self, image_shape, measurement_shape):
        masks = torch.as_tensor(self.masks)
        power = masks.square().sum(0)
        inverse = torch.where(power > 0, 1 / power, torch.zeros_like(power))
        return Constants(masks=masks, inverse=inverse)

    def _forward(self, x, constants):
        return (constants.masks * x).sum(dim=1, keepdim=True)

    def _adjoint(self, y, constants):
        return constants.masks * y

    def _pinv(self, y, constants):
        return constants.masks * (constants.inverse * y)


def bayer(height, width):
    """Return the mask of a Bayer pattern, (H, W, 3): each pixel sees one colour."""
    mask = np.zeros((height, width, 3), dtype=bool)
    mask[::2, ::2, 0] = mask[::2, 1::2, 1] = mask[1::2, ::2, 1] = True
    mask[1::2, 1::2, 2] = True
    return mask


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
    OperatorCase(
        "inpainting-mask", Inpainting(mask=np.eye(7, 5), image_shape=(7, 5)), 1e-6
    ),
    OperatorCase(
        "inpainting-bayer",
        Inpainting(mask=bayer(7, 8), image_shape=(7, 8)),
        1e-6,
        n_channels=3,
    ),
    OperatorCase(
        "inpainting-volume",
        Inpainting(mask=_random_matrix(4, 5, 3) > 0, image_shape=(4, 5, 3)),
        1e-6,
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
    OperatorCase(
        "snapshot",
        Snapshot(np.random.default_rng(0).random((3, 7, 6)).round(1)),
        1e-6,
        n_channels=3,
    ),
]

GROUPS = [
    GroupCase("rotations", Rotations().resolve((32, 32)), (32, 32), 0.03, 0.03, add),
    GroupCase(
        "rotations-odd", Rotations(7).resolve((31, 25)), (31, 25), 0.05, 0.05, add
    ),
    GroupCase(
        "rotations-bicubic",
        Rotations(360, interpolation="bicubic").resolve((32, 32)),
        (32, 32),
        0.02,
        0.02,
        add,
    ),
    GroupCase(
        "rotations-nearest",
        Rotations(8, interpolation="nearest").resolve((32, 32)),
        (32, 32),
        0.1,
        0.2,
        add,
    ),
    GroupCase(
        "rotations-fft",
        Rotations(360, interpolation="fft").resolve((32, 32)),
        (32, 32),
        composition_error=0.04,
        compose=add,
        is_orthogonal=True,
    ),
    GroupCase(
        "rotations-fft-odd",
        Rotations(9, interpolation="fft").resolve((31, 31)),
        (31, 31),
        composition_error=0.03,
        compose=add,
        is_orthogonal=True,
    ),
    GroupCase(
        "angles",
        Rotations(angles=[-10, 33.3, 140, 250]).resolve((16, 21)),
        (16, 21),
        0.06,
    ),
    GroupCase(
        "angles-fft",
        Rotations(angles=[-10, 140, 250.5], interpolation="fft").resolve((17, 17)),
        (17, 17),
        is_orthogonal=True,
    ),
    GroupCase("quarter-turns", Rotations(4).resolve((9, 9)), (9, 9), compose=add),
    GroupCase("quarter-turns-even", Rotations(4).resolve((6, 6)), (6, 6), compose=add),
    GroupCase("half-turn", Rotations(2).resolve((6, 9)), (6, 9), compose=add),
    GroupCase("shifts", Shifts().resolve((6, 5)), (6, 5), compose=add_shifts),
    GroupCase("shifts-1d", Shifts().resolve((11,)), (11,), compose=add_shifts),
    GroupCase("shifts-limited", Shifts(2).resolve((8, 8)), (8, 8)),
    GroupCase("flip", Reflections().resolve((6, 7)), (6, 7), compose=flip_both),
    GroupCase("flip-1d", Reflections(0).resolve((8,)), (8,), compose=flip_both),
    GroupCase("flips", Reflections((0, -1)).resolve((7, 6)), (7, 6), compose=flip_both),
    GroupCase("scalings", Scalings([0.9, 0.8]).resolve((32, 32)), (32, 32), 0.1),
    GroupCase(
        "scalings-bicubic",
        Scalings([0.7], interpolation="bicubic").resolve((31, 24)),
        (31, 24),
        0.15,
    ),
    GroupCase(
        "random-affine",
        RandomAffine(degrees=12, scale=(0.8, 1.1)).resolve((32, 32)),
        (32, 32),
        0.05,
    ),
    GroupCase(
        "random-affine-all",
        RandomAffine(
            40,
            degrees=(0, 30),
            scale=(0.9, 1.2),
            shear=10,
            translate=(0.02, 0.05),
            mirror=True,
            interpolation="bilinear",
            random_state=1,
        ).resolve((33, 28)),
        (33, 28),
        0.1,
    ),
    GroupCase(
        "random-affine-1d",
        RandomAffine(20, scale=(0.8, 1.25), translate=0.05, mirror=True).resolve((40,)),
        (40,),
        0.06,
    ),
    GroupCase("permutations", Permutations(6).resolve((3, 2)), (3, 2)),
    GroupCase("permutations-1d", Permutations(5).resolve((6,)), (6,)),
    GroupCase(
        "dihedral",
        (Rotations(4) * Reflections()).resolve((6, 6)),
        (6, 6),
        compose=dihedral,
    ),
    GroupCase(
        "dihedral-1d",
        (Shifts() * Reflections()).resolve((7,)),
        (7,),
        compose=dihedral,
    ),
    GroupCase(
        "dihedral-bilinear",
        (Rotations(12) * Reflections()).resolve((24, 24)),
        (24, 24),
        0.05,
        0.05,
        dihedral,
    ),
    GroupCase(
        "dihedral-fft",
        (Rotations(360, interpolation="fft") * Reflections(0)).resolve((25, 25)),
        (25, 25),
        composition_error=0.04,
        compose=dihedral,
        is_orthogonal=True,
    ),
    GroupCase(
        "flips-and-shifts",
        (Reflections((1, 0)) * Shifts()).resolve((4, 5)),
        (4, 5),
        compose=flip_and_shift,
    ),
    GroupCase(
        "tilts-and-zooms",
        (
            Rotations(angles=[-9, 4, 11], interpolation="bicubic") * Scalings([0.8])
        ).resolve((32, 32)),
        (32, 32),
        0.1,
    ),
    GroupCase(
        "turns-shifts-and-zooms",
        (Rotations(8) * Reflections(0) * Shifts(2) * Scalings([0.9])).resolve((24, 24)),
        (24, 24),
        0.1,
    ),
    GroupCase(
        "product-of-three",
        (Scalings([0.8]) * Rotations(6) * Reflections()).resolve((24, 20)),
        (24, 20),
        0.15,
    ),
]

each_operator = pytest.mark.parametrize("case", OPERATORS, ids=lambda case: case.name)
each_group = pytest.mark.parametrize("case", GROUPS, ids=lambda case: case.name)
each_device = pytest.mark.parametrize("device", DEVICES)
