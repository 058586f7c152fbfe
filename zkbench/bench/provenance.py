"""Where a record comes from: source, machine, GPU, library versions, time."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

import zkbench
from zkbench.bench.gpu import Gpu, find_gpu

PACKAGES = ("numba", "numba-cuda", "llvmlite", "numpy")
CUDA_RUNTIME_PACKAGES = ("nvidia-cuda-runtime", "nvidia-cuda-runtime-cu12", "nvidia-cuda-nvrtc")
GIB = 2**30


def collect_provenance() -> dict[str, Any]:
    """Return the provenance of this process, as JSON."""
    return {
        "git": git_state(Path(zkbench.__file__).parent),
        "cpu": cpu_state(),
        "ram_bytes": psutil.virtual_memory().total,
        "gpu": gpu_state(),
        "versions": versions(),
        "platform": platform.platform(),
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def git_state(package: Path) -> dict[str, Any] | None:
    """Return the commit, and whether files in `package` differ from it or are new.

    None outside a checkout, also where an installed package lies inside a foreign one. A machine
    that holds a copy of the files without their history is told by ZKBENCH_GIT_COMMIT.
    """
    stated = os.environ.get("ZKBENCH_GIT_COMMIT")
    if stated:
        return {"commit": stated, "dirty": False}
    commit = _git(package, "rev-parse", "HEAD")
    tracked = _git(package, "ls-files", "--error-unmatch", "--", str(package))
    if commit is None or tracked is None:
        return None
    changes = _git(package, "status", "--porcelain", "--", str(package))
    return {"commit": commit, "dirty": bool(changes)}


def _git(directory: Path, *arguments: str) -> str | None:
    command = ["git", "-C", str(directory), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def cpu_state() -> dict[str, Any]:
    """Return the CPU's model, its cores, and the threads that this process may use."""
    return {
        "model": cpu_model(),
        "cores": psutil.cpu_count(logical=False) or os.cpu_count() or 1,
        "logical_cores": os.cpu_count() or 1,
        "threads": kernel_threads(),
    }


def cpu_model() -> str:
    """Return the CPU's name as the system gives it."""
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return platform.processor() or platform.machine()
    found = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    return found.group(1).strip() if found else platform.machine()


def kernel_threads() -> int:
    """Return the number of threads that CPU kernels run on."""
    import numba

    return numba.get_num_threads()


def gpu_state() -> dict[str, Any] | None:
    """Return name, memory, driver and CUDA runtime of the GPU; None without one."""
    gpu = find_gpu()
    if gpu is None:
        return None
    runtimes = (package_version(name) for name in CUDA_RUNTIME_PACKAGES)
    return gpu.as_json() | {"runtime": next(filter(None, runtimes), None)}


def versions() -> dict[str, str | None]:
    """Return the versions of Python and of the packages that results depend on."""
    own = {"python": platform.python_version(), "zkbench": zkbench.__version__}
    return own | {name.replace("-", "_"): package_version(name) for name in PACKAGES}


def package_version(name: str) -> str | None:
    """Return the installed version of a distribution; None if it is not installed."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def machine_id(target: str | None = None) -> str:
    """Return a slug such as "h100-80gb" or "cpu-intel-xeon-platinum-8480c-2c".

    With target "cpu" the slug names the CPU even on a machine with a GPU, because the GPU
    had no part in the result; by default the GPU is named if there is one.
    """
    gpu = None if target == "cpu" else find_gpu()
    if gpu is not None:
        return gpu_slug(gpu)
    state = cpu_state()
    return cpu_slug(state["model"], state["logical_cores"])


def gpu_slug(gpu: Gpu) -> str:
    """Return the slug of a GPU: "NVIDIA H100 80GB HBM3" is "h100-80gb".

    The memory in the name is the maker's decimal figure; if the name has none, the size is
    rounded from the driver's.
    """
    stated = re.search(r"\b(\d+)\s*GB\b", gpu.name)
    size = stated.group(1) if stated else str(round(gpu.memory_bytes / GIB))
    noise = r"\b(NVIDIA|Tesla|HBM\w*|SXM\w*|PCI\w*|\d+\s*GB)\b"
    return f"{slug(re.sub(noise, ' ', gpu.name))}-{size}gb"


def cpu_slug(model: str, cores: int) -> str:
    """Return the slug of a CPU: "Intel(R) Xeon(R) Processor" is "cpu-intel-xeon-2c"."""
    noise = r"\((R|TM)\)|\bCPU\b|\bProcessor\b|\b\d+-Core\b|@.*$"
    return f"cpu-{slug(re.sub(noise, ' ', model, flags=re.IGNORECASE))}-{cores}c"


def slug(text: str) -> str:
    """Return the letters and digits of `text` in lower case, joined by hyphens."""
    return "-".join(re.findall(r"[a-z0-9]+", text.lower()))
