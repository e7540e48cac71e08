"""Checkpoints: what is written, where, and what may come back."""

import os
import stat
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from skorch.callbacks import Callback, LRScheduler

from sklearn_ei import load, save
from sklearn_ei.losses import MeasurementConsistency
from sklearn_ei.training import check_layer
from sklearn_ei.training._state_json import pack, pack_history, unpack
from sklearn_ei.utils.tensor_file import read_file

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
if not BENCHMARKS.exists():
    pytest.skip("the benchmarks are not beside the tests", allow_module_level=True)
sys.path.insert(0, str(BENCHMARKS))
import _forged  # noqa: E402
import _forged_checkpoints  # noqa: E402

Y = _forged.Y


def make(**parameters):
    return _forged.make(**{"max_epochs": 2, **parameters})


def weights(estimator):
    state = estimator.net_.module_.state_dict()
    return torch.cat([tensor.double().flatten() for tensor in state.values()])


# ------------------------------------------------------------- what comes back
@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    folder = tmp_path_factory.mktemp("honest")
    paths = {kind: folder / kind for kind in _forged.TRAININGS}
    for kind, path in paths.items():
        _forged.honest_checkpoint(kind, path, width=2)
    return paths


@pytest.mark.parametrize("kind", _forged.TRAININGS)
def test_honest_files_and_their_rewritten_copies_go_on(kind, sources, tmp_path):
    """Otherwise everything below would be refused for a wrong reason."""
    copy = tmp_path / "copy"
    _forged_checkpoints.forge_state(sources[kind], copy, lambda state: None)
    resumed = _forged.resume(kind, copy, width=2)
    whole = _forged.make(2, **_forged.TRAININGS[kind]).fit(Y)
    assert torch.equal(weights(resumed), weights(whole))
    assert resumed.history_[:, "train_loss"] == whole.history_[:, "train_loss"]


@pytest.mark.slow
def test_forged_checkpoints_are_refused(sources, tmp_path, monkeypatch):
    """Before anything is loaded: Adam's fused kernel would crash on some."""
    monkeypatch.chdir(tmp_path)  # names of sockets have to be short
    n_files = 0
    for number, (kind, name, write) in enumerate(
        _forged_checkpoints.checkpoints(sources)
    ):
        path = tmp_path / f"{number}.forged"
        write(path)
        n_files += 1
        print(name)  # shown if it is not refused
        with pytest.raises((ValueError, OSError), match=rf"^.*{path.name}.*$"):
            _forged.resume(kind, path, width=2)
    assert n_files > 100


def test_a_forged_state_changes_nothing(sources, tmp_path):
    path = tmp_path / "forged"
    change = _forged_checkpoints.put("exp_avg", lambda t: torch.zeros(5))
    _forged_checkpoints.forge_state(sources["plain"], path, change)
    before = path.read_bytes()
    with pytest.raises(ValueError, match=r"exp_avg has shape \(5,\) and torch.float32"):
        _forged.resume("plain", path, width=2)
    assert path.read_bytes() == before


def test_settings_that_callbacks_change_come_back(tmp_path):
    """A scheduler of the user's sets rates and betas: they are no forgery then."""
    path = tmp_path / "file"
    scheduler = LRScheduler(
        "CyclicLR", base_lr=1e-3, max_lr=4e-3, step_size_up=2, step_every="batch",
        base_momentum=0.7, max_momentum=0.8,
    )  # fmt: skip
    parameters = {"lr_schedule": "constant", "max_epochs": 4, "checkpoint": path}
    with pytest.raises(RuntimeError, match="power cut"):
        make(**parameters, callbacks=[scheduler, _forged.PowerCut()]).fit(Y)
    document, tensors = read_file(path)
    (group,) = unpack(document["state"], tensors)["net"]["optimizer_"]["param_groups"]
    assert group["betas"][0] != 0.9
    resumed = make(**parameters, callbacks=[scheduler]).fit(Y)
    assert resumed.n_iter_ == 4


def test_a_layer_may_refuse_its_own_state():
    class Level(torch.nn.Module):
        def check_state(self, state):
            if state["eta"] < 0:
                raise ValueError("eta is negative")

    check_layer("term", Level(), {"eta": torch.tensor(1.0)})
    with pytest.raises(ValueError, match="eta is negative"):
        check_layer("term", Level(), {"eta": torch.tensor(-1.0)})
    norm = torch.nn.BatchNorm1d(2)
    check_layer("norm", norm, dict(norm.state_dict()))
    with pytest.raises(ValueError, match="running_var of norm is negative"):
        check_layer("norm", norm, {"running_var": torch.tensor([1.0, -1e-9])})


# ----------------------------------------------------------------- what is kept
class Record(Callback):
    """Record something of every epoch."""

    def __init__(self, **values):
        self.values = values

    def on_epoch_end(self, net, **kwargs):
        for name, value in self.values.items():
            net.history.record(name, value)


class Figure:
    """What no file holds without pickle."""


