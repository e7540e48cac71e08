"""HDF5 files of strangers, and data that stays in them."""

import os
import pickle

import numpy as np
import pytest
from joblib import Parallel, delayed
from sklearn.model_selection import ShuffleSplit, cross_val_score, train_test_split

from sklearn_ei import PseudoInverseReconstructor
from sklearn_ei.datasets import read_hdf5
from sklearn_ei.operators import ParallelBeamCT

h5py = pytest.importorskip("h5py")
DATA = np.random.default_rng(0).random((12, 4, 5)).astype(np.float32)


def read(path, **options):
    return read_hdf5(path, "data", **options).data


@pytest.fixture
def path(tmp_path):
    """The name of a file, in a folder of its own."""
    (tmp_path / "scan" / "parts").mkdir(parents=True)
    return tmp_path / "scan" / "main.h5"


def write(path, data=DATA, **options):
    with h5py.File(path, "w") as file:
        file.create_dataset("data", data=data, **options)


def write_virtual(path, names):
    layout = h5py.VirtualLayout((12, 4, 5), "f4")
    step = 12 // len(names)
    for i, name in enumerate(names):
        part = slice(i * step, (i + 1) * step)
        layout[part] = h5py.VirtualSource(str(name), "data", shape=(step, 4, 5))
    with h5py.File(path, "w") as file:
        file.create_virtual_dataset("data", layout)


# --------------------------------------------------------------- parts of a file
def test_virtual_data_of_files_in_the_folder_is_read(path):
    parts = [path.parent / "parts" / f"{i}.h5" for i in range(3)]
    for i, part in enumerate(parts):
        write(part, DATA[4 * i : 4 * i + 4])
    write_virtual(path, ["parts/0.h5", parts[1], "parts/2.h5"])
    np.testing.assert_array_equal(read(path), DATA)
    with read(path, lazy=True) as lazy:
        np.testing.assert_array_equal(lazy[[7, 0]], DATA[[7, 0]])
    with h5py.File(path, "a") as file:  # of another data set of the same file
        file["whole"] = DATA
        layout = h5py.VirtualLayout((12, 4, 5), "f4")
        whole = h5py.VirtualSource(".", "whole", shape=(12, 4, 5))
        layout[:6], layout[6:] = whole[6:], whole[:6]
        file.create_virtual_dataset("turned", layout)
    turned = read_hdf5(path, "turned").data
    np.testing.assert_array_equal(turned, np.roll(DATA, 6, axis=0))


def test_virtual_data_with_a_part_missing_is_refused(path, tmp_path):
    write(path.parent / "a.h5", DATA[:6])
    write_virtual(path, ["a.h5", "b.h5"])
    with pytest.raises(ValueError, match=r"main\.h5' with .*b\.h5', which is not"):
        read(path)
    # HDF5 itself says nothing.
    with h5py.File(path) as file:
        assert not file["data"][6:].any()
    write(path.parent / "b.h5", DATA[6:10])
    with pytest.raises(ValueError, match=r"b\.h5', 'data', which is .* too small"):
        read(path)
    write(tmp_path / "b.h5", DATA[6:])
    write_virtual(path, ["a.h5", "../b.h5"])
    with pytest.raises(ValueError, match="put both in one folder"):
        read(path)
    (path.parent / "link.h5").symlink_to(tmp_path / "b.h5")
    write_virtual(path, ["a.h5", "link.h5"])
    with pytest.raises(ValueError, match="put both in one folder"):
        read(path)
    layout = h5py.VirtualLayout((12, 4, 5), "f4")
    layout[:6] = h5py.VirtualSource("a.h5", "data", shape=(6, 4, 5))
    with h5py.File(path, "w") as file:
        file.create_virtual_dataset("data", layout)
    with pytest.raises(ValueError, match="120 of whose 240 values have a source"):
        read(path)
    write_virtual(path, ["main.h5"])
    with pytest.raises(ValueError, match="that is its own source"):
        read(path)
    write(path.parent / "0.h5", DATA[:1])
    layout = h5py.VirtualLayout((12, 4, 5), "f4", maxshape=(None, 4, 5))
    layout[: h5py.h5s.UNLIMITED] = h5py.VirtualSource("%b.h5", "data", shape=(1, 4, 5))
    with h5py.File(path, "w") as file:
        file.create_virtual_dataset("data", layout)
    with pytest.raises(ValueError, match=r"from the pattern '%b\.h5'"):
        read(path)


def test_chunks_that_were_never_written_are_refused_where_they_are_asked_for(path):
    with h5py.File(path, "w") as file:
        data = file.create_dataset("data", (12, 4, 5), "f4", chunks=(2, 4, 3))
        data[:7] = DATA[:7]
        data[10:, :, :3] = 1
    with pytest.raises(ValueError, match=r"which 3 part.* first at \(8, 0, 0\).*samp"):
        read(path)
    with pytest.raises(ValueError, match=r"which 1 part.* the first at \(10, 0, 3\)"):
        read(path, samples=slice(-1, None))
    np.testing.assert_array_equal(read(path, samples=slice(1, 7)), DATA[1:7])
    np.testing.assert_array_equal(read(path, samples=slice(6, 0, -1)), DATA[6:0:-1])
    with h5py.File(path, "w") as file:
        file.create_dataset("data", (12, 4, 5), "f4")
    with pytest.raises(ValueError, match="never written"):
        read(path)


