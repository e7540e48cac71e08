"""What holds for the package as a whole."""

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import sklearn_ei

# Ground floor first; imports go down only, as doc/architecture.md says.
FLOORS = [
    {"utils"},
    {"operators", "groups", "noise", "networks"},
    {"losses", "identifiability"},
    {"training"},
    {"metrics", "preprocessing"},
    {"model_selection", "datasets"},
    {"reconstruction", "inspection"},
    {"persistence"},
    {"demo"},
]
FLOOR_OF = {room: level for level, rooms in enumerate(FLOORS) for room in rooms}
SOURCE = Path(sklearn_ei.__file__).parent


def imports(path, source=SOURCE):
    """Yield what a file imports from this package, at any depth, as dotted parts.

    The module, without the package's own name, and the name that is taken from it;
    None where a module is imported as a whole.
    """
    package = ["sklearn_ei", *path.relative_to(source).parts[:-1]]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            modules = [(alias.name.split("."), None) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            within = package[: len(package) + 1 - node.level] if node.level else []
            module = within + (node.module.split(".") if node.module else [])
            modules = [(module, alias.name) for alias in node.names]
        else:
            continue
        for (first, *module), name in modules:
            if first == "sklearn_ei":
                # ``from . import room`` of the package itself
                yield (module, name) if module else ([name] if name else [], None)


def rooms_of(path, source=SOURCE):
    """Return a file's own room, and what it imports from each other one."""
    room = path.relative_to(source).parts[0].removesuffix(".py")
    others = [(m, n) for m, n in imports(path, source) if m and m[0] != room]
    return room, [(m, n) for m, n in others if m[0] in FLOOR_OF]


MODULES = pytest.mark.parametrize(
    "path", sorted(SOURCE.rglob("*.py")), ids=lambda p: str(p.relative_to(SOURCE))
)


@MODULES
def test_imports_go_down_only(path):
    room, others = rooms_of(path)
    if room == "__init__":
        return
    assert room in FLOOR_OF, f"give the room {room!r} a floor"
    for (other, *_), _ in others:
        assert FLOOR_OF[other] < FLOOR_OF[room], f"{room} imports {other}"


def trespasses(path, source=SOURCE):
    """Return the imports of a file that reach behind the door of another room."""
    found = []
    for (other, *inner), name in rooms_of(path, source)[1]:
        if other == "utils":  # the ground floor has no door: any public name of it
            module = ".".join(["sklearn_ei", other, *inner])
            public = [n for n in dir(importlib.import_module(module)) if n[0] != "_"]
            allowed = len(inner) == 1 and inner[0][0] != "_"
            allowed &= name is None or name in public
        else:
            public = importlib.import_module(f"sklearn_ei.{other}").__all__
            allowed = not inner and (name is None or name in public)
        if not allowed:
            found.append(".".join([other, *inner, *([name] if name else [])]))
    return found


@MODULES
def test_rooms_import_from_each_other_what_is_public(path):
    assert not trespasses(path)


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("from ..operators import Blur, Layout", []),
        ("from ..operators._base import ForwardOperator", True),
        ("from ..operators import _base", True),
        ("from ..operators import gaussian", True),  # not public, whatever it is
        ("def f():\n    from ..training.machine import Processes", True),
        ("from sklearn_ei.training._net import ReconstructionNet", True),
        ("import sklearn_ei.training._net", True),
        ("import sklearn_ei.training.machine as machine", True),
        ("from ._net import anything", []),  # of its own room
        ("from ..utils.random import draw_seed", []),
        ("from ..utils.random import _FORK_LOCK", True),
        ("from ..utils import random", True),  # which module a name is of is said
        ("from .. import __version__", []),
    ],
)
def test_reaching_behind_a_door_is_found(line, found, tmp_path):
    (tmp_path / "inspection").mkdir()
    path = tmp_path / "inspection" / "_module.py"
    path.write_text(line, "utf-8")
    assert bool(trespasses(path, tmp_path)) == bool(found)


def run_python(code):
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    return result.stdout.strip()


def test_import_loads_neither_torch_nor_odl():
    code = (
        "import sys, sklearn_ei; print({'torch', 'odl', 'skorch'} & set(sys.modules))"
    )
    assert run_python(code) == "set()"


def test_type_checkers_see_every_name_and_that_there_are_types():
    # Names that are imported when they are used are invisible to type checkers; a
    # block that never runs shows them.
    tree = ast.parse((SOURCE / "__init__.py").read_text(encoding="utf-8"))
    block = next(node for node in tree.body if isinstance(node, ast.If))
    shown = {
        (node.module, alias.name)
        for node in ast.walk(block)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    rooms = {(None, room) for room in sklearn_ei._SUBMODULES}
    assert shown == rooms | {(room, n) for n, room in sklearn_ei._LAZY.items()}
    assert (SOURCE / "py.typed").exists()


def test_every_public_name_exists_and_is_documented():
    for name in sklearn_ei.__all__:
        value = getattr(sklearn_ei, name)
        assert name in dir(sklearn_ei)
        assert isinstance(value, str) or value.__doc__
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = sklearn_ei.nothing


@pytest.mark.parametrize(
    "room",
    [
        "operators",
        "groups",
        "noise",
        "networks",
        "losses",
        "identifiability",
        "datasets",
        "model_selection",
        "reconstruction",
        "inspection",
        "persistence",
        "preprocessing",
    ],
)
def test_public_classes_and_functions_document_their_parameters(room):
    import inspect

    module = importlib.import_module(f"sklearn_ei.{room}")
    for name in module.__all__:
        value = getattr(module, name)
        if isinstance(value, type) and issubclass(value, Exception):
            continue  # has the parameters of every exception
        if not callable(value):
            continue  # a constant
        doc = inspect.getdoc(value)
        signature = inspect.signature(value)
        for parameter in signature.parameters.values():
            if parameter.kind in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL):
                continue
            assert parameter.name in doc, f"{room}.{name}: {parameter.name}"
