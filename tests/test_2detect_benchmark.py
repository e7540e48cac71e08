"""The comparison on 2DeteCT, from a made tree of the published layout to a table."""

import json
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[1]
if not (ROOT / "benchmarks" / "real").is_dir():
    pytest.skip("the benchmarks are not beside the tests", allow_module_level=True)
for needed in ("tifffile", "skimage", "matplotlib"):
    pytest.importorskip(needed)

from benchmarks.real import _two_detect  # noqa: E402
from benchmarks.real.__main__ import main, parser  # noqa: E402
from tests.two_detect import line_integrals, write  # noqa: E402

DISCS = [(14.0, 21.0, 9.0, 0.05), (-20.0, 5.0, 12.0, 0.03), (3.0, -9.0, 25.0, 0.02)]
SMALL = [
    "--views",
    "30",
    "--bin",
    "64",
    "--size",
    "32",
    "--seeds",
    "1",
    "--epochs",
    "1",
]


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    folder = tmp_path_factory.mktemp("2DeteCT")
    for number, disc in enumerate(DISCS, start=2831):
        write(folder, number, disc=disc, beam=300, seed=number)
    return folder


def words(tree, *more):
    return ["2detect", "--data", str(tree), *SMALL, *map(str, more)]


def test_slices_are_split_and_every_second_view_is_held_out(tree):
    scan = _two_detect.from_2detect(parser().parse_args(words(tree)))
    assert scan.train.shape == (2, 30, 29)
    assert scan.truth.shape == (2, 32, 32)
    assert scan.test.shape == scan.held_out.shape == (1, 30, 29)
    np.testing.assert_allclose(scan.operator.angles, np.arange(0, 360, 12.0))
    np.testing.assert_allclose(scan.held_out_operator.angles, np.arange(6, 360, 12.0))
    of_bins = np.exp(-line_integrals(DISCS[2], 0)[:3600:60, : 29 * 64])
    rays = -np.log(of_bins.reshape(60, 29, 64).mean(axis=2))
    np.testing.assert_allclose(scan.test[0], rays[::2], atol=0.05)
    np.testing.assert_allclose(scan.held_out[0], rays[1::2], atol=0.05)
    # The last slice is the test, and its reference is the published one, in 1/mm.
    assert scan.reference[0].max() == pytest.approx(DISCS[2][3], rel=1e-3)
    assert scan.truth[0].max() == pytest.approx(DISCS[0][3], rel=1e-3)
    before = scan.digest()
    scan.truth = scan.truth + 1
    assert scan.digest() != before


@pytest.mark.slow
def test_every_method_runs_once(tree, tmp_path, capsys):
    assert main(words(tree, "--out", tmp_path)) == 0
    output = capsys.readouterr().out
    assert "skipped" not in output
    names = {"fbp", "fbp-hann", "tv", "tv-best"}
    names |= {"rei", "sparse2inverse", "e2i", "supervised"}
    paths = sorted((tmp_path / "cells").glob("*.json"))
    assert {path.stem for path in paths} == {f"2detect-{name}-seed0" for name in names}
    cells = {path.stem.split("-", 1)[1]: json.loads(path.read_text()) for path in paths}
    for name, cell in cells.items():
        assert f"| {cell['title']} | {cell['test']['psnr']:.2f}" in output, name
    terms = {name: cell["identity"]["parameters"] for name, cell in cells.items()}
    assert "Splitting" in terms["e2i-seed0"]["data_term"]
    assert terms["e2i-seed0"]["alpha"] == "auto"
    assert terms["sparse2inverse-seed0"]["alpha"] == 0
    assert cells["rei-seed0"]["noise"] != "None"
    assert (tmp_path / "pictures" / "2detect.png").exists()

    before = {path: path.stat().st_mtime_ns for path in paths}
    paths[0].unlink()
    main(words(tree, "--out", tmp_path))
    changed = {p for p, time in before.items() if p.stat().st_mtime_ns != time}
    assert changed == {paths[0]}


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--views", "7"], "Got --views 7, but expected a divisor of 1800"),
        (["--slices", "5"], "Got --slices 5, but expected first-last"),
        (["--slices", "9-8"], "Got --slices 9-8, but expected first-last"),
        (["--slices", "2831-2831"], r"Got 1 slice\(s\), but expected two or more"),
        (["--methods", "ei"], "Got --methods ei, but expected some of fbp"),
    ],
)
def test_what_cannot_be_run_is_said(tree, more, message):
    with pytest.raises(SystemExit, match=message):
        main(words(tree, *more))


def test_without_the_data_one_sentence_says_where_it_is(tmp_path):
    for folder in (tmp_path, tmp_path / "none"):
        with pytest.raises(SystemExit, match=r"doi:10.5281/zenodo.8014757") as ended:
            main(words(folder, "--out", tmp_path / "out"))
        assert "\n" not in str(ended.value.code)
    assert not (tmp_path / "out").exists()
