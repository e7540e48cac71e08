"""f sees one part of the measurements and is compared with the other."""

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter1d

from sklearn_ei.losses import Splitting
from sklearn_ei.operators import MRI, Inpainting, ParallelBeamCT, RestrictedOperator
from sklearn_ei.utils.random import make_generator

SCANNER = ParallelBeamCT(12, (10, 10)).resolve()


def f(y, A, start=None):
    return 0.02 * A.adjoint(y)


def resolved(operator, seed=0, **parameters):
    term = Splitting(**parameters)
    term.check(None)
    return term.resolve(operator, None, seed)


@pytest.mark.parametrize("fraction", [0.25, 0.6])
def test_unbiased_for_the_noise_free_error_under_correlated_noise(fraction):
    """Noise that a blur correlates between bins, and not between views."""
    rng = np.random.default_rng(0)
    x = torch.from_numpy(rng.random((1, 1, 10, 10))).float()
    clean = SCANNER.forward(x)
    n, sigma = 4000, 0.5
    noise = rng.normal(size=(n, 1, *clean.shape[2:]))
    noise = gaussian_filter1d(noise, 1.5, axis=-1, mode="wrap")
    noise = torch.from_numpy(sigma * noise / noise.std()).float()
    term = resolved(SCANNER, fraction=fraction)
    measured = torch.from_numpy(SCANNER.measured_entries())
    values, expected = [], []
    for i in range(0, n, 20):
        y = clean + noise[i : i + 20]
        twin = resolved(SCANNER, fraction=fraction)
        twin.generator.set_state(term.generator.get_state())
        seen = twin.draw_seen(SCANNER, 20, twin.generator)
        x1, value = term(f, y, SCANNER)
        error = (SCANNER.forward(x1) - clean).square() + sigma**2 * measured
        values.append(float(value))
        expected.append(float((error * ~seen).mean()) / fraction)
    difference = np.array(values) - np.array(expected)
    assert abs(difference.mean()) < 3 * difference.std(ddof=1) / len(values) ** 0.5
    # Where f saw what it is compared with, the same difference is far off.
    y = clean + noise
    h = SCANNER.forward(f(y, SCANNER))
    blind, error = ((h - z).square()[..., measured].mean() for z in (y, clean))
    assert abs(float(blind - error) - sigma**2) > 0.1 * sigma**2


def test_f_never_sees_what_it_is_compared_with():
    y = SCANNER.forward(torch.rand((3, 1, 10, 10), generator=make_generator(0)))
    term = resolved(SCANNER)
    y1, part, seen = term.split(y, SCANNER, term.generator)
    assert isinstance(part, RestrictedOperator)
    assert torch.equal(y1, y * seen)
    whole_views = seen.float().mean(-1)
    assert bool(((whole_views == 0) | (whole_views == 1)).all())
    assert not torch.equal(seen[0], seen[1])
    # Its gradient with respect to what was held out is that of the comparison alone.
    twin = resolved(SCANNER)
    moved = y.clone().requires_grad_()
    x1, _ = twin(f, moved, SCANNER)
    (gradient,) = torch.autograd.grad(x1.sum(), moved)
    assert bool((gradient[~seen] == 0).all())
    assert bool((gradient[seen] != 0).any())


def test_units_of_splits():
    entries = resolved(Inpainting(0.0, (20, 30)).resolve())
    seen = entries.draw_seen(entries.operator, 4, make_generator(0))
    assert seen.shape == (4, 1, 20, 30)
    assert float(seen.float().mean()) == pytest.approx(0.6, abs=0.03)
    assert 0 < float(seen.float().mean(-1).std()) < 0.2
    mri = MRI(2, (16, 32), center_fraction=0.2).resolve()
    lines = resolved(mri)
    seen = lines.draw_seen(mri, 50, make_generator(0))
    by_line = seen.float().mean((0, 1, 2))
    calibration = mri.calibration_lines()
    assert len(calibration) >= 6
    assert bool((by_line[calibration] == 1).all())
    others = np.setdiff1d(np.arange(32), calibration)
    assert float(by_line[others].mean()) == pytest.approx(0.6, abs=0.05)
    across = resolved(SCANNER, axis=1)
    seen = across.draw_seen(SCANNER, 2, make_generator(0)).float().mean(-2)
    assert bool(((seen == 0) | (seen == 1)).all())


