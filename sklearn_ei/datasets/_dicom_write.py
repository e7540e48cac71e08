"""Images as a DICOM series, derived from one that exists."""

import io
from pathlib import Path

import numpy as np

from ..utils.files import write_atomically
from ..utils.params import brief
from ..utils.stack_check import check_stack
from ._dicom import check_units, read_sorted_frames
from ._files import readable, require

# What no longer holds of a derived image.
_STALE = (
    "SmallestImagePixelValue",
    "LargestImagePixelValue",
    "PixelPaddingValue",
    "PixelPaddingRangeLimit",
    "FloatPixelPaddingValue",
    "DoubleFloatPixelPaddingValue",
    "ModalityLUTSequence",
    "RealWorldValueMappingSequence",
    "FloatPixelData",
    "DoubleFloatPixelData",
    "ExtendedOffsetTable",
    "ExtendedOffsetTableLengths",
    "PlanarConfiguration",
    "IconImageSequence",
    "MACParametersSequence",
    "DigitalSignaturesSequence",
)


def write_dicom_series(
    images,
    like,
    out,
    *,
    units="hu",
    mu_water=0.19,
    series=None,
    description="sklearn_ei reconstruction",
):
    """Write images as a new series, derived from one that exists.

    Patient, study and geometry are those of ``like``, private tags are left out.
    The series and every image have new identifiers, ImageType is DERIVED, and each
    image names the one that it was derived from. Not for diagnosis.

    Parameters
    ----------
    images : array-like of shape (n_slices, H, W)
        In the order of :func:`read_dicom_series`.
    like : str or path-like
        Folder of the series, with as many slices of the same shape.
    out : str or path-like
        Folder for the new files: empty, or made.
    units : {"hu", "attenuation"}, default="hu"
        Of the images; attenuations are turned into Hounsfield units.
    mu_water : float, default=0.19
        Attenuation of water in the unit of the images.
    series : str, default=None
        SeriesInstanceUID in ``like``.
    description : str, default="sklearn_ei reconstruction"
        SeriesDescription, at most 64 characters.

    Returns
    -------
    filenames : list of str
        In the order of the images.

    Raises
    ------
    FileExistsError, FileNotFoundError, TypeError, ValueError
        If images do not fit the series or 16 bits, ``out`` has files already, or
        ``like`` has several frames a file or functional groups (Enhanced CT or MR).

    Notes
    -----
    CT is stored in whole Hounsfield units, as scanners do; other modalities in
    65534 steps between minus and plus the largest magnitude of all images.
    """
    pydicom = require("pydicom", "write_dicom_series")
    check_units(units, mu_water)
    if not isinstance(description, str) or not 0 < len(description) <= 64:
        raise ValueError(
            f"Got description={brief(description)}, but expected 1 to 64 characters."
        )
    checked = check_stack(images, "images", "images")
    frames = read_sorted_frames(like, series, "like")
    _check_single_frames(frames)
    shape = (len(frames), *frames[0].shape)
    if checked.shape != shape:
        raise ValueError(
            f"Got images of shape {checked.shape}, but expected {shape}, as in "
            f"{str(like)!r}."
        )
    if units == "attenuation":
        checked = 1000 * (checked / np.float32(mu_water) - 1)
    slope = 1.0
    hounsfield = frames[0].modality == "CT"
    if not hounsfield:
        slope = float(f"{float(np.abs(checked).max()) / 32767 or 1.0:.9g}")
    stored = np.rint(checked / slope)
    if np.abs(stored).max() > 32767:
        raise ValueError(
            f"Got images from {checked.min():.5g} to {checked.max():.5g}, but expected "
            "Hounsfield units from -32767 to 32767."
        )
    folder = Path(out)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise FileExistsError(f"Got out={str(out)!r}, but expected an empty folder.")
    new_series = pydicom.uid.generate_uid()
    contents = []
    for number, frame in enumerate(frames, start=1):
        expected = "a little-endian DICOM image with a complete header"
        with readable(frame.path, expected):
            data = pydicom.dcmread(frame.path)
            _derive(pydicom, data, new_series, number, description)
            data.PixelData = stored[number - 1].astype("<i2").tobytes()
            data["PixelData"].VR = "OW"
            data.RescaleSlope, data.RescaleIntercept = f"{slope:.9g}", "0"
            data.RescaleType = "HU" if hounsfield else "US"
            buffer = io.BytesIO()
            data.save_as(buffer, enforce_file_format=True)
        contents.append(buffer.getbuffer())
    folder.mkdir(parents=True, exist_ok=True)
    filenames = []
    for number, content in enumerate(contents, start=1):
        path = folder / f"{number:04d}.dcm"
        write_atomically(path, [content])
        filenames.append(str(path))
    return filenames


def _derive(pydicom, data, series, number, description):
    """Turn the header of a slice into that of an image derived from it."""
    source = pydicom.Dataset()
    source.ReferencedSOPClassUID = data.SOPClassUID
    source.ReferencedSOPInstanceUID = data.SOPInstanceUID
    data.SourceImageSequence = [source]
    data.remove_private_tags()
    for name in _STALE:
        if name in data:
            delattr(data, name)
    kind = [*data.get("ImageType", []), "", ""][2:]
    data.ImageType = ["DERIVED", "SECONDARY", *(entry for entry in kind if entry)]
    data.DerivationDescription = description
    data.SeriesDescription = description
    data.SeriesInstanceUID = series
    data.SOPInstanceUID = pydicom.uid.generate_uid()
    data.InstanceNumber = number
    data.SamplesPerPixel = 1
    if "NumberOfFrames" in data:
        data.NumberOfFrames = 1
    data.BitsAllocated, data.BitsStored, data.HighBit = 16, 16, 15
    data.PixelRepresentation = 1
    meta = pydicom.dataset.FileMetaDataset()
    meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = data.SOPClassUID
    meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID
    data.file_meta = meta


def _check_single_frames(frames):
    """Refuse a series whose headers do not say of one image what is in one file."""
    for frame in frames:
        if frame.groups or int(frame.number("NumberOfFrames", 1)) > 1:
            raise ValueError(
                f"Got like with {str(frame.path)!r}, which has several frames or "
                "functional groups, but expected one plain image a file; write_nifti "
                "with the affine of read_dicom_series keeps the geometry."
            )
