"""Against a server on this machine: nothing here needs a network."""

import hashlib
import io
import socket
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from scipy.io import savemat

from sklearn_ei.datasets import fetch_ct100, fetch_urban100

pooch = pytest.importorskip("pooch")
skimage_io = pytest.importorskip("skimage.io")


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture
def server():
    """Serve `files`, and record what was asked for."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.server.asked.append(self.path)
            content = self.server.files.get(self.path)
            self.send_response(200 if content is not None else 404)
            self.send_header("Content-Length", str(len(content or b"")))
            self.end_headers()
            self.wfile.write(content or b"")

        def log_message(self, *args):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        http.files, http.asked = {}, []
        http.url = f"http://127.0.0.1:{http.server_port}"
        thread = threading.Thread(target=http.serve_forever)
        thread.start()
        yield http
        http.shutdown()
        thread.join()


def mat_file(name="DATA", seed=0):
    images = np.random.default_rng(seed).random((4, 8, 8))
    buffer = io.BytesIO()
    savemat(buffer, {name: images})
    return images, buffer.getvalue()


def sha256(content):
    return hashlib.sha256(content).hexdigest()


def closed_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


# ------------------------------------------------------------------------- CT100
def test_ct100_is_downloaded_once(server, tmp_path):
    images, content = mat_file()
    server.files["/ct.mat"] = content
    source = {"url": f"{server.url}/ct.mat", "sha256": sha256(content)}
    for _ in range(2):
        found = fetch_ct100(data_home=tmp_path, **source)
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, images, rtol=1e-6)
    assert server.asked == ["/ct.mat"]
    assert not (tmp_path / "ct100" / "SHA256SUMS").exists()  # it was known


def test_a_filled_folder_needs_no_network(server, tmp_path):
    images, content = mat_file()
    (tmp_path / "ct100").mkdir()
    (tmp_path / "ct100" / "CT100_128x128.mat").write_bytes(content)
    found = fetch_ct100(
        data_home=tmp_path,
        download_if_missing=False,
        url=server.url,
        sha256=sha256(content).upper(),
    )
    np.testing.assert_allclose(found, images, rtol=1e-6)
    assert server.asked == []


def test_the_published_checksum_is_held(tmp_path):
    (tmp_path / "ct100").mkdir()
    (tmp_path / "ct100" / "CT100_128x128.mat").write_bytes(mat_file()[1])
    with pytest.raises(ValueError, match="expected 265fb8938fb3dff9"):
        fetch_ct100(data_home=tmp_path)


def test_a_file_with_another_checksum_is_not_kept(server, tmp_path):
    server.files["/ct.mat"] = mat_file()[1]
    with pytest.raises(ValueError, match="it was not kept"):
        fetch_ct100(data_home=tmp_path, url=f"{server.url}/ct.mat", sha256="0" * 64)
    assert not list((tmp_path / "ct100").iterdir())


def test_trust_on_first_use(server, tmp_path):
    _, content = mat_file()
    server.files["/ct.mat"] = content
    fetch_ct100(data_home=tmp_path, url=f"{server.url}/ct.mat")
    sums = tmp_path / "ct100" / "SHA256SUMS"
    assert sums.read_text() == f"{sha256(content)}  CT100_128x128.mat\n"
    path = tmp_path / "ct100" / "CT100_128x128.mat"
    path.write_bytes(mat_file(seed=1)[1])
    with pytest.raises(ValueError, match=f"expected {sha256(content)}"):
        fetch_ct100(data_home=tmp_path, url=f"{server.url}/ct.mat")
    # What was recorded also holds for a new download.
    path.unlink()
    server.files["/ct.mat"] = mat_file(seed=1)[1]
    with pytest.raises(ValueError, match=f"expected {sha256(content)}"):
        fetch_ct100(data_home=tmp_path, url=f"{server.url}/ct.mat")


def test_damaged_sums_are_refused(server, tmp_path):
    (tmp_path / "ct100").mkdir()
    (tmp_path / "ct100" / "SHA256SUMS").write_text("what is this\n")
    with pytest.raises(ValueError, match="is damaged"):
        fetch_ct100(data_home=tmp_path, url=server.url)


def test_without_a_network_the_error_says_what_to_do(tmp_path):
    url = f"http://127.0.0.1:{closed_port()}/ct.mat"
    with pytest.raises(OSError, match=r"Cannot download .* expected a network, or"):
        fetch_ct100(data_home=tmp_path, url=url)


def test_a_missing_page_is_no_data(server, tmp_path):
    with pytest.raises(OSError, match="HTTPError"):
        fetch_ct100(data_home=tmp_path, url=f"{server.url}/ct.mat")
    assert not (tmp_path / "ct100" / "CT100_128x128.mat").exists()


def test_nothing_is_downloaded_if_that_is_forbidden(server, tmp_path):
    with pytest.raises(OSError, match="download_if_missing=False"):
        fetch_ct100(data_home=tmp_path, url=server.url, download_if_missing=False)
    assert server.asked == []


def test_without_pooch_the_extra_is_named(server, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pooch", None)
    with pytest.raises(ImportError, match=r"sklearn_ei\[datasets\]"):
        fetch_ct100(data_home=tmp_path, url=server.url)


@pytest.mark.parametrize(
    "content",
    [
        mat_file("OTHER")[1],
        mat_file()[1][:1000],
        b"<html>Please log in</html>" * 99,
        b"",
    ],
)
def test_another_file_is_refused(server, tmp_path, content):
    server.files["/ct.mat"] = content
    with pytest.raises(ValueError, match="the expected one; it was not kept"):
        fetch_ct100(data_home=tmp_path, url=f"{server.url}/ct.mat")
    assert not list((tmp_path / "ct100").iterdir())  # neither it nor its checksum
    # One that was put there by hand stays, and the error says what to do.
    path = tmp_path / "ct100" / "CT100_128x128.mat"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"CT100_128x128\.mat'.* Remove it to"):
        fetch_ct100(data_home=tmp_path, url=f"{server.url}/ct.mat")
    assert path.read_bytes() == content
    # The next answer is the right one.
    path.unlink()
    images, server.files["/ct.mat"] = mat_file()
    found = fetch_ct100(data_home=tmp_path, url=f"{server.url}/ct.mat")
    np.testing.assert_allclose(found, images, rtol=1e-6)


def test_bad_sources_are_refused(tmp_path):
    with pytest.raises(ValueError, match="begins with http"):
        fetch_ct100(data_home=tmp_path, url="file:///etc/hostname")
    with pytest.raises(ValueError, match="64 hexadecimal digits"):
        fetch_ct100(data_home=tmp_path, url="http://127.0.0.1", sha256="abc")
    with pytest.raises(TypeError, match="a dictionary of file names"):
        fetch_urban100(data_home=tmp_path, sha256="0" * 64)


# ---------------------------------------------------------------------- Urban100
@pytest.fixture
def urban(server, tmp_path):
    """A hundred photographs, each of one colour, on the server."""
    path = tmp_path / "made.png"
    for number in range(1, 101):
        image = np.full((512, 530, 3), number, dtype=np.uint8)
        skimage_io.imsave(path, image, check_contrast=False)
        part = "train" if number <= 90 else "test"
        name = f"/urban/{part}/{part}/img_{number:03d}.png"
        server.files[name] = path.read_bytes()
    return server


def test_checksums_of_unknown_files_are_refused(tmp_path):
    with pytest.raises(ValueError, match="checksum of 'img_1"):
        fetch_urban100(data_home=tmp_path, sha256={"img_1.png": 64 * "0"})


def test_urban100_is_in_the_paper_s_order(urban, tmp_path):
    url = f"{urban.url}/urban/"
    images = fetch_urban100(data_home=tmp_path, url=url, image_shape=(16, 16))
    assert images.shape == (100, 16, 16, 3)
    np.testing.assert_allclose(255 * images[:, 8, 8, 0], np.arange(1, 101), rtol=1e-4)
    lines = (tmp_path / "urban100" / "SHA256SUMS").read_text().splitlines()
    assert len(lines) == 100
    again = fetch_urban100(
        data_home=tmp_path, download_if_missing=False, image_shape=(16, 16)
    )
    assert np.array_equal(again, images)


def test_an_interrupted_download_goes_on(urban, tmp_path):
    url = f"{urban.url}/urban"
    last = "/urban/test/test/img_100.png"
    content = urban.files.pop(last)
    with pytest.raises(OSError, match=r"img_100\.png"):
        fetch_urban100(data_home=tmp_path, url=url, image_shape=(8, 8))
    sums = (tmp_path / "urban100" / "SHA256SUMS").read_text()
    assert len(sums.splitlines()) == 99
    urban.asked.clear()
    urban.files[last] = content
    images = fetch_urban100(
        data_home=tmp_path,
        url=url,
        image_shape=(8, 8),
        sha256={"img_100.png": sha256(content)},
    )
    assert len(images) == 100
    assert urban.asked == [last]


def test_a_photograph_that_cannot_be_decoded_is_not_kept(urban, tmp_path):
    url = f"{urban.url}/urban"
    name = "train/train/img_003.png"
    whole = urban.files[f"/urban/{name}"]
    for content in (b"<html>Please log in</html>", whole[: len(whole) // 2]):
        urban.files[f"/urban/{name}"] = content
        with pytest.raises(ValueError, match=r"img_003\.png.* it was not kept"):
            fetch_urban100(data_home=tmp_path, url=url, image_shape=(8, 8))
        assert not (tmp_path / "urban100" / name).exists()
        sums = (tmp_path / "urban100" / "SHA256SUMS").read_text()
        assert len(sums.splitlines()) == 2
    urban.files[f"/urban/{name}"] = whole
    images = fetch_urban100(data_home=tmp_path, url=url, image_shape=(8, 8))
    np.testing.assert_allclose(255 * images[2], 3, rtol=1e-4)