def test_rare_measurements_weigh_more():
    """(1 − ωλ)/(ω(1 − λ)²), and 1/(1 − λ) where all samples have them."""
    operator = Inpainting(0.0, (2, 3)).resolve()
    omega = torch.tensor([[1.0, 0.5, 0.25], [1.0, 1.0, 0.1]])
    y = torch.ones((1, 1, 2, 3))
    rare, plain = (resolved(operator, fraction=0.3) for _ in range(2))
    rare.expect_missing(omega[None])
    values = []
    for term in (rare, plain):
        _, part, seen = term.split(y, operator, make_generator(7))
        term.stream.generator.manual_seed(7)
        values.append(float(term(lambda y, A, start=None: 0 * y, y, operator)[1]))
    lam = 0.7
    weights = (1 - omega * lam) / (omega * (1 - lam) ** 2)
    assert part.kept.shape == seen.shape
    assert values[0] == pytest.approx(float((weights * ~seen[0, 0]).mean()), rel=1e-5)
    assert values[1] == pytest.approx(float((~seen).float().mean() / 0.3), rel=1e-5)


def test_predictions_average_over_the_same_splits():
    term = Splitting(n_splits=3)
    y = SCANNER.forward(torch.rand((2, 1, 10, 10), generator=make_generator(0)))
    used = []

    def g(y, A, start=None):
        used.append((y.clone(), A))
        return f(y, A)

    x = term.reconstruct(g, y, SCANNER)
    assert len(used) == 3
    torch.testing.assert_close(x, sum(f(*each) for each in used) / 3)
    assert not torch.equal(used[0][0], used[1][0])
    assert torch.equal(term.reconstruct(f, y, SCANNER), x)
    alone = term.reconstruct(f, y[1:], SCANNER)
    torch.testing.assert_close(alone, x[1:])


def test_transformed_images_are_split_as_well():
    term = resolved(SCANNER)
    x = torch.rand((3, 1, 10, 10), generator=make_generator(0))
    y, part = term.remeasure(x, SCANNER, make_generator(1))
    assert torch.equal(y, part.forward(x))
    assert 0 < float(part.kept.float().mean()) < 1


@pytest.mark.parametrize(
    ("parameters", "match"),
    [
        ({"fraction": 0}, "fraction"),
        ({"fraction": 1.0}, "fraction"),
        ({"n_splits": 0}, "n_splits"),
        ({"axis": "views"}, "axis"),
        ({"axis": -1}, "axis"),
        ({"distance": "l3"}, "distance"),
        ({"noisy": 1}, "noisy"),
    ],
)
def test_bad_parameters_are_refused(parameters, match):
    with pytest.raises((TypeError, ValueError), match=match):
        Splitting(**parameters).check(None)


def test_an_axis_that_is_not_there_is_refused():
    term = resolved(SCANNER, axis=2)
    with pytest.raises(ValueError, match="axis=2"):
        term.draw_seen(SCANNER, 1, make_generator(0))


def test_lines_that_all_scans_have_are_seen_and_others_are_not():
    """Where masks are holes, the operator itself measures every line."""
    mri = MRI(mask=np.ones(32, dtype=bool), image_shape=(8, 32))
    masks = np.random.default_rng(0).random((6, 32)) < 0.4
    masks[:, 13:20] = True
    masks[0, 12], masks[1, 20] = False, False
    kept = torch.from_numpy(masks)[:, None, None, :].expand(-1, 1, 8, -1)
    A = RestrictedOperator(mri, kept)
    seen = resolved(mri).draw_seen(A, 600, make_generator(0)).float().mean((0, 1, 2))
    assert bool((seen[13:20] == 1).all())
    assert bool((seen[:13] < 0.75).all())
    assert bool((seen[20:] < 0.75).all())


def test_of_noise_free_measurements_f_sees_all_in_the_end():
    y = SCANNER.forward(torch.rand((2, 1, 10, 10), generator=make_generator(0)))
    clean, noisy = resolved(SCANNER, noisy=False), resolved(SCANNER)
    assert torch.equal(clean.reconstruct(f, y, SCANNER), f(y, SCANNER))
    assert not torch.equal(noisy.reconstruct(f, y, SCANNER), f(y, SCANNER))
    assert clean.trusts_measurements
    assert not noisy.trusts_measurements
