"""Every kind of instrument and image, from measurements to reconstructions."""

from dataclasses import dataclass

import numpy as np
import pytest
from scipy import sparse
from sklearn.base import clone

from sklearn_ei import EquivariantReconstructor, PseudoInverseReconstructor
from sklearn_ei.datasets import make_thorax_phantoms
from sklearn_ei.groups import Reflections, Rotations, Shifts
from sklearn_ei.networks import UNet, Unrolled
from sklearn_ei.operators import (
    MRI,
    BlockOperator,
    Blur,
    CompressedSensing,
    Downsampling,
    FanBeamCT,
    Inpainting,
    MatrixOperator,
    ODLOperator,
    ParallelBeamCT,
    gaussian_kernel,
)
from tests.cases import coils, ray_transform


@dataclass(frozen=True)
class Instrument:
    """An operator as a user writes it, a group, and what is to be measured."""

    name: str
    operator: object
    group: object
    images: np.ndarray


def signals(n_samples=6, length=40):
    """Return bumps at random places."""
    places = np.random.default_rng(0).uniform(5, length - 5, size=(n_samples, 1))
    return np.exp(-((np.arange(length) - places) ** 2) / 8)


def slices(size):
    return make_thorax_phantoms(6, (size, size), random_state=0)


def coloured(size):
    return slices(size)[..., None] * np.array([1.0, 0.6, 0.3])


def complex_slices(size):
    """Return slices with a phase, as (real, imaginary) channels."""
    phase = np.linspace(0, 1.5, size)
    images = slices(size) * np.exp(1j * phase)
    return np.stack([images.real, images.imag], axis=-1)


MOVING_SUM = sparse.diags_array([1.0, 1.0], offsets=[0, 3], shape=(30, 40))

INSTRUMENTS = [
    Instrument("signals-lost", Inpainting(0.4), Shifts(), signals()),
    Instrument("signals-coarse", Downsampling(4), Shifts(), signals()),
    Instrument("signals-sparse", MatrixOperator(MOVING_SUM), Shifts(), signals()),
    Instrument(
        "signals-two-channels",
        Blur([0.2, 0.5, 0.3], boundary="valid"),
        Shifts(),
        np.stack([signals(), signals()[:, ::-1]], axis=-1),
    ),
    Instrument("rgb-lost", Inpainting(0.3), Shifts(), coloured(16)),
    Instrument("rgb-coarse", Downsampling(2), Shifts(), coloured(16)),
    Instrument("blur", Blur(gaussian_kernel(1.0)), Rotations(4), slices(17)),
    Instrument("mri", MRI(3), Rotations(360), complex_slices(20)),
    Instrument(
        "mri-coils",
        MRI(3, sensitivities=coils(3, 16, 16)),
        Rotations(360),
        complex_slices(16),
    ),
    Instrument("compressed", CompressedSensing(60, (12, 12)), Shifts(), slices(12)),
    Instrument(
        "matrix",
        MatrixOperator(
            np.random.default_rng(0).normal(size=(60, 144)), (12, 12), (6, 10)
        ),
        Shifts(),
        slices(12),
    ),
    Instrument(
        "block",
        BlockOperator([ParallelBeamCT(6, (16, 16)), Downsampling(4)]),
        Rotations(360),
        slices(16),
    ),
    Instrument(
        "fan",
        FanBeamCT(12, source_distance=60),
        Rotations(360) * Reflections(),
        slices(20),
    ),
    Instrument(
        "limited-angle",
        ParallelBeamCT(angles=range(0, 120, 10), detector_offset=0.3),
        Rotations(angles=[-120, -60, 60, 120]),
        slices(20),
    ),
    pytest.param(
        Instrument(
            "volumes",
            ODLOperator(
                ray_transform(
                    "cone_beam_geometry",
                    (8, 7, 6),
                    12,
                    6,
                    num_angles=9,
                    det_shape=(15, 10),
                ),
                n_iterations=40,
            ),
            Shifts() * Reflections(axes=(0, 1)),
            np.stack([slices(8)[:, :, :7]] * 6, axis=-1),
        ),
        id="volumes",
        marks=pytest.mark.slow,
    ),
]


@pytest.mark.parametrize("instrument", INSTRUMENTS, ids=lambda case: case.name)
def test_learns_from_measurements_alone(instrument):
    images = instrument.images
    Y = instrument.operator.measure(images)
    ei = EquivariantReconstructor(
        instrument.operator,
        instrument.group,
        max_epochs=2,
        network=Unrolled(UNet(width=2, depth=2)),
        random_state=0,
        device="cpu",
    ).fit(Y)
    X = ei.predict(Y)
    assert X.shape == images.shape
    assert X.dtype == np.float32
    assert np.isfinite(X).all()
    assert np.isfinite(ei.history_[:, "train_loss"]).all()
    assert ei.operator_.image_shape == images.shape[1 : 1 + len(ei.group_.image_shape)]
    assert np.isfinite(ei.score(Y))
    assert np.isfinite(ei.score(Y, images))

    # It moved, and explains the measurements better than noise of the same size.
    def measurement_error(x):
        return np.linalg.norm(ei.operator_.measure(x) - Y) / np.linalg.norm(Y)

    assert np.abs(X - ei.operator_.reconstruct(Y)).max() > 0
    noise = np.random.default_rng(1).permuted(X.reshape(len(X), -1), axis=1)
    assert measurement_error(X) < 0.5 * measurement_error(noise.reshape(X.shape))
    # One step of data consistency after the network, w ≤ 1, leaves little over.
    assert measurement_error(X) < 0.25


@pytest.mark.parametrize("instrument", INSTRUMENTS, ids=lambda case: case.name)
def test_linear_baseline(instrument):
    Y = instrument.operator.measure(instrument.images)
    X = PseudoInverseReconstructor(instrument.operator).fit(Y).predict(Y)
    assert X.shape == instrument.images.shape
    remeasured = instrument.operator.measure(X)
    assert np.linalg.norm(remeasured - Y) < 0.35 * np.linalg.norm(Y)


def test_channels_that_do_not_fit_are_refused_before_training():
    Y = np.ones((4, 16, 16), dtype=np.float32)
    with pytest.raises(ValueError, match="expected 2 channels along the last axis"):
        EquivariantReconstructor(MRI(), Shifts()).fit(Y)


def test_images_shape_of_compressed_sensing_is_asked_for():
    Y = np.ones((4, 20), dtype=np.float32)
    with pytest.raises(ValueError, match="expected image_shape"):
        EquivariantReconstructor(CompressedSensing(20), Shifts()).fit(Y)


def test_clones_share_a_big_matrix():
    matrix = np.random.default_rng(0).normal(size=(20, 36))
    ei = EquivariantReconstructor(MatrixOperator(matrix, (6, 6)), Shifts())
    assert clone(ei).operator.matrix is matrix
