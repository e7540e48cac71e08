"""Right set-ups are left in peace; wrong ones are told, with their cause."""

import json

import numpy as np
import pytest
import torch
from scipy import sparse

from sklearn_ei.datasets import make_thorax_phantoms
from sklearn_ei.operators import (
    MRI,
    CompressedSensing,
    FanBeamCT,
    Inpainting,
    ModelMismatchWarning,
    ODLOperator,
    ParallelBeamCT,
    check_consistency,
)
from sklearn_ei.utils.odl import import_odl

SHAPE = (48, 48)
IMAGES = make_thorax_phantoms(2, SHAPE, random_state=0)
FAN = {"image_shape": SHAPE, "source_distance": 70.0, "detector_distance": 30.0}
STEP = 4.0  # of the views of PARALLEL
PARALLEL = ParallelBeamCT(45, SHAPE)


def measured(operator, noise=0.01):
    rng = np.random.RandomState(0)
    Y = operator.measure(IMAGES)
    return (Y + noise * Y.max() * rng.standard_normal(Y.shape)).astype(np.float32)


RIGHT = {
    "parallel": PARALLEL,
    "few views": ParallelBeamCT(9, SHAPE),
    "random views": ParallelBeamCT(
        angles=np.random.RandomState(0).uniform(0, 180, 40), image_shape=SHAPE
    ),
    "uneven views": ParallelBeamCT(
        angles=np.r_[np.arange(0, 90, 2), np.arange(90, 180, 6)], image_shape=SHAPE
    ),
    "limited angle": ParallelBeamCT(angles=np.arange(0, 100, 4), image_shape=SHAPE),
    "half acquisition": ParallelBeamCT(
        angles=np.arange(0, 360, 6), image_shape=SHAPE, n_bins=39, detector_offset=15
    ),
    "fan": FanBeamCT(50, **FAN),
    "short fan": FanBeamCT(50, scan="short", **FAN),
}


@pytest.mark.parametrize("noise", [0.0, 0.01, 0.05])
@pytest.mark.parametrize("name", RIGHT)
def test_right_set_ups_are_left_in_peace(name, noise):
    operator = RIGHT[name]
    Y = measured(operator, noise)
    report = check_consistency(operator, Y)
    assert report.is_consistent, report.sentence
    assert report.causes == []
    assert report.unexplained <= max(0.012, 0.3 * report.noise)
    assert report.misfit >= report.noise
    # The noise that is found is that which was added, less what images explain.
    if noise:
        added = np.linalg.norm(Y - operator.measure(IMAGES)) / np.linalg.norm(Y)
        assert 0.3 * added <= report.noise <= 1.1 * added


def with_offset(offset, **parameters):
    return ParallelBeamCT(45, SHAPE, detector_offset=offset, **parameters)


