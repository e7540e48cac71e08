"""NumPy files, TIFF stacks and NIfTI volumes."""

import numpy as np
import pytest

from sklearn_ei.datasets import read_numpy, read_tiff_stack, write_nifti, write_tiff

tifffile = pytest.importorskip("tifffile")
nibabel = pytest.importorskip("nibabel")


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


def test_tiff_round_trip(tmp_path, images):
    write_tiff(tmp_path / "x.tif", images, pixel_spacing=(0.5, 0.25))
    read = read_tiff_stack(tmp_path / "x.tif")
    np.testing.assert_array_equal(read.data, images)
    assert read.data.dtype == np.float32
    assert read.pixel_spacing == pytest.approx((0.5, 0.25))
    colour = np.stack([images] * 3, axis=-1)
    for stack in (colour, images[:1], colour[:1]):
        write_tiff(tmp_path / "y.TIFF", stack)
        read = read_tiff_stack(str(tmp_path / "y.TIFF"))
        np.testing.assert_array_equal(read.data, stack)
        assert read.pixel_spacing is None


def test_folders_of_frames_are_read_by_number(tmp_path, images):
    counts = (1000 * images).astype(np.uint16)
    for number, frame in enumerate(counts):
        tifffile.imwrite(tmp_path / f"view_{number}.tif", frame)
    (tmp_path / "notes.txt").write_text("180 kV")
    (tmp_path / "._view_0.tif").write_bytes(b"left by a file manager")
    read = read_tiff_stack(tmp_path)
    np.testing.assert_array_equal(read.data, counts)
    assert read.data.dtype == np.uint16
    assert read.filenames[2].endswith("view_2.tif")

    tifffile.imwrite(tmp_path / "view_12.tif", counts[0, :5])
    with pytest.raises(ValueError, match=r"view_12.tif' with uint16 of shape \(5, 5\)"):
        read_tiff_stack(tmp_path)
    tifffile.imwrite(tmp_path / "view_12.tif", counts)
    with pytest.raises(ValueError, match="one frame in each file"):
        read_tiff_stack(tmp_path)


def test_tiff_that_is_refused(tmp_path, images):
    with pytest.raises(FileNotFoundError, match="without TIFF files"):
        read_tiff_stack(tmp_path)
    (tmp_path / "a.tif").write_bytes(b"no TIFF at all")
    write_tiff(tmp_path / "b.tif", images)
    whole = (tmp_path / "b.tif").read_bytes()
    (tmp_path / "b.tif").write_bytes(whole[: len(whole) // 2])
    for name in ("a.tif", "b.tif"):
        with pytest.raises(ValueError, match=r"cannot be read .* expected a TIFF"):
            read_tiff_stack(tmp_path / name)
    with tifffile.TiffWriter(tmp_path / "two.tif") as writer:
        writer.write(images[0])
        writer.write(images[0, :3])
    colour = np.stack([images[0]] * 3)
    tifffile.imwrite(
        tmp_path / "planes.tif", colour, photometric="rgb", planarconfig="separate"
    )
    for name in ("two.tif", "planes.tif"):
        with pytest.raises(ValueError, match="expected pages of one kind"):
            read_tiff_stack(tmp_path / name)
    for path in (None, 3):
        with pytest.raises(TypeError, match="path"):
            write_tiff(path, images)
    for path in (tmp_path / "c.png", tmp_path / "none" / "c.tif", tmp_path):
        with pytest.raises(ValueError, match="Got path="):
            write_tiff(path, images)
    with pytest.raises(ValueError, match=r"expected \(n_images, H, W\)"):
        write_tiff(tmp_path / "c.tif", images[0])
    for spacing in (0.5, (0.5, 0), (1, 1, 1), ("a", 1), (1, np.inf)):
        with pytest.raises(ValueError, match="Got pixel_spacing="):
            write_tiff(tmp_path / "c.tif", images, pixel_spacing=spacing)
    assert not (tmp_path / "c.tif").exists()


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_nifti_round_trip(tmp_path, images, suffix):
    path = tmp_path / f"volume{suffix}"
    write_nifti(path, images, pixel_spacing=(2.0, 1.5), slice_spacing=3.0)
    read = nibabel.load(path)
    np.testing.assert_array_equal(read.get_fdata(), images.T)
    assert read.header.get_zooms() == (1.5, 2.0, 3.0)
    # Columns go to the patient's left, rows to the back, slices to the head.
    assert nibabel.aff2axcodes(read.affine) == ("L", "P", "S")
    affine = np.array([[0, 2, 0, 5], [1, 0, 0, 6], [0, 0, 3, 7], [0, 0, 0, 1.0]])
    write_nifti(path, images, affine=affine)
    np.testing.assert_allclose(nibabel.load(path).affine, affine)


def test_nifti_that_is_refused(tmp_path, images):
    for options, message in (
        ({"affine": np.eye(3)}, "Got affine="),
        ({"affine": np.full((4, 4), np.nan)}, "Got affine="),
        ({"slice_spacing": 0}, "slice_spacing"),
        ({"pixel_spacing": (1,)}, "pixel_spacing"),
    ):
        with pytest.raises(ValueError, match=message):
            write_nifti(tmp_path / "x.nii", images, **options)
    with pytest.raises(ValueError, match=r"ends in \.nii or \.nii\.gz"):
        write_nifti(tmp_path / "x.mha", images)
    with pytest.raises(ValueError, match="n_slices"):
        write_nifti(tmp_path / "x.nii", images[..., None])
    assert not list(tmp_path.iterdir())
