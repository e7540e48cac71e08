"""What files say of networks and numbers, and what they hold."""

import tracemalloc

import numpy as np
import pytest
import torch
from scipy import sparse

from sklearn_ei import PseudoInverseReconstructor, load, save
from sklearn_ei.operators import Inpainting, MatrixOperator, ParallelBeamCT
from sklearn_ei.persistence._decode import Decoder
from sklearn_ei.persistence._encode import Encoder
from sklearn_ei.persistence._values import (
    all_finite,
    check_columns,
    check_fitted_values,
    check_planned_network,
)
from sklearn_ei.utils.tensor_file import read_file, write_file

NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("value", "finite"),
    [
        (1.0, True),
        (NAN, False),
        (-INF, False),
        ("nan", True),
        (None, True),
        ([1, {"a": (2.0, INF)}], False),
        (np.array(["nan"]), True),
        (np.array([1, 2]), True),
        (np.array([[1.0, NAN]]), False),
        (np.array([1, 1j * np.inf]), False),
        (np.r_[np.zeros(2**20 + 5), np.inf], False),
        (np.full(3, 3e38, np.float32), True),  # whose sum is not
        (np.float16(65504) * np.ones(4, np.float16), True),
        (torch.tensor([1.0, NAN]), False),
        (torch.ones(2, 2).T, True),
        (torch.tensor([1]), True),
        (sparse.csc_array(np.diag([1.0, NAN])), False),
        (sparse.csr_array(np.eye(2)), True),
    ],
)
def test_all_finite(value, finite):
    assert all_finite(value) is finite


@pytest.mark.parametrize("scale", [1e-300, 1e-31, 0.0, -1.0, 1e31, NAN, "1", [1.0, 0]])
def test_scales_that_float32_cannot_divide_by(scale):
    linear = PseudoInverseReconstructor(Inpainting(0.3)).fit(np.ones((2, 5)))
    check_fitted_values(linear)
    linear.scale_ = np.array([1e-20, 3e20])
    check_fitted_values(linear)
    linear.scale_ = scale
    with pytest.raises(ValueError, match="scale_ is not"):
        check_fitted_values(linear)


def test_fitted_numbers_are_finite_but_for_scores():
    linear = PseudoInverseReconstructor(Inpainting(0.3)).fit(np.ones((2, 5)))
    linear.history_ = [{"loss": NAN}]
    linear.cv_results_ = {"mean_test_score": np.array([NAN])}
    check_fitted_values(linear)
    linear.factor_ = INF
    with pytest.raises(ValueError, match="factor_ is not finite"):
        check_fitted_values(linear)


@pytest.mark.parametrize(
    "operator",
    [
        ParallelBeamCT(8, detector_offset=NAN),
        Inpainting(mask=np.array([1.0, NAN])),
        MatrixOperator(sparse.csr_array(np.diag([1.0, INF]))),
    ],
)
def test_parameters_that_are_not_finite_are_not_saved(operator, tmp_path):
    with pytest.raises(ValueError, match=r"operator\.\w+=.*but expected finite"):
        save(PseudoInverseReconstructor(operator), tmp_path / "file")
    assert not (tmp_path / "file").exists()


def test_sparse_matrices_describe_no_more_than_they_hold(tmp_path):
    check_columns(2**22, 0)
    check_columns(16 * 10**7, 10**7)
    with pytest.raises(ValueError, match="600000000 columns in 3700 bytes"):
        check_columns(600_000_000, 3700)
    # One pixel of a hundred: a few bytes each, and an honest matrix.
    n = 10**7
    seen = np.arange(0, n, 100)
    parts = (np.ones(len(seen), np.float32), seen, np.arange(len(seen) + 1))
    honest = sparse.csr_array(parts, shape=(len(seen), n))
    back = load(save(PseudoInverseReconstructor(honest), tmp_path / "file")).operator
    assert back.shape == honest.shape
    assert (back != honest).nnz == 0
    empty = sparse.csr_array((16, 600_000_000))
    with pytest.raises(ValueError, match="Got a sparse matrix with 600000000 columns"):
        save(PseudoInverseReconstructor(empty), tmp_path / "file")


def test_a_matrix_is_made_once_however_often_it_is_named(tmp_path):
    matrix = sparse.random_array((200, 300), density=0.2, rng=0).todok()
    encoder = Encoder()
    encoded = encoder.value(matrix, "matrix")
    write_file(tmp_path / "file", {"it": encoded}, encoder.tensors)
    document, tensors = read_file(tmp_path / "file")
    decoder = Decoder(tensors, {})
    first = decoder.value(document["it"])
    tracemalloc.start()
    assert all(decoder.value(document["it"]) is first for _ in range(1000))
    assert tracemalloc.get_traced_memory()[1] < 2**20
    tracemalloc.stop()
    np.testing.assert_array_equal(first.toarray(), matrix.toarray())


class Sized(torch.nn.Module):
    """A user's network whose size could be a number of the file."""

    def __init__(self, width=3):
        super().__init__()
        self.layer = torch.nn.Conv2d(1, width, 3)

    def forward(self, x):
        raise AssertionError("a network was called while it was loaded")


@pytest.fixture
def stored(tmp_path):
    """Return a decoder of a file with the weights of a network."""
    encoder = Encoder()
    names = encoder.state(Sized(), "network")
    write_file(tmp_path / "file", {}, encoder.tensors)
    return Decoder(read_file(tmp_path / "file")[1], {}), names


def test_networks_beyond_their_weights_take_no_memory(stored):
    decoder, names = stored
    check_planned_network(Sized, names, decoder, 1, of_user=True)
    for width in (4, 10**9):
        with pytest.raises(ValueError, match="has other weights"):
            check_planned_network(
                lambda w=width: Sized(w), names, decoder, 1, of_user=True
            )
    with pytest.raises(ValueError, match="larger than its weights"):
        check_planned_network(Sized, names, decoder, 10**6, of_user=True)
    assert not decoder.used
    assert not decoder.tensors._read


def test_a_network_of_the_user_may_need_memory_to_be_made(stored):
    decoder, names = stored

    class Measured(Sized):
        def __init__(self):
            super().__init__()
            self.norm = float(self.layer.weight.norm())  # not without memory

    check_planned_network(Measured, names, decoder, 1, of_user=True)
    with pytest.raises((NotImplementedError, RuntimeError)):
        check_planned_network(Measured, names, decoder, 1, of_user=False)


def test_weights_are_compared_before_they_are_read(stored):
    decoder, names = stored
    network = Sized()
    decoder.load_state(network, names)
    assert torch.equal(network.layer.weight, decoder.tensors[names["layer.weight"]])
    for other in (Sized(4), Sized().double()):
        with pytest.raises(ValueError, match="but the network expects"):
            decoder.load_state(other, names)


def test_numbers_of_the_file_reach_no_class_without_parameters():
    decoder = Decoder({}, {"Sized": Sized})
    with pytest.raises(ValueError, match="Sized has no get_params"):
        decoder.value({"custom": "Sized", "params": {"width": 10**9}})
    assert isinstance(decoder.value({"custom": "Sized"}), Sized)