_Y, _Y_FAN = measured(PARALLEL), measured(FanBeamCT(50, **FAN))
_N_FAN = _Y_FAN.shape[2]
_SQUARE = ParallelBeamCT(71, SHAPE, n_bins=71)
_ORDER = np.random.RandomState(1).permutation(45)
WRONG = {
    "counts": (PARALLEL, 5000 * np.exp(-3 * _Y / _Y.max()), "transmitted intensities"),
    "radians": (
        ParallelBeamCT(angles=np.deg2rad(np.arange(45) * STEP), image_shape=SHAPE),
        _Y,
        "the angles are in radians",
    ),
    "transposed": (
        _SQUARE,
        measured(_SQUARE).transpose(0, 2, 1),
        "axes of views and bins are exchanged",
    ),
    "360° as 180°": (
        PARALLEL,
        measured(ParallelBeamCT(angles=np.arange(45) * 8.0, image_shape=SHAPE)),
        "the views go all around",
    ),
    "180° as 360°": (
        ParallelBeamCT(angles=np.arange(45) * 8.0, image_shape=SHAPE),
        _Y,
        "the views go half as far round",
    ),
    "offset left out": (
        PARALLEL,
        measured(with_offset(-3.0)),
        "detector_offset is about -",
    ),
    "offset of the wrong sign": (
        with_offset(4.0),
        measured(with_offset(-4.0)),
        "detector_offset has the wrong sign",
    ),
    "shuffled": (PARALLEL, _Y[:, _ORDER], "in another order"),
    "fan as parallel": (
        ParallelBeamCT(angles=np.arange(50) * 7.2, image_shape=SHAPE, n_bins=_N_FAN),
        _Y_FAN,
        "diverge from a source",
    ),
    "parallel as fan": (
        FanBeamCT(angles=np.arange(45) * STEP, n_bins=69, **FAN),
        _Y,
        "the rays are parallel",
    ),
    "fan the other way round": (
        FanBeamCT(angles=np.arange(50) * -7.2, **FAN),
        _Y_FAN,
        "turns the other way round",
    ),
    "full fan as short": (
        FanBeamCT(50, scan="short", **FAN),
        _Y_FAN,
        "scan='full'",
    ),
    "clipped object": (
        ParallelBeamCT(45, (30, 30), n_bins=69),
        _Y,
        "reaches out of the image",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_set_ups_are_told_with_their_cause(name):
    operator, Y, cause = WRONG[name]
    report = check_consistency(operator, Y)
    assert not report.is_consistent
    assert cause in report.causes[0]
    assert cause in report.sentence
    assert max(report.unexplained, report.misfit) >= 0.02


def test_a_missing_minus_sign_is_told():
    for operator in (PARALLEL, FanBeamCT(50, **FAN)):
        report = check_consistency(operator, -measured(operator))
        assert not report.is_consistent
        assert "−log(I/I₀), with a minus sign" in report.sentence
    rng = np.random.default_rng(0)
    noise = rng.standard_normal((2, *PARALLEL.measurement_shape))
    assert "minus" not in check_consistency(PARALLEL, noise).sentence


RECTANGLES = np.zeros((2, 48, 48))
RECTANGLES[:, 10:36, 12:30] = 1
RECTANGLES[1, 18:24, 14:24] = 3


@pytest.mark.parametrize(
    ("n_views", "turn", "noise"),
    [(12, 180, 0.0), (12, 180, 0.01), (30, 180, 0.0), (40, 360, 0.0), (40, 360, 0.01)],
)
def test_a_last_view_that_is_one_too_far_is_told(n_views, turn, noise):
    """np.linspace with both ends, of a scan that has n steps; not the other way."""
    twice = np.linspace(0, turn, n_views)
    once = np.linspace(0, turn, n_views, endpoint=False)
    rng = np.random.default_rng(0)
    for true in (twice, once):
        scanner = ParallelBeamCT(angles=true, image_shape=SHAPE)
        Y = scanner.measure(RECTANGLES)
        Y = (Y + noise * Y.max() * rng.standard_normal(Y.shape)).astype(np.float32)
        right = check_consistency(scanner, Y)
        assert right.is_consistent, right.sentence
    guess = ParallelBeamCT(angles=twice, image_shape=SHAPE)
    report = check_consistency(guess, Y)
    apart = f"the views are {turn / n_views:.6g}° apart"
    assert any(cause.startswith(apart) for cause in report.causes), report.sentence


@pytest.mark.parametrize("true_step", [4.0, 8.0])
def test_a_wrong_step_of_the_views_is_told(true_step):
    true = ParallelBeamCT(angles=np.arange(45) * true_step, image_shape=SHAPE)
    guess = ParallelBeamCT(angles=np.arange(45) * 3.0, image_shape=SHAPE)
    report = check_consistency(guess, true.measure(RECTANGLES))
    assert report.causes[0] == f"the views are {true_step:g}° apart"


def odl_scan(turn=np.pi, n_views=30, n_bins=55, side=32):
    odl, tomo = import_odl()
    ends = [-side / 2] * 2, [side / 2] * 2
    space = odl.uniform_discr(*ends, (side, side), dtype="float32")
    views = odl.uniform_partition(0, turn, n_views)
    bins = odl.uniform_partition(-28, 28, n_bins)
    geometry = tomo.Parallel2dGeometry(views, bins)
    return ODLOperator(tomo.RayTransform(space, geometry))


@pytest.mark.parametrize("n_samples", [1, 4, 6])
def test_wrong_set_ups_are_told_where_no_cause_is_known(n_samples):
    """Many steps explain more than few, but what noise they leave is not known."""
    images = make_thorax_phantoms(n_samples, (32, 32), random_state=0)
    rng = np.random.default_rng(0)
    scanner, square = odl_scan(), odl_scan(n_views=40, n_bins=40)

    def measured(operator, noise=0.01):
        Y = operator.measure(images)
        return (Y + noise * Y.max() * rng.standard_normal(Y.shape)).astype(np.float32)

    Y = measured(scanner)
    for noise in (0, 0.01, 0.05):
        assert check_consistency(scanner, measured(scanner, noise)).is_consistent
    for name, operator, data in (
        ("transposed", square, np.swapaxes(measured(square), 1, 2).copy()),
        ("a turn for half of one", odl_scan(2 * np.pi), Y),
        ("degrees for radians", odl_scan(np.deg2rad(np.pi)), Y),
        ("two bins aside", scanner, np.roll(Y, 2, axis=2)),
        ("15 bins aside", scanner, np.roll(Y, 15, axis=2)),
        ("half of the object", odl_scan(side=16), Y),
        ("a third of the object", odl_scan(side=10), Y),
    ):
        report = check_consistency(operator, data)
        assert not report.is_consistent, (name, report.sentence)
        assert f" {report.unexplained:.1%} of them" in report.sentence
        if n_samples == 1:  # in double precision, by another solver
            A = operator.as_sparse().astype(float)
            y = data[0].ravel()
            x = sparse.linalg.lsqr(A, y, atol=0, btol=0, iter_lim=100)[0]
            left = y - A @ x
            share = np.linalg.norm(left) / np.linalg.norm(y)
            expected = np.sqrt(share**2 - report.noise**2 * (1 - report.elsewhere))
            assert report.unexplained == pytest.approx(expected, rel=0.1)


def masks(seed=0):
    return np.random.RandomState(seed).random_sample(SHAPE) > 0.3


def k_space_mask(operator):
    mask = operator.resolve()._constants.like(torch.empty(0)).mask.numpy() > 0
    return mask if mask.ndim == 1 else mask.any(axis=0)


def test_masks():
    frames = IMAGES + 0.05
    operator = Inpainting(mask=masks())
    assert check_consistency(operator, frames * masks()).is_consistent
    rubbish = np.random.RandomState(2).uniform(0, 5, frames.shape)
    left = np.where(masks(), frames, rubbish)  # readings where pixels are lost
    report = check_consistency(operator, left)
    assert report.is_consistent
    assert report.elsewhere == pytest.approx(
        np.sum(left[:, ~masks()] ** 2) / np.sum(left**2), rel=1e-5
    )
    for wrong, said in (
        (~masks(), "Likely: the mask is inverted: pass True where measured"),
        (masks(1), "Likely: the mask is inverted, or belongs to other measurements."),
    ):
        report = check_consistency(Inpainting(mask=wrong), frames * masks())
        assert not report.is_consistent
        assert said in report.sentence
        lost = frames * masks() * ~wrong
        expected = np.sum(lost**2) / np.sum((frames * masks()) ** 2)
        assert report.elsewhere == pytest.approx(expected, rel=1e-5)


def test_masks_of_k_space():
    operator = MRI(4, SHAPE)
    complex_images = np.stack([IMAGES, 0.5 * IMAGES], axis=-1)
    Y = operator.measure(complex_images)
    assert check_consistency(operator, Y).is_consistent
    for wrong, said in (
        (MRI(mask=~k_space_mask(operator)), "the mask is inverted: pass True"),
        (MRI(4, random_state=1), "the mask is inverted, or belongs to other"),
    ):
        report = check_consistency(wrong, Y)
        assert said in report.sentence
        assert not report.is_consistent


def test_what_cannot_be_told():
    # A mirrored image, and an operator with full row rank, explain everything.
    mirrored = check_consistency(PARALLEL, np.ascontiguousarray(_Y[:, ::-1]))
    assert mirrored.is_consistent
    Y = CompressedSensing(300, SHAPE, random_state=1).measure(IMAGES)
    other = CompressedSensing(300, SHAPE, random_state=2)
    assert check_consistency(other, Y).is_consistent


def test_report_and_input():
    report = check_consistency(PARALLEL, _Y)
    assert str(report) == report.sentence
    assert "explains the measurements but for" in report.sentence
    assert json.loads(json.dumps(report.to_dict()))["is_consistent"] is True
    assert report.seconds > 0
    tensor = check_consistency(PARALLEL, torch.from_numpy(_Y)[:, None])
    assert tensor.misfit == pytest.approx(report.misfit)
    open_shapes = check_consistency(ParallelBeamCT(45), _Y)
    assert open_shapes.is_consistent
    assert "All measurements are zero" in str(check_consistency(PARALLEL, 0 * _Y))
    with pytest.raises(ValueError, match="45 views got measurements"):
        check_consistency(PARALLEL, _Y[:, 1:])
    with pytest.raises(ValueError, match="Y"):
        check_consistency(PARALLEL, np.where(_Y > 1, np.inf, _Y))
    assert issubclass(ModelMismatchWarning, UserWarning)


def test_few_samples_of_a_large_stack_are_read():
    class Stack:
        """Counts what is read of it."""

        shape, ndim, dtype = (1000, *_Y.shape[1:]), 3, _Y.dtype
        read = 0

        def __len__(self):
            return 1000

        def __getitem__(self, index):
            self.read += 1
            return _Y[index % 2]

    stack = Stack()
    assert check_consistency(PARALLEL, stack).is_consistent
    assert stack.read == 4


def test_a_beam_with_nothing_in_it_is_no_measurement_of_an_image():
    # As transmissions, its attenuation is zero everywhere.
    report = check_consistency(
        FanBeamCT(n_bins=2, source_distance=13.5), np.ones((1, 50, 2))
    )
    assert 0 <= report.unexplained <= report.misfit <= 1
    assert not any("transmitted" in cause for cause in report.causes)


def test_measurements_beside_the_image_alone():
    scanner = ParallelBeamCT(12, (16, 16), n_bins=41)
    Y = np.zeros((2, 12, 41), np.float32)
    Y[:, :, :3] = 1 + np.random.default_rng(0).random((2, 12, 3))
    report = check_consistency(scanner, Y)
    assert not report.is_consistent
    assert "all that is not zero is where the operator never" in report.sentence
    assert (report.unexplained, report.elsewhere) == (1.0, 1.0)


def test_what_is_masked_is_not_read():
    operator = ParallelBeamCT(20, (24, 24))
    Y = operator.measure(make_thorax_phantoms(3, (24, 24), random_state=0))
    lost = np.random.default_rng(0).random(Y.shape) < 0.05
    told = check_consistency(operator, np.where(lost, np.nan, Y))
    masked = np.ma.masked_array(np.where(lost, 50.0, Y), lost)
    assert str(check_consistency(operator, masked)) == str(told)
    assert str(check_consistency(operator, list(masked))) == str(told)


CT = ParallelBeamCT(9, (16, 16))


@pytest.mark.parametrize(
    ("operator", "Y", "message"),
    [
        (CT, np.ones((0, 9, 23)), r"shape \(0, 9, 23\), with 0 sample"),
        (
            CT,
            torch.ones(0, 1, 9, 23),
            "torch.float32 and shape .* at least one measurement",
        ),
        (CT, None, "expected a stack of measurements"),
        (CT, 3.0, "expected a stack of measurements"),
        # The imaginary part would be lost.
        (MRI(1), torch.ones(2, 1, 16, 16) * 1j, "complex64 .* parts as channels"),
    ],
)
def test_what_is_no_stack_of_real_numbers_is_refused(operator, Y, message):
    with pytest.raises(ValueError, match=message):
        check_consistency(operator, Y)


def test_numbers_in_any_container_are_looked_at_alike():
    Y = CT.measure(make_thorax_phantoms(3, (16, 16), random_state=0))
    expected = check_consistency(CT, Y).unexplained
    for same in (Y.astype(object), Y.tolist(), list(Y), torch.from_numpy(Y)[:, None]):
        found = check_consistency(CT, same).unexplained
        assert found == pytest.approx(expected, rel=1e-3, abs=1e-6)
