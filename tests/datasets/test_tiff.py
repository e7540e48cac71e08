"""TIFF stacks."""

import io
import os

import numpy as np
import pytest

from sklearn_ei.datasets import read_tiff_stack, write_tiff

tifffile = pytest.importorskip("tifffile")


@pytest.fixture
def images():
    return np.random.default_rng(0).random((12, 6, 5)).astype(np.float32)


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
    for name, message in (("two", "pages of one kind"), ("planes", "axes SYX of")):
        with pytest.raises(ValueError, match=message):
            read_tiff_stack(tmp_path / f"{name}.tif")
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


def write_values(folder, names):
    """Write a frame for each name, with its place in the order of the names."""
    for value, name in enumerate(names):
        tifffile.imwrite(folder / name, np.full((3, 4), value, np.uint8))


@pytest.mark.parametrize(
    "names",
    [
        ["p_0.25.tif", "p_0.5.tif", "p_0.75.tif", "p_1.tif", "p_10.0.tif"],
        ["GR_5.tif", "GR_16.9.tif", "GR_111.246.tif"],
        ["tilt_-60.tif", "tilt_-2.5.tif", "tilt_0.tif", "tilt_+2.5.tif", "tilt_60.tif"],
        ["tilt-60.tif", "tilt-3.tif", "tilt3.tif"],
        ["-3.tif", "-2.tif", "1.tif"],
        ["scan-001.tif", "scan-002.tif", "scan-010.tif"],
        ["2024-01-09-b.tif", "2024-01-10-a.tif", "2024-01-10-b.tif"],
        ["run_1.1.tif", "run_1.2.tif", "run_1.10.tif"],
        ["v1.2.9.tif", "v1.2.10.tif", "v1.10.1.tif"],
    ],
)
def test_names_are_ordered_by_the_values_of_their_numbers(tmp_path, names):
    write_values(tmp_path, names)
    values = read_tiff_stack(tmp_path).data[:, 0, 0]
    np.testing.assert_array_equal(values, np.arange(len(names)))


def test_a_list_of_files_has_its_own_order_and_a_pattern_chooses(tmp_path):
    write_values(tmp_path, ["flat_1.tif", "proj_1.tif", "proj_2.tif", "proj_10.tif"])
    files = [tmp_path / f"{name}.tif" for name in ("proj_2", "flat_1", "proj_10")]
    np.testing.assert_array_equal(read_tiff_stack(files).data[:, 0, 0], [2, 0, 3])
    chosen = read_tiff_stack(tmp_path, pattern="proj_*")
    np.testing.assert_array_equal(chosen.data[:, 0, 0], [1, 2, 3])
    with pytest.raises(FileNotFoundError, match=r"and fit 'dark\*'\.$"):
        read_tiff_stack(tmp_path, pattern="dark*")
    with pytest.raises(FileNotFoundError, match="an existing file"):
        read_tiff_stack([tmp_path / "none.tif"])


@pytest.mark.parametrize("kind", ["imagej", "ome"])
def test_channels_of_microscopes_are_channels(tmp_path, kind):
    path = tmp_path / "x.tif"
    stack = np.random.default_rng(0).integers(0, 999, (6, 2, 5, 7)).astype(np.uint16)
    tifffile.imwrite(path, stack, **{kind: True}, metadata={"axes": "ZCYX"})
    read = read_tiff_stack(path)
    np.testing.assert_array_equal(read.data, np.moveaxis(stack, 1, -1))
    assert read.axes == "ZYXC"
    tifffile.imwrite(path, stack, **{kind: True}, metadata={"axes": "TZYX"})
    with pytest.raises(ValueError, match=r"TZYX of shape \(6, 2, 5, 7\), .* one axis"):
        read_tiff_stack(path)


def test_colours_that_are_not_grey_or_rgb_are_refused(tmp_path):
    path = tmp_path / "x.tif"
    grey = np.zeros((5, 7), np.uint8)
    for image, options in (
        (grey, {"photometric": "miniswhite"}),
        (grey, {"photometric": "palette", "colormap": np.zeros((3, 256), np.uint16)}),
        (np.zeros((5, 7, 4), np.uint8), {"photometric": "separated"}),
    ):
        tifffile.imwrite(path, image, **options)
        name = options["photometric"].upper()
        with pytest.raises(ValueError, match=f"{name}, but expected MINISBLACK or RGB"):
            read_tiff_stack(path)


