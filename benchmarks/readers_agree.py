"""Read public and made files with our readers and with the field's libraries.

python benchmarks/readers_agree.py [--no-record]

Public files are the small ones that pydicom, SciPy, scikit-image, h5py and other
installed packages bring along; nothing is downloaded. A reader may give the values of
the library, or refuse in a sentence that names the file; it may not differ silently.
"""

import argparse
import importlib
import itertools
import shutil
import sys
import tempfile
import warnings
from collections import Counter
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

import _record
import numpy as np

from sklearn_ei import datasets

SMOKE = []
SMOKE_SLOW = True
SMOKE_NEEDS = ["h5py", "mrcfile", "pydicom", "tifffile"]
LIBRARIES = ("pydicom", "h5py", "tifffile", "mrcfile", "scipy", "pillow", "numpy")
SENTENCE = (ValueError, TypeError, FileNotFoundError, MemoryError, OSError)


@dataclass
class Case:
    """A file, what our reader says, and what the library says."""

    path: Path
    reader: str
    ours: object
    theirs: object
    made: bool = False
    # Where the documentation says that values differ, and what they are there.
    stated: object = None
    outcome: str = field(default="", init=False)
    detail: str = field(default="", init=False)

    def run(self):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            theirs, error_of_theirs = attempt(self.theirs)
            ours, error = attempt(self.ours)
        if error is not None:
            in_a_sentence = isinstance(error, SENTENCE) and self.path.name in str(error)
            self.detail = f"{type(error).__name__}: {error}"[:200]
            if not in_a_sentence:
                self.outcome = "raw error"
            elif error_of_theirs is not None:
                self.outcome = "refused by both"
            else:
                self.outcome = "refused"
        elif error_of_theirs is not None:
            self.outcome, self.detail = "read by us alone", repr(error_of_theirs)[:200]
        elif same(ours, theirs):
            self.outcome = "equal"
        elif self.stated is not None and same(ours, self.stated(theirs)):
            self.outcome = "equal but for what is stated"
        else:
            self.outcome = "silently different"
            self.detail = f"{np.shape(ours)} and {np.shape(theirs)}"
        return self


def attempt(function):
    try:
        return function(), None
    except Exception as error:
        return None, error


def same(ours, theirs):
    """Whether values are equal, but for the number of leading axes of length 1."""
    ours, theirs = np.asarray(ours), np.asarray(theirs)
    if ours.size != theirs.size or ours.shape[-1:] != theirs.shape[-1:]:
        return False
    shapes = [tuple(n for n in a.shape if n > 1) for a in (ours, theirs)]
    return shapes[0] == shapes[1] and np.array_equal(
        ours.ravel(), theirs.ravel(), equal_nan=ours.dtype.kind in "fc"
    )


def folder_of(package, *parts):
    return Path(importlib.import_module(package).__file__).parent.joinpath(*parts)


# ------------------------------------------------------------------- public files
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


def public_cases(folder):
    import h5py

    for path in sorted(folder_of("pydicom", "data", "test_files").rglob("*")):
        if path.is_file() and path.suffix in (".dcm", ""):
            yield dicom(path)
    for path in sorted(folder_of("scipy.io.matlab", "tests", "data").glob("*.mat")):
        yield from matlab(path)
    for path in sorted(folder_of("skimage", "data").iterdir()):
        if path.suffix in (".png", ".jpg", ".jpeg", ".tif", ".bmp"):
            yield picture(path, folder)
        if path.suffix in (".tif", ".tiff"):
            yield tiff(path)
    for path in sorted(folder_of("h5py", "tests", "data_files").glob("*.h5")):
        with h5py.File(path) as file:
            names = list(file)
        for name in names:
            yield hdf5(path, name)
    for package in ("sklearn", "scipy", "numpy", "skimage", "matplotlib"):
        for path in sorted(folder_of(package).rglob("*.np[yz]")):
            yield from numpy_file(path)


