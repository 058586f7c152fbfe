"""Compilation: the disk cache of kernels, and device functions that both targets can call.

Numba's cache does not notice edits in helper modules or changed globals, and it never hits for a
closure over an ``@njit`` object, whose pickle carries a random identifier. Both are mended here,
once: the cache directory is named by a hash of the sources that kernels are made from and of the
compilers' versions, and every device function gets an identifier made from its own name.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any


def _toolchain_versions() -> list[str]:
    """Versions of everything that turns our sources into machine code."""
    found = []
    for package in ("numba", "numba-cuda", "llvmlite", "numpy"):
        try:
            found.append(f"{package}={importlib.metadata.version(package)}")
        except importlib.metadata.PackageNotFoundError:
            found.append(f"{package}=none")
    return found


def _kernel_sources() -> list[Path]:
    package = Path(__file__).parent
    return [
        Path(__file__),
        *sorted(package.glob("fields/*.py")),
        *sorted(package.glob("kernels/*.py")),
    ]


def cache_directory() -> Path:
    """Where compiled kernels of exactly these sources and compilers are kept."""
    digest = hashlib.sha256("\n".join(_toolchain_versions()).encode())
    for source in _kernel_sources():
        digest.update(source.name.encode() + b"\0" + source.read_bytes())
    home = os.environ.get("ZKBENCH_CACHE_DIR") or Path.home() / ".cache" / "zkbench"
    return Path(home) / digest.hexdigest()[:16]


CACHE_DIRECTORY = cache_directory()
os.environ["NUMBA_CACHE_DIR"] = str(CACHE_DIRECTORY)

import numpy as np  # noqa: E402

if not hasattr(np, "row_stack"):  # numba-cuda 0.30 still asks NumPy 2.5 for it
    np.row_stack = np.vstack  # type: ignore[attr-defined]

import numba  # noqa: E402

numba.config.CACHE_DIR = str(CACHE_DIRECTORY)


def device(identifier: str, **options: Any) -> Callable[[Callable], Any]:
    """Compile a function for use inside kernels of either target.

    ``identifier`` must be unique: it stands for the function in the keys of the kernel cache.
    """

    def decorate(function: Callable) -> Any:
        compiled = numba.njit(forceinline=True, _nrt=False, **options)(function)
        compiled._set_uuid(f"zkbench.{identifier}")
        return compiled

    return decorate
