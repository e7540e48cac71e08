"""From objects to JSON and tensors."""

import hashlib
import inspect
import math
from numbers import Integral, Real
from pathlib import PurePath

import numpy as np
import torch
from scipy import sparse

from ..groups import Group
from ..operators import ODLOperator
from ..reconstruction import OperatorEstimator
from ..utils.params import brief
from ._registry import known_objects, known_references
from ._values import all_finite, check_columns

_MAX_DEPTH = 50
_DTYPES = {"float16", "float32", "float64", "bool", "uint8", "uint16", "uint32"}
_DTYPES |= {"uint64", "int8", "int16", "int32", "int64"}


class Encoder:
    """Turns values into what JSON takes, and collects arrays as tensors.

    What JSON lacks becomes an object with one or two known keys, so that the
    reader never has to guess. Equal arrays are stored once.
    """

    def __init__(self):
        self.tensors = {}
        self._names = {}
        self._n_modules = 0

    def value(self, value, where, depth=0):
        """Return the JSON of a value; ``where`` names it in a refusal."""
        if depth > _MAX_DEPTH:
            raise ValueError(
                f"Got {where} nested more than {_MAX_DEPTH} levels deep, but expected "
                "less in a model file."
            )
        if value is None or isinstance(value, bool | str):
            return value
        if isinstance(value, PurePath):
            return {"path": str(value)}
        for encode in (self._number, self._container, self._array, self._object):
            encoded = encode(value, where, depth + 1)
            if encoded is not None:
                return encoded
        raise TypeError(
            f"Got {where}={brief(value)} of type {type(value).__name__}, which cannot "
            "be saved without pickle; expected numbers, strings, arrays, or objects "
            "that get_params describes, so set it to something else before saving."
        )

    def _number(self, value, where, depth):
        if isinstance(value, np.bool_):
            return bool(value)
        if isinstance(value, Integral):
            if abs(int(value)) > 2**63:
                raise ValueError(f"Got {where}={brief(value)}, but expected 64 bits.")
            return int(value)
        if isinstance(value, Real):
            value = float(value)
            return value if math.isfinite(value) else {"float": str(value)}
        return None

    def _container(self, value, where, depth):
        if type(value) in (list, tuple, range):
            items = [
                self.value(item, f"{where}[{index}]", depth)
                for index, item in enumerate(value)
            ]
            return items if type(value) is list else {"tuple": items}
        if type(value) is dict and all(isinstance(key, str) for key in value):
            return {
                "dict": {
                    key: self.value(item, f"{where}[{key!r}]", depth)
                    for key, item in value.items()
                }
            }
        return None

    def _array(self, value, where, depth):
        if isinstance(value, torch.Tensor) and value.layout == torch.strided:
            return {"tensor": self.tensor(value)}
        if isinstance(value, np.ndarray) and not np.ma.is_masked(value):
            return self._ndarray(np.asarray(value))
        if sparse.issparse(value):
            matrix = value.tocsr()
            if matrix is value:
                matrix = matrix.copy()
            matrix.sum_duplicates()
            parts = {
                name: self._ndarray(getattr(matrix, name))
                for name in ("data", "indices", "indptr")
            }
            if None in parts.values():
                return None
            n_bytes = matrix.data.nbytes + matrix.indices.nbytes + matrix.indptr.nbytes
            check_columns(matrix.shape[1], n_bytes)
            return {
                "sparse": {
                    "format": value.format,
                    "is_array": isinstance(value, sparse.sparray),
                    "shape": list(map(int, value.shape)),
                    **parts,
                }
            }
        if isinstance(value, torch.dtype | torch.device):
            return {type(value).__name__: str(value).removeprefix("torch.")}
        return None

    def _ndarray(self, array):
        if array.dtype.kind in "OU" and all(isinstance(s, str) for s in array.flat):
            return {"strings": array.tolist()} if array.ndim == 1 else None
        if array.dtype.kind == "c" and array.dtype.itemsize <= 16:
            # safetensors has complex64 alone.
            real = np.stack([array.real, array.imag], axis=-1)
            return {"complex": self.tensor(real)}
        if array.dtype.newbyteorder("=").name not in _DTYPES:
            return None
        return {"array": self.tensor(array)}

    def tensor(self, tensor, name=None):
        """Store a tensor or array, and return its name in the file."""
        if isinstance(tensor, np.ndarray):
            native = tensor.dtype.newbyteorder("=")
            tensor = torch.from_numpy(np.array(tensor, dtype=native, order="C"))
        tensor = tensor.detach().resolve_conj().cpu().contiguous()
        if name is None:
            content = hashlib.sha256()
            if tensor.numel():  # nothing cannot be seen as bytes
                content.update(tensor.flatten().view(torch.uint8).numpy())
            key = (tensor.dtype, tuple(tensor.shape), content.digest())
            name = self._names.setdefault(key, f"array.{len(self._names)}")
        # A clone: safetensors refuses tensors that share memory.
        self.tensors.setdefault(name, tensor.clone())
        return name

    def _object(self, value, where, depth):
        if isinstance(value, type) or inspect.isroutine(value):
            return self._reference(value)
        described = hasattr(value, "get_params")
        is_module = isinstance(value, torch.nn.Module)
        if isinstance(value, ODLOperator) or not (described or is_module):
            return None
        if (
            depth > 1
            and isinstance(value, OperatorEstimator)
            and hasattr(value, "operator_")
        ):
            raise TypeError(
                f"Got {where}, a fitted {type(value).__name__} inside another "
                "estimator, but expected estimators to be saved one by one, such as "
                "save(search.best_estimator_, path)."
            )
        kind = type(value)
        known = known_objects().get(kind.__name__) is kind
        encoded = {"object" if known else "custom": kind.__name__}
        if described:
            encoded["params"] = {}
            for name, parameter in value.get_params(deep=False).items():
                inside = f"{where}.{name}"
                encoded["params"][name] = self.value(parameter, inside, depth)
                if known and not all_finite(parameter):
                    raise ValueError(
                        f"Got {inside}={brief(parameter)}, but expected finite "
                        "numbers: load would refuse the file."
                    )
        if is_module:
            self._n_modules += 1
            encoded["state"] = self.state(value, f"module.{self._n_modules}")
        if isinstance(value, Group) and value.image_shape is not None:
            encoded["image_shape"] = list(value.image_shape)
        return encoded

    def _reference(self, value):
        name = value.__name__
        if name == "<lambda>":
            return None
        known = known_references().get(name) is value
        return {"reference" if known else "custom_reference": name}

    def state(self, module, prefix):
        """Store a module's state and return the names of its tensors, by key."""
        state = module.state_dict()
        if not all(isinstance(value, torch.Tensor) for value in state.values()):
            raise TypeError(
                f"Got a network {type(module).__name__} whose state_dict holds more "
                "than tensors, which cannot be saved."
            )
        return {
            key: self.tensor(value, f"{prefix}.{key}") for key, value in state.items()
        }
