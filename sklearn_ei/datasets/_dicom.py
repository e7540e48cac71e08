"""Series of DICOM slices, in the order of their position."""

import numpy as np
from sklearn.utils import Bunch

from ..utils.params import brief, check_option, check_real
from ..utils.warn import warn
from ._dicom_frames import read_frames, read_values
from ._files import check_fits, existing, files_in, readable, require

_UNITS = ("hu", "attenuation")
# Of the typical gap: what is no gap, and by how much gaps may differ.
_SAME_PLACE, _UNEVEN = 1e-3, 0.1
_SAME = ("shape", "spacing", "axes", "modality")


def read_dicom_series(path, *, units="hu", mu_water=0.19, series=None):
    """Read the slices of one series, in the order of their position.

    Parameters
    ----------
    path : str or path-like
        A folder with one or more slices a file: those that end in ``.dcm`` or, if
        there are none, all. Or a single file, such as one of Enhanced CT or MR with
        all frames.
    units : {"hu", "attenuation"}, default="hu"
        ``"hu"``: stored values after the modality transformation of the file
        (RescaleSlope and RescaleIntercept, or its table), Hounsfield units for CT.
        ``"attenuation"``: μ = mu_water·(1 + HU/1000), not below 0.
    mu_water : float, default=0.19
        Attenuation of water, in the unit that images shall have: about 0.19 per cm
        at 70 keV, the mean energy of a 120 kV beam.
    series : str, default=None
        SeriesInstanceUID. May be left out if there is one series of images.

    Returns
    -------
    scan : Bunch
        - ``images`` of shape (n_slices, H, W), float32;
        - ``units`` and ``mu_water``, as given;
        - ``pixel_spacing``, (height, width) of a pixel in mm, or None;
        - ``slice_positions`` of shape (n_slices,) in mm along the normal of the
          slices, or the numbers of instances or frames where positions are missing;
        - ``affine`` of shape (4, 4), from (column, row, slice) to mm (right,
          anterior, superior), or None;
        - ``modality``, ``series`` and ``filenames``, one for each slice.

    Raises
    ------
    FileNotFoundError, TypeError, ValueError
        If there is no series, more than one, a file that is damaged or no DICOM;
        images are in colour; spacing, position, orientation or rescaling are empty,
        NaN or of a wrong length (file and tag are named); some slices have a
        position and others not; slices differ in shape, pixel spacing, orientation,
        modality or photometric interpretation, or two have one position.

    Warns
    -----
    UserWarning
        If the gaps between slices are uneven.

    Notes
    -----
    Values are those of pydicom's ``apply_modality_lut``, with the rescaling of
    functional groups where a file has them. Pixels with PixelPaddingValue, or up to
    PixelPaddingRangeLimit, lie outside of what was imaged: they become air, −1000
    HU, and 0 in MR, PET and nuclear medicine. MONOCHROME1 tells how to show an
    image, dark where values are high, and does not change them.

    Examples
    --------
    >>> from sklearn_ei.datasets import read_dicom_series
    >>> scan = read_dicom_series("thorax", units="attenuation")  # doctest: +SKIP
    >>> pixel_size = scan.pixel_spacing[0] / 10  # cm  # doctest: +SKIP
    """
    check_units(units, mu_water)
    frames = read_sorted_frames(path, series)
    first = frames[0]
    if units == "attenuation" and not all(frame.is_hounsfield for frame in frames):
        raise ValueError(
            f"Got units='attenuation' for {str(path)!r} of modality "
            f"{first.modality!r}, but expected 'CT' that is rescaled to Hounsfield "
            "units (RescaleType HU); units='hu' takes the values as they are."
        )
    images = np.empty((len(frames), *first.shape), np.float32)
    for file in dict.fromkeys(frame.path for frame in frames):
        of_file = [number for number, frame in enumerate(frames) if frame.path == file]
        images[of_file] = read_values(file, [frames[number] for number in of_file])
    if units == "attenuation":
        images = np.maximum(np.float32(mu_water) * (1 + images / 1000), 0)
    return Bunch(
        images=images,
        units=units,
        mu_water=mu_water,
        pixel_spacing=first.spacing,
        slice_positions=np.array(_places(frames)),
        affine=_affine(frames),
        modality=first.modality,
        series=_series_of(first),
        filenames=[str(frame.path) for frame in frames],
    )


def check_units(units, mu_water):
    """Refuse units that are none of those known."""
    check_option("units", units, _UNITS)
    check_real("mu_water", mu_water, min_val=0, include_boundaries="neither")


def read_sorted_frames(path, series, name="path"):
    """Return the frames of one series, checked, sorted by position."""
    chosen = [
        frame
        for file in _files_of_series(existing(path, name), series)
        for frame in read_frames(file)
    ]
    first = chosen[0]
    check_fits(path, (len(chosen), *first.shape), np.float32, "images")
    for frame in chosen:
        _check_same(frame, first)
    ordered = [chosen[i] for i in np.argsort(_places(chosen), kind="stable")]
    _check_gaps(ordered)
    return ordered