# --------------------------------------------------------------------- made files
def made_tiffs(folder, rng):
    import tifffile

    kinds = ("u1", "u2", "u4", "i2", "f2", "f4", "f8")
    layouts = {
        "page": ((20, 24), {}),
        "pages": ((5, 20, 24), {"metadata": None}),
        "shaped": ((5, 20, 24), {}),
        "rgb": ((20, 24, 3), {"photometric": "rgb"}),
        "rgb pages": ((5, 20, 24, 3), {"photometric": "rgb"}),
    }
    packings = {
        "": {},
        "deflate": {"compression": "zlib"},
        "predictor": {"compression": "zlib", "predictor": True},
        "tiles": {"tile": (16, 16)},
        "big endian": {"byteorder": ">"},
    }
    for kind, layout, packing in itertools.product(kinds, layouts, packings):
        if packing == "predictor" and kind == "f2":
            continue
        shape, options = layouts[layout]
        path = folder / f"{kind} {layout} {packing}.tif"
        values = (99 * rng.random(shape)).astype(kind)
        options = {"photometric": "minisblack", **options, **packings[packing]}
        if attempt(lambda p=path, v=values, o=options: tifffile.imwrite(p, v, **o))[1]:
            continue  # a codec that is not installed
        yield tiff(path, made=True)
    stack = (99 * rng.random((6, 2, 20, 24))).astype(np.uint16)
    for kind in ("imagej", "ome"):
        for axes, moved in (("ZCYX", (1, -1)), ("TZYX", None), ("CZYX", (0, -1))):
            path = folder / f"{kind} {axes}.tif"
            options = {kind: True, "metadata": {"axes": axes}}
            if not attempt(lambda p=path, o=options: tifffile.imwrite(p, stack, **o))[
                1
            ]:
                yield tiff(path, made=True, moved=moved)
    for name, shape, options in (
        ("white", (20, 24), {"photometric": "miniswhite"}),
        ("cmyk", (20, 24, 4), {"photometric": "separated"}),
        (
            "palette",
            (20, 24),
            {"photometric": "palette", "colormap": np.zeros((3, 256), "u2")},
        ),
        ("planes", (3, 20, 24), {"photometric": "rgb", "planarconfig": "separate"}),
    ):
        path = folder / f"{name}.tif"
        tifffile.imwrite(path, (99 * rng.random(shape)).astype("u1"), **options)
        yield tiff(path, made=True)


def made_pictures(folder, rng):
    from PIL import Image

    rgb = (255 * rng.random((16, 16, 3))).astype(np.uint8)
    image = Image.fromarray(rgb)
    for mode, suffixes in {
        "L": ("png", "jpg", "bmp", "tif"),
        "RGB": ("png", "jpg", "bmp", "tif"),
        "RGBA": ("png", "tif"),
        "LA": ("png",),
        "1": ("png", "bmp"),
        "P": ("png", "bmp"),
        "CMYK": ("jpg",),
        "YCbCr": ("jpg",),
        "F": ("tif",),
    }.items():
        for suffix in suffixes:
            path = folder / f"{mode}.{suffix}"
            image.convert(mode).save(path)
            yield picture(path, folder, made=True)
    path = folder / "deep.png"
    Image.fromarray((65535 * rng.random((16, 16))).astype(np.uint16)).save(path)
    yield picture(path, folder, made=True)


def made_mrcs(folder, rng):
    import mrcfile

    for kind, compression in itertools.product(
        ("i1", "i2", "u2", "f2", "f4", "c8"), (None, "gzip", "bzip2")
    ):
        path = folder / f"{kind} {compression}.mrc"
        values = (99 * rng.random((7, 5, 6))).astype(kind)
        with mrcfile.new(path, values, compression=compression) as file:
            file.set_image_stack()
        yield Case(
            path,
            "read_mrc",
            lambda path=path: datasets.read_mrc(path, "stack").data,
            lambda path=path: mrcfile.read(path),
            True,
        )
        yield Case(
            path,
            "read_mrc",
            lambda path=path: datasets.read_mrc(path).measurements,
            lambda path=path: np.moveaxis(mrcfile.read(path), 1, 0),
            True,
        )


