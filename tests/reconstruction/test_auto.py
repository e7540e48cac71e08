"""Nothing to set: what follows from the operator and the data."""

from pathlib import Path

import numpy as np
import pytest
import torch

from sklearn_ei import EquivariantReconstructor, EquivariantReconstructorCV
from sklearn_ei.groups import (
    RECOMMENDED,
    RandomAffine,
    Reflections,
    Rotations,
    Scalings,
    Shifts,
    recommended_group,
)
from sklearn_ei.losses import EquivarianceTerm
from sklearn_ei.networks import UNet
from sklearn_ei.operators import (
    MRI,
    BlockOperator,
    Blur,
    CompressedSensing,
    Downsampling,
    FanBeamCT,
    Inpainting,
    MatrixOperator,
    ParallelBeamCT,
    gaussian_kernel,
)
from sklearn_ei.reconstruction._auto import choose_steps

TINY = {"network": UNet(2, 2), "max_epochs": 1, "random_state": 0}
DOC = Path(__file__).parents[2] / "doc/which_group.md"
SHAPE = (12, 12)
OPERATORS = {
    "parallel": (ParallelBeamCT(8, SHAPE), RandomAffine, 3),
    "fan": (FanBeamCT(8, SHAPE, source_distance=40), RandomAffine, 3),
    "pixels": (Inpainting(0.3, SHAPE), Shifts, 8),
    "projections": (CompressedSensing(60, SHAPE), Shifts, 3),
    "MRI": (MRI(3, SHAPE), Rotations, 3),
    "blur": (Blur(gaussian_kernel(1.0), SHAPE), Scalings, 8),
    "strong blur": (Blur(np.ones((11, 11)), SHAPE), Scalings, 3),
    "means": (Downsampling(2, SHAPE), Rotations, 8),
    "every second": (Downsampling(2, SHAPE, antialias=False), Shifts, 8),
    "two": (BlockOperator([Inpainting(0.5, SHAPE), Inpainting(0.2)]), Shifts, 8),
    "a line": (Inpainting(0.3, (30,)), Shifts, 8),
    "blurred line": (Blur(gaussian_kernel(1.0, 1), (30,)), RandomAffine, 8),
}


def images_for(operator):
    rng = np.random.default_rng(0)
    channels = (2,) if isinstance(operator, MRI) else ()
    return rng.random((2, *operator.image_shape, *channels))


@pytest.mark.parametrize("name", OPERATORS)
def test_group_and_network_follow_from_the_operator(name):
    operator, kind, n_stages = OPERATORS[name]
    Y = operator.measure(images_for(operator))
    ei = EquivariantReconstructor(
        operator, max_epochs=1, random_state=0, check_rank=False
    )
    ei.fit(Y)
    assert type(ei.group_) is kind
    assert ei.group_.image_shape == operator.image_shape
    assert len(ei.function_.stages) == n_stages
    assert "auto" in (ei.group, ei.network)  # what was passed is as it was


