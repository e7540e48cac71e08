"""Forged model files, for robust_forged.py and the tests."""

import copy
import json
import struct
from functools import partial

import _model_files
import numpy as np
import scipy.sparse
import torch
from _forged import (
    DESCRIBED,
    HUGE,
    SPECIAL,
    Normed,
    Y,
    entries,
    filled,
    forge_document,
    make,
    make_normed,
    special,
)

from sklearn_ei import PseudoInverseReconstructor, save
from sklearn_ei.groups import Shifts
from sklearn_ei.noise import GaussianNoise
from sklearn_ei.operators import Inpainting, MatrixOperator, ParallelBeamCT


def honest_models(folder, width=2):
    """Write honest model files, and return their paths by name."""
    tiny = {"max_epochs": 1, "lr_schedule": "constant"}
    matrix = scipy.sparse.random_array((64, 144), density=0.3, rng=0).tocsr()
    sparse = MatrixOperator(matrix, (12, 12))
    Z = sparse.measure(np.random.default_rng(1).random((2, 12, 12)))
    frames = np.random.default_rng(2).random((3, 12, 12))
    mask = np.random.default_rng(3).random((12, 12)) < 0.7
    estimators = {
        "ct": make(width, **tiny, noise=GaussianNoise(0.1)).fit(Y),
        "sparse": make(width, **tiny, operator=sparse).fit(Z),
        "module": make(width, **tiny, network=Normed()).fit(Y),
        "factory": make(width, **tiny, network=make_normed).fit(Y),
        "semi": make(width, **tiny, data_term="supervised", network=make_normed).fit(
            Y, np.where(np.arange(6)[:, None, None] > 3, np.nan, np.zeros((6, 12, 12)))
        ),
        "mask": make(width, **tiny, operator=Inpainting(mask=mask), group=Shifts()).fit(
            frames
        ),
        "linear": PseudoInverseReconstructor(sparse).fit(Z),
    }
    return {
        name: save(estimator, folder / f"{name}.safetensors")
        for name, estimator in estimators.items()
    }


def parameters_of(document, kind):
    """Yield the parameters of all objects of a class."""
    if isinstance(document, dict):
        if kind in (document.get("object"), document.get("custom")):
            yield document.setdefault("params", {})
        for value in document.values():
            yield from parameters_of(value, kind)
    elif isinstance(document, list):
        for value in document:
            yield from parameters_of(value, kind)


def parameter(kind, name, value):
    def change(document, tensors):
        found = list(parameters_of(document, kind))
        assert found, kind
        for params in found:
            params[name] = value

    return change


def fitted(name, value):
    def change(document, tensors):
        assert name in document["fitted"]
        document["fitted"][name] = value

    return change


def sparse_entry(**entries_):
    """Alter all sparse matrices of a document."""

    def change(document, tensors):
        found = list(entries(document, "sparse"))
        assert found
        for container, key in found:
            container[key].update(copy.deepcopy(entries_))

    return change


def on_tensors(part, new, which=0):
    """Alter a tensor whose name has a part."""

    def change(document, tensors):
        name = [n for n in tensors if part in n][which]
        tensors[name] = new(tensors[name])

    return change


def huge_image(document, tensors):
    """Let the operator be one of images that take gigabytes."""
    shape = ParallelBeamCT(6, (HUGE, HUGE)).measurement_shape
    for params in parameters_of(document, "ParallelBeamCT"):
        params["image_shape"] = {"tuple": [HUGE, HUGE]}
        if params.get("n_bins") is not None:
            params["n_bins"] = shape[-1]
    document["fitted"]["measurement_shape_"] = {"tuple": list(shape)}
    for kind in ("Rotations", "Shifts"):
        for container in objects_of(document, kind):
            if "image_shape" in container:
                container["image_shape"] = [HUGE, HUGE]


def objects_of(document, kind):
    if isinstance(document, dict):
        if document.get("object") == kind:
            yield document
        for value in document.values():
            yield from objects_of(value, kind)
    elif isinstance(document, list):
        for value in document:
            yield from objects_of(value, kind)


def extra_tensor(document, tensors):
    tensors["extra"] = torch.zeros(2**25)


def both(*changes):
    def change(document, tensors):
        for one in changes:
            one(document, tensors)

    return change


