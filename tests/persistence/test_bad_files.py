"""Damaged and hostile files: one error class, one sentence, nothing is run."""

import copy
import os
import pickle
import socket
import sys
from pathlib import Path

import pytest

from sklearn_ei import ModelFileError, load, save
from sklearn_ei.persistence import _model

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
if not BENCHMARKS.exists():
    pytest.skip("the benchmarks are not beside the tests", allow_module_level=True)
sys.path.insert(0, str(BENCHMARKS))
import _forged  # noqa: E402
import _forged_models  # noqa: E402
import _model_files  # noqa: E402


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    for name, estimator in _model_files.good_estimators().items():
        save(estimator, folder / f"{name}.safetensors")
    return folder


def test_good_files_load_and_so_do_their_forged_copies(folder):
    # Otherwise everything below would be refused for a wrong reason.
    for name in ("ct", "sparse"):
        data = (folder / f"{name}.safetensors").read_bytes()
        path = folder / "forged"
        path.write_bytes(_model_files.forge(*_model_files.parts(data)))
        assert load(path).n_iter_ == 1


def test_the_bomb_explodes_where_pickle_is_used(tmp_path):
    pickle.loads(pickle.dumps(_model_files.Bomb(tmp_path / "executed"))).close()
    assert (tmp_path / "executed").exists()


def test_every_bad_file_is_refused(folder):
    path = folder / "bad"
    n_files, loaded, wrong = 0, [], []
    for name, content in _model_files.all_files(folder, n_cuts=20, n_flips=30):
        path.write_bytes(content)
        n_files += 1
        try:
            load(path)
            loaded.append(name)
        except ModelFileError as error:
            if "\n" in str(error) or len(str(error)) > 500 or "bad" not in str(error):
                wrong.append((name, str(error)))
    assert n_files > 300
    assert not loaded
    assert not wrong
    assert not (folder / "executed").exists()


def test_each_kind_of_damage_has_its_sentence(folder):
    data = (folder / "ct.safetensors").read_bytes()
    document, tensors = _model_files.parts(data)
    flipped = bytearray(data)
    flipped[-1] ^= 1
    forge = _model_files.forge
    wide = copy.deepcopy(document["estimator"])
    wide["params"]["network"]["params"]["network"]["params"]["width"] = 10**9
    for content, message in (
        (data[:100], "is truncated"),
        (bytes(flipped), "does not have the SHA-256 checksum"),
        (forge(document | {"format": 2}, tensors), "reads format 1: expected a newer"),
        (forge(document | {"code": "1"}, tensors), "unknown entries"),
        (
            forge(document | {"estimator": wide}, tensors),
            "would be larger than its weights",
        ),
    ):
        (folder / "bad").write_bytes(content)
        with pytest.raises(ModelFileError, match=message):
            load(folder / "bad")


def special_files(folder):
    """Yield what is no regular file, by name."""
    yield "folder", folder
    (folder / "link").symlink_to(folder)
    yield "link to a folder", folder / "link"
    for path in ("/dev/zero", "/dev/full", "/dev/tty"):
        if Path(path).exists():
            yield path, path
    if hasattr(os, "mkfifo"):
        os.mkfifo(folder / "pipe")
        yield "pipe", folder / "pipe"
        server = socket.socket(socket.AF_UNIX)
        server.bind(str(folder / "s"))
        server.close()
        yield "socket", folder / "s"


def test_no_file_no_regular_file(tmp_path, monkeypatch):
    """Refused before they are opened: a pipe would wait for whoever writes into it."""
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "nothing")
    files = list(special_files(tmp_path))
    monkeypatch.setattr(os, "open", None)
    for _, path in files:
        with pytest.raises(ModelFileError, match="expected a regular file"):
            load(path)


# Some of these are refused by what load calls in _values.
needs_values = pytest.mark.skipif(
    not hasattr(_model, "check_planned_network"), reason="load does not look at values"
)


@pytest.mark.slow
@needs_values
def test_forged_models_are_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # names of sockets have to be short
    sources = _forged_models.honest_models(tmp_path)
    for source in sources.values():
        load(source, _forged.CUSTOM)
    n_files = 0
    for number, (_, name, write) in enumerate(_forged_models.models(sources)):
        path = tmp_path / f"{number}.forged"
        write(path)
        n_files += 1
        if name.startswith(_forged.DESCRIBED):
            continue  # robust_forged.py measures their memory
        print(name)  # shown if it is not refused
        with pytest.raises((ModelFileError, OSError), match=rf"^.*{path.name}.*$"):
            load(path, _forged.CUSTOM)
    assert n_files > 60
