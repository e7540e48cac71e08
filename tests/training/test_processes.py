"""One training in several processes, on loopback."""

import os
import pickle
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.base import clone

from sklearn_ei import EquivariantReconstructor, EquivariantReconstructorCV, load, save
from sklearn_ei.datasets import make_thorax_phantoms
from sklearn_ei.groups import Rotations
from sklearn_ei.networks import UNet, Unrolled
from sklearn_ei.noise import GaussianNoise
from sklearn_ei.operators import ParallelBeamCT
from sklearn_ei.training import DivergenceError

OPERATOR = ParallelBeamCT(8, (16, 16))
IMAGES = make_thorax_phantoms(7, (16, 16), random_state=0)
Y = OPERATOR.measure(IMAGES)
IMPORTS = os.pathsep.join([str(Path(__file__).parents[2]), *filter(None, sys.path)])
PARTIAL = np.where(np.arange(7)[:, None, None] % 2, IMAGES, np.nan).astype(np.float32)
NOISE = GaussianNoise(0.02)

# Seven samples in batches of three: the last batch has one, so that some process has
# none. Rounding errors are as large as the rate lets them become.
SMALL = {"max_epochs": 2, "batch_size": 3}
SMALL["network"] = Unrolled(UNet(width=4, depth=2), n_stages=2)
SMALL |= {"lr": 1e-4, "precision": "float32", "device": "cpu", "random_state": 0}
SMALL["noise"] = None
CASES = {
    "equivariance": {},
    "critic": {"beta": 0.1},
    "sure": {"noise": NOISE},
    # Where gradients are tiny, rounding decides the signs of Adam's steps.
    "unsure": {"data_term": "unsure", "lr": 1e-5},
    "r2r": {"noise": NOISE, "data_term": "r2r"},
    "some ground truth": {"data_term": "supervised"},
    "early stopping": {"early_stopping": 0.3},
}


def make(**parameters):
    return EquivariantReconstructor(OPERATOR, Rotations(360), **{**SMALL, **parameters})


def result(estimator):
    state = estimator.net_.module_.state_dict()
    losses = estimator.history_[:, "train_loss"]
    return {n: t.double().numpy() for n, t in state.items()}, losses


def fit_all(accelerate, names=tuple(CASES)):
    found = {}
    for name in names:
        parameters = CASES[name]
        truth = PARTIAL if name == "some ground truth" else None
        fitted = make(**parameters, accelerate=accelerate).fit(Y, truth)
        found[name] = *result(fitted), fitted.scale_
    goes_on = make(accelerate=accelerate).partial_fit(Y).partial_fit(Y)
    found["partial_fit"] = *result(goes_on), goes_on.scale_
    return found


def fit_two():
    return fit_all(True, ("equivariance", "sure"))


def cut(folder):
    """Train for one of two epochs, in all processes."""
    from skorch.callbacks import Callback

    class PowerCut(Callback):
        def on_batch_end(self, net, **kwargs):
            if len(net.history) == 2:
                raise RuntimeError("power cut")

    ei = make(accelerate=True, checkpoint=folder / "c", callbacks=[PowerCut()])
    with pytest.raises(RuntimeError, match="power cut"):
        ei.fit(Y)
    if os.environ["RANK"] == "0":
        shutil.copy(folder / "c", folder / "for one")
    return ei.n_iter_


def resume(folder):
    return result(make(accelerate=True, checkpoint=folder / "c").fit(Y))


def search(accelerate=True):
    cv = EquivariantReconstructorCV(
        OPERATOR, Rotations(360), [1.0, 20.0], accelerate=accelerate, **SMALL
    )
    return cv.set_params(random_state=None).fit(Y).scores_.shape


def refusals():
    """What every process says, in the same words."""
    rank = int(os.environ["RANK"])
    said = []
    for Y_here, parameters in (
        (Y[rank:], {}),
        (Y, {"lr": 1e-4 * (1 + rank)}),
        (Y, {"batch_size": 1}),
        (Y, {"lr": 1e18}),
    ):
        with pytest.raises((ValueError, DivergenceError)) as info:
            make(accelerate=True, **parameters).fit(Y_here)
        said.append(str(info.value))
    return said


