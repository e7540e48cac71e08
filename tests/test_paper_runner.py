"""benchmarks/paper on tiny data: the machinery, not the figures."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from sklearn_ei import EquivariantReconstructor, load
from sklearn_ei.datasets import make_thorax_phantoms
from sklearn_ei.networks import UNet
from sklearn_ei.reconstruction._auto import choose_steps

ROOT = Path(__file__).resolve().parents[1]
if not (ROOT / "benchmarks" / "paper").is_dir():
    pytest.skip("benchmarks are not beside the tests", allow_module_level=True)
pytest.importorskip("matplotlib")
pytest.importorskip("skimage")

from benchmarks.paper import _problems, _report, _runs, _tables  # noqa: E402
from benchmarks.paper.__main__ import main, make_settings, parser  # noqa: E402
from benchmarks.paper._callbacks import StepSchedule  # noqa: E402
from benchmarks.paper._recipes import Spec, make_estimator  # noqa: E402
from benchmarks.paper._toy import LOST, signals  # noqa: E402

PRESETS_OF_PAPER = {"ct": 100.0, "inpainting": 1.0}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Return the options that name tiny data of all problems."""
    folder = tmp_path_factory.mktemp("data")
    grey = make_thorax_phantoms(6, (32, 32), random_state=0)
    np.savez(folder / "ct.npz", images=grey / grey.max())
    colour = make_thorax_phantoms(18, (16, 16), random_state=1)
    colour = (colour / colour.max()).reshape(6, 3, 16, 16).transpose(0, 2, 3, 1)
    np.save(folder / "rgb.npy", (255 * colour).astype(np.uint8))
    files = {"ct": "ct.npz", "ct-fine": "ct.npz", "inpainting": "rgb.npy"}
    named = [f"{problem}={folder / name}" for problem, name in files.items()]
    options = [word for item in named for word in ("--data", item)]
    return [*options, "--n-train", "4", "--n-test", "2", "--jobs", "1"]


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    """Return an output folder that all commands share."""
    return tmp_path_factory.mktemp("out")


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(_runs, "TV_GRID", (1e-4, 1e-3))
    monkeypatch.setattr(_runs, "N_TV", 1)
    _problems.load_problem.cache_clear()


def run(command, data, out, *more):
    short = ["--epochs", "1", "--iterations", "3", "--images", "1"]
    return main([*command.split(), *data, "--out", str(out), *short, *more])


def read(path):
    return json.loads(path.read_text("utf-8"))


def results(out):
    return {path.name: read(path) for path in (out / "runs").glob("*.json")}


def settings_of(data, out, *more):
    words = ["table1", "ct", *data, "--out", str(out), *more]
    return make_settings(parser().parse_args(words))


# ------------------------------------------------------------------------ commands
@pytest.mark.parametrize("problem", ["ct", "inpainting"])
def test_table1(problem, data, out):
    assert run(f"table1 {problem}", data, out) == 0
    rows = read(out / f"table1-{problem}-default-seed0.json")["rows"]
    assert [row["paper"] for row in rows[:6]] == list(_tables.PAPER[problem].values())
    done = results(out)
    for row in rows:
        result = done[f"{row['run']}.json"]
        assert row["psnr"] == result["test"]["psnr"]
    text = (out / f"table1-{problem}-default-seed0.md").read_text("utf-8")
    assert f"| {rows[2]['psnr']:.2f} |" in text
    assert ("as the paper's code has it" in text) == (problem == "inpainting")


@pytest.mark.parametrize("problem", ["ct", "inpainting"])
def test_table2_shares_measurement_consistency(problem, data, out):
    run(f"table2 {problem}", data, out)
    rows = read(out / f"table2-{problem}-default-seed0.json")["rows"]
    assert [row["title"] for row in rows] == [
        f"α = {alpha:g}" for alpha in _tables.PAPER_ALPHA[problem]
    ]
    assert "-mc-" in rows[0]["run"]
    assert len({row["run"] for row in rows}) == len(rows)


