"""Coil sensitivities against those that made the k-space, and on a real scan."""

import copy
import os
from pathlib import Path

import numpy as np
import pytest
import torch

from sklearn_ei.operators import (
    MRI,
    RestrictedOperator,
    check_consistency,
    estimate_sensitivities,
)
from sklearn_ei.utils.cgls import cgls
from tests.cases import coils

N, SHAPE = 4, (40, 32)
# Errors of a real scan in percent with estimated maps, true maps, and zero-filled:
# measured below, and shown in doc/mri.md.
SHOWN = {"every 2nd": (1.3, 0.0, 13.4), "every 4th": (5.1, 4.1, 18.4)}


def slices(n=2, seed=0):
    """Return smooth complex images that are zero nowhere."""
    rng = np.random.default_rng(seed)
    row, column = np.meshgrid(*(np.linspace(-1, 1, s) for s in SHAPE), indexing="ij")
    a, b, c = rng.uniform(0.5, 1.5, size=(3, n, 1, 1))
    size = 1 + a * np.exp(-4 * (row - 0.2 * b) ** 2 - 3 * (column + 0.3) ** 2)
    return size * np.exp(1j * (b * row + c * column))


def maps_of(n=2):
    """Return other smooth maps for each slice, of power 1."""
    column = np.linspace(-1, 1, SHAPE[1])
    maps = np.stack(
        [
            np.roll(coils(N, *SHAPE), k, axis=0) * np.exp(1j * k * column)
            for k in range(n)
        ]
    )
    return maps / np.sqrt((np.abs(maps) ** 2).sum(1, keepdims=True))


def k_space(images, maps):
    z = np.fft.ifftshift(images[:, None] * maps, axes=(-2, -1))
    return np.fft.fftshift(np.fft.fft2(z, norm="ortho"), axes=(-2, -1))


def likeness(found, true):
    """Return |⟨S, Ŝ⟩| in each pixel: 1 where they are equal but for a phase."""
    return np.abs((found.conj() * true).sum(1))


