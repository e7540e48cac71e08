"""Damaged and hostile model files, for robust_model_files.py and the tests.

Every file is made from a good one. Those of the second kind have a right checksum:
what they say has to be refused for what it is.
"""

import copy
import hashlib
import io
import json
import pickle
import random
import struct
import zipfile

import numpy as np
import safetensors.torch
import torch

from sklearn_ei import EquivariantReconstructor, save
from sklearn_ei.groups import Rotations
from sklearn_ei.networks import UNet, Unrolled
from sklearn_ei.operators import MatrixOperator, ParallelBeamCT

BLANK = "0" * 64


class Bomb:
    """Creates a file when it is unpickled."""

    def __init__(self, canary):
        self.canary = str(canary)

    def __reduce__(self):
        return (open, (self.canary, "w"))


def good_estimators():
    """Return two small fitted estimators, by name."""
    Y = ParallelBeamCT(6, (12, 12)).measure(
        np.random.default_rng(0).random((2, 12, 12))
    )
    network = Unrolled(UNet(width=2, depth=2), n_stages=1, n_consistency=3)
    tiny = {"max_epochs": 1, "network": network, "random_state": 0}
    tiny["check_rank"] = False
    ct = EquivariantReconstructor(ParallelBeamCT(6), Rotations(12), **tiny).fit(Y)
    import scipy.sparse

    matrix = scipy.sparse.random_array((16, 36), density=0.3, rng=0).tocsr()
    operator = MatrixOperator(matrix, (6, 6))
    Z = operator.measure(np.random.default_rng(1).random((2, 6, 6)))
    sparse = EquivariantReconstructor(operator, Rotations(4), **tiny).fit(Z)
    return {"ct": ct, "sparse": sparse}


def parts(data):
    """Return the document and the tensors of a good file."""
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    return json.loads(header["__metadata__"]["sklearn_ei"]), safetensors.torch.load(
        data
    )


def forge(document, tensors):
    """Return a file with a right checksum; ``document`` is a dict or JSON text."""
    if not isinstance(document, str):
        document = json.dumps({**document, "sha256": BLANK})
    data = safetensors.torch.save(tensors, metadata={"sklearn_ei": document})
    digest = hashlib.sha256(data).hexdigest()
    return data.replace(BLANK.encode(), digest.encode(), 1)


def raw(header, body=b""):
    """Return a safetensors file with a header of any bytes."""
    if not isinstance(header, bytes):
        header = json.dumps(header).encode()
    return struct.pack("<Q", len(header)) + header + body


def damaged(data, n_cuts, n_flips):
    """Yield names and contents of truncated and altered copies of a good file."""
    rng = random.Random(0)
    (length,) = struct.unpack("<Q", data[:8])
    special = [0, 1, 7, 8, 9, 8 + length - 1, 8 + length, 9 + length, len(data) - 1]
    for cut in special + [
        rng.randrange(len(data)) for _ in range(n_cuts - len(special))
    ]:
        yield f"truncated to {cut} bytes", data[:cut]
    for index in range(n_flips):
        # A third each in the length, the header and the tensors.
        low, high = [(0, 8), (8, 8 + length), (8 + length, len(data))][index % 3]
        position, bit = rng.randrange(low, high), rng.randrange(8)
        flipped = bytearray(data)
        flipped[position] ^= 1 << bit
        yield f"bit {bit} of byte {position} flipped", bytes(flipped)
    half = len(data) // 2
    yield "one byte appended", data + b"\0"
    yield "written twice", data + data
    yield "halves swapped", data[half:] + data[:half]
    yield "tensors zeroed", data[: 8 + length] + bytes(len(data) - 8 - length)
    yield "header zeroed", data[:8] + bytes(length) + data[8 + length :]
    yield "a hole of 512 zeros", data[:half] + bytes(512) + data[half + 512 :]
    yield "reversed", data[::-1]
    yield "zeros", bytes(len(data))
    yield "noise", rng.randbytes(len(data))