def made_hdf5s(folder, rng):
    import h5py

    for kind, packing in itertools.product(
        ("u1", "u2", "i4", "f2", "f4", "f8", "c8", "c16", "?"),
        ("contiguous", "chunks", "gzip", "shuffle", "big endian"),
    ):
        path = folder / f"{kind.replace('?', 'bool')} {packing}.h5"
        values = (99 * rng.random((6, 5, 7))).astype(kind)
        options = {"chunks": (2, 5, 7)} if packing != "contiguous" else {}
        options |= {"compression": "gzip"} if packing == "gzip" else {}
        options |= {"shuffle": True} if packing == "shuffle" else {}
        if packing == "big endian":
            values = values.astype(values.dtype.newbyteorder(">"))
        with h5py.File(path, "w") as file:
            file.create_dataset("a/b", data=values, **options)
            file["link"] = h5py.SoftLink("/a/b")
        yield hdf5(path, "a/b", made=True)
        yield hdf5(path, "link", made=True)
    frames = rng.integers(0, 999, (9, 4, 6)).astype(np.uint16)
    key = np.array([2, 1, 0, 0, 0, 3, 0, 1, 2])
    with h5py.File(folder / "scan.nxs", "w") as file:
        group = file.create_group("entry/instrument/detector")
        group.attrs["NX_class"] = "NXdetector"
        group["data"], group["image_key"] = frames, key
        file["entry/sample/rotation_angle"] = np.arange(9.0)
    with h5py.File(folder / "scan.h5", "w") as file:
        file["exchange/data"], file["exchange/data_white"] = frames, frames[:3]
        file["exchange/theta"] = np.arange(9.0)
    for name, layout, part, expected in (
        ("scan.nxs", "nxtomo", "measurements", np.moveaxis(frames[key == 0], 0, 1)),
        ("scan.nxs", "nxtomo", "flat", frames[key == 1].mean(0)[:, None]),
        ("scan.nxs", "nxtomo", "dark", frames[key == 2].mean(0)[:, None]),
        ("scan.nxs", "nxtomo", "angles", np.arange(9.0)[key == 0]),
        ("scan.h5", "dxchange", "measurements", np.moveaxis(frames, 0, 1)),
        ("scan.h5", "dxchange", "flat", frames[:3].mean(0)[:, None]),
    ):
        path = folder / name
        yield Case(
            path,
            "read_hdf5",
            lambda p=path, a=layout, b=part: datasets.read_hdf5(p, a)[b],
            lambda expected=expected: expected,
            True,
        )
    path = folder / "gap.h5"
    with h5py.File(path, "w") as file:
        data = file.create_dataset("x", (6, 5), "f4", chunks=(2, 5))
        data[:2] = 1
        source = h5py.VirtualSource("none.h5", "x", shape=(6, 5))
        layout = h5py.VirtualLayout((6, 5), "f4")
        layout[:] = source
        file.create_virtual_dataset("virtual", layout)
        (folder / "bytes").write_bytes(bytes(120))
        file.create_dataset(
            "external", (6, 5), "f4", external=[(str(folder / "bytes"), 0, 120)]
        )
    for name in ("x", "virtual", "external"):
        yield hdf5(path, name, made=True)


def made_matlab(folder, rng):
    from scipy.io import savemat

    for kind, format, packed in itertools.product(
        ("u1", "i2", "f4", "f8", "c16"), ("4", "5"), (False, True)
    ):
        path = folder / f"{kind} {format} {packed}.mat"
        values = (99 * rng.random((6, 7) if format == "4" else (6, 5, 7))).astype(kind)
        savemat(path, {"x": values}, format=format, do_compression=packed)
        yield from matlab(path, made=True)


def made_numpys(folder, rng):
    for kind in ("?", "u1", "i8", "f2", "f4", "f8", "c8", ">f4", "U3", "V4"):
        path = folder / f"{kind.translate(str.maketrans('?>', 'be'))}.npy"
        np.save(path, (99 * rng.random((6, 5))).astype("u1").astype(kind))
        yield from numpy_file(path, made=True)


