"""DICOM series."""

import numpy as np
import pytest

from sklearn_ei.datasets import read_dicom_series, write_dicom_series

pydicom = pytest.importorskip("pydicom")

SHAPE = (12, 6, 5)
ORIENTATION = [1.0, 0, 0, 0, 1.0, 0]


def write_slice(path, hounsfield, number, series="1.2.3.4", **elements):
    """Write a CT slice as a scanner does: unsigned, with an intercept."""
    data = pydicom.Dataset()
    data.SOPClassUID = pydicom.uid.CTImageStorage
    data.SOPInstanceUID = f"{series}.{number + 1}"
    data.StudyInstanceUID, data.SeriesInstanceUID = "1.2.3", series
    data.Modality, data.PatientName = "CT", "Test^Case"
    data.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    data.InstanceNumber = 100 - number
    data.Rows, data.Columns = hounsfield.shape
    data.PixelSpacing, data.SliceThickness = [0.5, 0.75], 2.0
    data.ImageOrientationPatient = ORIENTATION
    data.ImagePositionPatient = [-10.0, -20.0, 2.0 * number]
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
    data.BitsAllocated, data.BitsStored, data.HighBit = 16, 12, 11
    data.PixelRepresentation = 0
    data.RescaleSlope, data.RescaleIntercept = "1", "-1024"
    data.SmallestImagePixelValue = 0
    data.private_block(0x0009, "A VENDOR", create=True).add_new(1, "LO", "secret")
    data.PixelData = (hounsfield + 1024).astype("<u2").tobytes()
    for name, value in elements.items():
        if value is None:
            delattr(data, name)
        else:
            setattr(data, name, value)
    data.file_meta = pydicom.dataset.FileMetaDataset()
    data.file_meta.TransferSyntaxUID = pydicom.uid.ImplicitVRLittleEndian
    data.file_meta.MediaStorageSOPClassUID = data.SOPClassUID
    data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID
    data.save_as(path, enforce_file_format=True)


@pytest.fixture
def hounsfield():
    return np.random.default_rng(0).integers(-1000, 2000, SHAPE)


@pytest.fixture
def folder(tmp_path, hounsfield):
    folder = tmp_path / "scan"
    folder.mkdir()
    for number in range(len(hounsfield)):
        # Names, numbers and positions are in different orders.
        name = f"{(7 * number) % 12}.dcm"
        write_slice(folder / name, hounsfield[number], number)
    return folder


def test_slices_come_in_the_order_of_their_position(folder, hounsfield):
    scan = read_dicom_series(folder)
    np.testing.assert_array_equal(scan.images, hounsfield)
    assert scan.images.dtype == np.float32
    np.testing.assert_allclose(scan.slice_positions, 2.0 * np.arange(12))
    assert scan.pixel_spacing == (0.5, 0.75)
    assert scan.modality == "CT"
    assert scan.filenames[1].endswith("7.dcm")
    # The first pixel, and the last one, in mm right, anterior, superior.
    np.testing.assert_allclose(scan.affine @ [0, 0, 0, 1], [10, 20, 0, 1])
    np.testing.assert_allclose(
        scan.affine @ [4, 5, 11, 1], [10 - 4 * 0.75, 20 - 5 * 0.5, 22, 1]
    )


def test_slices_at_one_position_are_refused_and_gaps_are_said(folder, hounsfield):
    (folder / "7.dcm").unlink()
    with pytest.warns(UserWarning, match="from 2 to 4 mm; a slice may be missing"):
        assert len(read_dicom_series(folder).images) == 11
    write_slice(folder / "again.dcm", hounsfield[0], 3)
    with pytest.raises(ValueError, match="at one position, but expected one slice"):
        read_dicom_series(folder)


def test_attenuation(folder, hounsfield):
    images = read_dicom_series(folder, units="attenuation", mu_water=0.2).images
    expected = np.maximum(0.2 * (1 + hounsfield / 1000), 0)
    np.testing.assert_allclose(images, expected, atol=1e-6)
    assert images.dtype == np.float32


