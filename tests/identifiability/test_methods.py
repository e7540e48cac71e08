"""Each way to the rank against the dense one, and its certificate."""

import numpy as np
import pytest
import torch

from sklearn_ei import check_group_rank
from sklearn_ei.groups import Permutations, Reflections, Rotations, Scalings, Shifts
from sklearn_ei.identifiability import _blocks, _fourier, _lanczos
from sklearn_ei.identifiability._bounds import count_orbits
from sklearn_ei.identifiability._budget import Budget
from sklearn_ei.identifiability._matrices import operator_matrix, transform_matrix
from sklearn_ei.identifiability._system import System
from sklearn_ei.operators import (
    MRI,
    Blur,
    CompressedSensing,
    Inpainting,
    MatrixOperator,
    ParallelBeamCT,
    gaussian_kernel,
)
from sklearn_ei.utils.random import make_generator

CT = ParallelBeamCT(7, (16, 16))


def system_of(operator, group, image_shape=None):
    return System(operator, group, image_shape, make_generator(0))


def check(operator, group, **options):
    return check_group_rank(operator, group, random_state=0, **options)


def assert_same(report, reference, rel=1e-5):
    assert report.rank_interval == reference.rank_interval
    assert report.nullity == reference.nullity
    assert report.sigma_ratio == pytest.approx(reference.sigma_ratio, rel, abs=3e-8)


# ------------------------------------------------------------------- counting
def orbits_by_hand(system):
    """Follow every pixel under all elements, again and again."""
    n = system.pixels
    label = torch.arange(n, dtype=torch.float64)
    image = label.reshape(1, 1, *system.image_shape)
    moves = [
        system.group.transform(image, g).reshape(-1).long().tolist()
        for g in range(system.group.n_elements)
    ]
    unseen, count = set(range(n)), 0
    while unseen:
        count += 1
        front = {unseen.pop()}
        while front:
            front = {move[i] for i in front for move in moves} & unseen
            unseen -= front
    return count


