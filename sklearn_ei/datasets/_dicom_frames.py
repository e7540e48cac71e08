"""One DICOM file: its frames, where they lie, and the values of their pixels."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from ..utils.params import brief
from ._files import check_fits, readable, require

_GREY = ("MONOCHROME1", "MONOCHROME2")
# What the pixels have where there is nothing, in the units of the modality.
_AIR_HU, _NO_SIGNAL = -1000.0, {"MR": 0.0, "PT": 0.0, "NM": 0.0}


@dataclass(frozen=True)
class Frame:
    """One slice: what the header of its file says about it.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    index : int
        Which of its frames.
    header : pydicom.Dataset
        Of the file, without pixels.
    groups : tuple of pydicom.Dataset
        Functional groups: those of the frame, and those that all share.
    """

    path: Path
    index: int
    header: Any
    groups: tuple

    def macro(self, name):
        """Return the item of a functional group, or the header where it has none."""
        for group in self.groups:
            if group.get(name):
                return group[name][0]
        return self.header

    def numbers(self, keyword, n, *, within=None):
        """Return ``n`` finite numbers of an element, or None if it is not there."""
        holder = self.header if within is None else self.macro(within)
        if keyword not in holder:
            return None
        try:
            value = holder[keyword].value
            values = np.float64(value).reshape(-1)
        except Exception as error:  # whatever is in the file
            value, values = error, np.array([np.nan])
        if len(values) != n or not np.isfinite(values).all():
            raise self.refusal(keyword, value, f"{n} finite number(s)")
        return tuple(values.tolist())

    def number(self, keyword, default=None, *, within=None):
        """Return a finite number, or a default if it is not there."""
        found = self.numbers(keyword, 1, within=within)
        return default if found is None else found[0]

    def refusal(self, keyword, value, expected):
        """Return the error that says what is wrong with an element."""
        tag = require("pydicom", "read_dicom_series").tag.Tag(keyword)
        return ValueError(
            f"Got {str(self.path)!r} with {keyword} {tag} {brief(value)}, but expected "
            f"{expected}."
        )

    @cached_property
    def shape(self):
        """Rows and columns."""
        sizes = self.number("Rows", 0), self.number("Columns", 0)
        if min(sizes) < 1:
            raise self.refusal("Rows", sizes, "the rows and columns of an image")
        return tuple(int(n) for n in sizes)

    @cached_property
    def spacing(self):
        """(height, width) of a pixel in mm, or None."""
        spacing = self.numbers("PixelSpacing", 2, within="PixelMeasuresSequence")
        if spacing is not None and min(spacing) <= 0:
            raise self.refusal("PixelSpacing", spacing, "two numbers above 0")
        return spacing

    @cached_property
    def corner(self):
        """Place of the first pixel in mm, or None."""
        found = self.numbers("ImagePositionPatient", 3, within="PlanePositionSequence")
        return None if found is None else np.array(found)

    @cached_property
    def axes(self):
        """Directions along a row and along a column, of shape (2, 3), or None."""
        keyword = "ImageOrientationPatient"
        found = self.numbers(keyword, 6, within="PlaneOrientationSequence")
        if found is None:
            return None
        axes = np.reshape(found, (2, 3))
        if not np.allclose(axes @ axes.T, np.eye(2), atol=1e-2):
            raise self.refusal(keyword, found, "two orthogonal directions of length 1")
        return axes

    @property
    def normal(self):
        """Direction across the slice."""
        return np.cross(*self.axes)

    @property
    def position(self):
        """Place along the normal in mm, or None."""
        if self.corner is None or self.axes is None:
            return None
        return float(self.corner @ self.normal)

    @property
    def modality(self):
        """What kind of image it is."""
        return str(self.header.get("Modality", ""))

    @cached_property
    def transformation(self):
        """What has the rescaling of the frame, once it has been checked."""
        name = "PixelValueTransformationSequence"
        slope = self.number("RescaleSlope", within=name)
        intercept = self.number("RescaleIntercept", within=name)
        if (slope is None) != (intercept is None) or slope == 0:
            value = {"RescaleSlope": slope, "RescaleIntercept": intercept}
            raise self.refusal("RescaleSlope", value, "both, and a slope that is not 0")
        return self.macro(name)

    @property
    def is_hounsfield(self):
        """Whether values are Hounsfield units once they are rescaled."""
        found = self.transformation
        kind = str(found.get("RescaleType") or "HU")
        known = "RescaleSlope" in found and not self.header.get("ModalityLUTSequence")
        return self.modality == "CT" and known and kind == "HU"


def read_frames(path):
    """Return the frames of a file, after what all of them share has been checked."""
    pydicom = require("pydicom", "read_dicom_series")
    with readable(path, "a DICOM file"):
        header = pydicom.dcmread(path, stop_before_pixels=True)
        shared = header.get("SharedFunctionalGroupsSequence") or []
        each = header.get("PerFrameFunctionalGroupsSequence") or []
    whole = Frame(path, 0, header, ())
    n_frames = int(whole.number("NumberOfFrames", 1))
    if n_frames < 1 or (each and len(each) != n_frames):
        raise whole.refusal(
            "NumberOfFrames", n_frames, f"{len(each) or 'at least one'}, as there are"
        )
    check_fits(path, (n_frames, *whole.shape), np.float32, "frames")
    colours = header.get("PhotometricInterpretation")
    if colours not in _GREY:
        raise whole.refusal(
            "PhotometricInterpretation", colours, f"grey values, {' or '.join(_GREY)}"
        )
    if "DoseGridScaling" in header:
        raise whole.refusal(
            "DoseGridScaling",
            header.DoseGridScaling,
            "an image: doses, which are stored values times it, are not read",
        )
    return [
        Frame(path, index, header, (*each[index : index + 1], *shared[:1]))
        for index in range(n_frames)
    ]


def read_values(path, frames):
    """Return the float32 values of frames of one file, in the units of its modality."""
    pydicom = require("pydicom", "read_dicom_series")
    with readable(path, "a DICOM image that is not compressed or has its decoder"):
        content = pydicom.dcmread(path)
        stored = content.pixel_array
    n_frames = int(frames[0].number("NumberOfFrames", 1))
    stored = stored.reshape(-1, *stored.shape[-2:])
    if stored.shape != (n_frames, *frames[0].shape):
        raise ValueError(
            f"Got {str(path)!r} with pixels of shape {stored.shape}, but expected "
            f"{(n_frames, *frames[0].shape)}."
        )
    images = np.empty((len(frames), *frames[0].shape), np.float32)
    for image, frame in zip(images, frames, strict=True):
        pixels = stored[frame.index]
        # Those of the file, whose bytes a table may be packed in.
        found = frame.transformation
        source = content if found is frame.header else found
        with readable(path, "a DICOM image with a modality transformation"):
            if "ModalityLUTSequence" in content:
                source = content
            image[:] = pydicom.pixels.apply_modality_lut(pixels, source)
        padded = _padding(frame, pixels)
        if padded is not None and padded.any():
            image[padded] = _nothing(frame, np.count_nonzero(padded))
    return images


def _padding(frame, pixels):
    """Return which pixels lie outside of what was imaged, or None.

    The value may be written with the other sign than pixels have; that of bits
    which are not stored cannot be told from a pixel.
    """
    for prefix in ("Float", "DoubleFloat"):
        value = frame.number(f"{prefix}PixelPaddingValue")
        if value is not None:
            return pixels == pixels.dtype.type(value)
    value = frame.number("PixelPaddingValue")
    if value is None:
        return None
    limits = [value, frame.number("PixelPaddingRangeLimit", value)]
    n_bits = int(frame.number("BitsAllocated", 16))
    n_stored = int(frame.number("BitsStored", n_bits))
    lowest = -(2 ** (n_stored - 1)) if frame.number("PixelRepresentation", 0) else 0
    wrapped = [(int(v) - lowest) % 2**n_bits + lowest for v in limits]
    if max(wrapped) >= lowest + 2**n_stored:
        raise frame.refusal(
            "PixelPaddingValue", limits, f"values that fit into {n_stored} stored bits"
        )
    return (pixels >= min(wrapped)) & (pixels <= max(wrapped))


def _nothing(frame, n_padded):
    """Return the value of pixels that were not imaged."""
    if frame.is_hounsfield:
        return _AIR_HU
    if frame.modality in _NO_SIGNAL:
        return _NO_SIGNAL[frame.modality]
    raise frame.refusal(
        "PixelPaddingValue",
        frame.header.get("PixelPaddingValue"),
        f"no padded pixels (it has {n_padded}) in images that are not in Hounsfield "
        f"units and not of modality {', '.join(_NO_SIGNAL)}",
    )
