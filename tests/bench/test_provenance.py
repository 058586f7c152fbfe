"""Where records come from, and how much memory they took."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from zkbench.bench import memory, provenance
from zkbench.bench.gpu import Gpu
from zkbench.bench.memory import HostMemoryPeak

MIB = 2**20


@pytest.mark.parametrize(
    ("name", "memory_bytes", "expected"),
    [
        ("NVIDIA H100 80GB HBM3", 85_028_765_696, "h100-80gb"),
        ("NVIDIA A100-SXM4-40GB", 42_298_834_944, "a100-40gb"),
        ("NVIDIA H100 PCIe", 85_028_765_696, "h100-79gb"),
        ("NVIDIA GeForce RTX 4090", 25_757_220_864, "geforce-rtx-4090-24gb"),
        ("Tesla V100-SXM2-16GB", 16_935_682_048, "v100-16gb"),
    ],
)
def test_a_gpu_machine_is_named_by_its_gpu(name, memory_bytes, expected) -> None:
    assert provenance.gpu_slug(Gpu(name, memory_bytes, None, "13.0", 1)) == expected


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("Intel(R) Xeon(R) Platinum 8480C", "cpu-intel-xeon-platinum-8480c-2c"),
        ("AMD EPYC 7413 24-Core Processor", "cpu-amd-epyc-7413-2c"),
        ("Intel(R) Core(TM) i5-4460S CPU @ 2.90GHz", "cpu-intel-core-i5-4460s-2c"),
    ],
)
def test_a_cpu_machine_is_named_by_model_and_cores(model, expected) -> None:
    assert provenance.cpu_slug(model, 2) == expected


def test_a_cpu_record_of_a_gpu_machine_names_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    gpu = Gpu("NVIDIA H100 80GB HBM3", 85_028_765_696, "580.1", "13.0", 1)
    monkeypatch.setattr(provenance, "find_gpu", lambda: gpu)
    assert provenance.machine_id() == provenance.machine_id("cuda") == "h100-80gb"
    assert provenance.machine_id("cpu").startswith("cpu-")


def test_cuda_is_not_imported() -> None:
    script = (
        "import sys; from zkbench.bench.provenance import collect_provenance as c; c();"
        "print([m for m in sys.modules if m.startswith(('numba.cuda', 'cuda', 'cupy'))])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr


def git(folder: Path, *arguments: str) -> None:
    author = ["-c", "user.name=a", "-c", "user.email=a@b.c"]
    subprocess.run(["git", *author, *arguments], cwd=folder, check=True, capture_output=True)


def test_the_git_state_tells_clean_from_dirty(tmp_path: Path) -> None:
    package = tmp_path / "zkbench"
    package.mkdir()
    assert provenance.git_state(package) is None
    (package / "a.py").write_text("a = 1\n")
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "a")
    clean = provenance.git_state(package)
    assert clean is not None
    assert clean["dirty"] is False
    (tmp_path / "results.csv").write_text("1\n")
    assert provenance.git_state(package) == clean
    (package / "b.py").write_text("b = 1\n")
    assert provenance.git_state(package) == clean | {"dirty": True}


def test_a_package_installed_inside_a_foreign_checkout_has_no_commit(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    git(tmp_path, "commit", "-qm", "a", "--allow-empty")
    package = tmp_path / ".venv" / "zkbench"
    package.mkdir(parents=True)
    (package / "a.py").write_text("")
    assert provenance.git_state(package) is None


@pytest.mark.parametrize("has_high_water_mark", [True, False])
def test_the_peak_is_that_of_the_block_alone(monkeypatch, has_high_water_mark) -> None:
    if not has_high_water_mark:
        monkeypatch.setattr(memory, "_reset_high_water_mark", lambda: False)
    big = bytearray(300 * MIB)
    big[::4096] = b"x" * len(big[::4096])
    del big
    with HostMemoryPeak() as none:
        pass
    with HostMemoryPeak() as some:
        block = bytearray(100 * MIB)
        block[::4096] = b"x" * len(block[::4096])
        time.sleep(20 * memory.SAMPLE_SECONDS)  # a sampler misses what is shorter
        del block
    assert 90 * MIB < some.bytes - none.bytes < 200 * MIB
