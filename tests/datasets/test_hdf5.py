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
        file.create_dataset("data", (3, 1000, 513), "f4", chunks=(1, 1000, 513))
    lazy = read_hdf5(path, "lodopab", lazy=True)
    assert isinstance(lazy.measurements, h5py.Dataset)
    assert lazy.measurements.shape == (3, 1000, 513)
    lazy.file.close()
    one = read_hdf5(path, "lodopab", samples=slice(1, 2))
    assert one.measurements.shape == (1, 1000, 513)

    operator = ParallelBeamCT(n_views=12)
    Y = operator.measure(make_thorax_phantoms(5, (16, 16), random_state=0))
    with h5py.File(tmp_path / "own.h5", "w") as file:
        file.create_dataset("scans/Y", data=Y, chunks=(1, *Y.shape[1:]))
    lazy = read_hdf5(tmp_path / "own.h5", "scans/Y", lazy=True)
    fbp = PseudoInverseReconstructor(operator).fit(lazy.data)
    images = fbp.predict(lazy.data)
    lazy.file.close()
    np.testing.assert_allclose(images, fbp.predict(Y), atol=1e-6)
    read = read_hdf5(tmp_path / "own.h5", "/scans/Y")
    np.testing.assert_array_equal(read.data, Y)
    assert "file" not in read


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
    with pytest.raises(ValueError, match="lazy=True with layout='dxchange'"):
        read_hdf5(path, lazy=True)
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