def test_one_of_several_series_and_files_without_an_ending(folder, hounsfield):
    for path in list(folder.iterdir()):
        path.rename(path.with_suffix(""))
    np.testing.assert_array_equal(read_dicom_series(folder).images, hounsfield)
    write_slice(folder / "other", hounsfield[0], 0, series="1.2.3.5")
    with pytest.raises(ValueError, match=r"2 series .*: 1\.2\.3\.4, .*\.5, .* one of"):
        read_dicom_series(folder)
    assert len(read_dicom_series(folder, series="1.2.3.5").images) == 1
    with pytest.raises(ValueError, match=r"Got series='1\.9'"):
        read_dicom_series(folder, series="1.9")


def test_without_positions_the_instance_number_counts(tmp_path, hounsfield):
    for number in range(3):
        write_slice(
            tmp_path / f"{number}.dcm",
            hounsfield[number],
            number,
            ImagePositionPatient=None,
            PixelSpacing=None,
        )
    scan = read_dicom_series(tmp_path)
    np.testing.assert_array_equal(scan.images, hounsfield[[2, 1, 0]])
    assert scan.affine is None
    assert scan.pixel_spacing is None


@pytest.mark.parametrize("units", ["hu", "attenuation"])
def test_written_series_are_derived_images(folder, tmp_path, hounsfield, units):
    scan = read_dicom_series(folder, units=units)
    out = tmp_path / "out"
    names = write_dicom_series(scan.images, folder, out, units=units)
    assert [str(path) for path in sorted(out.iterdir())] == names
    again = read_dicom_series(out)
    np.testing.assert_array_equal(again.images, np.maximum(hounsfield, -1000))
    np.testing.assert_allclose(again.affine, scan.affine)
    headers = [pydicom.dcmread(name) for name in names]
    sources = [pydicom.dcmread(name) for name in scan.filenames]
    assert len({h.SOPInstanceUID for h in (*headers, *sources)}) == 24
    assert {h.SeriesInstanceUID for h in headers}.isdisjoint({"1.2.3.4"})
    for header, source in zip(headers, sources, strict=True):
        assert header.ImageType == ["DERIVED", "SECONDARY", "AXIAL"]
        assert header.file_meta.MediaStorageSOPInstanceUID == header.SOPInstanceUID
        reference = header.SourceImageSequence[0].ReferencedSOPInstanceUID
        assert reference == source.SOPInstanceUID
        assert header.StudyInstanceUID == "1.2.3"
        assert header.SeriesDescription == "sklearn_ei reconstruction"
        assert "SmallestImagePixelValue" not in header
        assert "secret" not in str(header)


def test_other_modalities_keep_small_values(tmp_path):
    folder = tmp_path / "mr"
    folder.mkdir()
    write_slice(folder / "a.dcm", np.zeros((4, 4)), 0, Modality="MR")
    images = np.random.default_rng(0).normal(size=(1, 4, 4)).astype(np.float32)
    write_dicom_series(images, folder, tmp_path / "out")
    found = read_dicom_series(tmp_path / "out").images
    np.testing.assert_allclose(found, images, atol=1e-4)
    with pytest.raises(ValueError, match="modality 'MR', but expected 'CT'"):
        read_dicom_series(folder, units="attenuation")