@pytest.mark.parametrize(
    "operator",
    [
        Inpainting(0.3, (21, 21)),
        Blur(gaussian_kernel(1.5), (21, 21)),
        Blur(np.ones((3, 5)), (21, 21)),
        Blur(gaussian_kernel(2.0, 1), (31,)),
        Downsampling(3, (21, 21)),
    ],
)
def test_mixing_radius_is_that_of_the_normal_matrix(operator):
    """The spread of AᵀA, column by column, weighted with energy."""
    shape = operator.image_shape
    n = int(np.prod(shape))
    basis = torch.eye(n).reshape(n, 1, *shape)
    spread = operator.adjoint(operator.forward(basis)).reshape(n, n).double().numpy()
    places = np.stack(np.unravel_index(np.arange(n), shape), -1)
    apart = places[:, None] - places[None]
    if isinstance(operator, Blur):  # circular
        apart = (apart + np.array(shape) // 2) % np.array(shape) - np.array(shape) // 2
    energy = spread**2
    radius = np.sqrt((energy * (apart**2).sum(-1)).sum() / energy.sum())
    assert operator.mixing_radius == pytest.approx(radius, abs=1e-4)


def test_operators_that_say_nothing_ask_for_a_group():
    operator = MatrixOperator(np.random.default_rng(0).random((3, 6)))
    Y = np.ones((2, 3))
    with pytest.raises(ValueError, match="group='auto' and alpha=auto for MatrixOper"):
        EquivariantReconstructor(operator, **TINY).fit(Y)
    both = BlockOperator([Inpainting(0.5, (6, 6)), Blur(gaussian_kernel(0.5), (6, 6))])
    assert (both.loses, both.mixing_radius) == (None, both.operators[1].mixing_radius)
    ei = EquivariantReconstructor(operator, alpha=0, **TINY).fit(Y)
    assert ei.group_ is None
    assert EquivariantReconstructor(operator, Shifts(), **TINY).fit(Y).alpha_ > 0


def test_ground_truth_needs_no_group(ct_problem):
    operator, images, Y = ct_problem
    plain = EquivariantReconstructor(operator, data_term="supervised", **TINY)
    plain.fit(Y, images)
    assert (plain.group_, plain.alpha_) == (None, 0)
    both = EquivariantReconstructor(operator, alpha=1, data_term="supervised", **TINY)
    assert isinstance(both.fit(Y, images).group_, RandomAffine)


def test_the_guide_has_the_table_of_the_code():
    if not DOC.exists():
        pytest.skip("the documentation is not beside the tests")
    lines = DOC.read_text("utf-8").splitlines()
    rows = [line for line in lines if line.startswith('| `"')]
    expected = []
    for loses, (instrument, groups, because) in RECOMMENDED.items():
        plain = groups[2]
        text = f"`{plain}`"
        if 1 in groups and repr(groups[1]) != repr(plain):
            text += f", signals `{groups[1]}`"
        expected.append(f'| `"{loses}"` | {instrument} | {text} | {because} |')
    assert rows == expected


def test_recommendation_by_axes():
    assert recommended_group("views", 3) is None
    assert recommended_group(None, 2) is None
    assert recommended_group("pixels", 3).get_params() == Shifts().get_params()


@pytest.mark.parametrize(
    ("group", "zooms"),
    [
        (Rotations(360), False),
        (Reflections(), False),
        (Shifts(), False),
        (Scalings(), True),
        (RandomAffine(), True),
        (RandomAffine(scale=(1, 1)), False),
        (RandomAffine(scale=(1, 1), shear=10, mirror=True), False),
        (Shifts() * Scalings(), True),
    ],
)
def test_f_learns_from_zoomed_images_and_does_not_change_them(group, zooms, ct_problem):
    assert group.resolve((24, 24)).changes_scale is zooms
    operator, _, Y = ct_problem
    ei = EquivariantReconstructor(operator, group, check_rank=False, **TINY).fit(Y)
    assert ei.net_.criterion_.equivariance_term.stop_gradient is zooms
    term = EquivarianceTerm(stop_gradient=not zooms)
    ei.set_params(equivariance_term=term).fit(Y)
    assert ei.net_.criterion_.equivariance_term.stop_gradient is not zooms


@pytest.mark.parametrize(
    ("n_samples", "expected"),
    [
        (1, (300, 1)),
        (2, (150, 1)),
        (80, (20, 1)),
        (10_000, (2, 1)),
        (1_000_000, (1, 1)),
    ],
)
def test_number_of_steps(n_samples, expected):
    assert choose_steps(n_samples, "auto", "auto", False) == expected
    assert choose_steps(n_samples, 3, 7, True) == (3, 7)
    assert choose_steps(n_samples, 3, "auto", False, at_least=2) == (3, 2)
    pairs = (3, 1 if n_samples == 1 else 2)
    assert choose_steps(n_samples, 3, "auto", True) == pairs


@pytest.fixture
def lines():
    """Small and fast."""
    operator = Inpainting(0.3)
    return operator, operator.measure(np.random.default_rng(0).random((6, 12)))


def test_steps_are_kept_and_shown(lines):
    operator, Y = lines
    ei = EquivariantReconstructor(operator, network=UNet(1, 1), random_state=0)
    ei.fit(Y)
    assert (ei.n_iter_, ei.batch_size_, ei.n_steps_) == (73, 1, 438)
    assert dict(ei._facts())["steps"] == "438 of batches of 1"
    assert ei.max_epochs == "auto"


def test_a_path_over_alpha_takes_parts_of_the_final_fit(lines):
    operator, Y = lines
    search = EquivariantReconstructorCV(
        operator, alphas=[1], network=UNet(1, 1), batch_size=4, random_state=0
    )
    search.fit(Y)
    assert (search.n_steps_, search.n_iter_) == (300, 150)
    assert isinstance(search.group_, Shifts)


def test_moved_objects_give_moved_images(ct_problem):
    operator, images = ParallelBeamCT(n_views=10), ct_problem[1]
    Y = operator.measure(images)
    settings = {**TINY, "precision": "float32", "max_epochs": 5, "lr": 0.02}
    ei = EquivariantReconstructor(operator, Rotations(360), **settings).fit(Y)
    mirrored = operator.measure(images[..., ::-1])
    found = ei.predict(Y)
    np.testing.assert_allclose(ei.predict(mirrored), found[..., ::-1], atol=1e-4)
    turned = ei.predict(operator.measure(np.rot90(images, axes=(1, 2))))
    np.testing.assert_allclose(turned, np.rot90(found, axes=(1, 2)), atol=1e-4)
    with torch.no_grad():  # which f alone does not
        alone, other = (
            ei.reconstruct_tensors(torch.from_numpy(y)[:, None])[:, 0].numpy()
            for y in (Y, mirrored)
        )
    assert np.abs(other[..., ::-1] - alone).max() > 1e-2
    # Among all that it says of the eight copies, f(y) itself counts an eighth.
    assert len(ei.operator_.symmetries()) == 7
    with torch.no_grad():
        answers = [
            S.move_back(ei.reconstruct_tensors(S.permute(torch.from_numpy(Y)[:, None])))
            for S in ei.operator_.symmetries()
        ]
    mean = (alone + sum(answers)[:, 0].numpy()) / 8
    np.testing.assert_allclose(found, mean, atol=1e-5)


@pytest.mark.parametrize(
    ("group", "turn", "n_copies"),
    [
        (Rotations(360), 180, 8),
        (RandomAffine(degrees=180), 180, 8),
        (RandomAffine(), 12, 2),
        (RandomAffine(mirror=True), 12, 2),
        (Rotations(angles=[-30, 30]), 30, 2),
        (Shifts() * Reflections(), 0, 2),
    ],
)
def test_copies_are_turned_as_far_as_f_has_learned(group, turn, n_copies, ct_problem):
    """Eight copies, or the image and its mirror image."""
    operator, images = ParallelBeamCT(n_views=10), ct_problem[1]
    found = group.resolve((24, 24)).largest_turn
    assert turn * 0.5 - 1e-6 <= found <= turn + 1e-6
    ei = EquivariantReconstructor(operator, group, check_rank=False, **TINY)
    ei.fit(operator.measure(images[:2]))
    assert len(ei._used_symmetries()) == n_copies - 1


def test_prediction_without_symmetries_is_f():
    operator = Inpainting(0.3)
    Y = operator.measure(np.random.default_rng(0).random((2, 12, 12)))
    ei = EquivariantReconstructor(operator, **TINY).fit(Y)
    with torch.no_grad():
        alone = ei.reconstruct_tensors(torch.from_numpy(Y)[:, None])
    np.testing.assert_array_equal(ei.predict(Y), alone[:, 0].numpy())
    assert operator.symmetries() == []