def model_changes():
    """Yield (honest model, name, function of document and tensors)."""
    nan, inf = {"float": "nan"}, {"float": "inf"}
    shape = [64, 600_000_000]
    for form in ("csr", "csc", "coo", "bsr", "lil", "dok"):
        change = sparse_entry(shape=shape, format=form)
        yield "sparse", f"600 million columns in {form}", change
        yield "linear", f"600 million columns of a linear one in {form}", change
    yield "sparse", "600 million rows", sparse_entry(shape=[600_000_000, 144])
    for part in ("data", "indices", "indptr"):
        yield "sparse", f"matrix without {part}", sparse_entry(**{part: None})
        yield (
            "sparse",
            f"matrix whose {part} are a network's weights",
            sparse_entry(**{part: {"array": "network.last.weight"}}),
        )
    yield "sparse", "matrix that is perhaps an array", sparse_entry(is_array="yes")
    for value in (1e-300, 1e-45, 1e-38, 1e300, 1e39, True):
        yield "ct", f"scale_={value}", fitted("scale_", value)
    for name in ("detector_offset", "bin_size", "pixel_size"):
        for value in (nan, inf):
            yield "ct", f"{name} {value}", parameter("ParallelBeamCT", name, value)
    yield "ct", "noise of NaN", parameter("GaussianNoise", "sigma", nan)
    for name in ("alpha", "lr", "beta"):
        yield "ct", f"{name} NaN", parameter("EquivariantReconstructor", name, nan)
        yield (
            "ct",
            f"{name} infinite",
            parameter("EquivariantReconstructor", name, inf),
        )
    yield "ct", "alpha_ infinite", fitted("alpha_", inf)
    yield "mask", "mask of NaN", on_tensors("array", lambda t: t.double() * np.nan)
    yield "linear", "matrix of NaN", sparse_values(float("nan"))
    yield "linear", "matrix of infinity", sparse_values(float("inf"))
    for value in (-1.0, -1e-3, float("nan")):
        yield (
            "module",
            f"running variance {value}",
            on_tensors("running_var", filled(value)),
        )
        yield (
            "factory",
            f"factory's running variance {value}",
            on_tensors("running_var", filled(value)),
        )
    yield "factory", "batches below zero", on_tensors("num_batches", filled(-1))
    yield (
        "module",
        "a user's network of width a million",
        parameter("Normed", "width", 1_000_000),
    )
    yield (
        "module",
        "a user's network of a million channels",
        parameter("Normed", "n_channels", 1_000_000),
    )
    for name in ("ct", "factory", "module", "semi"):
        yield name, f"{DESCRIBED}: {name} of images of {HUGE}²", huge_image
    yield (
        "ct",
        "a network by reference and a huge image",
        both(
            huge_image,
            parameter(
                "EquivariantReconstructor", "network", {"reference": "ResidualUNet"}
            ),
        ),
    )
    yield "ct", "128 MB that nothing names", extra_tensor
    yield (
        "ct",
        "128 MB as weights",
        on_tensors("network", lambda t: torch.zeros(2**25), 1),
    )
    yield "ct", "a path that is a number", parameter(
        "EquivariantReconstructor", "checkpoint", {"path": 3}
    )  # fmt: skip
    yield "ct", "a path that is a list", parameter(
        "EquivariantReconstructor", "checkpoint", {"path": ["/", "etc"]}
    )  # fmt: skip


def sparse_values(value):
    def change(document, tensors):
        container, key = next(entries(document, "sparse"))
        name = container[key]["data"]["array"]
        tensors[name] = torch.full_like(tensors[name], value)

    return change


def table_forgeries(source):
    """Yield (name, content) of files whose table of tensors lies."""
    data = source.read_bytes()
    document, _ = _model_files.parts(data)
    text = json.dumps({**document, "sha256": _model_files.BLANK})

    def forged(table, body):
        header = json.dumps({"__metadata__": {"sklearn_ei": text}, **table}).encode()
        file = struct.pack("<Q", len(header)) + header + body
        digest = _model_files.hashlib.sha256(file).hexdigest().encode()
        return file.replace(_model_files.BLANK.encode(), digest, 1)

    def entry(dtype, shape, first, last, **more):
        return {"dtype": dtype, "shape": shape, "data_offsets": [first, last], **more}

    eight = bytes(8)
    yield "tensors that overlap", forged(
        {"a": entry("F32", [2], 0, 8), "b": entry("F32", [1], 4, 8)}, eight
    )  # fmt: skip
    yield "bytes after the tensors", forged({"a": entry("F32", [1], 0, 4)}, eight)
    yield "a size that is true", forged({"a": entry("U8", [True] * 3, 0, 1)}, b"\0")
    yield "a dtype without a size", forged({"a": entry("F4", [16], 0, 8)}, eight)
    yield (
        "a tensor with a secret",
        forged({"a": entry("F32", [2], 0, 8, code="exec")}, eight),
    )
    yield (
        "65 dimensions",
        forged({"a": entry("F32", [1] * 64 + [2], 0, 8)}, eight),
    )
    yield (
        "nothing, of 2**62 by 2**62",
        forged({"a": entry("F32", [0, 2**62, 2**62], 0, 0)}, b""),
    )
    yield "truth values of 2", forged({"a": entry("BOOL", [8], 0, 8)}, b"\2" * 8)
    yield (
        "a million numbers",
        forged({"a": entry("F32", [1] * 2_000_000 + [2], 0, 8)}, eight),
    )


def write_bytes(path, content):
    path.write_bytes(content)


def models(sources):
    """Yield (honest model, name, function that writes the forged file at a path)."""
    for kind, name, change in model_changes():
        yield kind, name, partial(forge_document, sources[kind], change=change)
    for name, content in table_forgeries(sources["ct"]):
        yield "ct", name, partial(write_bytes, content=content)
    for kind in SPECIAL:
        yield "ct", kind, partial(special, kind=kind)