@pytest.mark.parametrize(
    ("group", "expected"),
    [
        (Shifts(), 1),
        (Reflections(), 64 // 2),
        (Rotations(2), 64 // 2),
        (Rotations(4), 64 // 4),
        (Rotations(4) * Reflections(), (64 + 2 * 8) // 8),
        (Permutations(20), 1),
        (Rotations(360), None),
    ],
    ids=repr,
)
def test_orbits_are_the_irreducible_bound(group, expected):
    system = system_of(Inpainting(0.3, (8, 8)), group)
    assert count_orbits(system, Budget()) == expected
    if expected is not None:
        assert orbits_by_hand(system) == expected


def test_orbits_bound_the_rank_of_odd_and_oblong_images():
    for shape, group in [((7, 7), Rotations(4)), ((6, 9), Reflections((0, 1)))]:
        system = system_of(Inpainting(0.3, shape), group)
        assert count_orbits(system, Budget()) == orbits_by_hand(system)
    operator = CompressedSensing(12, (7, 7))  # 12 · 4 = 48 < 49
    assert check(operator, Rotations(4)).verdict == "FAIL_COUNT"
    # 4 · 13 = 52 > 49, and 13 is the number of orbits, which a Gaussian meets.
    assert check(CompressedSensing(13, (7, 7)), Rotations(4)).rank == 49


def test_the_irreducible_bound_fails_where_counting_does_not():
    operator = CompressedSensing(20, (8, 8))
    group = Rotations(4) * Reflections((0, 1))  # 16 pairs, 8 different ones
    report = check(operator, group)
    assert report.irreducible_bound == 10
    assert report.verdict == "PASS_NECESSARY"
    few = check(CompressedSensing(9, (8, 8)), group)
    assert few.count_bound == 144 >= few.n
    assert few.verdict == "FAIL_COUNT"
    assert "9 measurements cannot tell them apart" in few.sentence
    exact = check(CompressedSensing(9, (8, 8)), group, method="dense")
    assert exact.verdict == "FAIL_COUNT"
    assert exact.rank <= few.rank_interval[1] == 63


def test_channels_multiply_what_is_needed():
    report = check(Inpainting(0.3, (8, 8)), Shifts(), image_shape=(8, 8, 3))
    assert (report.n, report.m) == (192, 3 * 45)
    assert report.rank == 192
    assert report.irreducible_bound == 3
    assert report.null_space.shape[1:] == (8, 8)


def test_measurements_that_are_always_zero_do_not_count():
    assert check(Inpainting(0.3, (10, 10)), Shifts()).m == 70
    assert check(MRI(4, (16, 16)), Shifts()).m == 2 * 4 * 16


# -------------------------------------------------------------------- Fourier
@pytest.mark.parametrize(
    ("operator", "group"),
    [
        (CT, Shifts()),
        (MRI(2, (8, 8)), Shifts()),
        (CompressedSensing(5, (24,)), Shifts()),
        (Blur(gaussian_kernel(1.0, 1), (25,)), Shifts()),
        (Blur(gaussian_kernel(1.0), (12, 13), boundary="valid"), Shifts()),
        (Inpainting(0.4, (9, 8)), Shifts()),
    ],
    ids=repr,
)
def test_fourier_is_exact(operator, group):
    report = check(operator, group)
    assert report.method.startswith("Fourier")
    assert report.certificate == "exact"
    reference = check(operator, group, method="dense")
    assert_same(report, reference)
    np.testing.assert_allclose(report.spectrum, reference.spectrum, atol=1e-7)


def test_fourier_with_coupled_channels():
    """Two channels that only their sum and half of their difference measure."""
    n = 12
    rng = np.random.default_rng(0)

    class Coupled(MatrixOperator):
        image_channels = 2
        measurement_channels = "none"

        def _forward(self, x, constants):
            return super()._forward(x[:, :1] + x[:, 1:], constants)

        def _adjoint(self, y, constants):
            x = super()._adjoint(y, constants)
            return torch.cat([x, x], dim=1)

    operator = Coupled(rng.standard_normal((8, n)))
    report = check(operator, Shifts())
    assert report.n == 2 * n
    assert report.nullity == n
    assert_same(report, check(operator, Shifts(), method="dense"))


@pytest.mark.parametrize("first", [Reflections(), Rotations(4)], ids=repr)
def test_products_with_shifts_are_probed(first):
    for group in (first * Shifts(), Shifts() * first):
        report = check(CompressedSensing(9, (8, 8)), group)
        assert report.method == "Fourier, random probes"
        assert report.certificate == "probabilistic"
        assert 0 < report.failure_probability <= 1e-6
        reference = check(CompressedSensing(9, (8, 8)), group, method="dense")
        assert report.rank == reference.rank == 64
        assert report.sigma_lower_bound <= reference.sigma_ratio
        assert report.sigma_ratio == pytest.approx(reference.sigma_ratio, rel=0.5)


def test_probes_bound_every_amplitude(monkeypatch):
    monkeypatch.setattr(_fourier, "_EXACT_SECONDS", -1.0)
    report = check(CT, Shifts())
    assert report.method == "Fourier, random probes"
    exact = check(CT, Shifts(), method="dense")
    low, high = report.rank_interval
    assert low <= exact.rank <= high
    assert report.sigma_lower_bound <= exact.sigma_ratio
    assert report.nullity == exact.nullity
    quotient = report.spectrum / exact.spectrum
    assert 0.7 < np.median(quotient) < 1.3


# ----------------------------------------------------------------------- Gram
def test_sparse_transforms_are_the_transforms():
    for group in (
        Rotations(360),
        Rotations(12, interpolation="bicubic"),
        Scalings([0.5, 0.8]),
        Permutations(5),
    ):
        system = system_of(Inpainting(0.3, (14, 14)), group)
        for g in range(min(4, group.n_elements)):
            matrix = transform_matrix(system, g)
            x = system.randn(2)
            expected = system.transform(x, g)
            np.testing.assert_allclose((matrix @ x.numpy().T).T, expected, atol=1e-12)
    fft = system_of(Inpainting(0.3, (16, 16)), Rotations(12, interpolation="fft"))
    assert transform_matrix(fft, 1) is None


@pytest.mark.parametrize(
    ("operator", "group"),
    [
        (CT, Rotations(36)),
        (ParallelBeamCT(5, (15, 15)), Rotations(12)),
        (MRI(3, (10, 10)), Rotations(8)),
        (CT, Rotations(10)),
        (CT, Reflections((0, 1))),
        (ParallelBeamCT(6, (16, 12)), Rotations(20)),
        (CT, Rotations(8) * Shifts(1)),
        (CT, Rotations(12, interpolation="fft")),
        (CompressedSensing(12, (40,)), Permutations(6)),
        (Blur(gaussian_kernel(1.5), (16, 16)), Scalings([0.5])),
    ],
    ids=repr,
)
def test_gram_matrix_is_exact(operator, group):
    report = check(operator, group)
    reference = check(operator, group, method="dense")
    assert report.verdict == reference.verdict
    assert_same(report, reference)


def test_quarter_turns_make_blocks():
    blocks = _blocks.Blocks(system_of(CT, Rotations(36)), Budget())
    assert blocks.reduced
    assert blocks.sizes == [64, 64, 64]
    odd = _blocks.Blocks(system_of(ParallelBeamCT(5, (5, 5)), Rotations(4)), Budget())
    assert odd.sizes == [7, 6, 6]
    for basis in odd.bases:
        gram = (basis.conj().T @ basis).toarray()
        np.testing.assert_allclose(gram, np.eye(len(gram)), atol=1e-14)
    assert not _blocks.Blocks(system_of(CT, Rotations(10)), Budget()).reduced


def test_dense_and_sparse_squares_agree(monkeypatch):
    monkeypatch.setattr(_blocks, "batch_size", lambda n: 7)
    blocks = _blocks.Blocks(system_of(CT, Rotations(8)), Budget())
    matrix = operator_matrix(blocks.system, Budget())
    for basis in blocks.bases:
        rows = (matrix @ basis).tocsr()
        expected = rows.toarray().conj().T @ rows.toarray()
        np.testing.assert_allclose(blocks._dense_squares(rows), expected, atol=1e-11)
        np.testing.assert_allclose(blocks.squares(matrix, basis), expected, atol=1e-11)
    square = np.tril(np.arange(25.0).reshape(5, 5))
    _blocks._mirror(square, step=2)
    np.testing.assert_array_equal(square, square.T)


@pytest.fixture
def large_blocks(monkeypatch):
    """Take small images for large ones."""
    monkeypatch.setattr(_blocks, "FULL_BLOCK", 10)


@pytest.mark.usefixtures("large_blocks")
def test_shifted_cholesky_certifies_with_few_elements():
    report = check(CT, Rotations(360))
    assert report.method == "shifted Cholesky, in C4 blocks"
    assert report.certificate == "Cholesky in float64"
    assert len(report.elements) == 16
    assert report.rank == 256
    assert report.sigma_lower_bound == report.tol
    # The same elements, densely.
    angles = [360.0 * g / 360 for g in report.elements if g]
    reference = check(CT, Rotations(angles=angles), method="dense")
    assert report.sigma_ratio == pytest.approx(reference.sigma_ratio, rel=1e-4)


@pytest.mark.usefixtures("large_blocks")
def test_shifted_cholesky_counts_what_it_cannot_certify():
    """Up to the whole group, and then by Sylvester's law of inertia."""
    for operator, group, tol in [
        (CT, Rotations(4), 1e-3),
        (CT, Rotations(12), 0.2),
        (MRI(3, (10, 10)), Rotations(8), 0.1),
    ]:
        report = check(operator, group, method="cholesky", tol=tol)
        reference = check(operator, group, method="dense", tol=tol)
        assert report.rank == reference.rank < report.n
        assert len(report.elements) == group.n_elements
        assert report.sigma_ratio == pytest.approx(
            reference.sigma_ratio, rel=1e-4, abs=3e-7
        )


@pytest.mark.usefixtures("large_blocks")
def test_shifted_cholesky_doubles_the_subset_until_it_suffices():
    tol = 0.9 * check(CT, Rotations(360), method="dense").sigma_ratio
    report = check(CT, Rotations(360), method="cholesky", tol=tol)
    assert len(report.elements) >= 16
    assert report.rank_interval[1] == 256


# -------------------------------------------------------------------- Lanczos
def test_lanczos_bounds_the_dense_spectrum(monkeypatch):
    for steps in (30, 600):
        monkeypatch.setattr(_lanczos, "_MAX_STEPS", steps)
        report = check(CT, Rotations(8), method="lanczos")
        reference = check(CT, Rotations(8), method="dense")
        low, high = report.rank_interval
        assert low <= reference.rank <= high
        assert report.sigma_lower_bound <= reference.sigma_ratio * (1 + 1e-6)
        assert report.sigma_ratio >= reference.sigma_ratio * (1 - 1e-6)
        assert report.sigma_kind == "upper bound"
    assert report.sigma_ratio == pytest.approx(reference.sigma_ratio, rel=1e-3)
    assert report.rank == 256
    assert report.certificate == "probabilistic"
    assert report.failure_probability == pytest.approx(1e-3)


def test_lanczos_finds_lost_directions():
    report = check(Inpainting(0.3, (16, 16)), Reflections(), method="lanczos")
    assert report.verdict == "FAIL_RANK"
    image = report.null_space[0]
    x = torch.from_numpy(np.ascontiguousarray(image))[None, None]
    for g in (0, 1):
        y = Inpainting(0.3, (16, 16)).forward(Reflections().transform(x, g))
        assert float(y.norm()) < 1e-6


def test_lanczos_looks_at_the_whole_group_before_it_says_weak():
    """Eight elements of many miss what others see."""
    report = check(CT, Rotations(360), method="lanczos")
    reference = check(CT, Rotations(360), method="dense")
    assert len(report.elements) == 8
    assert report.sigma_ratio >= reference.sigma_ratio
    assert report.verdict in ("PASS_NECESSARY", "INCONCLUSIVE")


# ----------------------------------------------------------------- directions
@pytest.mark.parametrize(
    ("operator", "group"),
    [
        (CT, Rotations(36)),
        (CT, Shifts()),
        (Blur(gaussian_kernel(1.0), (12, 12)), Shifts()),
        (Inpainting(0.3, (16, 16)), Reflections()),
        (MRI(3, (10, 10)), Shifts()),
    ],
    ids=repr,
)
def test_weakest_directions_are_what_the_ratio_says(operator, group):
    report = check(operator, group)
    system = system_of(operator, group)
    image = report.null_space[0]
    x = np.moveaxis(image, -1, 0) if system.channels > 1 else image[None]
    x = torch.from_numpy(np.ascontiguousarray(x)).reshape(1, -1)
    assert float(x.norm()) == pytest.approx(1)
    elements = range(system.group.n_elements)
    energy = np.mean(
        [float(system.forward(system.transform(x, g)).square().sum()) for g in elements]
    )
    assert np.sqrt(energy) == pytest.approx(report.sigma_min, rel=1e-5, abs=1e-7)