def test_parts_in_other_files_or_never_written_are_refused(tmp_path):
    stack = np.ones((3, 16, 16), np.uint16)
    whole = tmp_path / "whole.ome.tif"
    tifffile.imwrite(whole, stack, ome=True, metadata={"axes": "ZYX"})
    with tifffile.TiffFile(whole) as tiff:
        described = tiff.ome_metadata
    data = '<TiffData FirstZ="{z}" IFD="0"><UUID FileName="{name}">urn:uuid:{z}</UUID>'
    start, end = described.index("<TiffData"), described.index("</Pixels>")
    for z, name in enumerate(("a.tif", "../b.tif", "c.tif")):
        described = described[:start] + described[start:]
        part = data.format(z=z, name=name) + "</TiffData>"
        described = (
            described[:start] + part + described[start if z else end :]
            if z == 0
            else described.replace("</Pixels>", part + "</Pixels>")
        )
    tifffile.imwrite(
        tmp_path / "a.tif", stack[0], description=described.encode(), metadata=None
    )
    with pytest.raises(ValueError, match="2 of 3 pages missing or in other files"):
        read_tiff_stack(tmp_path / "a.tif")
    path = tmp_path / "sparse.tif"
    tifffile.imwrite(path, stack[0], tile=(16, 16), compression="zlib")
    with tifffile.TiffFile(path, mode="r+") as tiff:
        tiff.pages[0].tags["TileByteCounts"].overwrite(0)
    with pytest.raises(ValueError, match="parts that were never written"):
        read_tiff_stack(path)


def test_files_cut_off_between_their_pages_are_refused(tmp_path):
    image = pytest.importorskip("PIL.Image")
    buffer = io.BytesIO()
    pages = [image.fromarray(np.full((20, 30), n, np.uint8)) for n in range(5)]
    pages[0].save(buffer, "TIFF", save_all=True, append_images=pages[1:])
    whole = buffer.getvalue()
    path = tmp_path / "x.tif"
    path.write_bytes(whole)
    np.testing.assert_array_equal(read_tiff_stack(path).data[:, 3, 3], np.arange(5))
    for length in range(100, len(whole) - 20, 70):
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError, match=r"x\.tif"):
            read_tiff_stack(path)


def test_declared_sizes_are_checked_before_memory_is_taken(tmp_path):
    path = tmp_path / "x.tif"
    with pytest.warns(UserWarning, match="zero-size"):
        tifffile.imwrite(path, np.zeros((5, 0), np.uint8))
    with pytest.raises(ValueError, match=r"x\.tif'.* not empty"):
        read_tiff_stack(path)
    for compression in (None, "zlib"):
        tifffile.imwrite(path, np.zeros((5, 7)), compression=compression)
        with tifffile.TiffFile(path, mode="r+") as tiff:
            for name in ("ImageWidth", "ImageLength", "RowsPerStrip"):
                tiff.pages[0].tags[name].overwrite(2**22)
        with pytest.raises(ValueError, match=r"takes 1\.41e\+05 GB, but expected"):
            read_tiff_stack(path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_pipes_are_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.tif")
    write_values(tmp_path, ["b.tif"])
    with pytest.raises(FileNotFoundError, match="a pipe or a device"):
        read_tiff_stack(tmp_path / "a.tif")
    assert len(read_tiff_stack(tmp_path).data) == 1


def test_rows_of_projections_are_sinograms(tmp_path, images):
    for number, frame in enumerate(images):
        tifffile.imwrite(tmp_path / f"view_{number}.tif", frame)
    scan = read_tiff_stack(tmp_path, "projections")
    np.testing.assert_array_equal(scan.measurements, images.swapaxes(0, 1))
    assert scan.measurements.flags.c_contiguous
    tifffile.imwrite(tmp_path / "c.tif", np.zeros((4, 5, 3), "u1"), photometric="rgb")
    with pytest.raises(ValueError, match="expected projections"):
        read_tiff_stack(tmp_path / "c.tif", "projections")
