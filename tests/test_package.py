"""What holds for the package as a whole."""

import ast
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
    {"metrics", "datasets", "preprocessing"},
    {"model_selection"},
    {"reconstruction", "inspection"},
    {"persistence"},
    {"demo"},
]
FLOOR_OF = {room: level for level, rooms in enumerate(FLOORS) for room in rooms}
SOURCE = Path(sklearn_ei.__file__).parent


def imported_rooms(path):
    """Yield the rooms of this package that a file imports from, at any depth."""
    depth = len(path.relative_to(SOURCE).parts)
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level == depth:
            names = [node.module] if node.module else [a.name for a in node.names]
            yield from (name.split(".")[0] for name in names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            parts = node.module.split(".")
            if parts[0] == "sklearn_ei":
                yield from parts[1:2] or [a.name for a in node.names]


@pytest.mark.parametrize(
    "path", sorted(SOURCE.rglob("*.py")), ids=lambda p: str(p.relative_to(SOURCE))
)
def test_imports_go_down_only(path):
    room = path.relative_to(SOURCE).parts[0].removesuffix(".py")
    if room == "__init__":
        return
    assert room in FLOOR_OF, f"give the room {room!r} a floor"
    for other in imported_rooms(path):
        if other == room or other not in FLOOR_OF:
            continue
        assert FLOOR_OF[other] < FLOOR_OF[room], f"{room} imports {other}"


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


def test_using_odl_leaves_numpy_s_print_options_alone():
    code = """
import numpy as np
before = np.get_printoptions()
from sklearn_ei.operators import ParallelBeamCT
ParallelBeamCT(4, image_shape=(8, 8)).measure(np.ones((1, 8, 8)))
import sys
print('odl' in sys.modules, before == np.get_printoptions())
"""
    assert run_python(code) == "True True"


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
    import importlib
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
