"""Files are written whole or not at all, and read with one clear sentence on failure."""

import os
import signal
import stat
import subprocess
import sys

import pytest

from zkbench.errors import UnusableInput
from zkbench.files import read_bytes, read_json, write_atomically


def test_write_creates_and_replaces(tmp_path):
    path = tmp_path / "a"
    for content in (b"one", b"", b"three" * 1000):
        write_atomically(path, content)
        assert read_bytes(path) == content
    assert list(tmp_path.iterdir()) == [path]


def test_permissions_follow_the_umask(tmp_path):
    before = os.umask(0o027)
    try:
        write_atomically(tmp_path / "a", b"")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o640


def test_link_is_followed(tmp_path):
    (tmp_path / "target").write_bytes(b"old")
    (tmp_path / "link").symlink_to("target")
    write_atomically(tmp_path / "link", b"new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "target").read_bytes() == b"new"


def test_missing_directory_and_directory_in_place(tmp_path):
    with pytest.raises(UnusableInput, match="cannot write .*/b/a: No such file or directory"):
        write_atomically(tmp_path / "b" / "a", b"")
    with pytest.raises(UnusableInput, match="cannot write .*: Is a directory"):
        write_atomically(tmp_path, b"")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs the Linux device /dev/full")
def test_device_is_written_to_and_not_replaced():
    with pytest.raises(UnusableInput, match="cannot write /dev/full: No space left on device"):
        write_atomically("/dev/full", b"x")
    assert stat.S_ISCHR(os.stat("/dev/full").st_mode)


def in_process(code, path):
    program = f"from zkbench.files import write_atomically\n{code}\n"
    call = f"write_atomically({str(path)!r}, bytes(100_000))"
    return subprocess.run([sys.executable, "-c", program + call], capture_output=True, text=True)


def test_disk_that_fills_up_leaves_the_old_content(tmp_path):
    """A limit on the file size stops the write half-way, as a full disk would."""
    path = tmp_path / "a"
    path.write_bytes(b"old")
    limit = "import resource\nresource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))"
    finished = in_process(limit, path)
    assert finished.returncode == 1
    assert f"UnusableInput: cannot write {path}: File too large" in finished.stderr
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_kill_in_the_middle_leaves_the_old_content(tmp_path, call):
    path = tmp_path / "a"
    path.write_bytes(b"old")
    finished = in_process(f"import os\nos.{call} = lambda *_: os.kill(os.getpid(), 9)", path)
    assert finished.returncode == -signal.SIGKILL
    assert path.read_bytes() == b"old"


def test_interrupt_leaves_nothing_behind(tmp_path, monkeypatch):
    def interrupt(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_atomically(tmp_path / "a", b"x")
    assert list(tmp_path.iterdir()) == []


def test_json_round_trip(tmp_path):
    (tmp_path / "a").write_text('{"x": [1, 2.5, null, "é"]}', encoding="utf-8")
    assert read_json(tmp_path / "a") == {"x": [1, 2.5, None, "é"]}


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"{'a': 1}", b"\xff\xfe\x00", b'{"a": NaN}', b"-Infinity", b"[" * 100_000],
)
def test_bad_json_is_refused(tmp_path, content):
    path = tmp_path / "a"
    path.write_bytes(content)
    with pytest.raises(UnusableInput, match=r"/a is not valid JSON: "):
        read_json(path)


def test_missing_file_is_refused(tmp_path):
    for read in (read_bytes, read_json):
        with pytest.raises(UnusableInput, match="cannot read .*/a: No such file or directory"):
            read(tmp_path / "a")
