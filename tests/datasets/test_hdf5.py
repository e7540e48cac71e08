"""HDF5 scans."""

import numpy as np
import pytest

from sklearn_ei import PseudoInverseReconstructor
from sklearn_ei.datasets import make_thorax_phantoms, read_hdf5
from sklearn_ei.operators import JosephRayTransformImpl, ODLOperator, ParallelBeamCT
from sklearn_ei.preprocessing import transmission_to_attenuation

h5py = pytest.importorskip("h5py")


@pytest.fixture
def dxchange(tmp_path):
    """A file as a synchrotron writes it, and the line integrals behind it."""
    images = make_thorax_phantoms(4, (16, 16), random_state=0)
    operator = ParallelBeamCT(angles=np.arange(0, 180, 15.0))
    Y = operator.measure(images)
    rng = np.random.default_rng(0)
    dark = rng.integers(90, 110, (3, 4, Y.shape[-1]))
    flat = rng.integers(40000, 50000, (5, 4, Y.shape[-1]))
    beam = flat.mean(axis=0) - dark.mean(axis=0)
    counts = dark.mean(axis=0)[:, None] + beam[:, None] * np.exp(-Y)
    path = tmp_path / "scan.h5"
    with h5py.File(path, "w") as file:
        group = file.create_group("exchange")
        group["data"] = np.rint(np.moveaxis(counts, 1, 0)).astype(np.uint16)
        group["data_white"] = flat.astype(np.uint16)
        group["data_dark"] = dark.astype(np.uint16)
        group["theta"] = np.arange(0, 180, 15.0)
    return path, Y, images


def test_data_exchange_from_file_to_image(dxchange):
    path, Y, _ = dxchange
    scan = read_hdf5(path)
    assert scan.measurements.shape == Y.shape
    assert scan.flat.shape == scan.dark.shape == (4, 1, Y.shape[-1])
    attenuation = transmission_to_attenuation(scan.measurements, scan.dark, scan.flat)
    np.testing.assert_allclose(attenuation, Y, atol=2e-3)
    operator = ParallelBeamCT(angles=scan.angles, image_shape=(16, 16))
    np.testing.assert_allclose(
        operator.reconstruct(attenuation), operator.reconstruct(Y), atol=1e-3
    )
    rows = read_hdf5(path, samples=slice(1, 3))
    np.testing.assert_array_equal(rows.measurements, scan.measurements[1:3])
    np.testing.assert_array_equal(rows.flat, scan.flat[1:3])


def test_angles_without_units_that_look_like_radians_are_told(dxchange):
    path, *_ = dxchange
    with h5py.File(path, "r+") as file:
        n_views = len(file["exchange/theta"])
        del file["exchange/theta"]
        file["exchange/theta"] = np.linspace(0, np.pi, n_views)
    text = r"no units, and reaches over 3\.142; .* taken as degrees\. .*np\.rad2deg"
    with pytest.warns(UserWarning, match=text):
        scan = read_hdf5(path, "dxchange")
    np.testing.assert_allclose(scan.angles, np.linspace(0, np.pi, n_views))


def test_angles_in_radians_and_what_may_be_missing(dxchange):
    path, _, _ = dxchange
    with h5py.File(path, "r+") as file:
        degrees = file["exchange/theta"][()]
        del file["exchange/theta"], file["exchange/data_dark"]
        file["exchange/theta"] = np.deg2rad(degrees)
        file["exchange/theta"].attrs["units"] = "radians"
    scan = read_hdf5(path)
    np.testing.assert_allclose(scan.angles, degrees)
    assert scan.dark is None
    with h5py.File(path, "r+") as file:
        del file["exchange/theta"]
    assert read_hdf5(path).angles is None


