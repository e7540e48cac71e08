"""Measurements that are larger than memory, and GPUs that are too small."""

import warnings

import numpy as np
import pytest
import torch
from skorch.callbacks import Callback
from torch.utils.data import Dataset, IterableDataset, TensorDataset

from sklearn_ei import EquivariantReconstructor, PseudoInverseReconstructor
from sklearn_ei.datasets import make_thorax_phantoms
from sklearn_ei.groups import Rotations, Shifts
from sklearn_ei.networks import UNet, Unrolled
from sklearn_ei.noise import GaussianNoise
from sklearn_ei.operators import Inpainting, ParallelBeamCT
from sklearn_ei.utils import stack as stacks
from sklearn_ei.utils.layout import Layout

OPERATOR = ParallelBeamCT(8, (16, 16))
IMAGES = make_thorax_phantoms(8, (16, 16), random_state=0)
Y = OPERATOR.measure(IMAGES)


def make(**parameters):
    settings = {"group": Rotations(360), "max_epochs": 2, "batch_size": 3}
    settings |= {"network": Unrolled(UNet(4, 2), n_stages=2), "random_state": 0}
    return EquivariantReconstructor(OPERATOR, **{**settings, **parameters})


def weights(estimator):
    state = estimator.net_.module_.state_dict()
    return torch.cat([tensor.double().flatten() for tensor in state.values()])


class Samples(Dataset):
    """Notes how many samples are asked for."""

    def __init__(self, *stacks):
        self.stacks, self.n_read = stacks, 0

    def __len__(self):
        return len(self.stacks[0])

    def __getitem__(self, i):
        self.n_read += 1
        items = tuple(torch.as_tensor(np.array(stack[i])) for stack in self.stacks)
        return items if len(items) > 1 else items[0]


class Chunked:
    """What HDF5 and zarr arrays have in common, counting what is read at once."""

    chunks = None

    def __init__(self, array):
        self.array, self.shape, self.dtype = array, array.shape, array.dtype
        self.most = 0

    def __getitem__(self, index):
        if not isinstance(index, slice):  # as HDF5 insists
            assert (np.diff(index) > 0).all()
        values = self.array[index]
        self.most = max(self.most, len(values))
        return values

    def __array__(self, *args, **kwargs):
        raise AssertionError("read as a whole")


def memory_map(folder, array, monkeypatch):
    monkeypatch.setattr(stacks, "_LAZY_BYTES", 0)
    path = folder / "Y.npy"
    np.save(path, array)
    return np.load(path, mmap_mode="r")


def hdf5(folder, array, monkeypatch):
    file = pytest.importorskip("h5py").File(folder / "Y.h5", "w")
    return file.create_dataset("Y", data=array, chunks=(2, *array.shape[1:]))


def zarr(folder, array, monkeypatch):
    zarr = pytest.importorskip("zarr")
    stored = zarr.create_array(
        str(folder / "Y.zarr"),
        shape=array.shape,
        dtype=array.dtype,
        chunks=(2, *array.shape[1:]),
    )
    stored[:] = array
    return stored


def data_set(folder, array, monkeypatch):
    return Samples(array)


def tensor_data_set(folder, array, monkeypatch):
    return TensorDataset(torch.from_numpy(array))


def chunked(folder, array, monkeypatch):
    return Chunked(array)


KINDS = [memory_map, hdf5, zarr, data_set, tensor_data_set, chunked]


@pytest.fixture(scope="module")
def in_memory():
    return make().fit(Y)


@pytest.mark.parametrize("kind", KINDS)
def test_same_bits_as_in_memory(kind, in_memory, tmp_path, monkeypatch):
    lazy = kind(tmp_path, Y, monkeypatch)
    ei = make().fit(lazy)
    assert torch.equal(weights(ei), weights(in_memory))
    assert ei.scale_ == in_memory.scale_
    assert ei.n_features_in_ == in_memory.n_features_in_
    np.testing.assert_array_equal(ei.predict(lazy), in_memory.predict(Y))
    assert ei.score(lazy) == in_memory.score(Y)