def centre_and_every(step):
    lines = np.zeros(SHAPE[1], dtype=bool)
    lines[::step] = lines[SHAPE[1] // 2 - 6 : SHAPE[1] // 2 + 6] = True
    return lines


@pytest.mark.parametrize("lost", ["none", "NaN", "zero"])
def test_every_slice_has_the_maps_that_it_was_made_with(lost):
    images, true = slices(), maps_of()
    Y = k_space(images, true)
    if lost != "none":
        Y[..., ~centre_and_every(4)] = np.nan if lost == "NaN" else 0
    found = estimate_sensitivities(Y)
    assert found.dtype == np.complex64
    np.testing.assert_allclose((np.abs(found) ** 2).sum(1), 1, atol=1e-5)
    inside = likeness(found, true)[:, 4:-4, 4:-4]
    assert inside.min() > 0.99
    # The maps of the other slice are others.
    assert likeness(found[::-1], true)[:, 4:-4, 4:-4].min() < 0.97


def test_phases_of_maps_are_smooth():
    found = estimate_sensitivities(k_space(slices(), maps_of()))
    for axis in (-2, -1):
        assert np.abs(np.diff(found, axis=axis)).max() < 0.2


def test_blank_slices_have_maps_and_disturb_no_other():
    Y = k_space(slices(), maps_of())
    Y[0] = 0
    found = estimate_sensitivities(Y)
    np.testing.assert_allclose((np.abs(found) ** 2).sum(1), 1, atol=1e-5)
    alone = estimate_sensitivities(Y[1:])
    np.testing.assert_allclose(found[1:], alone, atol=1e-6)


@pytest.mark.parametrize(
    ("Y", "message"),
    [
        (np.ones((2, 3, 8, 8)), "float64, but expected complex k-space"),
        (np.ones((3, 8, 8)) + 0j, r"shape \(3, 8, 8\)"),
        (np.full((1, 2, 8, 8), np.inf + 0j), "infinity"),
        (np.where(np.arange(8) == 4, 1 + 0j, np.nan) * np.ones((1, 2, 8, 8)), "2 line"),
        (
            np.stack([np.full((2, 8, 8), np.nan + 0j), np.ones((2, 8, 8))]),
            "nothing but NaN in sample 0",
        ),
    ],
)
def test_what_is_no_k_space_of_coils_is_refused(Y, message):
    with pytest.raises(ValueError, match=message):
        estimate_sensitivities(Y)
    with pytest.raises(ValueError, match="n_lines == 2"):
        estimate_sensitivities(k_space(slices(), maps_of()), n_lines=2)


# ------------------------------------------------- A with maps of its measurements
def as_tensor(Y):
    pairs = np.stack([Y.real, Y.imag], axis=2).reshape(len(Y), -1, *Y.shape[2:])
    return torch.from_numpy(pairs).float()


def test_an_operator_takes_each_slice_with_its_own_maps():
    Y = (k_space(slices(3), maps_of(3)) * centre_and_every(3)).astype(np.complex64)
    operator = MRI(mask=centre_and_every(3), sensitivities=N)
    maps = estimate_sensitivities(Y)
    expected = [
        MRI(mask=centre_and_every(3), sensitivities=own).reconstruct(y[None])[0]
        for own, y in zip(maps, Y, strict=True)
    ]
    np.testing.assert_allclose(operator.reconstruct(Y), expected, atol=1e-5)
    A = operator.resolve(image_shape=SHAPE).for_measurements(as_tensor(Y))
    assert dot_test_of(A, 3) < 1e-5
    # Transformed copies of a sample are adjacent.
    x = torch.randn((6, 2, *SHAPE))
    one_by_one = torch.cat(
        [
            operator.for_measurements(as_tensor(Y[i : i + 1])).forward(
                x[2 * i : 2 * i + 2]
            )
            for i in range(3)
        ]
    )
    torch.testing.assert_close(A.forward(x), one_by_one)
    swapped = torch.tensor([2, 0])
    x2 = torch.randn((2, 2, *SHAPE))
    expected = [A.forward(x2[[1, 1, 0]])[[2]], A.forward(x2[[1, 1, 0]])[[0]]]
    torch.testing.assert_close(A.take(swapped).forward(x2), torch.cat(expected))
    assert A.for_measurements(as_tensor(Y[:1])) is A
    assert operator.depends_on_measurements
    assert not A.depends_on_measurements
    assert check_consistency(operator, Y).is_consistent
    with pytest.raises(ValueError, match=r"4 samples, but.*3, or a multiple"):
        A.forward(x[:4])


def dot_test_of(A, n):
    x = torch.randn((n, 2, *SHAPE), dtype=torch.float64)
    y = torch.randn((n, 2 * N, *SHAPE), dtype=torch.float64)
    left, right = (A.forward(x) * y).sum(), (x * A.adjoint(y)).sum()
    return float(abs(left - right) / (x.norm() * y.norm()))


def test_numbers_that_need_no_measurements_are_right():
    operator = MRI(3, SHAPE, sensitivities=N)
    Y = k_space(slices(1), maps_of(1))
    A = operator.for_measurements(as_tensor(Y))
    explicit = MRI(3, SHAPE, sensitivities=estimate_sensitivities(Y)[0])
    assert A.mean_squared_row_norm() == pytest.approx(explicit.mean_squared_row_norm())
    assert operator.squared_norm() == 1.0 >= explicit.squared_norm() / 1.1 - 1e-3
    assert operator.refinement_steps(1) == pytest.approx(explicit.refinement_steps(1))
    assert operator.n_measurements == explicit.n_measurements
    np.testing.assert_array_equal(
        operator.measured_entries(each_channel=True),
        explicit.measured_entries(each_channel=True),
    )


def test_without_measurements_there_are_no_maps():
    operator = MRI(3, SHAPE, sensitivities=N)
    with pytest.raises(ValueError, match=r"for_measurements\(y\), or sensitivities as"):
        operator.measure(slices())
    bound = operator.for_measurements(as_tensor(k_space(slices(1), maps_of(1))))
    assert bound is not operator
    assert operator._maps is None
    copy.deepcopy(bound).forward(torch.zeros((1, 2, *SHAPE)))
    assert MRI(3).for_measurements(None).get_params() == MRI(3).get_params()
    for wrong in (0, 1, True):
        with pytest.raises((ValueError, TypeError), match="sensitivities"):
            MRI(3, sensitivities=wrong).resolve(image_shape=SHAPE)


def test_lost_lines_of_each_sample_and_maps_of_each_sample():
    Y = k_space(slices(2), maps_of(2))
    kept = np.stack([centre_and_every(2), centre_and_every(5)])
    Y = np.where(kept[:, None, None], Y, np.nan)
    y = as_tensor(Y)
    A = MRI(1, SHAPE, sensitivities=N).for_measurements(y)
    part = RestrictedOperator(
        A, torch.from_numpy(kept)[:, None, None].expand(2, 1, *SHAPE)
    )
    images, *_ = cgls(part.forward, part.adjoint, torch.nan_to_num(y), 30)
    for number in range(2):
        own = MRI(
            mask=kept[number], sensitivities=estimate_sensitivities(Y[[number]])[0]
        ).resolve(image_shape=SHAPE)
        y_own = torch.nan_to_num(y[[number]])
        expected, *_ = cgls(own.forward, own.adjoint, y_own, 30)
        error = (images[[number]] - expected).norm() / expected.norm()
        assert float(error) < 0.02


@pytest.mark.parametrize("n_coils", [1, 3])
def test_where_k_space_was_measured(n_coils):
    lines = np.array([1, 0, 1, 1, 1, 0, 1, 0], dtype=bool)
    sensitivities = None if n_coils == 1 else coils(n_coils, 6, 8)
    operator = MRI(mask=lines, sensitivities=sensitivities)
    images = np.random.default_rng(0).normal(size=(2, 6, 8, 2))
    complex_images = images[..., 0] + 1j * images[..., 1]
    expected = np.broadcast_to(lines, (2, 6, 8))
    Y = operator.measure(complex_images)
    np.testing.assert_array_equal(MRI.mask_of(Y), expected)
    np.testing.assert_array_equal(MRI.mask_of(operator.measure(images)), expected)
    holed = np.where(lines, Y, np.nan)
    np.testing.assert_array_equal(MRI.mask_of(holed), expected)
    again = MRI(mask=MRI.mask_of(Y)[0], sensitivities=sensitivities)
    np.testing.assert_allclose(again.measure(complex_images), Y, atol=1e-6)
    with pytest.raises(ValueError, match="expected complex k-space"):
        MRI.mask_of(Y.real[0])


# -------------------------------------------------------------------- a real scan
@pytest.fixture(scope="module")
def brain():
    folder = Path(os.environ.get("SKLEARN_EI_DATA", "."))
    name = "brain_kspace_8coils.npy"
    found = [p for p in (folder / name, folder / "real" / name) if p.exists()]
    if not found:
        pytest.skip(f"needs {name}, which is not in SKLEARN_EI_DATA")
    return np.load(found[0])[None]


def solve(operator, Y, n_iterations):
    y = as_tensor(Y)
    A = operator.resolve(image_shape=Y.shape[2:]).for_measurements(y)
    x, *_ = cgls(A.forward, A.adjoint, y, n_iterations)
    residual = float((A.forward(x) - y).norm() / y.norm())
    return x[0, 0].numpy() + 1j * x[0, 1].numpy(), residual


def sum_of_squares(Y):
    z = np.fft.ifftshift(Y[0], axes=(-2, -1))
    images = np.fft.fftshift(np.fft.ifft2(z, norm="ortho"), axes=(-2, -1))
    return np.sqrt((np.abs(images) ** 2).sum(0))


def test_maps_of_a_real_scan_explain_it_and_unfold_lost_lines(brain):
    mask = MRI.mask_of(brain)[0]
    operator = MRI(mask=mask, sensitivities=8)
    reference, residual = solve(operator, brain, 15)
    assert residual < 0.04  # of all points that were measured: 3.3 %
    assert check_consistency(operator, brain).is_consistent
    # All of k-space from the image and the maps; then lines are lost.
    maps = estimate_sensitivities(brain)[0]
    full = MRI(acceleration=1, sensitivities=maps).measure(reference[None])
    true = np.abs(reference)
    for step, shown in zip((2, 4), SHOWN.values(), strict=True):
        lines = np.zeros(mask.shape[1], dtype=bool)
        lines[::step] = lines[90 - 12 : 90 + 12] = True
        Y = full * lines
        images = [
            solve(MRI(mask=lines, sensitivities=own), Y, 15)[0] for own in (8, maps)
        ]
        images.append(sum_of_squares(Y))
        errors = [np.linalg.norm(np.abs(x) - true) for x in images]
        found = 100 * np.array(errors) / np.linalg.norm(true)
        np.testing.assert_allclose(found, shown, atol=0.1)