def made_dicoms(folder, rng):
    import pydicom

    original = pydicom.dcmread(folder_of("pydicom", "data/test_files/CT_small.dcm"))
    for name, elements in {
        "slope": {"RescaleSlope": "0.25", "RescaleIntercept": "-7.5"},
        "no rescale": {"RescaleSlope": None, "RescaleIntercept": None},
        "one of both": {"RescaleSlope": None},
        "empty slope": {"RescaleSlope": ""},
        "padding": {"PixelPaddingValue": int(original.pixel_array[0, 0])},
        "padding range": {
            "PixelPaddingValue": 0,
            "PixelPaddingRangeLimit": int(original.pixel_array.mean()),
        },
        "palette": {"PhotometricInterpretation": "PALETTE COLOR"},
        "monochrome1": {"PhotometricInterpretation": "MONOCHROME1"},
        "one spacing": {"PixelSpacing": "0.5"},
        "short position": {"ImagePositionPatient": [1, 2]},
        "magnetic resonance": {"Modality": "MR"},
    }.items():
        data = pydicom.dcmread(original.filename)
        for element, value in elements.items():
            if value is None:
                del data[element]
            elif "Padding" in element:
                data.add_new(element, "SS", value)
            else:
                setattr(data, element, value)
        path = folder / f"{name}.dcm"
        data.save_as(path)
        yield dicom(path, made=True)
    for n_frames, shared in itertools.product((1, 3), (False, True)):
        data = pydicom.dcmread(original.filename)
        values = rng.integers(0, 2000, (n_frames, 128, 128)).astype(np.int16)
        del data.RescaleSlope, data.RescaleIntercept, data.ImagePositionPatient
        data.NumberOfFrames, data.PixelData = n_frames, values.tobytes()
        data.SharedFunctionalGroupsSequence = [pydicom.Dataset()]
        data.PerFrameFunctionalGroupsSequence = []
        for index in range(n_frames):
            rescale, place, group = (pydicom.Dataset() for _ in range(3))
            rescale.RescaleSlope, rescale.RescaleIntercept = 0.5, -100 * index
            place.ImagePositionPatient = [0, 0, -2.5 * index]
            group.PlanePositionSequence = [place]
            holder = data.SharedFunctionalGroupsSequence[0] if shared else group
            if not shared or index == 0:
                holder.PixelValueTransformationSequence = [rescale]
            data.PerFrameFunctionalGroupsSequence.append(group)
        path = folder / f"enhanced {n_frames} {shared}.dcm"
        data.save_as(path)
        yield dicom(path, made=True)


def made_cases(folder):
    rng = np.random.default_rng(0)
    makers = (
        made_tiffs,
        made_pictures,
        made_mrcs,
        made_hdf5s,
        made_matlab,
        made_numpys,
        made_dicoms,
    )
    for make in makers:
        place = folder / make.__name__
        place.mkdir()
        yield from make(place, rng)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--no-record", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        folder = Path(name)
        cases = [
            case.run()
            for case in itertools.chain(public_cases(folder), made_cases(folder))
        ]
    outcomes = Counter(case.outcome for case in cases)
    bad = [c for c in cases if c.outcome in ("silently different", "raw error")]
    for case in cases:
        if case.outcome not in ("equal", "refused by both"):
            print(f"{case.outcome:28} {case.reader:18} {case.path.name}: {case.detail}")
    readers = sorted({case.reader for case in cases})
    result = {
        "machine": _record.machine(),
        "libraries": {library: version(library) for library in LIBRARIES},
        "files": len({case.path for case in cases}),
        "public_files": len({case.path for case in cases if not case.made}),
        "reads": len(cases),
        "silently_different": outcomes["silently different"],
        "raw_errors": outcomes["raw error"],
        "outcomes": dict(outcomes),
        "by_reader": {
            reader: dict(Counter(c.outcome for c in cases if c.reader == reader))
            for reader in readers
        },
        "refused": [
            {
                "reader": case.reader,
                "file": case.path.name,
                "error": case.detail.replace(str(case.path), case.path.name),
            }
            for case in cases
            if case.outcome == "refused"
        ],
    }
    print({key: value for key, value in result.items() if key != "refused"})
    if not arguments.no_record:
        print(_record.write("readers_agree", result))
    return int(bool(bad))


if __name__ == "__main__":
    sys.exit(main())
