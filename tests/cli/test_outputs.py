"""Writing: all of a command's files or none of them, whatever happens to the disk or the process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from cli_case import COMMITMENT, commit, prove, refused, verify, zkbench

ROOT = Path(__file__).parents[2]
OLD = b"what was there before"


@pytest.fixture(autouse=True)
def _in_the_folder(files):
    """All tests run in a copy of the files."""


def _everything() -> dict[str, bytes]:
    found = (Path(folder) / name for folder, _, names in os.walk(".") for name in names)
    return {str(path): path.read_bytes() for path in found}


PROVE = ["prove", "--model", "model", "--input", "inputs.npy", "--out", "p", "--statement", "s"]
COMMIT = ["commit", "--weights", "weights.safetensors", "--calibration", "calibration.npy"]
COMMIT += ["--shift", "13", "--out"]


def _process(setup: str, arguments: list[str]) -> subprocess.CompletedProcess:
    code = f"{setup}\nimport sys\nfrom zkbench.cli import main\nsys.exit(main({arguments!r}))"
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
    )


# Full disk: a limit on the size of a file stops the write half-way, as a full disk does.


def _limit(size: int) -> str:
    """Only the new files: kernels that are being cached are written with another call."""
    return (
        "import resource, zkbench.files as files\n"
        "write = files._write_aside\n"
        "def limited(file):\n"
        f"    resource.setrlimit(resource.RLIMIT_FSIZE, ({size}, -1))\n"
        "    return write(file)\n"
        "files._write_aside = limited"
    )


@pytest.mark.parametrize("size", [10, 5000])
def test_disk_full_while_proving(size):
    """The statement fits 5000 bytes, the proof does not: neither is left."""
    before = _everything()
    done = _process(_limit(size), PROVE)
    assert done.returncode == 2
    name = "s" if size == 10 else "p"
    assert done.stderr == f"zkbench prove: cannot write {name}: File too large\n"
    assert _everything() == before


def test_disk_full_while_proving_again():
    Path("p").write_bytes(OLD)
    Path("s").write_bytes(OLD)
    before = _everything()
    assert _process(_limit(5000), PROVE).returncode == 2
    assert _everything() == before


@pytest.mark.parametrize("size", [10, 1000])
def test_disk_full_while_committing_again(size):
    """The old model stays whole: a new one without its commitment could not be proven."""
    before = _everything()
    done = _process(_limit(size), [*COMMIT, "model"])
    assert done.returncode == 2
    assert done.stderr.startswith("zkbench commit: cannot write model/integer_model.safetensors")
    assert _everything() == before
    assert prove().code == 0


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs the Linux device /dev/full")
@pytest.mark.parametrize("name", ["out", "statement"])
def test_device_without_space(name):
    refused(prove(**{name: "/dev/full"}), "cannot write /dev/full: No space left on device")
    assert not os.path.exists("p")
    assert not os.path.exists("s")


def test_into_nowhere():
    """Two outputs may be one device."""
    assert prove(out="/dev/null", statement="/dev/null").code == 0
    assert os.path.exists("/dev/null")


# A kill in the middle.


@pytest.mark.parametrize("call", ["fsync", "replace"])
@pytest.mark.parametrize("command", ["prove", "commit"])
def test_kill_before_anything_is_renamed(command, call):
    """Nothing under the names asked for; what lies aside says by its name that it is a part."""
    before = _everything()
    kill = f"import os\nos.{call} = lambda *_: os.kill(os.getpid(), 9)"
    done = _process(kill, PROVE if command == "prove" else [*COMMIT, "model"])
    assert done.returncode == -signal.SIGKILL
    after = _everything()
    assert {name: after[name] for name in before} == before
    parts = [Path(name).name for name in set(after) - set(before)]
    assert all(name.startswith(".") and name.endswith(".part") for name in parts)
    assert verify().code == 0


def test_kill_between_the_renames():
    """The statement is there and the proof is not, or is the old one: verify says so."""
    kill_second = (
        "import os\n"
        "replace, calls = os.replace, []\n"
        "def kill_at_second(*paths):\n"
        "    calls.append(paths)\n"
        "    os.kill(os.getpid(), 9) if len(calls) == 2 else replace(*paths)\n"
        "os.replace = kill_at_second"
    )
    assert _process(kill_second, PROVE).returncode == -signal.SIGKILL
    assert os.path.exists("s")
    refused(verify("p", statement="s"), "cannot read p: No such file or directory")


def test_interrupt(monkeypatch):
    def interrupt(_):
        raise KeyboardInterrupt

    before = _everything()
    monkeypatch.setattr(os, "fsync", interrupt)
    done = prove()
    assert (done.code, done.err) == (130, "zkbench prove: interrupted\n")
    assert _everything() == before


def test_not_enough_memory(monkeypatch):
    def fail(*_):
        raise MemoryError

    monkeypatch.setattr("zkbench.inference.commit_model", fail)
    refused(prove(), "not enough memory; use a smaller batch")


# Places that cannot be written to: found before the work, not after it.


@pytest.fixture
def no_proving(monkeypatch):
    def fail(*_):
        raise AssertionError("the proof was made although it cannot be written")

    monkeypatch.setattr("zkbench.inference.prove_inference", fail)


@pytest.mark.parametrize("name", ["out", "statement"])
@pytest.mark.parametrize(
    ("place", "reason"),
    [
        ("model", "Is a directory"),
        ("nowhere/file", "No such file or directory"),
        ("inputs.npy/file", "No such file or directory"),
    ],
)
def test_places_that_take_no_file(no_proving, name, place, reason):
    before = _everything()
    refused(prove(**{name: place}), f"cannot write {place}: {reason}")
    assert _everything() == before


def test_one_file_for_both_outputs(no_proving):
    refused(prove(out="p", statement="p"), "p is given for two different outputs")
    refused(prove(out="p", statement="./p"), "./p is given for two different outputs")
    os.symlink("p", "link")
    refused(prove(out="link", statement="p"), "p is given for two different outputs")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_folder_without_permission(no_proving):
    os.mkdir("locked", mode=0o500)
    refused(prove(out="locked/p"), "cannot write locked/p: Permission denied")
    refused(commit("locked/model"), "cannot make the folder locked/model: Permission denied")


def test_commit_where_a_file_is():
    refused(commit("proof"), "cannot make the folder proof: File exists")
    refused(commit("proof/model"), "cannot make the folder proof/model: Not a directory")
    assert verify().code == 0


def test_commit_makes_the_folders_above():
    assert commit("a/b/c").code == 0
    assert sorted(os.listdir("a/b/c")) == ["commitment.json", "integer_model.safetensors"]


def test_a_link_is_followed():
    os.symlink("elsewhere", "p")
    assert prove().code == 0
    assert os.path.islink("p")
    assert verify("elsewhere", statement="s").code == 0
    assert zkbench("soundness", "p", "--commitment", COMMITMENT).code == 0
