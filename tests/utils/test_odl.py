"""Who imports ODL, who does without it, and what its import would set."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

import sklearn_ei

CODE = """
import logging, os, sys, warnings
import numpy as np, scipy.special, torch
from sklearn_ei.utils.odl import import_odl

def everything():
    return {
        "environment": dict(os.environ),
        "print options": np.get_printoptions(),
        "float errors": np.geterr(),
        "warnings": list(warnings.filters),
        "numpy": np.random.get_state()[1].tobytes(),
        "torch": torch.get_rng_state().tolist(),
        "dtype": torch.get_default_dtype(),
        "threads": torch.get_num_threads(),
        "recursion": sys.getrecursionlimit(),
        "handlers": list(logging.getLogger().handlers),
        "path": list(sys.path),
        "array API of SciPy": scipy._lib._array_api.SCIPY_ARRAY_API,
    }

before = everything()
import_odl()
after = everything()
changed = sorted(name for name in before if before[name] != after[name])
print(changed, "odl" in sys.modules)
"""


@pytest.mark.parametrize("variable", [None, "0"])
def test_importing_odl_changes_nothing_global(variable):
    environment = {k: v for k, v in os.environ.items() if k != "SCIPY_ARRAY_API"}
    if variable is not None:
        environment["SCIPY_ARRAY_API"] = variable
    run = subprocess.run(
        [sys.executable, "-c", CODE],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout.strip() == "[] True"


WITHOUT = """
import sys
from importlib.abc import MetaPathFinder

class Forbidden(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("odl", "future"):
            raise ImportError(f"{name} is forbidden here")

sys.meta_path.insert(0, Forbidden())
import numpy as np
import sklearn_ei.operators as ops
from sklearn_ei import EquivariantReconstructor, TotalVariationReconstructor
from sklearn_ei.networks import UNet

rng = np.random.default_rng(0)
X = rng.random((2, 12, 12))
tiny = {"network": UNet(width=2, depth=2), "max_epochs": 1, "noise": None}
for operator, images in [
    (ops.Inpainting(0.3), X),
    (ops.MRI(2), X + 0j),
    (ops.Blur(ops.gaussian_kernel(1.0)), X),
    (ops.Downsampling(2), X),
    (ops.CompressedSensing(60, (12, 12)), X),
]:
    Y = operator.measure(images)
    ei = EquivariantReconstructor(operator, random_state=0, check_rank=False, **tiny)
    print(type(operator).__name__, np.isfinite(ei.fit(Y).predict(Y)).all())
tv = TotalVariationReconstructor(ops.Inpainting(0.3))
print("TV", tv.fit(X).predict(X).shape)
try:
    ops.ParallelBeamCT(4, (8, 8)).measure(X[:, :8, :8])
except ImportError as error:
    print("CT needs it:", error)
"""


def test_only_tomography_needs_odl():
    run = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", WITHOUT],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.split("\n") == [
        *("Inpainting True", "MRI True", "Blur True", "Downsampling True"),
        *("CompressedSensing True", "TV (2, 12, 12)"),
        *("CT needs it: odl is forbidden here", ""),
    ]


def test_one_place_imports_odl():
    source = Path(sklearn_ei.__file__).parent
    found = set()
    for path in source.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            names = [alias.name for alias in getattr(node, "names", [])]
            if isinstance(node, ast.ImportFrom):
                names = [node.module or ""] if not node.level else []
            elif not isinstance(node, ast.Import):
                continue
            if any(name.partition(".")[0] == "odl" for name in names):
                found.add(path.relative_to(source).as_posix())
    assert found == {"utils/odl.py"}