def test_files_that_are_refused(folder, tmp_path, hounsfield):
    whole = (folder / "1.dcm").read_bytes()
    for content in (b"no DICOM", whole[:-30], whole[:400]):
        (folder / "1.dcm").write_bytes(content)
        with pytest.raises(ValueError, match=r"1\.dcm'"):
            read_dicom_series(folder)
    (folder / "1.dcm").write_bytes(whole)
    for elements, name in (
        ({"Rows": 5, "Columns": 6}, "Rows"),
        ({"PixelSpacing": [0.5, 0.5]}, "PixelSpacing"),
        ({"ImageOrientationPatient": [0, 1.0, 0, 1.0, 0, 0]}, "ImageOrientation"),
    ):
        write_slice(folder / "zz.dcm", hounsfield[0], 50, **elements)
        with pytest.raises(ValueError, match=rf"zz\.dcm' with {name}"):
            read_dicom_series(folder)
    (folder / "zz.dcm").unlink()
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="0 series of images, but expected DICOM"):
        read_dicom_series(tmp_path / "empty")
    with pytest.raises(FileNotFoundError, match="existing file or folder"):
        read_dicom_series(tmp_path / "none")
    with pytest.raises(ValueError, match="'hu', 'attenuation'"):
        read_dicom_series(folder, units="mm")
    with pytest.raises(ValueError, match="mu_water"):
        read_dicom_series(folder, mu_water=0)


def test_images_that_are_not_written(folder, tmp_path, hounsfield):
    out = tmp_path / "out"
    for images, message in (
        (hounsfield[:3], r"of shape \(3, 6, 5\), but expected \(12, 6, 5\)"),
        (hounsfield * 100.0, "expected Hounsfield units from -32767"),
        (hounsfield * np.nan, "NaN"),
    ):
        with pytest.raises(ValueError, match=message):
            write_dicom_series(images, folder, out)
    with pytest.raises(ValueError, match="1 to 64 characters"):
        write_dicom_series(hounsfield, folder, out, description="x" * 65)
    assert not out.exists()
    with pytest.raises(FileExistsError, match="expected an empty folder"):
        write_dicom_series(hounsfield, folder, folder)


def test_headers_that_lack_something(tmp_path):
    folder, out = tmp_path / "scan", tmp_path / "out"
    folder.mkdir()
    values = np.arange(20).reshape(4, 5)
    write_slice(folder / "a.dcm", values, 0, SeriesInstanceUID=None)
    scan = read_dicom_series(folder)
    np.testing.assert_array_equal(scan.images, [values])
    assert scan.series == ""
    write_dicom_series(scan.images, folder, out)
    np.testing.assert_array_equal(read_dicom_series(out).images, [values])
    data = pydicom.dcmread(folder / "a.dcm")
    del data.SOPInstanceUID
    data.save_as(folder / "a.dcm")
    with pytest.raises(ValueError, match="expected a little-endian DICOM image"):
        write_dicom_series(scan.images, folder, tmp_path / "other")
    assert not (tmp_path / "other").exists()


def group(**elements):
    """Return a functional group's item, or any other nested data set."""
    data = pydicom.Dataset()
    for name, value in elements.items():
        setattr(data, name, value)
    return data


def write_enhanced(path, hounsfield, numbers, shared_rescale=None, **elements):
    """Write an Enhanced CT file with a rescaling of its own for each frame."""
    write_slice(
        path,
        hounsfield[0],
        0,
        **dict.fromkeys(
            ("PixelSpacing", "ImageOrientationPatient", "ImagePositionPatient")
        ),
        RescaleSlope=None,
        RescaleIntercept=None,
        SOPClassUID=pydicom.uid.EnhancedCTImageStorage,
    )
    data = pydicom.dcmread(path)
    spacing = group(PixelSpacing=[0.5, 0.75], SliceThickness=2.0)
    orientation = group(ImageOrientationPatient=ORIENTATION)
    data.SharedFunctionalGroupsSequence = [
        group(PixelMeasuresSequence=[spacing], PlaneOrientationSequence=[orientation])
    ]
    data.NumberOfFrames = len(numbers)
    frames, stored = [], []
    for number, image in zip(numbers, hounsfield, strict=True):
        slope, intercept = 0.5, -1024.0 - number
        frames.append(
            group(
                PlanePositionSequence=[
                    group(ImagePositionPatient=[-10.0, -20.0, 2.0 * number])
                ],
                PixelValueTransformationSequence=[
                    group(
                        RescaleSlope=slope,
                        RescaleIntercept=intercept,
                        RescaleType="HU",
                    )
                ],
            )
        )
        stored.append((image - intercept) / slope)
    data.PerFrameFunctionalGroupsSequence = frames
    data.BitsStored, data.HighBit = 16, 15
    data.PixelData = np.stack(stored).astype("<u2").tobytes()
    for name, value in elements.items():
        setattr(data, name, value)
    data.save_as(path)