@pytest.mark.parametrize(
    "parameters",
    [
        {"early_stopping": 0.3},
        {"noise": GaussianNoise(0.02)},
        {"data_term": "supervised"},
    ],
)
def test_same_bits_with_other_parameters(parameters):
    whole = make(**parameters).fit(Y, IMAGES)
    lazy = make(**parameters).fit(Chunked(Y), Chunked(IMAGES))
    assert torch.equal(weights(lazy), weights(whole))


def test_noise_is_estimated_from_the_same_samples():
    operator = ParallelBeamCT(40, (16, 16))
    noisy = GaussianNoise(0.1).add(operator.measure(IMAGES), random_state=0)
    whole, lazy = (
        GaussianNoise().resolve(
            operator, stacks.stack_to_tensor(stack, Layout(channels="none"))
        )
        for stack in (noisy, stacks.LazyStack(Chunked(noisy), "Y"))
    )
    assert lazy.sigma == whole.sigma > 0


def test_channels_and_other_dtypes():
    colour = np.random.default_rng(0).integers(0, 255, (5, 8, 8, 3), dtype=np.uint8)
    settings = {"max_epochs": 1, "network": Unrolled(UNet(2, 2)), "random_state": 0}
    whole, lazy = (
        EquivariantReconstructor(Inpainting(0.3), Shifts(), **settings).fit(stack)
        for stack in (colour, Chunked(colour))
    )
    assert torch.equal(weights(lazy), weights(whole))
    expected = whole.predict(colour.astype(float))
    np.testing.assert_array_equal(lazy.predict(Chunked(colour)), expected)


def test_pairs_of_a_data_set_are_ground_truth():
    known = IMAGES.copy()
    known[2:4] = np.nan
    for truth in (IMAGES, known):
        whole = make(data_term="supervised").fit(Y, truth)
        pairs = make(data_term="supervised").fit(Samples(Y, truth))
        assert torch.equal(weights(pairs), weights(whole))
    np.testing.assert_array_equal(pairs.predict(Samples(Y, known)), whole.predict(Y))


def test_a_whole_stack_is_never_in_memory(monkeypatch):
    monkeypatch.setattr(stacks, "_CHUNK", 3 * Y[0].size)
    monkeypatch.setattr("sklearn_ei.utils.stack_check._CHUNK", 3 * Y[0].size)
    monkeypatch.setattr("sklearn_ei.reconstruction._start._SAMPLES", 3)
    many = Chunked(np.concatenate([Y] * 5))
    ei = make(max_epochs=1, noise=None).fit(many)
    assert many.most == 3
    ei.predict(many)
    assert many.most == ei._predict_batch_size


def test_small_memory_maps_are_read_at_once(tmp_path, in_memory):
    np.save(tmp_path / "Y.npy", Y)
    small = np.load(tmp_path / "Y.npy", mmap_mode="r")
    assert not stacks.is_lazy(small)
    assert not any(map(stacks.is_lazy, (Y, Y.tolist(), torch.from_numpy(Y))))
    np.testing.assert_array_equal(in_memory.predict(small), in_memory.predict(Y))


def test_checkpoints_know_equal_content(tmp_path):
    path = tmp_path / "fit.checkpoint"
    whole = make(checkpoint=path).fit(Y)
    before = path.read_bytes()
    again = make(checkpoint=path).fit(Samples(Y))
    assert torch.equal(weights(again), weights(whole))
    other = Y.copy()
    other[5, 3, 3] += 1
    with pytest.raises(ValueError, match="differs in Y;"):
        make(checkpoint=path).fit(Chunked(other))
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda y: y[5].fill(np.nan), ValueError, "nothing but NaN in sample 5"),
        (lambda y: y[2].fill(np.inf), ValueError, "Y contains infinity .* sample 2"),
        (lambda y: y.fill(1e16), ValueError, "Y has values up to 1e"),
    ],
)
def test_bad_values_are_found_before_training(change, error, message):
    bad = Y.copy()
    change(bad)
    for lazy in (Chunked(bad), Samples(bad)):
        ei = make()
        before = dict(vars(ei))
        with pytest.raises(error, match=message):
            ei.fit(lazy)
        assert vars(ei) == before


class Unsized(Dataset):
    def __getitem__(self, i):
        return Y[i]


class Stream(IterableDataset):
    def __iter__(self):
        yield from Y


