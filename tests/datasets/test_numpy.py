"""NumPy files."""

import io
import os
import zipfile

import numpy as np
import pytest

from sklearn_ei.datasets import read_numpy


@pytest.fixture
def images():
    return np.random.default_rng(0).random((12, 6, 5)).astype(np.float32)


def test_numpy_files(tmp_path, images):
    np.save(tmp_path / "one.npy", images)
    read = read_numpy(tmp_path / "one.npy")
    np.testing.assert_array_equal(read.data, images)
    assert read.filenames == [str(tmp_path / "one.npy")]
    mapped = read_numpy(str(tmp_path / "one.npy"), lazy=True).data
    assert isinstance(mapped, np.memmap)
    assert not mapped.flags.writeable
    np.savez(tmp_path / "two.npz", Y=images, x=2 * images)
    np.testing.assert_array_equal(
        read_numpy(tmp_path / "two.npz", "x").data, 2 * images
    )
    np.savez(tmp_path / "single.npz", Y=images)
    np.testing.assert_array_equal(read_numpy(tmp_path / "single.npz").data, images)


def test_numpy_files_that_are_refused(tmp_path, images):
    np.savez(tmp_path / "two.npz", Y=images, x=2 * images)
    np.save(tmp_path / "one.npy", images)
    np.save(tmp_path / "objects.npy", np.array([{}, {}]), allow_pickle=True)
    np.savez(tmp_path / "objects.npz", x=np.array([{}, {}]))
    (tmp_path / "text.npy").write_text("not an array")
    whole = (tmp_path / "one.npy").read_bytes()
    (tmp_path / "half.npy").write_bytes(whole[: len(whole) // 2])
    for name in ("objects.npy", "objects.npz", "text.npy", "half.npy"):
        with pytest.raises(ValueError, match=r"cannot be read .* expected a \.npy"):
            read_numpy(tmp_path / name)
    for key in (None, "z"):
        with pytest.raises(ValueError, match=r"expected one of 'Y', 'x'\."):
            read_numpy(tmp_path / "two.npz", key)
    with pytest.raises(ValueError, match="single array"):
        read_numpy(tmp_path / "one.npy", "Y")
    with pytest.raises(ValueError, match="cannot be mapped"):
        read_numpy(tmp_path / "two.npz", lazy=True)
    with pytest.raises(FileNotFoundError, match="expected an existing file"):
        read_numpy(tmp_path)
    with pytest.raises(TypeError, match="expected a path"):
        read_numpy(3)


def header(shape, dtype="<f8"):
    stream = io.BytesIO()
    declared = {"descr": dtype, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(stream, declared)
    return stream.getvalue()


def test_what_a_header_declares_is_checked_before_memory_is_taken(tmp_path):
    huge = header((2**20, 2**20))
    (tmp_path / "huge.npy").write_bytes(huge + bytes(80))
    with zipfile.ZipFile(tmp_path / "huge.npz", "w") as archive:
        archive.writestr("x.npy", huge + bytes(80))
    for name in ("huge.npy", "huge.npz"):
        with pytest.raises(ValueError, match=rf"{name}', which cannot be read"):
            read_numpy(tmp_path / name)
    # A file with holes is as long as it says, and takes no space.
    with open(tmp_path / "holes.npy", "wb") as file:
        file.write(huge)
        file.truncate(len(huge) + 2**43)
    with pytest.raises(ValueError, match=r"8\.8e\+03 GB, but expected .*lazy=True"):
        read_numpy(tmp_path / "holes.npy")
    assert read_numpy(tmp_path / "holes.npy", lazy=True).data.shape == (2**20, 2**20)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_pipes_are_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "x.npy")
    with pytest.raises(FileNotFoundError, match="a pipe or a device, but expected"):
        read_numpy(tmp_path / "x.npy")


def test_what_is_no_numbers_is_refused_and_complex_values_are_kept(tmp_path):
    np.save(tmp_path / "text.npy", np.array(["a", "b"]))
    np.save(tmp_path / "empty.npy", np.zeros((0, 3)))
    with pytest.raises(ValueError, match="values of type <U1"):
        read_numpy(tmp_path / "text.npy")
    with pytest.raises(ValueError, match="is not empty"):
        read_numpy(tmp_path / "empty.npy")
    kspace = np.array([[1 + 2j, 3j]], dtype=np.complex64)
    np.save(tmp_path / "kspace.npy", kspace)
    np.testing.assert_array_equal(read_numpy(tmp_path / "kspace.npy").data, kspace)


@pytest.mark.parametrize("lazy", [False, True])
def test_rows_of_projections_are_sinograms(tmp_path, images, lazy):
    path = tmp_path / "projections.npy"
    np.save(path, images)  # views, rows, bins
    scan = read_numpy(path, layout="projections", lazy=lazy)
    np.testing.assert_array_equal(scan.measurements, images.swapaxes(0, 1))
    assert isinstance(scan.measurements, np.memmap) == lazy
    assert "data" not in scan
    np.save(path, images[0])
    with pytest.raises(ValueError, match=r"shape \(6, 5\), but expected projections"):
        read_numpy(path, layout="projections")
    with pytest.raises(ValueError, match="layout"):
        read_numpy(path, layout="rows")