def other_formats(data, canary):
    """Yield files that are something else, some of which would run code."""
    bomb = pickle.dumps(Bomb(canary))
    archive, torch_file = io.BytesIO(), io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("data.pkl", bomb)
    torch.save({"weights": torch.zeros(3)}, torch_file)
    document, tensors = parts(data)
    length = struct.pack("<Q", 10**6)
    yield "pickle that opens a file", bomb
    yield "pickle behind a header", struct.pack("<Q", 8) + bomb
    yield "zip of a pickle", archive.getvalue()
    yield "torch.save", torch_file.getvalue()
    yield "text", b"import os; os.system('true')\n" * 9
    yield "JSON alone", json.dumps(document).encode()
    yield "safetensors without metadata", safetensors.torch.save(tensors)
    yield (
        "safetensors of another program",
        safetensors.torch.save(tensors, metadata={"format": "pt"}),
    )
    yield "header longer than the file", length + data[8:]
    yield "header of 2**64 - 1 bytes", b"\xff" * 8 + data[8:]
    yield "header of 17 MiB", raw(b"{" + b" " * (17 * 2**20) + b"}")
    yield "header of 4 million lists", raw(b"[" + b"[]," * 4_000_000 + b"[]]")
    yield "header nested 100 000 deep", raw(b"[" * 100_000 + b"]" * 100_000)
    yield "header that is no UTF-8", raw(b'{"\xff\xfe": 1}')
    yield "header with NaN", raw(b'{"__metadata__": NaN}')
    yield "header with an integer of 5000 digits", raw(b'{"a": ' + b"9" * 5000 + b"}")
    yield "header that is a list", raw([])
    yield "header that is a number", raw(b"1")
    yield "metadata that is a list", raw({"__metadata__": []})
    yield "metadata that is a number", raw({"__metadata__": {"sklearn_ei": 1}})


def wrong_tensors(data):
    """Yield files whose tensor table lies; the checksum is right."""
    document, _ = parts(data)
    text = json.dumps({**document, "sha256": BLANK})
    tables = {
        "beyond the file": {"dtype": "F32", "shape": [9], "data_offsets": [0, 36]},
        "of 2**62 elements": {
            "dtype": "F32", "shape": [2**62], "data_offsets": [0, 8],
        },
        "whose size overflows": {
            "dtype": "F32", "shape": [2**32, 2**32, 2], "data_offsets": [0, 8],
        },
        "of negative shape": {"dtype": "F32", "shape": [-2], "data_offsets": [0, 8]},
        "of fractional shape": {"dtype": "F32", "shape": [0.5], "data_offsets": [0, 8]},
        "of unknown dtype": {"dtype": "PyObject", "shape": [1], "data_offsets": [0, 8]},
        "with backward offsets": {"dtype": "F32", "shape": [2], "data_offsets": [8, 0]},
        "with a hole before": {"dtype": "F32", "shape": [1], "data_offsets": [4, 8]},
        "without offsets": {"dtype": "F32", "shape": [2]},
        "that is a string": "F32",
    }  # fmt: skip
    for name, entry in tables.items():
        header = {"__metadata__": {"sklearn_ei": text}, "a": entry}
        file = raw(header, bytes(8))
        digest = hashlib.sha256(file).hexdigest()
        yield f"tensor {name}", file.replace(BLANK.encode(), digest.encode(), 1)