@pytest.mark.parametrize(
    "figure", ["figure1", "figure4", "figure6", "figure9", "figure10"]
)
def test_image_panels(figure, data, out):
    run(figure, data, out)
    values = read(out / f"{figure}-default-seed0.json")["psnr"]
    assert all({"A†y", "EI", "supervised"} <= row.keys() for row in values)
    assert (out / f"{figure}-default-seed0.png").stat().st_size > 1000


@pytest.mark.parametrize("figure", ["figure5", "figure8"])
def test_curves_have_training_and_test_images(figure, data, out):
    run(figure, data, out)
    document = read(out / f"{figure}-default-seed0.json")
    curve = document["curves"]["EI"]
    assert document["gap"]["EI"] == curve["train"][-1] - curve["test"][-1]
    assert curve["epoch"] == [1]
    assert (out / f"{figure}-default-seed0.png").exists()


@pytest.mark.parametrize("figure", ["figure11", "figure12"])
def test_deep_image_prior(figure, data, out):
    run(figure, data, out)
    (values,) = read(out / f"{figure}-default-seed0.json")["psnr"]
    assert len(values) == 5  # A†y, two priors, EI on it alone, EI
    single = [r for r in results(out).values() if r["run"]["strategy"] == "dip-1"]
    assert {r["epochs"] for r in single} == {3}


def test_figure3(data, out):
    run("figure3", data, out)
    errors = read(out / "figure3-default-seed0.json")["errors"]
    for values in errors.values():
        assert values["A†y"]["of_lost_samples"] == pytest.approx(1)
        assert values.keys() == {"A†y", "MC", "EI"}


@pytest.mark.slow
def test_no_inverse_crime(data, out):
    run("no_inverse_crime", data, out)
    rows = read(out / "no-inverse-crime-default-seed0.json")["rows"]
    assert len(rows) == len(_tables.crime_specs())
    robust = next(r for r in results(out).values() if "robust" in r["name"])
    assert robust["run"]["sigma"] > 0
    assert robust["sigma_used"] > 0


def test_json_of_a_run(data, out):
    run("figure5", data, out)
    (result,) = (
        r for r in results(out).values() if r["name"].startswith("ct-default-ei-seed0")
    )
    assert result["format"] == 1
    assert result["run"]["seed"] == 0
    assert result["run"]["parameters"]["max_epochs"] == 1
    assert "sklearn_ei" in result["machine"]["versions"]
    assert len(result["test"]["psnr_per_image"]) == 2
    assert len(result["train"]["ssim_per_image"]) == 4
    assert result["test"]["psnr"] == pytest.approx(
        np.mean(result["test"]["psnr_per_image"]), abs=1e-4
    )
    assert len(result["losses"]["equivariance_error"]) == result["epochs"] == 1
    assert result["cpu_seconds"] > 0
    # The model is there, and makes the images that were measured.
    model = load(out / "models" / f"{result['name']}.safetensors")
    problem = _problems.load_problem("ct", settings_of(data, out, "--epochs", "1"))
    with np.load(out / "images" / f"{result['name']}.npz") as file:
        assert np.array_equal(model.predict(problem.Y[4:]), file["images"])
    assert not list((out / "models").glob("*.checkpoint"))


def test_nothing_is_trained_twice(data, out, monkeypatch):
    run("table1 ct", data, out)

    def fit(self, Y, y=None):
        raise AssertionError("trained again")

    monkeypatch.setattr(EquivariantReconstructor, "fit", fit)
    for command in ("table1 ct", "figure4", "figure5", "figure9"):
        run(command, data, out)
    with pytest.raises(AssertionError, match="trained again"):
        run("figure4", data, out, "--seed", "1")


