"""Series of DICOM slices: read as images, written as derived images."""

import io
import warnings
from pathlib import Path

import numpy as np
from sklearn.utils import Bunch

from ..utils.files import write_atomically
from ..utils.params import brief, check_option, check_real
from ..utils.validation import check_stack
from ._files import existing, files_in, readable, require

_UNITS = ("hu", "attenuation")
# Of the typical gap: what is no gap, and by how much gaps may differ.
_SAME_PLACE, _UNEVEN = 1e-3, 0.1
# What no longer holds of a derived image.
_STALE = (
    "SmallestImagePixelValue",
    "LargestImagePixelValue",
    "PixelPaddingValue",
    "PixelPaddingRangeLimit",
    "ModalityLUTSequence",
    "FloatPixelData",
    "PlanarConfiguration",
    "IconImageSequence",
)


def read_dicom_series(folder, *, units="hu", mu_water=0.19, series=None):
    """Read the slices of one series, in the order of their position.

    Parameters
    ----------
    folder : str or path-like
        With one file a slice: those that end in ``.dcm`` or, if there are none, all.
    units : {"hu", "attenuation"}, default="hu"
        ``"hu"``: stored values times RescaleSlope plus RescaleIntercept, Hounsfield
        units for CT. ``"attenuation"``: μ = mu_water·(1 + HU/1000), not below 0.
    mu_water : float, default=0.19
        Attenuation of water, in the unit that images shall have: about 0.19 per cm
        at 70 keV, the mean energy of a 120 kV beam.
    series : str, default=None
        SeriesInstanceUID. May be left out if there is one series.

    Returns
    -------
    scan : Bunch
        - ``images`` of shape (n_slices, H, W), float32;
        - ``units`` and ``mu_water``, as given;
        - ``pixel_spacing``, (height, width) of a pixel in mm, or None;
        - ``slice_positions`` of shape (n_slices,) in mm along the normal of the
          slices, or their instance numbers where positions are missing;
        - ``affine`` of shape (4, 4), from (column, row, slice) to mm (right,
          anterior, superior), or None;
        - ``modality``, ``series`` and ``filenames``.

    Raises
    ------
    FileNotFoundError, TypeError, ValueError
        If there is no series, more than one, a file that is damaged or no DICOM, or
        slices differ in shape or pixel spacing, or two have one position.

    Warns
    -----
    UserWarning
        If the gaps between slices are uneven.

    Examples
    --------
    >>> from sklearn_ei.datasets import read_dicom_series
    >>> scan = read_dicom_series("thorax", units="attenuation")  # doctest: +SKIP
    >>> pixel_size = scan.pixel_spacing[0] / 10  # cm  # doctest: +SKIP
    """
    _check_units(units, mu_water)
    slices = _read_slices(folder, series)
    first = slices[0][1]
    images = np.stack([_pixels(path, data) for path, data in slices])
    _check_gaps(slices)
    modality = str(first.get("Modality", ""))
    if units == "attenuation":
        if modality != "CT":
            raise ValueError(
                f"Got units='attenuation' for images of modality {modality!r}, but "
                "expected 'CT'; units='hu' takes the values as they are."
            )
        images = np.maximum(np.float32(mu_water) * (1 + images / 1000), 0)
    spacing = first.get("PixelSpacing")
    return Bunch(
        images=images,
        units=units,
        mu_water=mu_water,
        pixel_spacing=None if spacing is None else tuple(float(s) for s in spacing),
        slice_positions=np.array([_position(data) for _, data in slices]),
        affine=_affine(first, slices[-1][1], len(slices)),
        modality=modality,
        series=_series_of(first),
        filenames=[str(path) for path, _ in slices],
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
        If images do not fit the series or 16 bits, or ``out`` has files already.

    Notes
    -----
    CT is stored in whole Hounsfield units, as scanners do; other modalities in
    65534 steps between minus and plus the largest magnitude of all images.
    """
    pydicom = require("pydicom", "write_dicom_series")
    _check_units(units, mu_water)
    if not isinstance(description, str) or not 0 < len(description) <= 64:
        raise ValueError(
            f"Got description={brief(description)}, but expected 1 to 64 characters."
        )
    checked = check_stack(images, "images", "images")
    slices = _read_slices(like, series)
    shape = (len(slices), int(slices[0][1].Rows), int(slices[0][1].Columns))
    if checked.shape != shape:
        raise ValueError(
            f"Got images of shape {checked.shape}, but expected {shape}, as in "
            f"{str(like)!r}."
        )
    if units == "attenuation":
        checked = 1000 * (checked / np.float32(mu_water) - 1)
    slope = 1.0
    if slices[0][1].get("Modality") != "CT":
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
    for number, (path, data) in enumerate(slices, start=1):
        with readable(path, "a little-endian DICOM image with a complete header"):
            _derive(pydicom, data, new_series, number, description)
            data.PixelData = stored[number - 1].astype("<i2").tobytes()
            data["PixelData"].VR = "OW"
            data.RescaleSlope, data.RescaleIntercept = f"{slope:.9g}", "0"
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


# --------------------------------------------------------------------- reading
def _check_units(units, mu_water):
    check_option("units", units, _UNITS)
    check_real("mu_water", mu_water, min_val=0, include_boundaries="neither")


def _read_slices(folder, series):
    """Return the path and the content of each slice, sorted by position."""
    pydicom = require("pydicom", "read_dicom_series")
    found = existing(folder, "folder", "folder")
    files = files_in(found, (".dcm",)) or files_in(found)
    slices = []
    for path in files:
        if path.name.upper() == "DICOMDIR":
            continue
        with readable(path, "a DICOM file"):
            data = pydicom.dcmread(path)
            data.get("ImagePositionPatient")  # elements are decoded when asked for
        slices.append((path, data))
    known = sorted({_series_of(data) for _, data in slices})
    if series is None and len(known) == 1:
        series = known[0]
    if not slices or series not in known:
        raise ValueError(
            f"Got series={brief(series)} for {str(folder)!r} with {len(known)} series"
            f"{': ' if known else ''}{', '.join(known[:5])}, but expected "
            + ("one of them." if known else "a folder of DICOM files.")
        )
    slices = [pair for pair in slices if _series_of(pair[1]) == series]
    first = slices[0]
    for path, data in slices:
        for name in ("Rows", "Columns", "PixelSpacing", "ImageOrientationPatient"):
            value, expected = data.get(name), first[1].get(name)
            same = value == expected or (
                None not in (value, expected)
                and np.shape(value) == np.shape(expected)
                and np.allclose(np.float64(value), np.float64(expected), atol=1e-4)
            )
            if not same:
                raise ValueError(
                    f"Got {str(path)!r} with {name} {value}, but expected {expected}, "
                    f"as in {str(first[0])!r}."
                )
    with readable(found, "slices with positions or instance numbers"):
        return sorted(slices, key=lambda pair: _position(pair[1]))


def _check_gaps(slices):
    """Refuse two slices at one place; warn of uneven gaps, as a lost slice leaves."""
    gaps = np.diff([_position(data) for _, data in slices])
    if not len(gaps) or "ImagePositionPatient" not in slices[0][1]:
        return
    typical = np.median(gaps)
    if gaps.min() <= _SAME_PLACE * typical:
        paths = [str(path) for path, _ in slices[gaps.argmin() :][:2]]
        raise ValueError(
            f"Got {paths[0]!r} and {paths[1]!r} at one position, but expected one "
            "slice at each, not several echoes or points in time."
        )
    if np.ptp(gaps) > _UNEVEN * typical:
        warnings.warn(
            f"The gaps between slices are from {gaps.min():g} to {gaps.max():g} mm; a "
            "slice may be missing, and affine has their mean.",
            UserWarning,
            stacklevel=3,
        )


def _series_of(data):
    return str(data.get("SeriesInstanceUID", ""))


def _normal(data):
    cosines = np.array(data.ImageOrientationPatient, dtype=np.float64).reshape(2, 3)
    return np.cross(*cosines)


def _position(data):
    """Return the place of a slice along the normal, in mm."""
    if "ImagePositionPatient" in data and "ImageOrientationPatient" in data:
        corner = np.array(data.ImagePositionPatient, dtype=np.float64)
        return float(corner @ _normal(data))
    return float(data.get("InstanceNumber", 0) or 0)


def _affine(first, last, n_slices):
    """Return the map from (column, row, slice) to mm right, anterior, superior."""
    needed = ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing")
    if not all(name in first and name in last for name in needed):
        return None
    along_row, along_column = np.float64(first.ImageOrientationPatient).reshape(2, 3)
    height, width = (float(s) for s in first.PixelSpacing)
    corner = np.float64(first.ImagePositionPatient)
    if n_slices > 1:
        step = (np.float64(last.ImagePositionPatient) - corner) / (n_slices - 1)
    else:
        step = _normal(first) * float(first.get("SliceThickness") or 1.0)
    affine = np.eye(4)
    affine[:3] = np.column_stack(
        [along_row * width, along_column * height, step, corner]
    )
    affine[:2] *= -1  # DICOM's axes point to the left and to the back
    return affine


def _pixels(path, data):
    """Return the values of a slice, in the units that its header defines."""
    with readable(path, "a DICOM image that is not compressed or has its decoder"):
        stored = data.pixel_array
        slope = float(data.get("RescaleSlope", 1))
        intercept = float(data.get("RescaleIntercept", 0))
    if stored.ndim != 2:
        raise ValueError(
            f"Got {str(path)!r} with pixels of shape {stored.shape}, but expected one "
            "grey slice in each file."
        )
    return np.float32(stored * slope + intercept)


# --------------------------------------------------------------------- writing
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
    data.BitsAllocated, data.BitsStored, data.HighBit = 16, 16, 15
    data.PixelRepresentation = 1
    meta = pydicom.dataset.FileMetaDataset()
    meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = data.SOPClassUID
    meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID
    data.file_meta = meta
