"""The same file by our reader and by the library of its format."""

import importlib
import shutil
import tempfile
from pathlib import Path

import numpy as np

from sklearn_ei import datasets

from ._case import Case, attempt


def dicom(path, made=False):
    import pydicom

    def theirs():
        data = pydicom.dcmread(path, force=True)
        stored = data.pixel_array.reshape(-1, data.Rows, data.Columns)
        if data.get("SamplesPerPixel", 1) != 1:
            raise ValueError("in colour")
        values, places = [], []
        for index, frame in enumerate(stored):
            group, place = data, float(index)
            for name in ("Shared", "PerFrame"):
                sequence = data.get(f"{name}FunctionalGroupsSequence")
                item = sequence and sequence[index if name == "PerFrame" else 0]
                if item and "PixelValueTransformationSequence" in item:
                    group = item.PixelValueTransformationSequence[0]
                if item and "PlanePositionSequence" in item:
                    place = float(item.PlanePositionSequence[0].ImagePositionPatient[2])
            values.append(np.float32(pydicom.pixels.apply_modality_lut(frame, group)))
            places.append(place)
        return np.array(values)[np.argsort(places, kind="stable")]

    def stated(values):
        data = pydicom.dcmread(path)
        first, last = sorted(
            (
                data.PixelPaddingValue,
                data.get("PixelPaddingRangeLimit", data.PixelPaddingValue),
            )
        )
        stored = data.pixel_array.astype(np.int64).reshape(values.shape)
        padded = (stored >= first) & (stored <= last)
        return np.where(padded, -1000.0 if data.Modality == "CT" else 0.0, values)

    padded = attempt(lambda: "PixelPaddingValue" in pydicom.dcmread(path, force=True))
    return Case(
        path,
        "read_dicom_series",
        lambda: datasets.read_dicom_series(path).images,
        theirs,
        made,
        stated if padded[0] else None,
    )


def tiff(path, made=False, moved=None):
    import tifffile

    def theirs():
        values = tifffile.imread(path)
        return values if moved is None else np.moveaxis(values, *moved)

    return Case(
        path,
        "read_tiff_stack",
        lambda: datasets.read_tiff_stack(path).data,
        theirs,
        made,
    )


def picture(path, folder, made=False):
    """Compare ``load_image_folder`` with Pillow, of a copy that is alone."""
    from PIL import Image

    def ours():
        alone = Path(tempfile.mkdtemp(dir=folder))
        shutil.copy(path, alone)
        return datasets.load_image_folder(alone)

    def theirs():
        with Image.open(path) as image:
            largest = 65535 if "16" in image.mode else 1 if image.mode == "1" else 255
            if image.mode in ("L", "1", "RGB", "I;16", "F", "I;16B"):
                values = np.asarray(image)
            else:
                values = np.asarray(image.convert("L" if image.mode == "LA" else "RGB"))
        scaled = values / np.float32(largest) if values.dtype.kind in "ui" else values
        return scaled.astype(np.float32)

    return Case(path, "load_image_folder", ours, theirs, made)


def matlab(path, made=False):
    from scipy.io import loadmat, whosmat

    names = attempt(lambda: whosmat(str(path), appendmat=False))[0] or [("x", (), "")]
    for name in dict.fromkeys(name for name, *_ in names):

        def theirs(name=name):
            value = loadmat(str(path), appendmat=False)[name]
            if not isinstance(value, np.ndarray) or value.dtype.kind not in "biufc":
                raise ValueError("no array of numbers")
            return value

        yield Case(
            path,
            "read_matlab",
            lambda name=name: datasets.read_matlab(path, name).data,
            theirs,
            made,
        )


def numpy_file(path, made=False):
    keys = [None]
    if path.suffix == ".npz":
        keys = attempt(lambda: list(np.load(path, allow_pickle=False)))[0] or [None]
    for key in keys:

        def theirs(key=key):
            loaded = np.load(path, allow_pickle=False)
            return loaded if key is None else loaded[key]

        yield Case(
            path,
            "read_numpy",
            lambda key=key: datasets.read_numpy(path, key).data,
            theirs,
            made,
        )


def hdf5(path, name, made=False, theirs=None):
    import h5py

    def whole():
        with h5py.File(path) as file:
            values = file[name][()]
            if np.asarray(values).dtype.kind not in "biufc":
                raise ValueError("no numbers")
            return values

    return Case(
        path,
        "read_hdf5",
        lambda: datasets.read_hdf5(path, name).data,
        theirs or whole,
        made,
    )


def folder_of(package, *parts):
    return Path(importlib.import_module(package).__file__).parent.joinpath(*parts)