@pytest.mark.parametrize(
    ("lazy", "error", "message"),
    [
        (Chunked(Y.astype(complex)), ValueError, "Complex data not supported"),
        (Chunked(Y.astype(str)), ValueError, "expected real numbers"),
        (Chunked(Y[:0]), ValueError, r"with 0 sample\(s\)"),
        (Chunked(Y[0, 0]), ValueError, "Expected 2D array, got 1D"),
        (Samples([*Y[:2], Y[0, :3]]), ValueError, "sample 2 has shape"),
        (Samples([*Y[:2], Y[0] + 1j]), ValueError, "sample 2 has dtype complex"),
        (Samples([]), ValueError, r"with 0 sample\(s\)"),
        (Unsized(), TypeError, "without a length"),
        (Stream(), TypeError, "map-style Dataset"),
    ],
)
def test_bad_stacks_are_refused(lazy, error, message):
    with pytest.raises(error, match=message):
        make().fit(lazy)


def test_another_shape_than_in_fit_and_truth_of_another(in_memory):
    with pytest.raises(ValueError, match="was fitted on measurements of shape"):
        in_memory.predict(Chunked(Y[:, :, :-1]))
    with pytest.raises(ValueError, match="y has images of shape"):
        make(data_term="supervised").fit(Y, Chunked(IMAGES[:, :-1]))
    with pytest.raises(ValueError, match="one entry for each measurement"):
        make(data_term="supervised").fit(Y, Chunked(IMAGES[:-1]))


def test_out_that_is_what_is_read(tmp_path, monkeypatch):
    frames = np.random.default_rng(0).random((6, 8, 8)).astype(np.float32)
    np.save(tmp_path / "Y.npy", frames)
    monkeypatch.setattr(stacks, "_LAZY_BYTES", 0)
    lazy = np.load(tmp_path / "Y.npy", mmap_mode="r+")
    linear = PseudoInverseReconstructor(Inpainting(0.3)).fit(lazy)
    with pytest.raises(ValueError, match="shares memory with Y"):
        linear.predict(lazy, out=lazy)
    out = np.zeros_like(frames)
    np.testing.assert_array_equal(linear.predict(lazy, out=out), linear.predict(frames))


class Small:
    """A GPU for so many samples."""

    def __init__(self, function, limit):
        self.function, self.limit, self.sizes = function, limit, []

    def __call__(self, y, *args, **kwargs):
        self.sizes.append(len(y))
        if len(y) > self.limit:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")
        return self.function(y, *args, **kwargs)


def test_predict_halves_its_batch(monkeypatch):
    linear = PseudoInverseReconstructor(OPERATOR).fit(Y)
    many = np.concatenate([Y, Y, Y[:5]])
    expected = linear.predict(many)
    small = Small(linear._reconstruct, 4)
    monkeypatch.setattr(linear, "_reconstruct", small)
    with pytest.warns(RuntimeWarning, match="out of memory with .*; going on") as seen:
        images = linear.predict(many)
    assert [str(w.message)[-3:] for w in seen] == [" 8.", " 4."]
    assert small.sizes == [16, 8, 4, 4, 4, 4, 4, 1]
    np.testing.assert_allclose(images, expected, rtol=1e-5, atol=1e-5)
    small.limit = 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        with pytest.raises(MemoryError, match="with a single sample"):
            linear.predict(many)


class Fail(Callback):
    """Fails in the third epoch."""

    def __init__(self, error):
        self.error = error

    def on_batch_end(self, net, **kwargs):
        if len(net.history) == 3:
            raise self.error("too much")


def test_fit_says_what_to_try_and_keeps_the_last_epoch():
    ei = make(max_epochs=5)
    with pytest.warns(UserWarning, match="interrupted"):
        stopped = make(max_epochs=5, callbacks=[Fail(KeyboardInterrupt)]).fit(Y)
    ei.callbacks = [Fail(torch.cuda.OutOfMemoryError)]
    with pytest.raises(MemoryError, match=r"epoch 3: got batch_size=3, .*size=1"):
        ei.fit(Y)
    assert ei.n_iter_ == 2
    assert torch.equal(weights(ei), weights(stopped))
    with pytest.raises(MemoryError, match="a smaller network"):
        ei.set_params(batch_size=1).fit(Y)
