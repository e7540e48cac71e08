"""The benchmark of real scans, on small made files of the same layouts."""

import json
import os
import re
from pathlib import Path

import numpy as np
import pytest

from sklearn_ei import EquivariantReconstructor, PseudoInverseReconstructor
from sklearn_ei.datasets import make_thorax_phantoms
from sklearn_ei.groups import Rotations
from sklearn_ei.networks import UNet
from sklearn_ei.operators import MRI, FanBeamCT, ParallelBeamCT

ROOT = Path(__file__).resolve().parents[1]
if not (ROOT / "benchmarks" / "real").is_dir():
    pytest.skip("the benchmarks are not beside the tests", allow_module_level=True)
for needed in ("h5py", "skimage", "matplotlib"):
    pytest.importorskip(needed)

from benchmarks.real import _methods, _report, _scans  # noqa: E402
from benchmarks.real.__main__ import main, parser  # noqa: E402
from benchmarks.real._file import from_file  # noqa: E402
from benchmarks.real._volume import volume  # noqa: E402


def phantoms(n, side):
    return 0.02 * make_thorax_phantoms(n, (side, side), random_state=0)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Return a folder of made files, with noise, in the layouts of the real ones."""
    import h5py

    folder, rng = tmp_path_factory.mktemp("data"), np.random.default_rng(0)
    angles = np.arange(0, 180, 3.0)
    scanner = ParallelBeamCT(
        angles=angles,
        image_shape=(96, 96),
        pixel_size=1.0,
        n_bins=640,
        bin_size=0.25,
        detector_offset=5.9,
    )
    flat = rng.uniform(18e3, 22e3, (2, 1, 640))
    counts = 100 + flat * np.exp(-scanner.measure(phantoms(2, 96)))
    with h5py.File(folder / "aps_tooth.h5", "w") as file:
        file["exchange/data"] = np.moveaxis(counts, 0, 1)
        file["exchange/data_white"] = 100 + np.repeat(flat.swapaxes(0, 1), 3, 0)
        file["exchange/data_dark"] = np.full((3, 2, 640), 100.0)
        file["exchange/theta"] = angles
    scanner = ParallelBeamCT(
        angles=angles,
        image_shape=(56, 56),
        pixel_size=1.0,
        n_bins=160,
        bin_size=0.5,
        detector_offset=-3.2,
    )
    transmission = 0.69 * np.exp(-scanner.measure(phantoms(21, 56)))
    np.savez(
        folder / "dls_rows.npz",
        transmission=np.moveaxis(transmission, 0, 1).astype(np.float32),
        angles=angles,
    )
    fan = {"source_distance": 410.0, "detector_distance": 143.0}
    around = np.arange(0, 360, 5.0)
    scanner = FanBeamCT(
        angles=around,
        image_shape=(96, 96),
        pixel_size=0.75,
        n_bins=280,
        bin_size=0.4,
        **fan,
    )
    np.savez(
        folder / "htc2022_ta_fan.npz",
        sinogram=scanner.measure(phantoms(1, 96))[0],
        angles=around,
        bin_size_mm=0.4,
        **{f"{name}_mm": value for name, value in fan.items()},
    )
    image = phantoms(1, 64)[0]
    down, across = np.mgrid[-1:1:64j, -1:1:64j]
    coils = [
        np.exp(-((down - a) ** 2) - (across - b) ** 2) for a in (-1, 1) for b in (-1, 1)
    ]
    kspace = np.fft.fftshift(
        np.fft.fft2(
            np.fft.ifftshift(image * np.array(coils), axes=(1, 2)), norm="ortho"
        ),
        axes=(1, 2),
    )
    measured = np.random.default_rng(0).random((64, 64)) < 0.3
    measured[22:42, 22:42] = True
    kspace = (kspace * measured).astype(np.complex64)
    np.save(folder / "brain_kspace_8coils.npy", kspace)
    return folder


def tiny(operator, seed):
    return EquivariantReconstructor(
        operator, Rotations(360), max_epochs=1, network=UNet(2, 2), random_state=seed
    )


@pytest.fixture
def small_methods(monkeypatch):
    """Methods that take no time: linear ones, a tiny training, two that are missing."""

    def refuse(operator, seed):
        raise _methods.Missing("it does not exist")

    methods = {name: _methods.METHODS[name] for name in ("fbp", "fbp-hann")}
    methods["tikhonov-best"] = _methods.Method(
        "Tikhonov, best λ", _methods.METHODS["tikhonov"].make, grid=(0.1, 0.01)
    )
    methods["ei"] = _methods.Method("EI", tiny, has_seed=True)
    methods["none"] = _methods.Method("missing", refuse)
    methods["wrong"] = _methods.Method(
        "refused", lambda operator, _: tiny(operator, 0).set_params(lr=-1.0)
    )
    for module in (_methods, _report):
        monkeypatch.setattr(module, "METHODS", methods)
    return methods


def cells_of(out):
    return {
        path.stem: json.loads(path.read_text("utf-8"))
        for path in (out / "cells").glob("*.json")
    }


@pytest.mark.parametrize(
    ("name", "shape", "offset"),
    [("tooth", (10, 160), 5.9), ("dls", (10, 80), -3.2), ("htc", (3, 140), 0.0)],
)
def test_sinograms_are_set_up_as_they_were_measured(data, name, shape, offset):
    scan = _scans.load(data, name)
    assert scan.test.shape[1:] == shape
    assert scan.operator.detector_offset == pytest.approx(offset, abs=0.05)
    side = 56 if name == "dls" else 96
    truth = (
        phantoms(21, side)[3::7] if name == "dls" else phantoms(len(scan.test), side)
    )
    # Bins that are averaged before the logarithm, and pixels that are none of the
    # scanner's: within a few per cent of the made slices.
    for operator, Y in (
        (scan.operator, scan.test),
        (scan.held_out_operator, scan.held_out),
    ):
        error = np.linalg.norm(operator.measure(truth) - Y) / np.linalg.norm(Y)
        assert error < 0.01
    assert scan.held_out_error(truth) < 0.01
    if name == "dls":
        assert len(scan.train) == 9
        assert scan.test.shape[0] == 3
        both = [row.tobytes() for row in (*scan.train, *scan.test)]
        assert len(set(both)) == 12
    given = set(np.round(scan.operator.angles, 6))
    assert not given & set(np.round(scan.held_out_operator.angles, 6))


def test_the_brain_keeps_points_that_no_method_was_given(data):
    scan = _scans.load(data, "brain")
    assert isinstance(scan.operator, MRI)
    given, held_out = scan.operator.mask, scan.held_out_operator.mask
    kspace = np.load(data / "brain_kspace_8coils.npy")
    measured = kspace[0] != 0
    assert not (given & held_out).any()
    np.testing.assert_array_equal(given | held_out, measured)
    # The coils are known by the middle, of which nothing is held out.
    assert given[22:42, 22:42].all()
    assert held_out.sum() == round(0.25 * (measured.sum() - 20**2))
    np.testing.assert_allclose(scan.test[0, ..., 2], kspace[1].real * given, atol=1e-6)
    np.testing.assert_array_equal(scan.held_out[0, ..., 3], kspace[1].imag * held_out)
    power = np.square(np.abs(scan.operator.sensitivities)).sum(axis=0)
    np.testing.assert_allclose(power, 1, atol=1e-5)
    assert scan.quality(scan.reference)["psnr"] > 100
    assert scan.held_out_error(0 * scan.reference) == pytest.approx(1)
    assert scan.held_out_error(scan.reference) < 0.2


def test_cells_are_run_once_and_say_what_was_measured(
    data, tmp_path, small_methods, capsys
):
    words = ["dls", "--data", str(data), "--out", str(tmp_path), "--seeds", "2"]
    assert main(words) == 0
    output = capsys.readouterr().out
    assert "skipped, it does not exist" in output
    assert "skipped, InvalidParameterError: The 'lr' parameter" in output
    cells = cells_of(tmp_path)
    assert set(cells) == {
        "dls-fbp-seed0",
        "dls-fbp-hann-seed0",
        "dls-tikhonov-best-seed0",
        "dls-ei-seed0",
        "dls-ei-seed1",
    }
    scan = _scans.load(data, "dls")
    fbp = PseudoInverseReconstructor(scan.operator).fit(scan.train).predict(scan.test)
    with np.load(tmp_path / "images" / "dls-fbp-seed0.npz") as file:
        np.testing.assert_allclose(file["images"], fbp, atol=1e-6)
    test = cells["dls-fbp-seed0"]["test"]
    error = np.square(scan.reference - fbp).mean(axis=(1, 2))
    peak = np.square(scan.reference).max(axis=(1, 2))
    assert test["psnr"] == pytest.approx(np.mean(10 * np.log10(peak / error)), abs=1e-3)
    left = scan.held_out_operator.measure(fbp) - scan.held_out
    expected = np.sqrt(np.square(left).sum() / np.square(scan.held_out).sum())
    assert test["held_out_error"] == pytest.approx(expected, rel=1e-3)
    assert cells["dls-ei-seed0"]["test"] != cells["dls-ei-seed1"]["test"]
    best = cells["dls-tikhonov-best-seed0"]
    of_grid = best["psnr_of_grid"]
    assert best["test"]["psnr"] == pytest.approx(max(of_grid.values()), abs=1e-3)
    assert f"{best['regularization']:g}" == max(of_grid, key=of_grid.get)
    assert (tmp_path / "pictures" / "dls.png").stat().st_size > 10_000

    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "cells").glob("*.json")}
    small_methods["fbp-hann"] = _methods.METHODS["fbp"]  # another estimator
    (tmp_path / "cells" / "dls-ei-seed1.json").unlink()
    main(words)
    changed = {p.stem for p, t in before.items() if p.stat().st_mtime_ns != t}
    assert changed == {"dls-fbp-hann-seed0", "dls-ei-seed1"}


def test_the_table_has_every_method_and_scan(small_methods):
    def cell(scan, method, seed, psnr):
        test = {"psnr": psnr, "ssim": 0.9, "held_out_error": 0.01234}
        return {"scan": scan, "method": method, "seed": seed, "test": test}

    cells = [cell("dls", "ei", 0, 20.0), cell("dls", "ei", 1, 22.0)]
    cells += [
        cell("tooth", "fbp", 0, 15.0),
        {"scan": "htc", "method": "ei", "skipped": ""},
    ]
    page = "a\n<!-- begin quality -->\nold\n<!-- end quality -->\nb"
    lines = _report.render(page, cells).splitlines()
    assert lines[0] == "a"
    assert lines[-1] == "b"
    assert lines[2] == "| | tooth | dls | htc | brain |"
    row = "| A†y | 15.00, 0.900, 0.0123 | not run | not run | not run |"
    assert row in lines
    row = "| EI | not run | 21.00 ± 1.41, 0.900, 0.0123 | not run | not run |"
    assert row in lines
    assert "old" not in lines


def test_the_committed_page_has_the_committed_results():
    page = _report.PAGE.read_text("utf-8")
    cells = _report.read_cells(_report.RESULTS)
    assert _report.render(page, cells) == page


def options_of(*words):
    return parser().parse_args(["file", *map(str, words)])


def test_a_file_of_one_s_own_with_counts(data):
    ours = from_file(
        options_of(
            data / "aps_tooth.h5", "--bin", 4, "--size", 96, "--keep-every", 6,
            "--pixel-size", 4, "--train-rows", 1,
        )
    )  # fmt: skip
    theirs = _scans.load(data, "tooth")
    np.testing.assert_allclose(ours.test, theirs.test, atol=1e-6)
    assert len(ours.train) == 1
    # The unit of length is a bin of the file.
    found = ours.operator.detector_offset
    assert found == pytest.approx(4 * theirs.operator.detector_offset, abs=0.05)
    np.testing.assert_allclose(4 * ours.reference, theirs.reference, atol=2e-4)


def test_a_file_of_one_s_own_with_transmissions_or_attenuations(data, tmp_path):
    path = data / "dls_rows.npz"
    plain = from_file(
        options_of(path, "--air", 6, "--offset", 0, "--rows", "2:12:5", "--size", 8)
    )
    with np.load(path) as file:
        transmission, angles = file["transmission"], file["angles"]
    rows = -np.log(np.moveaxis(transmission, 1, 0)[[2, 7]] / 0.69)
    others = np.arange(4, 60, 8)
    np.testing.assert_allclose(plain.held_out, rows[:, others], atol=2e-3)
    np.testing.assert_allclose(plain.held_out_operator.angles, angles[others])
    np.savez(tmp_path / "mine.npz", sinograms=rows, angles=angles)
    logs = from_file(
        options_of(
            tmp_path / "mine.npz", "--offset", 0, "--size", 8, "--source-distance", 300,
            "--detector-distance", 100,
        )
    )  # fmt: skip
    np.testing.assert_array_equal(logs.held_out, rows[:, others].astype(np.float32))
    assert isinstance(logs.operator, FanBeamCT)
    # A bin, brought back to the axis.
    assert logs.operator.pixel_size == pytest.approx(0.75)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nothing.npz"], "no such file"),
        (["x.npz"], "without angles"),
        (["other.npz"], "expected sinograms"),
        (["good.npz", "--keep-every", "1"], "Got 60 of 60 views"),
        (["good.npz", "--rows", "a:b"], "expected first:last"),
    ],
)
def test_files_that_do_not_suffice(tmp_path, words, message):
    Y, angles = np.ones((2, 60, 9)), np.arange(0, 180, 3.0)
    np.savez(tmp_path / "x.npz", sinograms=Y)
    np.savez(tmp_path / "other.npz", frames=Y, angles=angles)
    np.savez(tmp_path / "good.npz", sinograms=Y, angles=angles)
    with pytest.raises(SystemExit, match=message):
        from_file(options_of(tmp_path / words[0], *words[1:], "--offset", 0))


def test_a_volume_comes_out_on_disk(data, tmp_path, monkeypatch):
    for needed in ("tifffile", "mrcfile"):
        pytest.importorskip(needed)
    scan = _scans.load(data, "dls", all_rows=True)
    assert len(scan.train) == len(scan.test) == 21
    options = {"group": Rotations(360), "network": UNet(2, 2), "max_epochs": 1}
    figures = volume(scan, tmp_path, seed=0, **options)
    assert figures["n_rows"] == 21
    slices = np.load(tmp_path / "dls_volume.npy", mmap_mode="r")
    assert figures["test"]["psnr"] == pytest.approx(
        scan.quality(slices)["psnr"], abs=1e-3
    )
    import tifffile

    np.testing.assert_array_equal(tifffile.imread(tmp_path / "dls_volume.tif"), slices)


def program():
    """Return the Python of the page's section from the file to an image."""
    page = (ROOT / "doc" / "first_real_scan.md").read_text("utf-8")
    section = page.partition("## From the file to an image")[2]
    return re.search(r"```python\n(.*?)```", section, re.DOTALL)[1]


def test_from_the_file_to_an_image_in_25_lines():
    assert 10 < sum(bool(line.strip()) for line in program().splitlines()) <= 25


@pytest.mark.slow
def test_the_tooth_in_25_lines(tmp_path):
    folder = os.environ.get("SKLEARN_EI_DATA")
    path = folder and _scans.find(folder, "tooth")
    if not path:
        pytest.skip("needs aps_tooth.h5 in the folder that SKLEARN_EI_DATA names")
    names = {"path": path, "folder": tmp_path, "shape": (96, 96)}
    exec(compile(program(), "first_real_scan.md", "exec"), names)
    assert names["operator"].detector_offset == pytest.approx(5.9, abs=0.1)
    assert names["volume"].shape == (2, 96, 96)
    assert (tmp_path / "slices.tif").exists()
