"""Every script under benchmarks/ runs at its smallest size, writing elsewhere.

What that is a script says itself, in a module-level ``SMOKE``: the words of its command
line. ``{ct32}`` and ``{urban128}`` among them stand for files of 90 made images of so
many pixels a side, in the form of the recorded runs' data; ``{data}/name`` for a file
of the folder that ``SKLEARN_EI_DATA`` names, without which the script is skipped.
``SMOKE_SLOW = True`` marks what takes more than some seconds, ``SMOKE_NEEDS`` lists the
modules without which there is nothing to run.
"""

import ast
import importlib.util
import multiprocessing
import os
import re
import runpy
import sys
import traceback
from pathlib import Path

import numpy as np
import pytest
import torch

from sklearn_ei.datasets import make_thorax_phantoms

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "benchmarks"
if not FOLDER.is_dir():
    pytest.skip("the benchmarks are not beside the tests", allow_module_level=True)

SCRIPTS = [path for path in sorted(FOLDER.glob("*.py")) if path.name[0] != "_"]
N_IMAGES = 90  # on which the scripts train, validate and report


def declarations(path):
    """Return what a script says of its smallest run, without importing it."""
    found = {}
    for node in ast.parse(path.read_text("utf-8")).body:
        if isinstance(node, ast.Assign):
            name = getattr(node.targets[0], "id", "")
            if name.startswith("SMOKE"):
                found[name] = ast.literal_eval(node.value)
        added_to = getattr(getattr(node, "target", None), "id", "")
        if isinstance(node, ast.AugAssign) and added_to == "SMOKE":
            found["SMOKE"] = found["SMOKE"] + ast.literal_eval(node.value)
    return found


def case(path):
    slow = declarations(path).get("SMOKE_SLOW", False)
    return pytest.param(path, id=path.stem, marks=[pytest.mark.slow] if slow else [])


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Return a function that makes a file of images once, by its name."""
    folder = tmp_path_factory.mktemp("images")

    def make(kind, size):
        path = folder / f"{kind}{size}.npz"
        if not path.exists():
            colours = 3 if kind == "urban" else 1
            images = make_thorax_phantoms(N_IMAGES, (size, size), random_state=0)
            images /= images.max()
            if kind == "urban":
                images = np.stack([images, images**2, images[::-1]], axis=-1)
            depth = np.uint8 if colours == 3 else np.uint16
            images = (np.iinfo(depth).max * images).astype(depth)
            np.savez(path, images=images)
        return str(path)

    return make


def words_of(smoke, made):
    """Return a command line with files in place of what stands for them."""
    words = []
    for word in smoke:
        image = re.fullmatch(r"\{(ct|urban)(\d+)\}", word)
        if image:
            words.append(made(image[1], int(image[2])))
        elif word.startswith("{data}"):
            folder = os.environ.get("SKLEARN_EI_DATA")
            if folder is None:
                pytest.skip("needs data: SKLEARN_EI_DATA is not set")
            path = Path(folder) / word.removeprefix("{data}").lstrip("/")
            if not path.exists():
                pytest.skip(f"needs {path.name}, which is not in SKLEARN_EI_DATA")
            words.append(str(path))
        else:
            words.append(word)
    return words


def recorded():
    """Return when each recorded result was written."""
    return {p: p.stat().st_mtime_ns for p in (FOLDER / "results").rglob("*.json")}


@pytest.fixture(scope="module")
def processes():
    """Processes that begin with the large imports done, which take most of a run."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["sklearn_ei.persistence", "sklearn_ei.utils.odl"])
    return context


def run_script(path, words, folder):
    """Run a script as ``python path *words`` would, in this process."""
    os.chdir(folder)
    os.environ["SKLEARN_EI_RESULTS"] = str(folder)
    # Of processes that the script starts in turn.
    os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT), *filter(None, sys.path)])
    os.environ["OMP_NUM_THREADS"] = "1"
    sys.path[:0] = [str(path.parent), str(ROOT)]
    sys.argv = [str(path), *words]
    torch.set_num_threads(1)
    with open("printed", "w", encoding="utf-8") as printed:
        sys.stdout = sys.stderr = printed
        try:
            runpy.run_path(str(path), run_name="__main__")
        except BaseException:
            traceback.print_exc()
            raise


@pytest.mark.parametrize("path", [case(path) for path in SCRIPTS])
def test_script_runs(path, made, tmp_path, processes):
    said = declarations(path)
    assert "SMOKE" in said, (
        f"{path.name} has no SMOKE: the words of its smallest run; see CONTRIBUTING.md"
    )
    for name in said.get("SMOKE_NEEDS", []):
        if importlib.util.find_spec(name) is None:
            pytest.skip(f"needs {name}, which is not installed")
    words, before = words_of(said["SMOKE"], made), recorded()
    process = processes.Process(target=run_script, args=(path, words, tmp_path))
    process.start()
    process.join()
    assert process.exitcode == 0, (tmp_path / "printed").read_text("utf-8")[-6000:]
    assert list(tmp_path.rglob("*.json")), "no result was written"
    assert recorded() == before


def test_made_images_are_found_and_absent_data_is_skipped(made, monkeypatch, tmp_path):
    with np.load(words_of(["{ct16}"], made)[0]) as file:
        assert file["images"].shape == (N_IMAGES, 16, 16)
        assert file["images"].dtype == np.uint16
    with np.load(words_of(["{urban16}"], made)[0]) as file:
        assert file["images"].shape == (N_IMAGES, 16, 16, 3)
        assert file["images"].dtype == np.uint8
    monkeypatch.delenv("SKLEARN_EI_DATA", raising=False)
    with pytest.raises(pytest.skip.Exception, match="SKLEARN_EI_DATA is not set"):
        words_of(["{data}/scan.h5"], made)
    monkeypatch.setenv("SKLEARN_EI_DATA", str(tmp_path))
    with pytest.raises(pytest.skip.Exception, match=r"needs scan\.h5"):
        words_of(["{data}/scan.h5"], made)
    (tmp_path / "scan.h5").touch()
    assert words_of(["-a", "{data}/scan.h5"], made) == ["-a", f"{tmp_path}/scan.h5"]
