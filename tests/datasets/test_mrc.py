"""MRC files."""

import gzip
import os

import numpy as np
import pytest

from sklearn_ei.datasets import read_mrc, write_mrc

mrcfile = pytest.importorskip("mrcfile")
SHAPE = (5, 4, 6)  # tilts, rows, bins


def write(path, data, voxel_size=(2.0, 3.0, 1.0), **fields):
    with mrcfile.new(path, overwrite=True) as file:
        file.set_data(data)
        if data.ndim == 3:
            file.set_image_stack()
        file.voxel_size = voxel_size
        for name, value in fields.items():
            file.header[name] = value


@pytest.fixture
def stack():
    return np.random.default_rng(0).normal(size=SHAPE).astype(np.float32)


@pytest.mark.parametrize("lazy", [False, True])
def test_rows_of_a_tilt_series_are_sinograms(tmp_path, stack, lazy):
    path, tilts = tmp_path / "tilts.mrc", tmp_path / "tilts.tlt"
    write(path, stack)
    tilts.write_text("-60.0\n -30\n   0\n30.5\n60\n")
    scan = read_mrc(path, tilt_file=tilts, lazy=lazy)
    np.testing.assert_array_equal(scan.measurements, np.moveaxis(stack, 0, 1))
    assert isinstance(scan.measurements, np.memmap) == lazy
    np.testing.assert_array_equal(scan.angles, [-60, -30, 0, 30.5, 60])
    assert scan.pixel_spacing == pytest.approx((3e-7, 2e-7))
    assert scan.bin_size == pytest.approx(2e-7)
    assert read_mrc(path).angles is None


@pytest.mark.parametrize("dtype", ["i1", "i2", "u2", "f2", "f4", "c8"])
def test_values_are_those_of_mrcfile(tmp_path, dtype):
    path = tmp_path / "x.mrc"
    values = np.arange(-60, 60).reshape(SHAPE)
    write(path, (values + 60 if dtype == "u2" else values).astype(dtype))
    read = read_mrc(path, "stack")
    np.testing.assert_array_equal(read.data, mrcfile.read(path))
    assert read.data.dtype == dtype
    (tmp_path / "x.mrc.gz").write_bytes(gzip.compress(path.read_bytes()))
    packed = read_mrc(tmp_path / "x.mrc.gz", "stack")
    np.testing.assert_array_equal(packed.data, read.data)
    write(path, values[0].astype(np.float32), voxel_size=0.0)
    one = read_mrc(path, "stack")
    np.testing.assert_array_equal(one.data, values[:1])
    assert one.pixel_spacing is None


@pytest.mark.parametrize(("flags", "dtype"), [(0, np.uint8), (1, np.int8)])
def test_bytes_of_imod_have_no_sign_unless_it_says_so(tmp_path, flags, dtype):
    extra = np.zeros(21, "<i4")
    extra[10:12] = 1146047817, flags
    values = np.arange(120, dtype=np.uint8).reshape(SHAPE) + 100
    write(tmp_path / "x.mrc", values.view(np.int8), extra2=extra.tobytes())
    data = read_mrc(tmp_path / "x.mrc", "stack").data
    np.testing.assert_array_equal(data, values.view(dtype))
    assert data.dtype == dtype


def test_tilts_of_an_extended_header(tmp_path, stack):
    path = tmp_path / "x.mrc"
    records = np.zeros(5, mrcfile.dtypes.get_ext_header_dtype(b"FEI1", "<"))
    records["Metadata size"] = records.dtype.itemsize
    records["Alpha tilt"] = [-2, -1, 0, 1, 2]
    with mrcfile.new(path) as file:
        file.set_data(stack)
        file.set_extended_header(records)
        file.header.exttyp = b"FEI1"
    np.testing.assert_array_equal(read_mrc(path).angles, [-2, -1, 0, 1, 2])


def test_files_that_are_refused(tmp_path, stack):
    path, tilts = tmp_path / "x.mrc", tmp_path / "x.tlt"
    write(path, stack)
    whole = path.read_bytes()
    for content in (b"text", whole[:500], whole[:-10]):
        path.write_bytes(content)
        for lazy in (False, True):
            with pytest.raises(ValueError, match=r"x\.mrc', which cannot be read"):
                read_mrc(path, lazy=lazy)
    write(path, stack, mapc=2, mapr=1)
    with pytest.raises(ValueError, match=r"MAPS \[2, 1, 3\], but expected sections"):
        read_mrc(path)
    write(path, stack, nx=2**20, ny=2**20, nz=2**10)
    with pytest.raises(ValueError, match=r"x\.mrc' with sections of shape .* GB"):
        read_mrc(path)
    with mrcfile.new(path, overwrite=True) as file:
        file.set_data(np.zeros((2, 3, 4, 5), np.float32))
    with pytest.raises(ValueError, match=r"of shape \(2, 3, 4, 5\)"):
        read_mrc(path)
    write(path, stack)
    for text, message in (
        ("1\n2\n", "Got 2 angles for 5 sections"),
        ("1\n2\n3\n4\nnan\n", "none of them NaN"),
        ("1 2\n3 4\n", r"shape \(2, 2\)"),
        ("tilt\n", r"x\.tlt', which cannot be read"),
    ):
        tilts.write_text(text)
        with pytest.raises(ValueError, match=message):
            read_mrc(path, tilt_file=tilts)
    with pytest.raises(ValueError, match="'tilts', 'stack'"):
        read_mrc(path, "volume")
    with pytest.raises(FileNotFoundError, match="tilt_file"):
        read_mrc(path, tilt_file=tmp_path / "none.tlt")
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe.mrc")
        with pytest.raises(FileNotFoundError, match="a pipe"):
            read_mrc(tmp_path / "pipe.mrc")


def test_a_volume_is_written_as_mrcfile_reads_it(tmp_path, stack):
    path = tmp_path / "volume.rec"
    write_mrc(path, stack, voxel_size=(3e-6, 2e-6, 1e-6))
    with mrcfile.open(path) as file:
        np.testing.assert_array_equal(file.data, stack)
        assert file.is_volume()
        # Å along x (columns), y (rows), z (slices)
        assert file.voxel_size.tolist() == pytest.approx((10.0, 20.0, 30.0))
    assert mrcfile.validate(path)
    again = read_mrc(path, "stack")
    np.testing.assert_array_equal(again.data, stack)
    assert again.pixel_spacing == pytest.approx((2e-6, 1e-6))
    write_mrc(path, stack)
    assert read_mrc(path, "stack").pixel_spacing is None


def test_a_volume_that_is_refused(tmp_path, stack):
    with pytest.raises(ValueError, match="voxel_size"):
        write_mrc(tmp_path / "x.mrc", stack, voxel_size=(1.0, 1.0))
    with pytest.raises(ValueError, match=r"ends in \.mrc or \.rec"):
        write_mrc(tmp_path / "x.tif", stack)
    with pytest.raises(ValueError, match="n_slices"):
        write_mrc(tmp_path / "x.mrc", stack[0])
    assert not list(tmp_path.iterdir())