def test_enhanced_files_have_their_geometry_and_rescaling_in_groups(
    tmp_path, hounsfield
):
    order = [5, 3, 0, 11, 7, 1, 9, 10, 2, 8, 4, 6]
    path = tmp_path / "enhanced.dcm"
    write_enhanced(path, hounsfield, order)
    for source in (path, tmp_path):
        scan = read_dicom_series(source)
        np.testing.assert_array_equal(scan.images[order], hounsfield)
        np.testing.assert_allclose(scan.slice_positions, 2.0 * np.arange(12))
        assert scan.pixel_spacing == (0.5, 0.75)
        np.testing.assert_allclose(
            scan.affine @ [4, 5, 11, 1], [10 - 4 * 0.75, 20 - 5 * 0.5, 22, 1]
        )
        assert len(scan.filenames) == 12
    images = read_dicom_series(path, units="attenuation", mu_water=0.2).images[order]
    np.testing.assert_allclose(
        images, np.maximum(0.2 + 0.2e-3 * hounsfield, 0), atol=1e-6
    )


def test_enhanced_files_of_one_frame_are_a_series(tmp_path, hounsfield):
    for number in range(12):
        path = tmp_path / f"{(7 * number) % 12}.dcm"
        write_enhanced(path, hounsfield[number : number + 1], [number])
    np.testing.assert_array_equal(read_dicom_series(tmp_path).images, hounsfield)
    out = tmp_path / "out"
    with pytest.raises(ValueError, match="functional groups, but expected one plain"):
        write_dicom_series(hounsfield, tmp_path, out)
    assert not out.exists()


def test_a_table_in_place_of_a_slope(tmp_path, hounsfield):
    stored = np.arange(20).reshape(4, 5)
    table = np.random.default_rng(0).integers(0, 4000, 16)
    lut = group(
        LUTDescriptor=[16, 3, 16],
        LUTData=table.astype("<u2").tobytes(),
        ModalityLUTType="HU",
    )
    for number in range(2):
        write_slice(
            tmp_path / f"{number}.dcm",
            stored - 1024,
            number,
            ModalityLUTSequence=[lut],
            RescaleSlope=None,
            RescaleIntercept=None,
        )
    scan = read_dicom_series(tmp_path)
    expected = table[np.clip(stored - 3, 0, 15)]
    np.testing.assert_array_equal(scan.images, [expected, expected])
    data = pydicom.dcmread(tmp_path / "0.dcm")
    np.testing.assert_array_equal(
        scan.images[0], pydicom.pixels.apply_modality_lut(data.pixel_array, data)
    )
    out = tmp_path / "out"
    write_dicom_series(scan.images, tmp_path, out)
    np.testing.assert_array_equal(read_dicom_series(out).images, scan.images)


@pytest.mark.parametrize(
    ("padding", "limit", "stored"),
    [
        (63536, None, [63536]),
        (-2000, None, [63536]),
        (0, 20, [0, 7, 20]),
        (20, 0, [0, 7, 20]),
    ],
)
def test_padded_pixels_are_air(tmp_path, padding, limit, stored):
    counts = np.full((4, 5), 1064)
    counts.flat[: len(stored)] = stored
    kind = "SS" if padding < 0 else "US"
    write_slice(tmp_path / "a.dcm", counts - 1024, 0, BitsStored=16, HighBit=15)
    data = pydicom.dcmread(tmp_path / "a.dcm")
    data.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    data.add_new("PixelPaddingValue", kind, padding)
    if limit is not None:
        data.add_new("PixelPaddingRangeLimit", kind, limit)
    data.save_as(
        tmp_path / "a.dcm",
        implicit_vr=False,
        little_endian=True,
        enforce_file_format=True,
    )
    images = read_dicom_series(tmp_path).images
    expected = np.full(20, 40.0)
    expected[: len(stored)] = -1000
    np.testing.assert_array_equal(images.ravel(), expected)
    attenuation = read_dicom_series(tmp_path, units="attenuation").images
    assert attenuation.max() == pytest.approx(0.19 * 1.04)


