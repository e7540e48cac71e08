"""What tells one training from another: digests of parameters, code and data."""

import re
import sys
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import (
    BuiltinFunctionType,
    CodeType,
    FunctionType,
    MemberDescriptorType,
    MethodType,
    ModuleType,
)

import numpy as np
import torch
from scipy import sparse
from skorch.callbacks import Callback
from torch import nn

from ..utils.stack import LazyTensor
from ._digests import array_digest, code_digest, hash_of, names_in, plain_digest

# Named rather than read: an update of them is no other training.
_LIBRARIES = {__name__.partition(".")[0], "torch", "numpy", "scipy", "sklearn"}
_LIBRARIES |= {"skorch", "odl", *sys.stdlib_module_names}
_INSTALLED = {"site-packages", "dist-packages"}
# What ODL computes when it is first asked for.
_LAZY_IN_ODL = re.compile("impl|cache|adjoint|_RectGrid__(?!coord)")
# What torch itself keeps in every module.
_OF_TORCH = frozenset(vars(nn.Module()))
# What Python itself keeps in every class.
_OF_PYTHON = {"__dict__", "__weakref__", "__doc__", "__module__", "__qualname__"}
_OF_PYTHON |= {"__annotations__", "__firstlineno__", "__static_attributes__"}
_OF_PYTHON |= {"__abstractmethods__", "_abc_impl", "__parameters__", "__annotate__"}
_OF_PYTHON |= {"__annotate_func__", "__annotations_cache__", "__slots__"}


def fingerprint(parameters, data):
    """Return what tells one training from another, as hexadecimal digests.

    Parameters
    ----------
    parameters : dict of str to object
        Numbers, strings, arrays, estimators, modules, functions and classes.
    data : dict of str to torch.Tensor, LazyTensor or None
        What is trained on; a lazy tensor has the digest of one of equal content.

    Returns
    -------
    fingerprint : dict of str to str
        One digest for every name.

    Notes
    -----
    Equal parameters have equal digests: numbers whatever their type, dictionaries
    and sets whatever their order. Functions and classes of the user are what they
    compute: their code with all that is nested in it, defaults, closures, and the
    functions, classes and constants that they find among their module's names, and
    so on. Those of other installed packages are their code alone; those of Python,
    torch, NumPy, SciPy, scikit-learn, skorch, ODL and this package are their name.
    Names that appear only while a function runs (``getattr``, an import inside it)
    are not followed. Of callbacks, what they were made with and their code count,
    but not what they find elsewhere: they count and collect there.
    """
    return {
        name: _Digester().of_all(value).hex()[:32]
        for name, value in {**parameters, **data}.items()
    }


