"""Files that are written completely or not at all, and keep what they were."""

import os
import platform
import re
import stat

import pytest

from sklearn_ei.utils.files import check_writable, remove_abandoned, write_atomically

posix = pytest.mark.skipif(os.name != "posix", reason="modes and links of POSIX")
NODE = re.sub(r"[^A-Za-z0-9_-]", "-", platform.node())
DEAD = 2**22 + 1  # beyond the greatest process number


@posix
@pytest.mark.parametrize("mode", [0o600, 0o640, 0o644, 0o444])
def test_the_mode_of_a_file_is_kept(tmp_path, mode):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    path.chmod(mode)
    if mode == 0o444 and os.geteuid() != 0:
        with pytest.raises(PermissionError, match="write-protected"):
            write_atomically(path, [b"new"])
        assert path.read_bytes() == b"old"
        return
    write_atomically(path, [b"n", b"ew"])
    assert path.read_bytes() == b"new"
    assert stat.S_IMODE(path.stat().st_mode) == mode
    assert os.listdir(tmp_path) == ["file"]


@posix
def test_a_new_file_has_the_mode_that_open_gives(tmp_path):
    before = os.umask(0o027)
    try:
        write_atomically(tmp_path / "file", [b"x"])
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o640


@posix
def test_a_secret_is_never_readable_for_others(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    path.chmod(0o600)
    seen = []

    def chunks():
        yield b"new"
        seen.extend(stat.S_IMODE(file.stat().st_mode) for file in tmp_path.iterdir())

    write_atomically(path, chunks())
    assert seen == [0o600, 0o600]


@pytest.mark.skipif(
    os.name != "posix" or os.geteuid() != 0, reason="only root gives files away"
)
def test_owner_and_group_are_kept(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    os.chown(path, 1234, 2345)
    write_atomically(path, [b"new"])
    assert (path.stat().st_uid, path.stat().st_gid) == (1234, 2345)


@posix
def test_a_group_that_cannot_be_kept_gets_no_more_than_others(tmp_path, monkeypatch):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    path.chmod(0o664)

    def refuse(*args):
        raise PermissionError

    real = os.fstat

    def of_another_group(descriptor):
        found = real(descriptor)
        return os.stat_result((*found[:5], found.st_gid + 1, *found[6:]))

    monkeypatch.setattr(os, "fchown", refuse)
    monkeypatch.setattr(os, "fstat", of_another_group)
    write_atomically(path, [b"new"])
    assert stat.S_IMODE(path.stat().st_mode) == 0o644


@posix
@pytest.mark.parametrize("exists", [True, False])
def test_links_stay_and_their_file_is_written(tmp_path, exists):
    (tmp_path / "disk").mkdir()
    target, link, second = (tmp_path / n for n in ("disk/file", "link", "second"))
    if exists:
        target.write_bytes(b"old")
    link.symlink_to(os.path.join("disk", "file"))
    second.symlink_to(link)
    write_atomically(second, [b"new"])
    assert second.is_symlink()
    assert link.is_symlink()
    assert not target.is_symlink()
    assert target.read_bytes() == b"new"
    assert os.listdir(tmp_path / "disk") == ["file"]


@posix
def test_what_is_no_file_is_left_alone(tmp_path):
    (tmp_path / "itself").symlink_to("itself")
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "itself", tmp_path / "pipe", tmp_path, "/dev/null"):
        for write in (check_writable, lambda p: write_atomically(p, [b"x"])):
            with pytest.raises(OSError, match=r"."):
                write(path)
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)
    assert sorted(os.listdir(tmp_path)) == ["itself", "pipe"]


def test_trying_leaves_everything_as_it_was(tmp_path):
    path = tmp_path / "file"
    check_writable(path)
    assert os.listdir(tmp_path) == []
    path.write_bytes(b"old")
    before = path.stat().st_mtime_ns
    check_writable(path)
    assert (path.read_bytes(), path.stat().st_mtime_ns) == (b"old", before)
    for bad in (tmp_path / "nowhere" / "file", tmp_path / ("x" * 300)):
        with pytest.raises(OSError, match=r"."):
            check_writable(bad)


@pytest.mark.parametrize(
    "name", ["a", "*", "[ab]", "a?", "**", "a.b", "a\\d", "(a", "a+"]
)
def test_only_ones_own_leftovers_are_removed(tmp_path, name):
    """Names with the characters of patterns are names."""
    if os.name != "posix" and not name.isalnum():
        pytest.skip("no such names there")
    mine = tmp_path / f".{name}.{NODE}.{DEAD}.0a1b2c3d.tmp"
    others = [
        tmp_path / other
        for other in (
            f".b.{NODE}.{DEAD}.0a1b2c3d.tmp",
            f".a.c.{NODE}.{DEAD}.0a1b2c3d.tmp",
            f".{name}.{NODE}.{DEAD}.0a1b2c3d.tmp.bak",
            f".{name}.{NODE}.{DEAD}.notes.tmp",
            f".{name}.{NODE}.{DEAD}.tmp",
            f".{name}.settings.tmp",
            f"x.{name}.{NODE}.{DEAD}.0a1b2c3d.tmp",
            f".{name}.{NODE}.{os.getpid()}.0a1b2c3d.tmp",
            f".{name}.elsewhere.{DEAD}.0a1b2c3d.tmp",
        )
    ]
    folder = tmp_path / f".{name}.{NODE}.{DEAD}.00000000.tmp"
    for file in (mine, *others):
        file.write_bytes(b"half")
    folder.mkdir()
    remove_abandoned(tmp_path / name)
    assert not mine.exists()
    assert all(file.exists() for file in (*others, folder))
    old = others[-1].stat().st_mtime - 2 * 86400
    os.utime(others[-1], (old, old))
    remove_abandoned(tmp_path / name)
    assert not others[-1].exists()


def test_leftovers_carry_the_name_that_is_looked_for(tmp_path, monkeypatch):
    """What a write that is cut off leaves is found by remove_abandoned."""
    path = tmp_path / "a.checkpoint"
    names = []

    def chunks():
        names.extend(os.listdir(tmp_path))
        yield b"x"

    write_atomically(path, chunks())
    (left,) = (tmp_path / name for name in names)
    left.write_bytes(b"half")
    remove_abandoned(path)
    assert left.exists()  # this process lives
    monkeypatch.setattr("sklearn_ei.utils.files._is_alive", lambda process: False)
    remove_abandoned(path)
    assert not left.exists()
    assert path.exists()