def test_what_callbacks_record_comes_back(tmp_path):
    path = tmp_path / "file"
    values = {
        "array": np.arange(6.0).reshape(2, 3)[:, ::-1], "scalar": np.float32(0.5),
        "tensor": torch.arange(3), "list": [1, [2.5, None]], "nan": float("nan"),
        "mapping": {"a": True, 3: "b"}, "flags": np.array([True, False]),
        "tuple": (1, 2), "text": np.str_("α"),
    }  # fmt: skip
    parameters = {"max_epochs": 3, "checkpoint": path}
    make(**parameters, callbacks=[Record(**values)]).fit(Y)
    back = make(**parameters).fit(Y).history_[0]
    np.testing.assert_array_equal(back["array"], values["array"])
    assert back["array"].dtype == np.float64
    assert back["tensor"].tolist() == [0, 1, 2]
    assert back["flags"].tolist() == [True, False]
    assert np.isnan(back["nan"])
    for name, expected in {
        "scalar": 0.5, "list": [1, [2.5, None]], "mapping": {"a": True, 3: "b"},
        "tuple": [1, 2], "text": "α",
    }.items():  # fmt: skip
        assert back[name] == expected, name
    # Models have what they had.
    fitted = make(max_epochs=1, callbacks=[Record(a=np.arange(3))]).fit(Y)
    fitted.set_params(callbacks=None)
    again = load(save(fitted, tmp_path / "model"))
    assert again.history_[0]["a"].tolist() == [0, 1, 2]


def test_what_no_file_holds_is_left_out_with_one_warning(tmp_path):
    path = tmp_path / "file"
    values = {
        "figure": Figure(),
        "huge": 10**30,
        "set": {1},
        "complex": np.ones(2) * 1j,
    }
    ei = make(checkpoint=path, max_epochs=3, callbacks=[Record(**values, fine=1.0)])
    with pytest.warns(UserWarning, match="as complex, figure, huge, set; it") as caught:
        ei.fit(Y)
    assert sum("leaves out" in str(w.message) for w in caught) == 1
    assert isinstance(ei.history_[0]["figure"], Figure)
    back = make(checkpoint=path, max_epochs=3).fit(Y)
    assert back.history_[:, "fine"] == [1.0] * 3
    assert not values.keys() & back.history_[0].keys()


def test_a_history_beyond_the_header_loses_its_largest_entries():
    history = [
        {"epoch": i + 1, "text": "x" * 10_000, "batches": []} for i in range(900)
    ]
    packed, left_out = pack_history(history, {})
    assert left_out == {"text"}
    assert unpack(packed)[899] == {"epoch": 900}


class Stateful(torch.nn.Module):
    """A network that remembers something in its state_dict."""

    def __init__(self, memory):
        super().__init__()
        self.layer = torch.nn.Conv2d(1, 1, 1)
        self.memory = memory

    def forward(self, x):
        return self.layer(x)

    def get_extra_state(self):
        return self.memory

    def set_extra_state(self, state):
        self.memory = state


def test_states_that_no_file_holds_are_refused_before_training(tmp_path):
    path = tmp_path / "file"
    good = make(network=Stateful({"n": [1, 2.5]}), checkpoint=path)
    good.fit(Y)
    assert path.exists()
    path.unlink()
    trained = Record()
    trained.on_batch_end = lambda *args, **kwargs: pytest.fail("it trained")
    bad = make(network=Stateful({1, 2}), checkpoint=path, callbacks=[trained])
    with pytest.raises(TypeError, match="state_dict holds a set"):
        bad.fit(Y)
    assert not path.exists()


def test_pack_is_undone_by_unpack():
    value = {"a": [1, -2.5, True, None, "x"], 3: {"t": torch.ones(2, 0)}, "inf": np.inf}
    tensors = {}
    back = unpack(pack(value, tensors), tensors)
    assert back.keys() == value.keys()
    assert back["a"] == value["a"]
    assert back["inf"] == np.inf
    assert back[3]["t"].shape == (2, 0)
    nested = []
    nested.append(nested)
    for bad in (nested, {(1, 2): 3}, {1.5: 2}, object(), b"bytes", np.array(["a"])):
        with pytest.raises(TypeError):
            pack(bad, {})


# ------------------------------------------------------------------------ paths
class Wander(Callback):
    """Goes to another folder in the first epoch."""

    def __init__(self, folder):
        self.folder = folder

    def on_batch_end(self, net, **kwargs):
        os.chdir(self.folder)