def test_padding_without_a_known_value_is_refused(tmp_path):
    counts = np.full((4, 5), 500)
    options = {"PixelPaddingValue": 500 + 1024, "Modality": "DX"}
    write_slice(tmp_path / "a.dcm", counts, 0, **options)
    with pytest.raises(ValueError, match=r"PixelPaddingValue \(0028,0120\) 1524, .*20"):
        read_dicom_series(tmp_path)
    write_slice(tmp_path / "a.dcm", counts, 0, PixelPaddingValue=63536)
    with pytest.raises(ValueError, match="fit into 12 stored bits"):
        read_dicom_series(tmp_path)
    write_slice(tmp_path / "a.dcm", counts, 0, **{**options, "Modality": "MR"})
    assert not read_dicom_series(tmp_path).images.any()


@pytest.mark.filterwarnings("ignore:Invalid value for VR:UserWarning")
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ImagePositionPatient", None),
        ("ImagePositionPatient", []),
        ("ImagePositionPatient", [1.0, 2.0]),
        ("ImagePositionPatient", [0.0, 0.0, float("nan")]),
        ("ImageOrientationPatient", [0.0] * 6),
        ("PixelSpacing", ""),
        ("PixelSpacing", "0.5"),
        ("PixelSpacing", [0.5, 0.0]),
        ("RescaleSlope", ""),
        ("RescaleSlope", 0),
        ("RescaleSlope", None),
        ("RescaleIntercept", float("nan")),
        ("RescaleIntercept", None),
        ("Rows", None),
        ("Modality", "MR"),
        ("PhotometricInterpretation", "MONOCHROME1"),
        ("PhotometricInterpretation", "PALETTE COLOR"),
        ("RescaleType", "US"),
        ("NumberOfFrames", 0),
        ("DoseGridScaling", 2),
    ],
)
def test_headers_that_are_refused_name_file_and_element(
    folder, hounsfield, name, value
):
    write_slice(folder / "7.dcm", hounsfield[1], 1, **{name: value})
    with pytest.raises(ValueError, match=rf"7\.dcm' with .*{name}"):
        read_dicom_series(folder)


def test_without_positions_numbers_have_to_differ(tmp_path, hounsfield):
    for number in range(3):
        write_slice(
            tmp_path / f"{number}.dcm",
            hounsfield[number],
            number,
            ImagePositionPatient=None,
            InstanceNumber=4 if number else None,
        )
    with pytest.raises(ValueError, match=r"with InstanceNumber \(0020,0013\) (4|None)"):
        read_dicom_series(tmp_path)


def test_frames_without_positions_stay_in_their_order(tmp_path, hounsfield):
    path = tmp_path / "nm.dcm"
    write_slice(path, hounsfield[0], 0, Modality="NM", ImagePositionPatient=None)
    data = pydicom.dcmread(path)
    data.NumberOfFrames = 12
    data.PixelData = (hounsfield + 1024).astype("<u2").tobytes()
    data.save_as(path)
    scan = read_dicom_series(path)
    np.testing.assert_array_equal(scan.images, hounsfield)
    np.testing.assert_array_equal(scan.slice_positions, np.arange(12))
    data.NumberOfFrames = 2**30
    data.save_as(path)
    with pytest.raises(ValueError, match=r"nm\.dcm' with frames of shape .* GB"):
        read_dicom_series(path)