class _Digester:
    """Digests one value; looks at every object once, however often it is reached.

    Attributes
    ----------
    code_alone : bool
        Whether functions and classes are their own code, and no data of theirs.
    """

    def __init__(self):
        self.code_alone = False
        self._open = {}  # depths of the objects that are being looked at
        self._lowest = 0  # of them, the outermost that was met again
        self._done = {}
        self._alive = []  # so that no identity is used twice
        self._globals = {}

    def of_all(self, value):
        """Return the digest of a value and of all names that its code looks up."""
        digest = self.of(value)
        found, n_found = [], -1
        while len(found) > n_found:  # what is looked up may look up more
            n_found = len(found)
            for key, (target, code_alone) in list(self._globals.items()):
                if target is not None:
                    self._globals[key] = None, False
                    with self._reading(code_alone):
                        found.append(hash_of("name", key.encode(), self.of(target[0])))
        return hash_of("all", digest, *sorted(found)) if found else digest

    def of(self, value):
        """Return the digest of a value."""
        plain = plain_digest(value)
        if plain is not None:
            return plain
        key = id(value), self.code_alone
        if key in self._done:
            return self._done[key]
        depth = len(self._open)
        if key in self._open:
            self._lowest = min(self._lowest, self._open[key])
            return hash_of("above", str(depth - self._open[key]).encode())
        outer, self._lowest = self._lowest, depth
        self._open[key] = depth
        try:
            digest = self._of_object(value)
        finally:
            del self._open[key]
        if self._lowest >= depth:  # nothing around it is part of it
            self._done[key] = digest
            self._alive.append(value)
        self._lowest = min(outer, self._lowest)
        return digest

    def named(self, kind, parts):
        """Return the digest of parts by name, whatever their order."""
        pairs = [(self.of(name), self.of(part)) for name, part in parts.items()]
        return hash_of(kind, *(b"".join(pair) for pair in sorted(pairs)))

    def listed(self, kind, parts):
        """Return the digest of parts in their order."""
        return hash_of(kind, *map(self.of, parts))

    @contextmanager
    def _reading(self, code_alone):
        before, self.code_alone = self.code_alone, self.code_alone or code_alone
        try:
            yield
        finally:
            self.code_alone = before

    # ------------------------------------------------------------------- objects
    def _of_object(self, value):
        if sparse.issparse(value):
            return self._of_sparse(value)
        for kinds, describe in _DESCRIPTIONS:
            if isinstance(value, kinds):
                return describe(self, value)
        if isinstance(getattr(value, "__wrapped__", None), FunctionType | type):
            return self.listed("wrapper", (type(value), value.__wrapped__))
        if hasattr(value, "get_params"):
            params = self.named("params", value.get_params(deep=False))
            return hash_of("estimator", self.of(type(value)), params)
        return self._of_instance(value)

    def _of_instance(self, value):
        kind = type(value)
        state = None
        if not _is_library(kind.__module__):
            state = _state(value)
        elif kind.__module__.partition(".")[0] == "odl" and hasattr(value, "__dict__"):
            state = {k: v for k, v in vars(value).items() if not _LAZY_IN_ODL.search(k)}
        if state is not None:
            return hash_of("instance", self.of(kind), self.named("state", state))
        try:
            # What pickle would take; not all of it could be pickled.
            reduced = value.__reduce_ex__(4)
        except Exception:  # locks, files, whatever the object is
            return hash_of("opaque", _name(kind))
        if isinstance(reduced, str):
            return hash_of("global", reduced.encode())
        items = [part and list(part) for part in reduced[3:5]]
        return self.listed("reduced", (*reduced[:3], *items))

    def _of_bound(self, method):
        return self.listed(type(method).__name__, [method.__func__])

    def _of_callback(self, callback):
        with self._reading(code_alone=True):
            code = self.of(type(callback))
        return hash_of("callback", code, self.named("made with", vars(callback)))

    def _of_module(self, module):
        """Describe a network: layers, settings that no weight holds, weights, code."""
        layers = {}
        for name, layer in module.named_modules():
            own = {k: v for k, v in vars(layer).items() if k not in _OF_TORCH}
            hooks = {
                k: list(v.values())
                for k, v in vars(layer).items()
                if k.endswith("_hooks") and v
            }
            script = layer.code if isinstance(layer, torch.jit.ScriptModule) else None
            layers[name] = self.listed("layer", (type(layer), own, hooks, script))
        trained = [n for n, p in module.named_parameters() if p.requires_grad]
        return hash_of(
            "network",
            self.named("layers", layers),
            self.named("weights", dict(module.named_buffers()) | module.state_dict()),
            self.listed("trained", trained),
        )

    # ---------------------------------------------------------------------- code
    def _of_class(self, kind):
        if _is_library(kind.__module__):
            return hash_of("class", _name(kind))
        with self._reading(_is_installed(kind.__module__)):
            members = {
                name: member
                for name, member in vars(kind).items()
                if name not in _OF_PYTHON
                and not isinstance(member, MemberDescriptorType)
                and (not self.code_alone or _holds_code(member))
            }
            return hash_of(
                "class",
                kind.__qualname__.encode(),
                self.listed("bases", kind.__bases__),
                self.named("members", members),
            )

    def _of_function(self, function):
        if _is_library(function.__module__):
            return hash_of("function", _name(function))
        with self._reading(_is_installed(function.__module__)):
            closure = {}
            names = function.__code__.co_freevars
            for name, cell in zip(names, function.__closure__ or (), strict=True):
                try:
                    closure[name] = cell.cell_contents
                except ValueError:  # not filled yet
                    closure[name] = None
            looked_up = [] if self.code_alone else sorted(self._look_up(function))
            return self.listed(
                "function",
                (
                    function.__code__,
                    function.__defaults__,
                    function.__kwdefaults__,
                    closure,
                    vars(function),
                    looked_up,
                ),
            )

    def _look_up(self, function):
        """Yield where code finds the names of its module; they are read later."""
        space = function.__globals__
        globals_, names = names_in(function.__code__)
        for name in globals_ & space.keys():
            value = space[name]
            if not isinstance(value, ModuleType):
                yield self._later(space.get("__name__"), name, value)
            elif not _is_library(value.__name__):
                for inner in names & vars(value).keys():
                    found = vars(value)[inner]
                    if not isinstance(found, ModuleType):
                        yield self._later(value.__name__, inner, found)

    def _later(self, module, name, value):
        key = f"{module}:{name}"
        self._globals.setdefault(key, ((value,), _is_installed(str(module))))
        return name

    # -------------------------------------------------------------------- arrays
    def _of_array(self, value):
        if isinstance(value, np.ma.MaskedArray):
            mask = np.ma.getmaskarray(value)
            return self.listed("masked", (np.where(mask, 0, value.data), mask))
        if isinstance(value, np.ndarray) and value.dtype.kind not in "biufc":
            items = [repr(value.dtype), value.shape, value.tolist()]
            return self.listed("objects", items)
        if isinstance(value, torch.Tensor) and value.layout != torch.strided:
            coo = value.detach().to_sparse_coo().coalesce()
            parts = value.shape, coo.indices(), coo.values()
            return self.listed("sparse tensor", parts)
        return array_digest(value)

    def _of_sparse(self, matrix):
        csr = matrix.tocsr()
        if not csr.has_canonical_format:
            csr = csr.copy()
            csr.sum_duplicates()
        wide = csr.indptr.astype(np.int64), csr.indices.astype(np.int64)
        return self.listed("matrix", (csr.shape, *wide, csr.data))