def test_lodopab_geometry_is_odl_s(tmp_path):
    import odl
    from odl.applications import tomo

    path = tmp_path / "ground_truth.hdf5"
    with h5py.File(path, "w") as file:
        file["data"] = np.zeros((2, 362, 362), np.float32)
    scan = read_hdf5(path, "lodopab")
    assert scan.images.shape == (2, 362, 362)
    space = odl.uniform_discr([-0.13, -0.13], [0.13, 0.13], (362, 362))
    geometry = tomo.parallel_beam_geometry(space, num_angles=1000)
    np.testing.assert_allclose(np.deg2rad(scan.angles), geometry.angles)
    assert geometry.det_partition.shape == (513,)
    np.testing.assert_allclose(scan.bin_size, geometry.det_partition.cell_sides[0])
    np.testing.assert_allclose(scan.pixel_size, space.cell_sides[0])

    # Which way round images are: the same with a few views and large pixels.
    space = odl.uniform_discr([-0.13, -0.13], [0.13, 0.13], (32, 32))
    few = tomo.parallel_beam_geometry(space, num_angles=20)
    image = make_thorax_phantoms(1, (32, 32), random_state=0)
    odl_s = ODLOperator(tomo.RayTransform(space, few, impl=JosephRayTransformImpl))
    own = ParallelBeamCT(
        angles=np.rad2deg(few.angles),
        image_shape=(32, 32),
        n_bins=few.det_partition.shape[0],
        pixel_size=space.cell_sides[0],
        bin_size=few.det_partition.cell_sides[0],
    )
    expected = odl_s.measure(image)
    turned = own.measure(np.rot90(image, axes=(1, 2)))
    np.testing.assert_allclose(turned, expected, atol=1e-4 * expected.max())


def test_observations_and_named_data_sets_may_stay_in_the_file(tmp_path):
    path = tmp_path / "observations.hdf5"
    with h5py.File(path, "w") as file:
        data = file.create_dataset("data", (3, 1000, 513), "f4", chunks=(1, 1000, 513))
        data[1:] = 0.5
    with pytest.raises(ValueError, match=r"1 part\(s\) were never .* at \(0, 0, 0\)"):
        read_hdf5(path, "lodopab", lazy=True)
    with h5py.File(path, "r+") as file:
        file["data"][0] = 0.25
    lazy = read_hdf5(path, "lodopab", lazy=True)
    assert lazy.measurements.shape == (3, 1000, 513)
    assert lazy.measurements[0].max() == 0.25
    lazy.measurements.close()
    one = read_hdf5(path, "lodopab", samples=slice(1, 2))
    assert one.measurements.shape == (1, 1000, 513)

    operator = ParallelBeamCT(n_views=12)
    Y = operator.measure(make_thorax_phantoms(5, (16, 16), random_state=0))
    with h5py.File(tmp_path / "own.h5", "w") as file:
        file.create_dataset("scans/Y", data=Y, chunks=(1, *Y.shape[1:]))
    lazy = read_hdf5(tmp_path / "own.h5", "scans/Y", lazy=True)
    fbp = PseudoInverseReconstructor(operator).fit(lazy.data)
    images = fbp.predict(lazy.data)
    lazy.data.close()
    np.testing.assert_allclose(images, fbp.predict(Y), atol=1e-6)
    read = read_hdf5(tmp_path / "own.h5", "/scans/Y")
    np.testing.assert_array_equal(read.data, Y)


def test_files_that_are_refused(dxchange, tmp_path):
    path, _, _ = dxchange
    whole = path.read_bytes()
    (tmp_path / "half.h5").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "text.h5").write_text("no HDF5")
    for name in ("half.h5", "text.h5"):
        with pytest.raises(ValueError, match=r"cannot be read .* expected an HDF5"):
            read_hdf5(tmp_path / name)
    for layout in ("entry/data", "exchange", "lodopab"):
        with pytest.raises(ValueError, match=r"with exchange, .* of numbers\.$"):
            read_hdf5(path, layout)
    with pytest.raises(ValueError, match=r"Got .*/theta' of shape \(12,\)"):
        read_hdf5(path, "exchange/theta")
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["data"] = np.zeros((2, 5, 5))
    with pytest.raises(ValueError, match="expected sinograms"):
        read_hdf5(tmp_path / "other.h5", "lodopab")
    with pytest.raises(ValueError, match="lazy=True with samples=slice"):
        read_hdf5(path, samples=slice(2), lazy=True)
    with pytest.raises(TypeError, match="Got layout=None"):
        read_hdf5(path, None)
    with pytest.raises(TypeError, match="expected a slice"):
        read_hdf5(path, samples=3)
    with pytest.raises(ValueError, match="of 4 rows"):
        read_hdf5(path, samples=slice(9, None))
    with pytest.raises(FileNotFoundError, match="existing file"):
        read_hdf5(tmp_path / "none.h5")


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("data", np.zeros((12, 4)), r"expected \(n_views, n_rows, n_bins\)"),
        ("data_white", np.zeros((5, 3, 7)), "expected frames of shape"),
        ("theta", np.zeros(11), "11 angles for 12 views"),
        ("theta", np.full(12, np.nan), "Got 0 angles for 12 views"),
        ("theta", np.zeros((12, 2)), r"of shape \(12, 2\), but expected one"),
        ("data", np.array([b"text"]), "of numbers"),
        ("data", h5py.Empty("f"), "of numbers"),
    ],
)
def test_data_exchange_that_does_not_fit(dxchange, name, value, message):
    path, _, _ = dxchange
    with h5py.File(path, "r+") as file:
        del file[f"exchange/{name}"]
        file[f"exchange/{name}"] = value
    with pytest.raises(ValueError, match=message):
        read_hdf5(path)