def _files_of_series(found, series):
    """Return the files of a series, by their headers."""
    pydicom = require("pydicom", "read_dicom_series")
    files = [found]
    if found.is_dir():
        files = files_in(found, (".dcm",)) or files_in(found)
    uids, has_image = {}, set()
    for path in files:
        if path.name.upper() == "DICOMDIR":
            continue
        with readable(path, "a DICOM file"):
            tags = ["SeriesInstanceUID", "Rows"]
            data = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=tags)
            uids[path] = str(data.get("SeriesInstanceUID", ""))
        if "Rows" in data:
            has_image.add(uids[path])
        elif "SeriesInstanceUID" not in data:
            raise ValueError(
                f"Got {str(path)!r} with neither Rows nor SeriesInstanceUID, but "
                "expected a DICOM file with its whole header."
            )
    known = sorted(has_image)
    if series is None and len(known) == 1:
        series = known[0]
    if series not in known:
        raise ValueError(
            f"Got series={brief(series)} for {str(found)!r} with {len(known)} series "
            f"of images{': ' if known else ''}{', '.join(known[:5])}, but expected "
            + ("one of them." if known else "DICOM images.")
        )
    return [path for path, uid in uids.items() if uid == series]


def _series_of(frame):
    return str(frame.header.get("SeriesInstanceUID", ""))


def _check_same(frame, first):
    """Refuse a slice that does not fit the first one."""
    values = {name: (getattr(frame, name), getattr(first, name)) for name in _SAME}
    colours = "PhotometricInterpretation"
    values[colours] = (frame.header.get(colours), first.header.get(colours))
    kind = "RescaleType"
    values[kind] = (frame.transformation.get(kind), first.transformation.get(kind))
    names = {
        "shape": "Rows and Columns",
        "spacing": "PixelSpacing",
        "axes": "ImageOrientationPatient",
        "modality": "Modality",
    }
    for name, (value, expected) in values.items():
        same = value is expected or (
            value is not None
            and expected is not None
            and (
                np.allclose(value, expected, atol=1e-4)
                if name in ("spacing", "axes")
                else value == expected
            )
        )
        if not same:
            raise ValueError(
                f"Got {str(frame.path)!r} with {names.get(name, name)} {brief(value)}, "
                f"but expected {brief(expected)}, as in {str(first.path)!r}."
            )


def _places(frames):
    """Return where slices are: along the normal, or by their numbers."""
    places = [frame.position for frame in frames]
    lacking = [f for f, place in zip(frames, places, strict=True) if place is None]
    if not lacking:
        return places
    if len(lacking) < len(frames):
        raise lacking[0].refusal(
            "ImagePositionPatient",
            None,
            "one, with ImageOrientationPatient, as other slices of the series have",
        )
    if len({frame.path for frame in frames}) == 1:
        return [float(frame.index) for frame in frames]
    numbers = [frame.number("InstanceNumber") for frame in frames]
    for frame, number in zip(frames, numbers, strict=True):
        if number is None or numbers.count(number) > 1:
            raise frame.refusal(
                "InstanceNumber",
                number,
                "a number that no other slice has, as there are no positions",
            )
    return numbers


def _check_gaps(frames):
    """Refuse two slices at one place; warn of uneven gaps, as a lost slice leaves."""
    gaps = np.diff(_places(frames))
    if not len(gaps) or frames[0].position is None:
        return
    typical = np.median(gaps)
    if gaps.min() <= _SAME_PLACE * typical:
        pair = frames[gaps.argmin() :][:2]
        names = [f"{str(frame.path)!r} (frame {frame.index})" for frame in pair]
        raise ValueError(
            f"Got {names[0]} and {names[1]} at one position, but expected one slice at "
            "each, not several echoes or points in time."
        )
    if np.ptp(gaps) > _UNEVEN * typical:
        warn(
            f"The gaps between slices are from {gaps.min():g} to {gaps.max():g} mm; a "
            "slice may be missing, and affine has their mean.",
        )


def _affine(frames):
    """Return the map from (column, row, slice) to mm right, anterior, superior."""
    first, last = frames[0], frames[-1]
    if first.position is None or first.spacing is None:
        return None
    along_row, along_column = first.axes
    height, width = first.spacing
    if len(frames) > 1:
        step = (last.corner - first.corner) / (len(frames) - 1)
    else:
        thickness = first.number("SliceThickness", 1.0, within="PixelMeasuresSequence")
        step = first.normal * (thickness or 1.0)
    affine = np.eye(4)
    affine[:3] = np.column_stack(
        [along_row * width, along_column * height, step, first.corner]
    )
    affine[:2] *= -1  # DICOM's axes point to the left and to the back
    return affine