def test_links_are_followed_in_the_folder_only(path, tmp_path):
    write(path.parent / "parts" / "a.h5")
    write(tmp_path / "outside.h5")
    with h5py.File(path, "w") as file:
        file["inside"] = h5py.ExternalLink("parts/a.h5", "/")
        file["data"] = h5py.SoftLink("inside/data")
        file["group/up"] = h5py.SoftLink("../data")
        file["outside"] = h5py.ExternalLink("../outside.h5", "/data")
        file["gone"] = h5py.ExternalLink("none.h5", "/data")
        file["nothing"] = h5py.SoftLink("/never")
        file["loop"] = h5py.SoftLink("/loop")
    for name in ("data", "inside/data", "group/up"):
        np.testing.assert_array_equal(read_hdf5(path, name).data, DATA)
        with read_hdf5(path, name, lazy=True).data as lazy:
            np.testing.assert_array_equal(lazy[3:5], DATA[3:5])
    for name, message in (
        ("outside", r"'outside' in .*outside\.h5', but expected files in"),
        ("gone", r"none\.h5', which is not there"),
        ("nothing", "expected a data set 'nothing'"),
        ("loop", "links that do not end"),
        ("data/more", "expected a data set 'data/more'"),
    ):
        with pytest.raises(ValueError, match=message):
            read_hdf5(path, name)


def test_external_storage_is_refused(path):
    secret = path.parent / "secret"
    secret.write_bytes(bytes(960))
    with h5py.File(path, "w") as file:
        file.create_dataset("data", (12, 4, 5), "f4", external=[(str(secret), 0, 960)])
    with pytest.raises(ValueError, match=r"in the file .*secret', .* is not followed"):
        read(path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_pipes_are_not_waited_for(path):
    os.mkfifo(path.parent / "pipe.h5")
    write_virtual(path, ["pipe.h5"])
    with pytest.raises(ValueError, match="is not there"):
        read(path)
    with pytest.raises(FileNotFoundError, match="a pipe"):
        read(path.parent / "pipe.h5")


def test_sizes_are_checked_before_memory_is_taken(path):
    with h5py.File(path, "w") as file:
        data = file.create_dataset("data", (2**32, 2**12), "f4", chunks=(2, 2**12))
        data[0] = 1
    with pytest.raises(ValueError, match=r"takes 7\.04e\+04 GB, but expected"):
        read(path)
    assert read(path, samples=slice(2)).shape == (2, 2**12)


# ------------------------------------------------------------------------- lazily
@pytest.fixture
def lazy(path):
    write(path, chunks=(5, 4, 5))
    with read(path, lazy=True) as stack:
        yield stack


@pytest.mark.parametrize(
    "index",
    [
        3,
        -1,
        np.int64(2),
        slice(None),
        slice(9, 2, -3),
        [5, 0, 0, 11],
        np.array([4, 5, 6]),
        np.array([6, 5, 4]),
        np.array([], int),
        np.arange(12) % 3 == 0,
        (np.array([3, 1]), Ellipsis),
        (slice(2, 4), 1),
        (2, slice(None), 3),
        (Ellipsis, 0),
    ],
)
def test_indexing_is_that_of_arrays(lazy, index):
    np.testing.assert_array_equal(lazy[index], DATA[index])
    assert lazy[index].dtype == DATA.dtype


def test_what_it_tells(lazy):
    assert (lazy.shape, lazy.ndim, lazy.size, len(lazy)) == (DATA.shape, 3, 240, 12)
    assert lazy.chunks == (5, 4, 5)
    np.testing.assert_array_equal(np.asarray(lazy), DATA)
    assert "main.h5" in repr(lazy)
    for bad in (12, [0, 12]):
        with pytest.raises(IndexError):
            lazy[bad]


def test_a_file_that_changed_meanwhile_is_refused(lazy, path):
    lazy.close()
    write(path, DATA[:6])
    with pytest.raises(ValueError, match=r"\(12, 4, 5\), as when it was first"):
        lazy[0]
    path.unlink()
    lazy.close()
    with pytest.raises(ValueError, match="which cannot be read"):
        lazy[0]


def test_scikit_learn_splits_what_is_in_a_file(lazy):
    labels = np.arange(12)
    train, test, y_train, y_test = train_test_split(lazy, labels, random_state=0)
    np.testing.assert_array_equal(train, DATA[y_train])
    np.testing.assert_array_equal(test, DATA[y_test])
    for train, _ in ShuffleSplit(2, random_state=0).split(lazy):
        np.testing.assert_array_equal(lazy[train], DATA[train])


def _mean_of(stack, index):
    return float(stack[index].mean())


@pytest.mark.parametrize(
    "backend", [pytest.param("loky", marks=pytest.mark.slow), "threading"]
)
def test_workers_open_the_file_themselves(lazy, backend):
    assert lazy[0].shape == (4, 5)  # it is open here
    found = Parallel(n_jobs=2, backend=backend)(
        delayed(_mean_of)(lazy, [i, 0]) for i in range(4)
    )
    np.testing.assert_allclose(found, [DATA[[i, 0]].mean() for i in range(4)])
    again = pickle.loads(pickle.dumps(lazy))
    np.testing.assert_array_equal(again[[2, 1]], DATA[[2, 1]])
    again.close()


def test_scores_of_what_is_in_a_file(path):
    operator = ParallelBeamCT(n_views=9, image_shape=(8, 8))
    images = np.random.default_rng(0).random((6, 8, 8))
    Y = operator.measure(images)
    write(path, Y)
    fbp = PseudoInverseReconstructor(operator)
    expected = cross_val_score(fbp, Y, cv=3)
    with read(path, lazy=True) as stack:
        for n_jobs in (1, 2):
            scores = cross_val_score(fbp, stack, cv=3, n_jobs=n_jobs)
            np.testing.assert_allclose(scores, expected, rtol=1e-5)