def test_a_relative_path_is_that_of_the_start(tmp_path, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    wander = Wander(tmp_path / "elsewhere")
    make(checkpoint="file", callbacks=[wander]).fit(Y)
    assert sorted(os.listdir(tmp_path)) == ["elsewhere", "file"]
    assert os.listdir(tmp_path / "elsewhere") == []
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    make(checkpoint="folder", callbacks=[wander]).fit(Y)
    assert len(os.listdir(tmp_path / "folder")) == 1
    assert os.listdir(tmp_path / "elsewhere") == []


class Never(Callback):
    """No epoch may begin."""

    def on_epoch_begin(self, net, **kwargs):
        pytest.fail("it trained")


def test_where_nothing_can_be_written_nothing_is_trained(tmp_path, monkeypatch):
    def refuse(*args, **kwargs):
        raise PermissionError(13, "Permission denied")

    ei = make(max_epochs=1, checkpoint=tmp_path / "file", callbacks=[Never()])
    with monkeypatch.context() as patch:
        # Root may write into folders that are read-only.
        patch.setattr("sklearn_ei.utils.files.os.open", refuse)
        with pytest.raises(ValueError, match="a file that can be written: Perm"):
            ei.fit(Y)
    assert not hasattr(ei, "net_")
    assert os.listdir(tmp_path) == []
    for name in ("x" * 300, "pipe"):
        if name == "pipe":
            os.mkfifo(tmp_path / name)
        bad = make(checkpoint=tmp_path / name, callbacks=[Never()])
        with pytest.raises((ValueError, OSError), match=name):
            bad.fit(Y)


@pytest.mark.skipif(
    os.name != "posix" or os.geteuid() == 0, reason="root may write everywhere"
)
def test_a_read_only_folder(tmp_path):
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(ValueError, match="expected a file that can be written"):
            make(checkpoint=tmp_path / "file", callbacks=[Never()]).fit(Y)
    finally:
        tmp_path.chmod(0o700)


def test_a_fit_that_is_over_needs_no_place_to_write(tmp_path, monkeypatch):
    path = tmp_path / "file"
    whole = make(checkpoint=path).fit(Y)
    monkeypatch.setattr("sklearn_ei.utils.files._replacing", None)
    again = make(checkpoint=path, callbacks=[Never()]).fit(Y)
    assert torch.equal(weights(again), weights(whole))


@pytest.mark.skipif(os.name != "posix", reason="links and modes of POSIX")
def test_links_and_modes_are_kept_through_a_training(tmp_path):
    (tmp_path / "disk").mkdir()
    link, target = tmp_path / "link", tmp_path / "disk" / "file"
    link.symlink_to(target)
    make(max_epochs=1, lr_schedule="constant", checkpoint=link).fit(Y)
    target.chmod(0o600)
    make(max_epochs=2, lr_schedule="constant", checkpoint=link).fit(Y)
    assert link.is_symlink()
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert os.listdir(tmp_path / "disk") == ["file"]
    document, _ = read_file(target)
    assert len(unpack(document["state"])["history"]) == 2


def test_names_with_the_characters_of_patterns(tmp_path):
    others = [".ab.x.1.0a1b2c3d.tmp", ".settings.tmp", ".a.x.1.00000000.tmp"]
    for name in others:
        (tmp_path / name).touch()
    for name in ("[a-z]*", "*", "?"):
        if os.name == "posix":
            make(max_epochs=1, checkpoint=tmp_path / name).fit(Y)
    assert set(others) <= set(os.listdir(tmp_path))


def test_a_path_as_checkpoint_can_be_saved(tmp_path):
    path = tmp_path / "file"
    fitted = make(max_epochs=1, checkpoint=path).fit(Y)
    back = load(save(fitted, tmp_path / "model"))
    assert back.checkpoint == path
    assert isinstance(back.checkpoint, Path)
    np.testing.assert_array_equal(back.predict(Y), fitted.predict(Y))


# ----------------------------------------------------------- equal and different
def sum_of(terms):
    """Return a network factory with a set among what it is made from."""
    kinds = frozenset(terms)

    def factory(n_channels, n_dims):
        assert kinds
        return torch.nn.Conv2d(n_channels, n_channels, 3, padding=1)

    return factory


def test_equal_parameters_go_on(tmp_path):
    path = tmp_path / "file"
    names = ["relu", "tanh", "gelu"]
    first = make(lr=2e-3, batch_size=2, network=sum_of(names), checkpoint=path).fit(Y)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        second = make(
            lr=np.float64(2e-3),
            batch_size=np.int64(2),
            alpha="auto",
            beta=0,
            network=sum_of(names[::-1]),
            checkpoint=path,
            callbacks=[Never()],
        ).fit(Y)
    assert torch.equal(weights(first), weights(second))


def scaled(by):
    if by == 1:

        def loss(a, b):
            def inner(d):
                return d.square().mean() * 1.0

            return inner(a - b)
    else:

        def loss(a, b):
            def inner(d):
                return d.square().mean() * 2.0

            return inner(a - b)

    return loss


def test_changed_code_is_refused(tmp_path):
    path = tmp_path / "file"
    same, changed = (MeasurementConsistency(scaled(by)) for by in (1, 2))
    make(data_term=same, checkpoint=path).fit(Y)
    make(data_term=same, checkpoint=path, callbacks=[Never()]).fit(Y)
    with pytest.raises(ValueError, match="which differs in data_term;"):
        make(data_term=changed, checkpoint=path).fit(Y)
