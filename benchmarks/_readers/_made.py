"""Files that are made for the purpose."""

import itertools

import numpy as np

from sklearn_ei import datasets

from ._case import Case, attempt
from ._libraries import dicom, folder_of, hdf5, matlab, numpy_file, picture, tiff


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