def hostile_text(data):
    """Yield files whose JSON is none, or too much; the checksum is right."""
    document, tensors = parts(data)
    text = json.dumps({**document, "sha256": BLANK})
    deep = "[" * 50_000 + "]" * 50_000
    texts = {
        "NaN": text.replace('"alpha": "auto"', '"alpha": NaN'),
        "Infinity": text.replace('"alpha": "auto"', '"alpha": Infinity'),
        "1e999": text.replace('"alpha": "auto"', '"alpha": 1e999'),
        "an integer of 4000 digits": text.replace(
            '"alpha": "auto"', '"alpha": ' + "9" * 4000
        ),
        "2**64": text.replace('"alpha": "auto"', f'"alpha": {2**64}'),
        "50 000 nested lists": text.replace('"alpha": "auto"', f'"alpha": {deep}'),
        "200 nested lists": text.replace(
            '"alpha": "auto"', '"alpha": ' + "[" * 2000 + "]" * 2000
        ).replace('"depth": 2', '"depth": [[[]]]'),
        "a name twice": text.replace('"alpha": "auto"', '"alpha": 1, "alpha": 2'),
        "a comment": text + "// comment",
        "half the text": text[: len(text) // 2],
        "nothing": "",
        "null": "null",
        "a list": "[1]",
        "no checksum": json.dumps(document | {"sha256": None}),
        "a short checksum": text.replace(BLANK, "0" * 63),
    }
    for name, changed in texts.items():
        assert changed != text, name
        yield f"JSON with {name}", forge(changed, tensors)


def hostile_documents(data, sparse_data, canary):
    """Yield files that describe what must not be built; the checksum is right."""
    good, tensors = parts(data)

    def change(path, value, base=good):
        """Set one entry of a copy; a value of ``...`` removes it."""
        document = copy.deepcopy(base)
        *way, last = path
        place = document
        for step in way:
            place = place[step]
        if value is ...:
            del place[last]
        else:
            place[last] = value
        return document

    params = ("estimator", "params")
    group, operator = (*params, "group"), (*params, "operator")
    command = f"open({str(canary)!r}, 'w')"
    for version in (0, 2, 999, -1, "1", None, 1.5, [1], ...):
        yield f"format {version}", forge(change(["format"], version), tensors)
    names = (
        "exec", "eval", "os.system", "builtins.exec", "subprocess.Popen", "__import__",
        "Group", "ForwardOperator", "BaseReconstructor", "ODLOperator", "dot_test",
        "JosephRayTransformImpl", "gaussian_kernel", "ResidualUNet", "Pipeline",
        "FunctionTransformer", "", "rotations", "../Rotations", "Rotations\0", command,
    )  # fmt: skip
    for name in names:
        entry = {"object": name, "params": {}}
        yield f"class {name[:20]!r}", forge(change(["estimator"], entry), tensors)
        yield (
            f"operator_ {name[:20]!r}",
            forge(change(["fitted", "operator_"], entry), tensors),
        )
        entry = {"custom": name, "params": {"command": command}}
        yield f"custom {name[:20]!r}", forge(change(group, entry), tensors)
    for name in ("exec", "os.system", "open", "save", "load", "__builtins__"):
        for kind in ("reference", "custom_reference"):
            yield f"{kind} {name}", forge(change(group, {kind: name}), tensors)
    attributes = (
        "__class__", "__dict__", "__init__", "__reduce__", "__getstate__", "predict",
        "fit", "_reconstruct", "_keep", "operator", "alpha", "net_", "history_",
        "device_", "_skl_callbacks", "_next_epoch", "get_params", "a b_", "x",
        "function_", "image_layout_", "_predict_batch_size",
        "set_params", "", "__sklearn_tags__", "1_",
    )  # fmt: skip
    for name in attributes:
        yield f"attribute {name!r}", forge(change(["fitted", name], 1), tensors)
    values = {
        "scale_": (0, -1.0, {"float": "nan"}, {"float": "inf"}, "1", None, [1.0], True),
        "alpha_": (-1, {"float": "nan"}, "auto", None),
        "n_iter_": (-1, "3", {"float": "inf"}),
        "measurement_shape_": (
            {"tuple": []}, {"tuple": [6]}, {"tuple": [6, -1]}, {"tuple": [6, 10**12]},
            [6, 17], "6", None, {"tuple": [6, 17, 3]}, {"tuple": 6}, ...,
        ),
        "n_features_in_": (5, "6", None, 2**62),
        "operator_": (
            None, "A", 3, {"object": "Rotations", "params": {}},
            {"object": "ParallelBeamCT", "params": {"n_views": 6}},
            {"object": "ParallelBeamCT", "params": {"n_views": 2**62}},
            {"object": "ParallelBeamCT", "params": {"secret": 1}},
            {"object": "ParallelBeamCT", "params": {"image_shape": [12, 12, 12]}},
            {"object": "ParallelBeamCT", "params": [1]},
            {"object": "ParallelBeamCT", "params": {}, "extra": 1},
            {"object": "ParallelBeamCT", "custom": "exec"},
            {"object": ["ParallelBeamCT"]},
            {"object": "Inpainting", "params": {"mask": {"array": "network.0.bias"}}},
            {"object": "BlockOperator", "params": {"operators": [1]}}, ...,
        ),
        "group_": (
            "Rotations", 5, {"object": "Rotations", "params": {"n_elements": 12}},
            {"object": "Rotations", "params": {}, "image_shape": [9, 9]},
            {"object": "Rotations", "params": {}, "image_shape": [-1, 12]},
            {"object": "Rotations", "params": {}, "image_shape": "12"}, ...,
        ),
        "precision_": ({"dtype": "int8"}, {"dtype": "object"}, "float32", None, ...),
        "extra_": (
            {}, {"unknown": 1}, {"float": "1"}, {"float": []}, {"tensor": "nothing"},
            {"array": 5}, {"device": "disk"}, {"device": 10**9}, {"dtype": "__class__"},
            {"strings": [1]}, {"dict": []}, {"complex": "network.0.last.bias"},
            {"float": "nan", "tuple": []},
        ),
    }  # fmt: skip
    for name, hostile in values.items():
        for value in hostile:
            shown = "missing" if value is ... else json.dumps(value)
            yield f"{name} {shown}", forge(change(["fitted", name], value), tensors)
    network = (*params, "network")
    unet = (*network, "params", "network")
    of_networks = {
        (*network, "params", "n_stages"): (0, -1, 2, 10**9, "1", None),
        (*network, "params", "n_consistency"): (-1, "3", 1.5),
        (*network, "params", "no_such_parameter"): (1,),
        (*unet, "params", "width"): (0, -1, 3, 10**9, 2**62, 2.0, "2", None),
        (*unet, "params", "depth"): (0, 1, 3, 30, 10**6, 2**62, True),
        unet: ("auto", 5, {"object": "Rotations", "params": {}}, {"object": "UNet"}),
    }
    for path, hostile in of_networks.items():
        for value in hostile:
            yield (
                f"{path[-1]} of the network {json.dumps(value)[:40]}",
                forge(change(path, value), tensors),
            )
    objects = {
        "objective": {"object": "EquivariantObjective", "params": {}},
        "contract": {"object": "DataTerm", "params": {}},
        "SURE": {"object": "SURE", "params": {}},
        "no transform": {"object": "EquivarianceTerm", "params": {"n_transforms": 0}},
        "group": {"object": "Rotations", "params": {}},
    }
    parameters = {
        "network": (None, 5, "deep", objects["group"], objects["SURE"]),
        "data_term": (
            None, "l2", objects["objective"], objects["contract"],
            objects["no transform"],
        ),
        "equivariance_term": (None, "l2", objects["no transform"], objects["SURE"]),
        "lr": (0, -1, {"float": "nan"}, "fast"),
        "max_epochs": (0, "many"),
        "batch_size": (0, None),
        "lr_schedule": ("step", 1),
        "callbacks": ("stop", [1], [{"custom": "EarlyStopping", "params": {}}]),
        "device": ("disk", "cuda:99", 5),
        "precision_": (1,),
        "__class__": ("exec",),
        "no_such_parameter": (1,),
    }  # fmt: skip
    for name, hostile in parameters.items():
        for value in hostile:
            yield (
                f"{name}={json.dumps(value)[:40]}",
                forge(change((*params, name), value), tensors),
            )
    yield "no operator", forge(change(operator, ...), tensors)
    yield "no estimator", forge(change(["estimator"], ...), tensors)
    yield (
        "estimator that is an operator",
        forge(change(["estimator"], good["estimator"]["params"]["operator"]), tensors),
    )
    yield "estimator without a network", forge(
        change(
            ["estimator"],
            {"object": "PseudoInverseReconstructor",
             "params": {"operator": good["estimator"]["params"]["operator"]}},
        ),
        tensors,
    )  # fmt: skip
    yield "no network", forge(change(["network"], ...), {})
    yield "unknown entry", forge(change(["code"], command), tensors)
    for value in ("none", [1], [[1]], {"dict": {}}, {"tuple": []}, ...):
        yield f"history {value}", forge(change(["history"], value), tensors)
    yield from _hostile_weights(good, tensors, change)
    yield from _hostile_sparse(sparse_data, change)


def _hostile_weights(good, tensors, change):
    some = "network.0.last.weight"
    weight = tensors[some]
    replacements = {
        "of another shape": torch.zeros(1, 3, 1, 1),
        "transposed": weight.reshape(weight.shape[::-1]),
        "flat": weight.flatten(),
        "empty": torch.zeros(0),
        "in float64": weight.double(),
        "in float16": weight.half(),
        "in int64": weight.long(),
        "bool": weight.bool(),
        "in bfloat16": weight.bfloat16(),
        "with NaN": torch.full_like(weight, float("nan")),
        "with infinity": torch.full_like(weight, float("inf")),
        "of 64 dimensions": weight.reshape(1, 2, *[1] * 62),
    }
    for name, tensor in replacements.items():
        yield f"weights {name}", forge(good, {**tensors, some: tensor})
    yield (
        "weights missing",
        forge(good, {k: v for k, v in tensors.items() if k != some}),
    )
    yield "a tensor too many", forge(good, {**tensors, "extra": torch.zeros(3)})
    yield (
        "a weight not named",
        forge(change(["network", "0.last.weight"], ...), tensors),
    )
    yield "a weight of no layer", forge(change(["network", "x"], some), tensors)
    yield "weights that are a list", forge(change(["network"], [some]), tensors)
    yield (
        "a weight named by a number",
        forge(change(["network", "0.last.weight"], 3), tensors),
    )


def _hostile_sparse(data, change):
    good, tensors = parts(data)
    entry = good["fitted"]["operator_"]["params"]["matrix"]["sparse"]
    indices, indptr, values = (
        entry[name]["array"] for name in ("indices", "indptr", "data")
    )
    beyond, negative = tensors[indices].clone(), tensors[indices].clone()
    beyond[3], negative[0] = 10**6, -(10**6)
    falling, long = tensors[indptr].clone(), tensors[indptr].clone()
    falling[3], long[-1] = 10**6, 10**6
    replacements = {
        "index beyond the matrix": {indices: beyond},
        "negative index": {indices: negative},
        "pointer that falls": {indptr: falling},
        "pointer beyond the values": {indptr: long},
        "too few values": {values: tensors[values][:-3]},
        "float index": {indices: tensors[indices].double()},
        "values with NaN": {values: tensors[values] * float("nan")},
        "two-dimensional values": {values: tensors[values][:, None]},
    }
    for name, changed in replacements.items():
        yield f"sparse matrix with {name}", forge(good, {**tensors, **changed})
    where = ["fitted", "operator_", "params", "matrix", "sparse"]
    for name, value in {
        "shape": [16, 2**62], "format": "dia", "indptr": "x", "data": None,
    }.items():  # fmt: skip
        changed = change([*where, name], value, base=good)
        yield f"sparse matrix with {name} {value}", forge(changed, tensors)
    for shape in ([16], [-16, 36], [16.0, 36], ["16", 36], [16, 35], [2**62, 36]):
        changed = change([*where, "shape"], shape, base=good)
        yield f"sparse matrix of shape {shape}", forge(changed, tensors)


def all_files(folder, *, n_cuts, n_flips):
    """Yield (name, content) of every bad file; ``folder`` is for the good ones."""
    data = {
        name: save(estimator, folder / f"{name}.safetensors").read_bytes()
        for name, estimator in good_estimators().items()
    }
    canary = folder / "executed"
    yield from damaged(data["ct"], n_cuts, n_flips)
    yield from other_formats(data["ct"], canary)
    yield from wrong_tensors(data["ct"])
    yield from hostile_text(data["ct"])
    yield from hostile_documents(data["ct"], data["sparse"], canary)
