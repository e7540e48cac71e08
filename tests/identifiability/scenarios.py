"""The scenario table: operators, groups, and what the check has to say."""

from dataclasses import dataclass

import numpy as np

from sklearn_ei.groups import Reflections, Rotations, Shifts
from sklearn_ei.operators import (
    Blur,
    CompressedSensing,
    Downsampling,
    Inpainting,
    MatrixOperator,
    ParallelBeamCT,
    gaussian_kernel,
)


def real_mri(size):
    """Return ×4 Cartesian MRI of real images: size² unknowns, complex data."""
    lines = np.zeros(size, dtype=bool)
    lines[[0, 1, 2, 5, 9, 14, 20, 31][: size // 4]] = True
    fourier = np.fft.fft(np.eye(size), norm="ortho")
    matrix = np.kron(fourier, fourier[lines])
    return MatrixOperator(
        np.concatenate([matrix.real, matrix.imag]), image_shape=(size, size)
    )


@dataclass(frozen=True)
class Scenario:
    """An operator and a group; the verdict and the rank at 1e-7 are for 32²."""

    name: str
    operator: object
    group: object
    verdict: str
    rank: int


def scenarios(size):
    """Return the table for images of size × size."""
    shape = (size, size)
    ct = ParallelBeamCT({16: 6, 32: 12}[size], shape)
    blur = Blur(gaussian_kernel(2.0 * size / 32), shape)
    mri = real_mri(size)
    inpainting = Inpainting(0.3, shape)
    few, fewer = (CompressedSensing(int(r * size**2), shape) for r in (0.4, 0.25))
    decimation = Downsampling(2, shape, antialias=False)
    box = Downsampling(2, shape)
    rows = [
        ("ct-rotations", ct, Rotations(360), "PASS_NECESSARY", 1024),
        ("ct-c4", ct, Rotations(4), "FAIL_INVARIANT", 479),
        ("ct-shifts", ct, Shifts(), "WEAK", 1024),
        ("inpainting-shifts", inpainting, Shifts(), "PASS_NECESSARY", 1024),
        ("inpainting-flip", inpainting, Reflections(), "FAIL_RANK", 954),
        ("blur-shifts", blur, Shifts(), "FAIL_INVARIANT", 791),
        ("blur-rotations", blur, Rotations(360), "WEAK", 1024),
        ("mri-shifts", mri, Shifts(), "FAIL_INVARIANT", 416),
        ("mri-c4", mri, Rotations(4), "FAIL_RANK", 663),
        ("mri-rotations", mri, Rotations(360), "PASS_NECESSARY", 1024),
        ("gaussian-shifts", fewer, Shifts(), "PASS_NECESSARY", 1024),
        ("gaussian-flip", few, Reflections(), "FAIL_COUNT", 818),
        ("decimation-shifts", decimation, Shifts(), "PASS_NECESSARY", 1024),
        ("box-decimation-shifts", box, Shifts(), "FAIL_RANK", 961),
    ]
    return [Scenario(*row) for row in rows]
