"""What follows from parameters: built once, shared by copies, never pickled."""

import hashlib
import threading
from numbers import Number
from weakref import WeakValueDictionary

import numpy as np

# Larger arrays are compared by identity: hashing them would take too long.
_HASHED_BYTES = 2**24
_LONGEST_LIST = 10_000

_SHARED: WeakValueDictionary = WeakValueDictionary()
_BUILDING: dict = {}
_LOCK = threading.Lock()


def shared(key, build):
    """Return the object that belongs to a key, built if nobody holds it yet.

    Parameters
    ----------
    key : hashable
        All that the object follows from.
    build : callable
        Returns the object, which must allow weak references. Threads that ask for
        the same key meanwhile wait for it.

    Returns
    -------
    value : object
        Kept for others for as long as somebody holds it.
    """
    with _LOCK:
        value = _SHARED.get(key)
        if value is not None:
            return value
        lock = _BUILDING.setdefault(key, threading.RLock())
    with lock:
        value = _SHARED.get(key)
        if value is None:
            try:
                value = _SHARED[key] = build()
            finally:
                _BUILDING.pop(key, None)
    return value


class DerivedState:
    """What follows from the constructor parameters of one object.

    Objects of one class with equal parameters, copies and clones above all, share
    what follows from them. Big arrays, and what is neither an array nor a plain
    value, are equal only where they are the same object.
    """

    def __init__(self):
        self._entries = {}

    def get(self, owner, name, build, depends_on):
        """Return what is called ``name``, built on first use.

        Parameters
        ----------
        owner : BaseEstimator
            Whose parameters it follows from.
        name : str
        build : callable
            Without arguments.
        depends_on : callable
            Returns the names of the parameters that it follows from.
        """
        entry = self._entries.get(name)
        if entry is None:
            names = tuple(depends_on())
            values = tuple(_token(getattr(owner, parameter)) for parameter in names)
            key = (type(owner), name, names, values)
            box = shared(key, lambda: _Box(build()))
            entry = self._entries[name] = (names, box)
        return entry[1].value

    def forget(self, parameter):
        """Drop what follows from a parameter."""
        for name, (names, _) in list(self._entries.items()):
            if parameter in names:
                self._entries.pop(name, None)


class DerivedMixin:
    """Lets an estimator keep what follows from its parameters.

    It is placed before ``BaseEstimator`` among the base classes. A changed parameter
    drops what depends on it; copies are made, and pickled, of parameters alone.
    """

    def _derived(self, name, build, depends_on=None):
        """Return what follows from parameters, those of ``_depends_on`` by default."""
        state = self.__dict__.get("_state")
        if state is None:
            state = self.__dict__.setdefault("_state", DerivedState())
        return state.get(self, name, build, depends_on or self._depends_on)

    def _depends_on(self):
        """Return the names of the parameters that most of it follows from."""
        return list(self.get_params(deep=False))

    def __setattr__(self, name, value):
        same = self.__dict__.get(name, self) is value
        super().__setattr__(name, value)
        if "_state" in self.__dict__ and not same:
            self.__dict__["_state"].forget(name)

    def __getstate__(self):
        state = super().__getstate__().copy()
        state.pop("_state", None)
        return state


class _Box:
    """Allows weak references to anything."""

    __slots__ = ("__weakref__", "value")

    def __init__(self, value):
        self.value = value


class _Same:
    """Equal to what holds the same object; holds it, so that its id stays taken."""

    def __init__(self, value):
        self.value = value

    def __eq__(self, other):
        return isinstance(other, _Same) and self.value is other.value

    def __hash__(self):
        return id(self.value)


def _token(value, depth=3):
    """Return something hashable that is equal where parameters are."""
    if value is None or isinstance(value, Number | str | bytes):
        return type(value), value
    if isinstance(value, tuple | list) and depth and len(value) <= _LONGEST_LIST:
        return (type(value), *(_token(item, depth - 1) for item in value))
    plain = isinstance(value, np.ndarray) and value.dtype.kind in "biufc"
    if plain and value.nbytes <= _HASHED_BYTES:
        digest = hashlib.blake2b(np.ascontiguousarray(value), digest_size=16).digest()
        return type(value), value.dtype.str, value.shape, digest
    return _Same(value)
