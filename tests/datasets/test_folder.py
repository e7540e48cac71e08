import numpy as np
import pytest

from sklearn_ei.datasets import load_image_folder

io = pytest.importorskip("skimage.io")


def save(path, image):
    io.imsave(path, image, check_contrast=False)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def test_integers_are_scaled_to_the_unit_interval(tmp_path, rng):
    eight = rng.integers(0, 256, (20, 30, 3), dtype=np.uint8)
    save(tmp_path / "a.png", eight)
    images = load_image_folder(tmp_path)
    assert images.dtype == np.float32
    np.testing.assert_allclose(images[0], eight / 255, atol=1e-6)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_sixteen_bits_are_kept(tmp_path, rng, suffix):
    deep = rng.integers(0, 65536, (20, 30), dtype=np.uint16)
    save(tmp_path / f"a{suffix}", deep)
    found = load_image_folder(tmp_path)[0]
    np.testing.assert_allclose(found, deep / 65535, atol=1e-6)


def test_floats_have_the_values_of_the_file(tmp_path, rng):
    values = rng.normal(size=(20, 30)).astype(np.float32)
    save(tmp_path / "a.tif", values)
    assert np.array_equal(load_image_folder(tmp_path)[0], values)


def test_order_is_that_of_names_and_other_files_are_left_out(tmp_path):
    for value, name in [(20, "b.png"), (10, "a.jpg"), (30, "c.png")]:
        save(tmp_path / name, np.full((8, 8), value, dtype=np.uint8))
    (tmp_path / "notes.txt").write_text("not an image")
    (tmp_path / "folder.d").mkdir()
    levels = 255 * load_image_folder(tmp_path).mean(axis=(1, 2))
    np.testing.assert_allclose(levels, [10, 20, 30], atol=1)


def test_transparency_is_left_out(tmp_path, rng):
    rgba = rng.integers(0, 256, (8, 8, 4), dtype=np.uint8)
    save(tmp_path / "a.png", rgba)
    assert load_image_folder(tmp_path).shape == (1, 8, 8, 3)


def test_colours_that_are_no_rgb_become_rgb(tmp_path):
    from PIL import Image

    rgb = np.full((8, 8, 3), [200, 100, 50], dtype=np.uint8)
    picture = Image.fromarray(rgb)
    picture.convert("CMYK").save(tmp_path / "a.jpg", quality=100)
    picture.quantize(4).save(tmp_path / "b.png")
    picture.convert("YCbCr").save(tmp_path / "c.jpg", quality=100)
    images = load_image_folder(tmp_path)
    np.testing.assert_allclose(255 * images, [rgb] * 3, atol=3)


def test_tiff_colours(tmp_path, rng):
    import tifffile

    grey = rng.integers(0, 256, (8, 9), dtype=np.uint8)
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, 255 - grey, photometric="miniswhite")
    np.testing.assert_allclose(255 * load_image_folder(tmp_path)[0], grey, rtol=1e-6)
    rgba = rng.integers(0, 256, (8, 9, 4), dtype=np.uint8)
    tifffile.imwrite(path, rgba, photometric="rgb", extrasamples=["unassalpha"])
    found = load_image_folder(tmp_path)[0]
    np.testing.assert_allclose(255 * found, rgba[..., :3], rtol=1e-6)
    for image, options in (
        (rgba, {"photometric": "separated"}),
        (grey, {"photometric": "palette", "colormap": np.zeros((3, 256), "u2")}),
        (grey.astype(np.float32), {"photometric": "miniswhite"}),
    ):
        tifffile.imwrite(path, image, **options)
        with pytest.raises(OSError, match=r"is not an image.*(Photometric|white)"):
            load_image_folder(tmp_path)


def test_what_a_file_manager_leaves_behind_is_no_image(tmp_path):
    for name in ("img_10.png", "img_2.png"):
        value = int(name[4:-4])
        save(tmp_path / name, np.full((8, 8), value, dtype=np.uint8))
    (tmp_path / "._img_2.png").write_bytes(b"left behind")
    images = load_image_folder(tmp_path)
    np.testing.assert_allclose(255 * images[:, 0, 0], [2, 10], rtol=1e-6)


def test_resizing_is_that_of_pillow(tmp_path, rng):
    from PIL import Image

    image = rng.integers(0, 256, (64, 64), dtype=np.uint8)
    save(tmp_path / "a.png", image)
    found = load_image_folder(tmp_path, image_shape=(32, 32))[0]
    pillow = Image.fromarray(image.astype(np.float32)).resize(
        (32, 32), Image.Resampling.BILINEAR
    )
    np.testing.assert_allclose(found, np.asarray(pillow) / 255, atol=1e-4)


def test_the_middle_is_cut_out(tmp_path):
    image = np.zeros((30, 60), dtype=np.uint8)
    image[:, 15:45] = 255
    save(tmp_path / "a.png", image)
    # The largest square, and then a given one.
    assert load_image_folder(tmp_path, image_shape=(10, 10)).min() == 1
    cut = load_image_folder(tmp_path, crop_shape=(30, 40))[0]
    assert cut.shape == (30, 40)
    assert cut[:, 5:35].min() == 1
    assert cut[:, :5].max() == 0


def test_colours_become_grey_values(tmp_path):
    image = np.zeros((8, 8, 3), dtype=np.uint8)
    image[..., 1] = 255
    save(tmp_path / "a.png", image)
    save(tmp_path / "b.png", image[..., 1])
    grey = load_image_folder(tmp_path, as_grey=True)
    assert grey.shape == (2, 8, 8)
    np.testing.assert_allclose(grey[0], 0.7152, atol=1e-3)
    with pytest.raises(ValueError, match="as_grey"):
        load_image_folder(tmp_path)


def test_bad_input_is_refused(tmp_path):
    with pytest.raises(TypeError, match="expected a path"):
        load_image_folder(3)
    with pytest.raises(OSError, match="a folder that exists"):
        load_image_folder(tmp_path / "nowhere")
    with pytest.raises(ValueError, match="without an image"):
        load_image_folder(tmp_path)
    save(tmp_path / "a.png", np.zeros((8, 8), dtype=np.uint8))
    with pytest.raises(ValueError, match="image_shape"):
        load_image_folder(tmp_path, image_shape=(8,))
    with pytest.raises(ValueError, match="at least"):
        load_image_folder(tmp_path, crop_shape=(9, 8))
    (tmp_path / "b.png").write_bytes(b"not an image")
    with pytest.raises(OSError, match="not an image"):
        load_image_folder(tmp_path)


def test_a_volume_is_refused(tmp_path):
    save(tmp_path / "a.tif", np.zeros((7, 8, 8), dtype=np.uint8))
    with pytest.raises(ValueError, match="one grey or colour image"):
        load_image_folder(tmp_path)