@pytest.mark.parametrize(
    ("units", "factor"),
    [
        ("radians", 1),
        ([b"rad"], 1),
        (np.bytes_("[rad]"), 1),
        ("mrad", 1000),
        ("Degrees", 180 / np.pi),
        ("", 180 / np.pi),
        (None, 180 / np.pi),
    ],
)
def test_units_of_angles(dxchange, units, factor):
    path, _, _ = dxchange
    with h5py.File(path, "r+") as file:
        del file["exchange/theta"]
        angles = np.deg2rad(np.arange(0, 180, 15.0)) * factor
        theta = file.create_dataset("exchange/theta", data=angles[:, np.newaxis])
        if units is not None:
            theta.attrs["units"] = units
    np.testing.assert_allclose(read_hdf5(path).angles, np.arange(0, 180, 15.0))
    with h5py.File(path, "r+") as file:
        file["exchange/theta"].attrs["units"] = "arcmin"
    with pytest.raises(ValueError, match=r"exchange/theta' of .* units of 'arcmin'"):
        read_hdf5(path)


def test_fields_of_one_frame_and_of_none(dxchange):
    path, _, _ = dxchange
    whole = read_hdf5(path)
    with h5py.File(path, "r+") as file:
        first = file["exchange/data_white"][0]
        shape = file["exchange/data_dark"].shape
        del file["exchange/data_white"], file["exchange/data_dark"]
        file["exchange/data_white"] = first
        file["exchange/data_dark"] = np.zeros((0, *shape[1:]))
    scan = read_hdf5(path)
    np.testing.assert_array_equal(scan.flat, first[:, np.newaxis])
    assert scan.flat.shape == whole.flat.shape
    assert scan.dark is None
    with h5py.File(path, "r+") as file:
        del file["exchange/data_white"]
        broken = first.astype(np.float64)
        broken.flat[0] = np.nan
        file["exchange/data_white"] = broken
    with pytest.raises(ValueError, match="NaN or infinity in exchange/data_white"):
        read_hdf5(path)


def write_nxtomo(path, frames, image_key, angles, unit="degree"):
    """Write frames as NXtomo has them, with a link beside."""
    with h5py.File(path, "w") as file:
        entry = file.create_group("entry")
        entry.attrs["NX_class"] = "NXentry"
        detector = entry.create_group("instrument/detector")
        detector.attrs["NX_class"] = np.bytes_("NXdetector")
        detector.create_dataset("data", data=frames, chunks=(1, *frames.shape[1:]))
        detector["image_key"] = np.asarray(image_key)
        detector["x_pixel_size"] = 6.5
        detector["x_pixel_size"].attrs["units"] = "um"
        sample = entry.create_group("stage")
        sample.attrs["NX_class"] = "NXsample"
        sample["rotation_angle"] = angles
        sample["rotation_angle"].attrs["units"] = unit
        entry["data/data"] = h5py.SoftLink("/entry/instrument/detector/data")
        entry["data/image_key"] = detector["image_key"]


@pytest.fixture
def nxtomo(tmp_path):
    frames = np.random.default_rng(0).integers(0, 999, (9, 4, 5)).astype(np.uint16)
    angles = np.array([0, 0, 0, 30, 60, 60, 90, 90, 90.0])
    path = tmp_path / "scan.nxs"
    write_nxtomo(path, frames, [2, 1, 0, 0, 0, 3, 0, 1, 2], np.deg2rad(angles), "rad")
    return path, frames


@pytest.mark.parametrize("rows", [None, slice(1, 3)])
def test_nxtomo_separates_projections_flats_and_darks(nxtomo, rows):
    path, frames = nxtomo
    scan = read_hdf5(path, "nxtomo", samples=rows)
    chosen = frames[:, slice(None) if rows is None else rows]
    expected = np.moveaxis(chosen[[2, 3, 4, 6]], 0, 1)
    np.testing.assert_array_equal(scan.measurements, expected)
    np.testing.assert_allclose(scan.flat[:, 0], chosen[[1, 7]].mean(axis=0))
    np.testing.assert_allclose(scan.dark[:, 0], chosen[[0, 8]].mean(axis=0))
    np.testing.assert_allclose(scan.angles, [0, 30, 60, 90])
    assert scan.bin_size == pytest.approx(6.5e-3)


