"""From JSON and tensors back to objects, of known classes alone."""

import numpy as np
import torch
from scipy import sparse

from ..groups import Group
from ..utils.tensor_file import ModelFileError
from ._registry import known_objects, known_references

_FLOATS = {"nan": float("nan"), "inf": float("inf"), "-inf": float("-inf")}
_DTYPES = {
    name: getattr(torch, name) for name in ("float16", "bfloat16", "float32", "float64")
}


class Decoder:
    """The inverse of ``Encoder``; whatever it does not know is refused.

    Parameters
    ----------
    tensors : dict of str to torch.Tensor
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
        real = self.array(name)
        _expect(
            real.ndim > 0 and real.shape[-1] == 2 and real.dtype.kind == "f",
            "complex numbers are not pairs of real ones",
        )
        return real.view(np.result_type(real.dtype, np.complex64))[..., 0]

    def _sparse(self, content):
        shape, indices, indptr, data = (
            content["shape"],
            self.value(content["indices"]),
            self.value(content["indptr"]),
            self.value(content["data"]),
        )
        kinds = [part.dtype.kind + str(part.ndim) for part in (indices, indptr, data)]
        _expect(
            kinds[:2] == ["i1", "i1"]
            and kinds[2] in ("f1", "i1", "u1", "b1")
            and len(shape) == 2
            and all(type(size) is int and size >= 0 for size in shape)
            and len(indptr) == shape[0] + 1,
            "a sparse matrix has wrong parts",
        )
        matrix = sparse.csr_array((data, indices, indptr), shape=tuple(shape))
        # Products do not look at indices again: one beyond the matrix would read
        # foreign memory.
        matrix.check_format(full_check=True)
        if content["is_array"] is not True:
            matrix = sparse.csr_matrix(matrix)
        _expect(content["format"] in _SPARSE_FORMATS, "a sparse format is not known")
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
        make = self._custom(name) if kind == "custom" else known_objects()[name]
        params = {} if params is None else params
        made = make(**{key: self.value(item) for key, item in params.items()})
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
        state = {key: self.tensor(name) for key, name in names.items()}
        for key, tensor in state.items():
            _expect(
                tensor.shape == expected[key].shape
                and tensor.dtype == expected[key].dtype,
                f"weights {key} have shape {tuple(tensor.shape)} and dtype "
                f"{tensor.dtype}, but the network expects "
                f"{tuple(expected[key].shape)} and {expected[key].dtype}",
            )
            _expect(
                not tensor.is_floating_point() or tensor.isfinite().all(),
                f"weights {key} are not finite",
            )
        module.load_state_dict(state)


_SPARSE_FORMATS = ("csr", "csc", "coo", "bsr", "lil", "dok")  # not "dia": it is dense


def _shape(sizes):
    valid = isinstance(sizes, list) and all(type(n) is int and n > 0 for n in sizes)
    _expect(valid, "a shape is not a list of positive integers")
    return tuple(sizes)


def _expect(holds, complaint):
    if not holds:
        raise ValueError(complaint)
