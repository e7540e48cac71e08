"""What importing ODL would set for the whole process."""

import os
import subprocess
import sys

import pytest

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