def test_nxtomo_that_is_refused(nxtomo, tmp_path):
    _, frames = nxtomo
    angles = np.zeros(9)
    for image_key, message in (
        ([0] * 8, r"image_key of shape \(8,\)"),
        ([0] * 8 + [7], r"values \[0, 7\], but expected 9 of 0"),
        ([1] * 9, "expected projections"),
    ):
        write_nxtomo(tmp_path / "bad.nxs", frames, image_key, angles)
        with pytest.raises(ValueError, match=message):
            read_hdf5(tmp_path / "bad.nxs", "nxtomo")
    write_nxtomo(tmp_path / "bad.nxs", frames, [0] * 9, angles)
    with h5py.File(tmp_path / "bad.nxs", "r+") as file:
        file.copy("entry", "other")
    with pytest.raises(ValueError, match="2 groups that hold data and image_key: /ent"):
        read_hdf5(tmp_path / "bad.nxs", "nxtomo")
    h5py.File(tmp_path / "empty.h5", "w").close()
    with pytest.raises(ValueError, match=r"empty\.h5' with 0 groups"):
        read_hdf5(tmp_path / "empty.h5", "nxtomo")


@pytest.mark.parametrize("layout", ["dxchange", "nxtomo"])
def test_rows_of_a_detector_may_stay_in_the_file(dxchange, nxtomo, layout):
    path = {"dxchange": dxchange[0], "nxtomo": nxtomo[0]}[layout]
    whole = read_hdf5(path, layout).measurements
    with read_hdf5(path, layout, lazy=True).measurements as lazy:
        assert (lazy.shape, lazy.dtype) == (whole.shape, whole.dtype)
        for index in (2, slice(1, 3), np.array([3, 0, 0]), slice(None)):
            np.testing.assert_array_equal(lazy[index], whole[index])


def test_fastmri(tmp_path):
    rng = np.random.default_rng(0)
    kspace = (rng.random((3, 2, 6, 5)) + 1j * rng.random((3, 2, 6, 5))).astype("c8")
    mask = np.array([0, 1, 1, 1, 0], np.float32)
    images = rng.random((3, 4, 4))
    path = tmp_path / "file.h5"
    with h5py.File(path, "w") as file:
        file["kspace"], file["mask"], file["reconstruction_rss"] = kspace, mask, images
        file["ismrmrd_header"] = "<xml/>"
    scan = read_hdf5(path, "fastmri")
    np.testing.assert_array_equal(scan.kspace, kspace)
    assert scan.kspace.dtype == np.complex64
    np.testing.assert_array_equal(scan.mask, mask == 1)
    np.testing.assert_array_equal(scan.images, images)
    one = read_hdf5(path, "fastmri", samples=slice(1, 2))
    np.testing.assert_array_equal(one.kspace, kspace[1:2])
    np.testing.assert_array_equal(one.images, images[1:2])
    np.testing.assert_array_equal(read_hdf5(path, "kspace").data, kspace)
    with h5py.File(path, "r+") as file:
        del file["mask"], file["reconstruction_rss"]
    scan = read_hdf5(path, "fastmri", lazy=True)
    np.testing.assert_array_equal(scan.kspace[[2, 0]], kspace[[2, 0]])
    scan.kspace.close()
    assert scan.mask is None
    assert scan.images is None


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("mask", [0, 0.5, 1, 1, 0], "5 values of 0 and 1"),
        ("mask", [0, 1], "5 values of 0 and 1"),
        ("kspace", np.ones((3, 6, 5)), "'kspace' of complex numbers"),
        ("kspace", np.ones((6, 5), complex), "n_coils"),
    ],
)
def test_fastmri_that_is_refused(tmp_path, name, value, message):
    content = {"kspace": np.ones((3, 6, 5), complex), "mask": np.ones(5)}
    with h5py.File(tmp_path / "file.h5", "w") as file:
        for key, data in {**content, name: value}.items():
            file[key] = data
    with pytest.raises(ValueError, match=message):
        read_hdf5(tmp_path / "file.h5", "fastmri")