_DESCRIPTIONS = (
    ((LazyTensor, torch.Tensor, np.ndarray), _Digester._of_array),
    ((list, tuple, range), lambda self, v: self.listed("sequence", v)),
    (dict, lambda self, v: self.named("dict", v)),
    ((set, frozenset), lambda self, v: hash_of("set", *sorted(map(self.of, v)))),
    (ModuleType, lambda self, v: hash_of("module", v.__name__.encode())),
    (FunctionType, _Digester._of_function),
    (CodeType, lambda self, v: code_digest(v)),
    (type, _Digester._of_class),
    (MethodType, lambda self, v: self.listed("method", (v.__func__, v.__self__))),
    ((staticmethod, classmethod), _Digester._of_bound),
    (property, lambda self, v: self.listed("property", (v.fget, v.fset, v.fdel))),
    (partial, lambda self, v: self.listed("partial", (v.func, v.args, v.keywords))),
    (nn.Module, _Digester._of_module),
    (Callback, _Digester._of_callback),
    (
        (BuiltinFunctionType, np.ufunc, torch.dtype, torch.device, torch.layout),
        lambda self, v: hash_of("builtin", re.sub(r" at 0x\w+", "", repr(v)).encode()),
    ),
)


def _state(value):
    """Return the attributes of an object, None if it has none that Python knows."""
    slots = {
        name: getattr(value, name)
        for base in type(value).__mro__
        for name, member in vars(base).items()
        if isinstance(member, MemberDescriptorType) and hasattr(value, name)
    }
    if not slots and not hasattr(value, "__dict__"):
        return None
    return {**slots, **getattr(value, "__dict__", {})}


def _is_library(module):
    return str(module).partition(".")[0] in _LIBRARIES


def _is_installed(module):
    """Whether a module is one of an installed package, rather than the user's."""
    file = getattr(sys.modules.get(module), "__file__", None)
    if file is None:
        return False
    return not _INSTALLED.isdisjoint(Path(file).parts)


def _holds_code(member):
    return isinstance(member, FunctionType | staticmethod | classmethod | property)


def _name(value):
    return f"{value.__module__}.{value.__qualname__}".encode()
