"""From JSON and tensors back to objects, of known classes alone."""

from pathlib import Path

import numpy as np
import torch
from scipy import sparse

from ..groups import Group
from ..training import check_layer
from ..utils.tensor_file import ModelFileError
from ._registry import known_objects, known_references
from ._values import all_finite, check_columns

_FLOATS = {"nan": float("nan"), "inf": float("inf"), "-inf": float("-inf")}
_DTYPES = {
    name: getattr(torch, name) for name in ("float16", "bfloat16", "float32", "float64")
}


class Decoder:
    """The inverse of ``Encoder``; whatever it does not know is refused.

    Tensors are read when they are needed, after what the file says of them has been
    found right: what is refused takes no memory.

    Parameters
    ----------
    tensors : StoredTensors
        The tensors of the file.
    custom_objects : dict of str to callable
        Classes and functions of the user, by name.
    """

    def __init__(self, tensors, custom_objects):
        self.tensors = tensors
        self.custom_objects = custom_objects
        self.used = set()
        self._arrays = {}
        self._readers = {
            "float": lambda content: _FLOATS[content],
            "tuple": self._tuple,
            "dict": lambda content: {k: self.value(v) for k, v in content.items()},
            "strings": self._strings,
            "tensor": self.tensor,
            "array": self.array,
            "complex": self._complex,
            "sparse": self._sparse,
            "dtype": lambda content: _DTYPES[content],
            "device": torch.device,
            "path": self._path,
            "reference": lambda content: known_references()[content],
            "custom_reference": self._custom,
        }

    def value(self, encoded):
        """Return the value of its JSON."""
        if encoded is None or isinstance(encoded, bool | int | float | str):
            return encoded
        if isinstance(encoded, list):
            return [self.value(item) for item in encoded]
        if "object" in encoded or "custom" in encoded:
            return self._object(**encoded)
        ((kind, content),) = encoded.items()
        return self._readers[kind](content)

    def _tuple(self, content):
        _expect(isinstance(content, list), "a tuple is not a list")
        return tuple(self.value(item) for item in content)

    @staticmethod
    def _strings(content):
        listed = isinstance(content, list) and all(isinstance(s, str) for s in content)
        _expect(listed, "strings are not strings")
        return np.array(content, dtype=object)

    @staticmethod
    def _path(content):
        _expect(isinstance(content, str), "a path is no string")
        return Path(content)

    def tensor(self, name):
        """Return a tensor of the file."""
        self.used.add(name)
        return self.tensors[name]

    def array(self, name):
        """Return an array of the file; the same one for the same name."""
        if name not in self._arrays:
            self._arrays[name] = self.tensor(name).numpy()
        return self._arrays[name]

    def _complex(self, name):
        like = self.tensors.like(name)
        _expect(
            like.ndim > 0 and like.shape[-1] == 2 and like.dtype in _REAL,
            "complex numbers are not pairs of real ones",
        )
        real = self.array(name)
        return real.view(np.result_type(real.dtype, np.complex64))[..., 0]

    def _sparse(self, content):
        known = {"format", "is_array", "shape", "data", "indices", "indptr"}
        _expect(content.keys() == known, "a sparse matrix has wrong parts")
        shape, names = content["shape"], []
        valid = isinstance(shape, list) and len(shape) == 2
        _expect(valid and all(type(n) is int and n >= 0 for n in shape), "no shape")
        for part in ("indices", "indptr", "data"):
            ((kind, name),) = content[part].items()
            _expect(kind == "array", "a sparse matrix has wrong parts")
            names.append(name)
        is_array = content["is_array"]
        _expect(type(is_array) is bool, "a sparse matrix has wrong parts")
        key = "sparse", *names, *shape, content["format"], is_array
        if key not in self._arrays:  # one matrix, however often it is named
            self._check_sparse(shape, *map(self.tensors.like, names))
            _expect(content["format"] in _SPARSE_FORMATS, "a sparse format is unknown")
            self._arrays[key] = self._make_sparse(shape, names, content)
        return self._arrays[key]

    @staticmethod
    def _check_sparse(shape, indices, indptr, data):
        """Refuse parts that do not fit, and more rows or columns than they fill."""
        _expect(
            all(part.ndim == 1 for part in (indices, indptr, data))
            and {indices.dtype, indptr.dtype} <= {torch.int32, torch.int64}
            and not data.is_complex()
            and len(indices) == len(data)
            and len(indptr) == shape[0] + 1,
            "a sparse matrix has wrong parts",
        )
        n_bytes = sum(part.numel() * part.itemsize for part in (indices, indptr, data))
        check_columns(shape[1], n_bytes)

    def _make_sparse(self, shape, names, content):
        indices, indptr, data = map(self.array, names)
        matrix = sparse.csr_array((data, indices, indptr), shape=tuple(shape))
        # Products do not look at indices again: one beyond the matrix would read
        # foreign memory.
        matrix.check_format(full_check=True)
        if not content["is_array"]:
            matrix = sparse.csr_matrix(matrix)
        return matrix.asformat(content["format"])

    def _custom(self, name):
        if name not in self.custom_objects:
            raise ModelFileError(
                f"The model needs {name!r:.80}, which is not part of sklearn_ei: "
                f"expected custom_objects={{{name!r:.80}: ...}} with your own."
            )
        return self.custom_objects[name]

    def _object(self, *, params=None, state=None, image_shape=None, **names):
        ((kind, name),) = names.items()
        params = {} if params is None else params
        if kind == "custom":
            make = self._custom(name)
            # Save writes parameters of what get_params describes. Any other class
            # would compute with numbers of the file.
            described = hasattr(make, "get_params") or not isinstance(make, type)
            _expect(described or not params, f"{name:.80} has no get_params")
        else:
            make = known_objects()[name]
        values = {key: self.value(item) for key, item in params.items()}
        if kind != "custom":
            for key, value in values.items():
                _expect(all_finite(value), f"{key} of {name} is not finite")
        made = make(**values)
        if state is not None:
            _expect(isinstance(made, torch.nn.Module), f"{name} is not a module")
            self.load_state(made, state)
        if image_shape is not None:
            _expect(isinstance(made, Group), f"{name} is not a group")
            made.image_shape = _shape(image_shape)
        return made

    def load_state(self, module, names):
        """Give a module the tensors of the file that ``names`` lists by key."""
        expected = module.state_dict()
        _expect(expected.keys() == names.keys(), "the network has other weights")
        for key, name in names.items():
            like = self.tensors.like(name)
            _expect(
                like.shape == expected[key].shape and like.dtype == expected[key].dtype,
                f"weights {key} have shape {tuple(like.shape)} and dtype {like.dtype}, "
                f"but the network expects {tuple(expected[key].shape)} and "
                f"{expected[key].dtype}",
            )
        state = {key: self.tensor(name) for key, name in names.items()}
        for key, tensor in state.items():
            _expect(all_finite(tensor), f"weights {key} are not finite")
        for name, layer in module.named_modules():
            prefix = f"{name}." if name else ""
            own = {
                key.removeprefix(prefix): tensor
                for key, tensor in state.items()
                if key.startswith(prefix) and "." not in key.removeprefix(prefix)
            }
            check_layer(name, layer, own)
        module.load_state_dict(state)


_REAL = (torch.float16, torch.float32, torch.float64)
_SPARSE_FORMATS = ("csr", "csc", "coo", "bsr", "lil", "dok")  # not "dia": it is dense


def _shape(sizes):
    valid = isinstance(sizes, list) and all(type(n) is int and n > 0 for n in sizes)
    _expect(valid, "a shape is not a list of positive integers")
    return tuple(sizes)


def _expect(holds, complaint):
    if not holds:
        raise ValueError(complaint)