def seeds():
    """Without a seed the main process draws for all."""
    ei = make(accelerate=True, random_state=None, verbose=1, max_epochs=1).fit(Y)
    return result(ei)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def launched(jobs, n_processes, folder):
    """Return what functions of this module return, in each of several processes."""
    environment = os.environ | {"PYTHONPATH": IMPORTS, "OMP_NUM_THREADS": "1"}
    environment |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    environment |= {"WORLD_SIZE": str(n_processes)}
    script = f"from {__name__} import main; main({jobs!r}, {str(folder)!r})"
    running = [
        subprocess.Popen(
            [sys.executable, "-c", script],
            env={**environment, "RANK": str(rank), "LOCAL_RANK": str(rank)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for rank in range(n_processes)
    ]
    try:
        output = [process.communicate(timeout=240)[0] for process in running]
    finally:
        for process in running:
            process.kill()
    assert [process.returncode for process in running] == [0] * n_processes, output
    files = [folder / f"{rank}.pkl" for rank in range(n_processes)]
    return [pickle.loads(file.read_bytes()) for file in files], output


def main(jobs, folder):
    torch.set_num_threads(1)
    folder = Path(folder)
    done = {}
    for job in jobs:
        arguments = {"fit_all": (True,), "cut": (folder,), "resume": (folder,)}
        done[job] = globals()[job](*arguments.get(job, ()))
    (folder / f"{os.environ['RANK']}.pkl").write_bytes(pickle.dumps(done))


@pytest.fixture(scope="module")
def alone():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield fit_all(False)
    torch.set_num_threads(threads)


def assert_equal_results(found, expected):
    weights, losses, *rest = found
    # Gradients are summed in another order; by how much that shows depends on the
    # processor.
    np.testing.assert_allclose(losses, expected[1], rtol=1e-4)
    assert rest == list(expected[2:])
    for name, tensor in weights.items():
        np.testing.assert_allclose(
            tensor, expected[0][name], rtol=0, atol=1e-5, err_msg=name
        )


@pytest.mark.slow
def test_two_processes_train_as_one_does(alone, tmp_path):
    pytest.importorskip("accelerate")
    jobs = ["fit_all", "cut", "resume", "seeds", "search", "refusals"]
    (first, second), output = launched(jobs, 2, tmp_path)
    for name, expected in alone.items():
        assert_equal_results(first["fit_all"][name], expected)
    # Processes agree to the bit.
    for job in ("fit_all", "resume", "seeds"):
        assert pickle.dumps(first[job]) == pickle.dumps(second[job])
    assert first["cut"] == second["cut"] == 1
    assert_equal_results(first["resume"], alone["equivariance"][:2])
    assert first["search"] == (2, 1)
    # One process goes on from the checkpoint that two wrote.
    resumed = make(checkpoint=tmp_path / "for one").fit(Y)
    assert_equal_results(result(resumed), alone["equivariance"][:2])
    assert "train_loss" in output[0]
    assert "train_loss" not in output[1]
    assert first["refusals"] == second["refusals"]
    data, lr, batch_size, diverged = first["refusals"]
    assert data.startswith("Got Y, n_samples that differ between the processes")
    assert lr.startswith("Got lr that differ between")
    assert "batch_size=1 in 2 processes, but expected at least 2" in batch_size
    assert diverged.startswith("Training diverged in epoch")


@pytest.mark.slow  # the last batch leaves one of two processes without a sample, too
def test_three_processes_with_uneven_batches(alone, tmp_path):
    pytest.importorskip("accelerate")
    found, _ = launched(["fit_two"], 3, tmp_path)
    for one in found:
        assert len(one["fit_two"]) == 3
        for name, trained in one["fit_two"].items():
            assert_equal_results(trained, alone[name])


@pytest.mark.parametrize(
    "command",
    [
        "torch.distributed.run --nproc-per-node=2 --master-port={}",
        "accelerate.commands.launch --multi_gpu --num_processes=2 "
        "--main_process_port={}",
    ],
)
@pytest.mark.slow
def test_the_script_of_the_guide(command, tmp_path):
    pytest.importorskip("accelerate")
    page = Path(__file__).parents[2] / "doc" / "many_machines.md"
    if not page.exists():
        pytest.skip("the documentation is not beside the tests")
    blocks = re.findall(r"```python\n(.*?)```", page.read_text("utf-8"), re.DOTALL)
    # In one write, which that of the other process cannot divide.
    blocks.append("print(f'trained in {PartialState().num_processes}\\n', end='')")
    (tmp_path / "train.py").write_text("\n".join(blocks), "utf-8")
    run = subprocess.run(
        [sys.executable, "-m", *command.format(free_port()).split(), "train.py"],
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": IMPORTS},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.count("trained in 2") == 2


def test_without_a_launcher_there_is_one_process(alone, tmp_path, monkeypatch):
    pytest.importorskip("accelerate")
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK"):
        monkeypatch.delenv(name, raising=False)
    ei = clone(make(accelerate=True)).fit(Y)
    expected = alone["equivariance"]
    np.testing.assert_array_equal(result(ei)[1], expected[1])
    for name, tensor in result(ei)[0].items():
        np.testing.assert_array_equal(tensor, expected[0][name])
    same = load(save(pickle.loads(pickle.dumps(ei)), tmp_path / "model.safetensors"))
    assert same.accelerate
    np.testing.assert_array_equal(same.predict(Y), ei.predict(Y))


def test_accelerate_is_a_bool_and_needs_the_package(monkeypatch):
    with pytest.raises(TypeError, match=r"accelerate.* must be an instance of"):
        make(accelerate="yes").fit(Y)
    monkeypatch.setitem(sys.modules, "accelerate", None)
    with pytest.raises(ImportError, match="pip install 'sklearn_ei"):
        make(accelerate=True).fit(Y)
