"""A GPU that computes nothing: it follows what lies where, and how much of its memory is in use.

Its arrays are sizes; what comes to the host is all ones. So a prover of any size runs through on it in
seconds, with meaningless messages.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from zkbench.kernels.cuda_target import WORKSPACE_SHARE, Pool
from zkbench.kernels.launch import CpuTarget


class DryArray:
    """Memory of the dry GPU, or a part of another's."""

    def __init__(self, target: DryTarget, size: int, dtype: Any, owner: Any = None) -> None:
        self.size, self.dtype = int(size), np.dtype(dtype)
        self._target, self._owner = target, owner
        self._taken = Pool.bucket(self.nbytes) if owner is None else 0
        target.use(self._taken)

    @property
    def nbytes(self) -> int:
        return self.size * self.dtype.itemsize

    def __len__(self) -> int:
        return self.size

    def __del__(self) -> None:
        self._target.use(-self._taken)


class DryTarget(CpuTarget):
    """``memory``: bytes of it. Kernels must be given its own arrays, never the host's."""

    name = "cuda"
    runs_blocks = True
    unstored_levels = 2

    def __init__(self, memory: int) -> None:
        super().__init__(1, memory // 4)
        self.memory = memory
        self.multiprocessors = 132  # an H100's
        self.parallel_items = 1024 * self.multiprocessors
        self.in_use = self.peak = 0

    def use(self, num_bytes: int) -> None:
        self.in_use += num_bytes
        self.peak = max(self.peak, self.in_use)

    def free_memory(self) -> int:
        return self.memory - self.in_use

    def fit_workspace(self) -> None:
        self.workspace_bytes = int(self.free_memory() * WORKSPACE_SHARE)

    def empty(self, length: int, dtype: Any = np.uint64) -> DryArray:
        return DryArray(self, length, dtype)

    def zeros(self, length: int, dtype: Any = np.uint64) -> DryArray:
        return DryArray(self, length, dtype)

    def to_device(self, array: Any) -> DryArray:
        if isinstance(array, DryArray):
            return array
        return DryArray(self, array.size, array.dtype)

    def to_host(self, array: DryArray, length: int | None = None) -> np.ndarray:
        return np.ones(array.size if length is None else length, dtype=array.dtype)

    def view(self, array: DryArray, start: int, stop: int) -> DryArray:
        return DryArray(self, stop - start, array.dtype, array)

    def map(self, kernel: Any, n: int, *args: Any, grain: int = 0) -> None:
        _require_own(kernel, args)

    def scatter(self, scatter: Any, n: int, size: int, *args: Any) -> DryArray:
        _require_own(scatter, args)
        return self.zeros(size)

    def reduce(self, kernel: Any, n: int, *args: Any) -> np.ndarray:
        _require_own(kernel, args)
        return np.ones(kernel.width * kernel.ring.limbs, dtype=np.uint64)

    def launch(self, kernel: Any, blocks: int, shared_bytes: int, *args: Any) -> None:
        _require_own(kernel, args)


def _require_own(kernel: Any, args: tuple[Any, ...]) -> None:
    for arg in args:
        assert not isinstance(arg, np.ndarray), f"{kernel.name} was given an array of the host"
