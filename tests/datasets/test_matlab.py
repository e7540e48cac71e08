"""MATLAB files."""

import numpy as np
import pytest
from scipy import sparse
from scipy.io import loadmat, savemat

from sklearn_ei.datasets import read_matlab

h5py = pytest.importorskip("h5py")
DATA = np.random.default_rng(0).normal(size=(3, 4, 5))


def write_73(path, **variables):
    """Write a file as MATLAB does with -v7.3: its header, axes reversed, classes."""
    with h5py.File(path, "w", userblock_size=512) as file:
        for name, value in variables.items():
            _put(file, name, value)
        file.create_group("#refs#")
    header = b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(124) + b"\x00\x02IM"
    with open(path, "r+b") as file:
        file.write(header)


def _put(group, name, value):
    if isinstance(value, dict):
        group.create_group(name).attrs["MATLAB_class"] = np.bytes_("struct")
        for key, entry in value.items():
            _put(group[name], key, entry)
        return
    kind = "char"
    if isinstance(value, str):
        value = np.frombuffer(value.encode("utf-16-le"), np.uint16)[np.newaxis]
    else:
        value = np.asarray(value)
        kind = {"f4": "single", "u2": "uint16", "b1": "logical"}.get(
            value.dtype.str[1:], "double"
        )
        if value.dtype.kind == "b":
            value = value.astype(np.uint8)
        if value.dtype.kind == "c":
            parts = np.empty(value.shape, [("real", "f8"), ("imag", "f8")])
            parts["real"], parts["imag"] = value.real, value.imag
            value = parts
    group[name] = value.T
    group[name].attrs["MATLAB_class"] = np.bytes_(kind)


@pytest.fixture(params=["4", "5", "7.3"])
def write(request, tmp_path):
    path = tmp_path / "x.mat"

    def function(**variables):
        if request.param == "7.3":
            write_73(path, **variables)
        else:
            savemat(path, variables, format=request.param, do_compression=True)
        return path

    function.version = request.param
    return function


def test_arrays_have_the_shape_of_matlab(write):
    matrix = DATA[0]
    for value in (matrix, matrix.astype(np.float32), matrix + 2j * matrix[::-1]):
        path = write(x=value, text="1/mm")
        for key in (None, "x"):
            np.testing.assert_array_equal(read_matlab(path, key).data, value)
    if write.version != "4":
        for value in (DATA, DATA.astype(np.uint16), DATA > 0):
            found = read_matlab(write(x=value)).data
            np.testing.assert_array_equal(found, value)
    np.testing.assert_array_equal(read_matlab(write(x=np.ones((1, 1)))).data, [[1]])


def test_fields_of_structs(write):
    if write.version == "4":
        pytest.skip("version 4 has no structs")
    path = write(scan={"sinogram": DATA, "geometry": {"angles": DATA[0]}, "unit": "m"})
    np.testing.assert_array_equal(read_matlab(path, "scan.sinogram").data, DATA)
    angles = read_matlab(path, "scan.geometry.angles").data
    np.testing.assert_array_equal(angles, DATA[0])
    for key, message in (
        ("scan", "'scan' of type .*, but expected an array of numbers"),
        ("scan.unit", "expected an array of numbers"),
        ("scan.none", "Got key='scan.none'"),
        ("scan.sinogram.none", "Got key='scan.sinogram.none'"),
        (None, "with 0 variables of numbers"),
    ):
        with pytest.raises(ValueError, match=message):
            read_matlab(path, key)


def test_variables_that_are_refused(write):
    path = write(x=DATA[0], y=DATA[1], text="1/mm")
    with pytest.raises(ValueError, match="with 2 variables of numbers: x, y, but"):
        read_matlab(path)
    for key, message in (("z", "Got key='z' .* with "), ("text", "array of numbers")):
        with pytest.raises(ValueError, match=message):
            read_matlab(path, key)
    with pytest.raises(TypeError, match="name of a variable"):
        read_matlab(path, 3)


def test_files_that_are_refused(tmp_path):
    path = tmp_path / "x.mat"
    savemat(path, {"x": DATA, "s": sparse.eye_array(3), "c": np.array([{}, 1], object)})
    for key in ("s", "c"):
        with pytest.raises(ValueError, match="expected an array of numbers"):
            read_matlab(path, key)
    savemat(path, {"x": np.zeros((0, 3))})
    with pytest.raises(ValueError, match="not empty"):
        read_matlab(path, "x")
    savemat(path, {"x": DATA})
    whole = path.read_bytes()
    for content in (b"text", whole[:200], whole[:-8]):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"x\.mat', which cannot be read"):
            read_matlab(path, "x")
    at = whole.index(np.array([3, 4, 5], "<i4").tobytes())
    sizes = np.array([2**20, 2**20, 2**20], "<i4").tobytes()
    path.write_bytes(whole[:at] + sizes + whole[at + 12 :])
    with pytest.raises(ValueError, match=r"x\.mat' with 'x' of shape .* GB"):
        read_matlab(path)
    with pytest.raises(FileNotFoundError, match="existing file"):
        read_matlab(tmp_path / "none.mat")


def test_version_73_may_lack_parts(tmp_path):
    path = tmp_path / "x.mat"
    write_73(path, x=DATA)
    with h5py.File(path, "r+") as file:
        file.create_dataset("y", (4, 4), "f8").attrs["MATLAB_class"] = b"double"
        file["z"] = np.array([3, 0], np.uint64)
        file["z"].attrs["MATLAB_class"] = b"double"
        file["z"].attrs["MATLAB_empty"] = 1
    with pytest.raises(ValueError, match="never written"):
        read_matlab(path, "y")
    with pytest.raises(ValueError, match="not empty"):
        read_matlab(path, "z")
    np.testing.assert_array_equal(read_matlab(path, "x").data, DATA)


def test_a_file_that_scipy_reads_is_read_alike(tmp_path):
    savemat(tmp_path / "x.mat", {"x": DATA > 0, "y": np.int16([[1, -2]])})
    for key in "xy":
        expected = loadmat(tmp_path / "x.mat")[key]
        found = read_matlab(tmp_path / "x.mat", key).data
        np.testing.assert_array_equal(found, expected)
        assert found.dtype == expected.dtype
