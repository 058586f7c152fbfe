"""Which CUDA GPU is there, asked of the driver itself: no CUDA package is imported."""

from __future__ import annotations

import ctypes
import subprocess
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any


@dataclass(frozen=True)
class Gpu:
    """The first visible CUDA device. `cuda` is the newest CUDA version its driver supports."""

    name: str
    memory_bytes: int
    driver: str | None
    cuda: str
    count: int

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


@lru_cache(maxsize=1)
def find_gpu() -> Gpu | None:
    """Return the first GPU that CUDA_VISIBLE_DEVICES leaves visible, or None."""
    library = _load_driver()
    if library is None or library.cuInit(0) != 0:
        return None
    count = _int_from(library.cuDeviceGetCount)
    return _first_gpu(library, count) if count else None


def _load_driver() -> ctypes.CDLL | None:
    for name in ("libcuda.so.1", "libcuda.so", "nvcuda.dll"):
        try:
            return ctypes.CDLL(name)
        except OSError:
            continue
    return None


def _first_gpu(library: ctypes.CDLL, count: int) -> Gpu | None:
    device, memory = ctypes.c_int(), ctypes.c_size_t()
    name = ctypes.create_string_buffer(256)
    failed = library.cuDeviceGet(ctypes.byref(device), 0)
    failed = failed or library.cuDeviceGetName(name, len(name), device)
    failed = failed or library.cuDeviceTotalMem_v2(ctypes.byref(memory), device)
    if failed:
        return None
    version = _int_from(library.cuDriverGetVersion)
    cuda = f"{version // 1000}.{version % 1000 // 10}"
    return Gpu(name.value.decode(), memory.value, _driver_version(), cuda, count)


def _int_from(function: Any) -> int:
    value = ctypes.c_int()
    return value.value if function(ctypes.byref(value)) == 0 else 0


def _driver_version() -> str | None:
    query = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        answer = subprocess.run(query, capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    lines = answer.stdout.split()
    return lines[0] if lines else None