# ------------------------------------------------------------ seeds, kills, settings
def test_the_same_seed_gives_the_same_numbers(data, out, tmp_path):
    run("figure4", data, out)
    run("figure4", data, tmp_path)
    run("figure4", data, tmp_path, "--seed", "1")
    here, there = results(out), results(tmp_path)
    same = here.keys() & there.keys()
    assert len(same) == 3
    for name in same:
        assert here[name]["test"] == there[name]["test"]
    ei = [r["test"] for r in there.values() if r["run"]["strategy"] == "ei"]
    assert ei[0] != ei[1]


@pytest.mark.slow
def test_a_run_that_is_killed_goes_on(data, tmp_path):
    words = ["--epochs", "30", "--preset", "plain"]
    command = ["figure4", *data, *words, "--out"]
    environment = {**os.environ, "PYTHONPATH": str(_src())}
    with subprocess.Popen(
        [sys.executable, "-m", "benchmarks.paper", *command, str(tmp_path / "killed")],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as process:
        for _ in range(6000):
            if list((tmp_path / "killed").glob("models/*-ei-*.checkpoint")):
                break
            assert process.poll() is None, process.stdout.read().decode()
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
    assert not list((tmp_path / "killed").glob("runs/*-ei-*.json"))
    for name in ("killed", "undisturbed"):
        main([*command, str(tmp_path / name)])
    there, here = results(tmp_path / "killed"), results(tmp_path / "undisturbed")
    assert there.keys() == here.keys()
    for name, result in here.items():
        for part in ("test", "curve", "losses"):
            assert there[name].get(part) == result.get(part)


def _src():
    import sklearn_ei

    return Path(sklearn_ei.__file__).parents[1]


@pytest.mark.slow
def test_processes_give_the_same_numbers(data, out, tmp_path):
    run("figure4", data, out)
    # monkeypatched grids do not reach other processes: no total variation here.
    run("figure4", data, tmp_path, "--jobs", "2")
    here, there = results(out), results(tmp_path)
    assert all(here[name]["test"] == result["test"] for name, result in there.items())


@pytest.mark.parametrize("problem", ["ct", "inpainting"])
def test_the_paper_s_settings(problem, data, out):
    settings = settings_of(data, out, "--preset", "paper")
    alpha = PRESETS_OF_PAPER[problem]
    assert Spec(problem, "ei", alpha).canonical("paper") == Spec(problem, "ei")
    assert Spec(problem, "ei", 0.0).canonical("paper") == Spec(problem, "mc")
    ei = _runs.Run(Spec(problem, "ei"), settings)
    parameters = ei.estimator.get_params(deep=False)
    assert parameters["alpha"] == alpha
    network = parameters["network"]
    assert isinstance(network, UNet)  # one, and no data consistency
    assert network.get_params() == {"width": 64, "depth": 4}
    n_transforms = {"ct": 5, "inpainting": 3}[problem]
    assert parameters["equivariance_term"].n_transforms == n_transforms
    milestones = {"ct": (2000, 3000, 4000), "inpainting": (500, 1000, 1500)}
    assert ei.schedule == (milestones[problem], 1e-8)
    assert _runs.Run(Spec(problem, "ei-adversarial"), settings).estimator.beta == 1e-8


def test_the_paper_s_group_beside_ours(data, out):
    ours, its = Spec("ct", "ei"), Spec("ct", "ei-rotations")
    assert [its.canonical(p) for p in ("default", "plain", "paper")] == [
        its,
        ours,
        ours,
    ]
    settings = settings_of(data, out)
    problem = _problems.load_problem("ct", settings)
    estimators = [make_estimator(s, problem, settings) for s in (ours, its)]
    groups = [str(ei.group) for ei in estimators]
    assert groups[1] == str(problem.group) != groups[0]


def test_by_default_nothing_is_set_but_the_seed(data, out):
    settings = settings_of(data, out)
    for name, n_epochs in (("ct", 20), ("inpainting", 20)):
        problem = _problems.load_problem(name, settings)
        ours = make_estimator(Spec(name, "ei"), problem, settings)
        usual = EquivariantReconstructor(problem.operator, random_state=0)
        changed = {
            key: value
            for key, value in ours.get_params(deep=False).items()
            if value != usual.get_params(deep=False)[key]
        }
        # Neither problem has noise to be found, and "auto" means as many epochs.
        assert changed == {"max_epochs": n_epochs, "noise": None}
        assert choose_steps(80, "auto", "auto", noisy=False) == (n_epochs, 1)
    single = make_estimator(Spec("ct", "ei-single", sample=0), problem, settings)
    assert choose_steps(1, "auto", "auto", noisy=False) == (single.max_epochs, 1)


def test_other_settings_are_other_runs(data, out):
    names = {
        _runs.Run(Spec("ct", "ei"), settings_of(data, out, *more)).name
        for more in ([], ["--epochs", "3"], ["--n-train", "3"], ["--seed", "2"])
    }
    assert len(names) == 4
    few = settings_of(data, out, "--threads", "2", "--device", "cpu")
    assert _runs.Run(Spec("ct", "ei"), few).name in names  # not part of what it is


def test_steps_of_the_rate(ct_problem, tmp_path):
    from skorch.callbacks import Callback

    from sklearn_ei.groups import Rotations

    class Rates(Callback):
        def on_epoch_end(self, net, **kwargs):
            optimizers = net.optimizer_, net.critic_optimizer_
            net.history.record(
                "rates", [group["lr"] for o in optimizers for group in o.param_groups]
            )
            net.history.record("decay", net.optimizer_.param_groups[0]["weight_decay"])

    operator, _, Y = ct_problem
    ei = EquivariantReconstructor(
        operator,
        Rotations(360),
        beta=1e-4,
        network=UNet(width=4, depth=2),
        lr=1e-3,
        lr_schedule="constant",
        max_epochs=4,
        random_state=0,
        callbacks=[StepSchedule((1, 3), 1e-8), Rates()],
    ).fit(Y)
    np.testing.assert_allclose(
        ei.history_[:, "rates"], np.array([[1e-3, 1e-4, 1e-4, 1e-5]] * 2).T
    )
    assert ei.history_[-1, "decay"] == 1e-8


# ---------------------------------------------------------------------------- data
def test_the_other_projector_looks_at_the_same_image():
    fine = make_thorax_phantoms(1, (64, 64), random_state=0)
    coarse = _problems.halved(fine)
    operator = _problems.ParallelBeamCT(n_views=20)
    ours = operator.measure(coarse)[0]
    theirs = _problems.foreign_sinogram(fine[0], 20, ours.shape[1])
    error = np.linalg.norm(theirs - ours) / np.linalg.norm(ours)
    assert 1e-4 < error < 0.02
    assert theirs.sum() == pytest.approx(ours.sum(), rel=1e-3)
    for shift in (-1, 1):  # of a bin: it is centred
        moved = np.roll(theirs, shift, axis=1)
        assert np.linalg.norm(moved - ours) > 5 * error * np.linalg.norm(ours)


@pytest.mark.parametrize("kind", ["mat", "npy", "folder"])
def test_data_of_one_s_own(kind, data, tmp_path):
    images = make_thorax_phantoms(6, (16, 16), random_state=0)
    images /= images.max()
    path = tmp_path / f"mine.{kind}"
    if kind == "mat":
        from scipy.io import savemat

        savemat(path, {"DATA": images})
    elif kind == "npy":
        np.save(path, images)
    else:
        from skimage.io import imsave

        path.mkdir()
        for i, image in enumerate(images):
            deep = (65535 * image).round().astype(np.uint16)
            imsave(path / f"{i}.png", deep, check_contrast=False)
    words = ["table1", "ct", "--data", str(path), "--n-train", "4", "--n-test", "2"]
    words += ["--size", "16", "--out", str(tmp_path / "out")]
    problem = _problems.load_problem("ct", make_settings(parser().parse_args(words)))
    np.testing.assert_allclose(problem.images, images, atol=1e-5)
    assert problem.images.dtype == np.float32


def test_what_cannot_be_run_is_refused_in_a_sentence(data, out, tmp_path):
    with pytest.raises(SystemExit, match="no such file"):
        main(["table1", "ct", "--data", str(tmp_path / "nothing.npz")])
    with pytest.raises(SystemExit, match=r"Got 6 images from .*, but expected 12"):
        run("table1 ct", data, out, "--n-train", "10")
    np.save(tmp_path / "volume.npy", np.zeros((6, 8, 8, 8)))
    with pytest.raises(SystemExit, match=r"Got images of shape \(6, 8, 8, 8\)"):
        run("table1 ct", [*data, "--data", f"ct={tmp_path / 'volume.npy'}"], out)
    with pytest.raises(SystemExit, match="at 128 × 128"):
        main(["no_inverse_crime", "--out", str(tmp_path / "out")])
    np.savez(tmp_path / "two.npz", a=np.zeros(3), b=np.zeros(3))
    with pytest.raises(SystemExit, match="one array, or one called 'images'"):
        main(["table1", "ct", "--data", str(tmp_path / "two.npz"), "--out", str(out)])


def test_toy_signals():
    rng = np.random.default_rng(0)
    one = signals(5, invariant=False, rng=rng)
    assert set(one.argmax(axis=1)) == {32}
    assert (one[:, LOST] > 0).any()
    anywhere = signals(50, invariant=True, rng=rng)
    assert len(set(anywhere.argmax(axis=1))) > 20
    top = np.roll(anywhere[0], 32 - anywhere[0].argmax())
    np.testing.assert_allclose(top / top.max(), one[0] / one[0].max(), atol=1e-6)


# -------------------------------------------------------------------------- report
def test_the_page_is_that_of_the_committed_results():
    page = _report.PAGE.read_text("utf-8")
    assert _report.render(page, _report.read_runs()) == page


def test_new_results_reach_the_page(data, out, tmp_path, monkeypatch):
    run("table1 ct", data, out)
    run("table1 inpainting", data, out)
    for name in ("RESULTS", "FIGURES"):
        monkeypatch.setattr(_report, name, tmp_path / name.lower())
    page = tmp_path / "results.md"
    page.write_text(_report.PAGE.read_text("utf-8"), "utf-8")
    monkeypatch.setattr(_report, "PAGE", page)
    main(["report", "--collect", str(out)])
    ei = read(out / "table1-ct-default-seed0.json")["rows"][2]
    text = page.read_text("utf-8")
    row = f"| EI | 36.94 | {ei['psnr']:.2f}, {ei['ssim']:.3f} | not run | not run |"
    assert row in text
    assert f"`{ei['run']}`" in text
    with pytest.raises(SystemExit, match="no results"):
        main(["report", "--collect", str(tmp_path)])


def test_several_seeds_are_averaged():
    def made(seed, epochs, value):
        of = {"problem": "ct", "strategy": "ei", "preset": "default"}
        of |= {"alpha": None, "sample": None, "seed": seed}
        return {"run": of, "epochs": epochs, "test": {"psnr": value, "ssim": 0.9}}

    runs = [made(0, 60, 38.0), made(0, 2, 10.0), made(1, 60, 40.0)]
    chosen = _report.select(runs, Spec("ct", "ei"), "default")
    assert _report._cell(chosen) == "39.00 ± 1.41"
    assert _report._cell([]) == "not run"


def test_estimators_are_those_of_the_package(data, out):
    settings = settings_of(data, out)
    problem = _problems.load_problem("ct", settings)
    ei = make_estimator(Spec("ct", "ei"), problem, settings)
    default = EquivariantReconstructor(problem.operator, problem.group)
    changed = {
        name
        for name, value in ei.get_params(deep=False).items()
        if value is not getattr(default, name) and value != getattr(default, name)
    }
    # Once the defaults.
    as_recorded = {"max_epochs", "batch_size", "lr", "network", "noise"}
    assert changed <= {"group", "equivariance_term", "random_state"} | as_recorded
