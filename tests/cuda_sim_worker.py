"""Proves on Numba's CUDA simulator; a process of its own, started by test_cuda_sim.py.

Nothing is compiled here: device functions are plain Python, on uint64 scalars that wrap around as
words do. (Compiled ones would get Python integers from the simulator, and take them for int64.)
"""

from __future__ import annotations

import json
import os
import warnings
from typing import Any

os.environ["NUMBA_ENABLE_CUDASIM"] = os.environ["NUMBA_DISABLE_JIT"] = "1"

import numpy as np

import zkbench.jit

zkbench.jit.device = lambda identifier, **options: lambda function: function  # type: ignore
warnings.filterwarnings("ignore", "overflow encountered", RuntimeWarning)

from cases.case import prove
from cases.everything import SIMULATED
from numba import cuda
from numba.cuda.simulator.kernelapi import FakeCUDAShared

from zkbench.fields import GOLDILOCKS, goldilocks, goldilocks_dft
from zkbench.kernels import cuda_shells
from zkbench.kernels.launch import (
    Array,
    BlockKernel,
    CpuTarget,
    Kernel,
    Scatter,
    _sum_rows,
    sum_copies,
)
from zkbench.protocols import statements

simulator_array = FakeCUDAShared.array

# Fewer threads than items, so that threads stride, and a last block that is not full.
MAP_BLOCKS, MAP_THREADS, REDUCTION_BLOCKS, REDUCTION_THREADS = 2, 3, 2, 8


def mul_wide(a: np.uint64, b: np.uint64) -> tuple[np.uint64, np.uint64]:
    """The intrinsics, in Python: 64 x 64 bits, and two words at once."""
    product = int(a) * int(b)
    return np.uint64(product & (2**64 - 1)), np.uint64(product >> 64)


def load_words(array: np.ndarray, index: int) -> tuple[np.uint64, np.uint64]:
    return array[2 * index], array[2 * index + 1]


def store_words(array: np.ndarray, index: int, low: np.uint64, high: np.uint64) -> None:
    array[2 * index], array[2 * index + 1] = low, high


def coset_dft(log_size: int) -> Any:
    """The transform in registers, interpreted instruction by instruction."""
    program = goldilocks_dft.program(log_size)

    def dft(x: tuple, powers: tuple) -> tuple:
        return tuple(map(np.uint64, program.run([int(word) for word in (*x, *powers)])))

    return dft


def shared_array(self: Any, shape: int, dtype: Any, alignment: int | None = None) -> np.ndarray:
    """The simulator refuses an alignment; to Python it makes no difference."""
    return simulator_array(self, shape, dtype)


class SimulatedTarget(CpuTarget):
    """Launches CUDA kernels as CudaTarget does, on the simulator."""

    name = "cuda"
    runs_blocks = True

    def __init__(self) -> None:
        super().__init__(1)
        self.workspace_bytes = 0  # levels of fraction trees are computed from the leaves
        self.launched: set[str] = set()

    def _launch(self, kernel: Any, blocks: int, threads: int, *args: Any) -> None:
        self.launched.add(kernel.name)
        cuda.jit(kernel.cuda_source)[blocks, threads](*args)

    def launch(self, kernel: BlockKernel, blocks: int, shared_bytes: int, *args: Any) -> None:
        self.launched.add(kernel.name)
        cuda.jit(kernel.cuda_source)[blocks, kernel.threads, 0, shared_bytes](*args)

    def map(self, kernel: Kernel, n: int, *args: Any, grain: int = 0) -> None:
        self._launch(kernel, MAP_BLOCKS, MAP_THREADS, n, args)

    def scatter(self, scatter: Scatter, n: int, size: int, *args: Any) -> Array:
        table = self.zeros(MAP_BLOCKS * size)
        self._launch(scatter, MAP_BLOCKS, MAP_THREADS, n, table, size, args)
        self.map(sum_copies, size, table, size, MAP_BLOCKS)
        return table[:size]

    def reduce(self, kernel: Kernel, n: int, *args: Any) -> np.ndarray:
        assert kernel.ring is not None
        words = kernel.width * kernel.ring.limbs
        partial = np.full(REDUCTION_BLOCKS * words, 2**64 - 1, dtype=np.uint64)
        self._launch(kernel, REDUCTION_BLOCKS, REDUCTION_THREADS, n, partial, args)
        _sum_rows(kernel.ring)(partial, REDUCTION_BLOCKS, kernel.width)
        return partial[:words]


def simulate() -> None:
    """Replace what only a compiler understands."""
    assert not hasattr(GOLDILOCKS.base.mul, "signatures"), "a device function was compiled"
    FakeCUDAShared.array = shared_array
    goldilocks.mul_wide = mul_wide
    goldilocks._load_words, goldilocks._store_words = load_words, store_words
    goldilocks_dft.coset_dft = coset_dft


def main() -> None:
    """Print, for each case, its proof and the kernels that were launched."""
    simulate()
    cuda_shells.REDUCTION_THREADS = REDUCTION_THREADS
    statements._TAIL_VARIABLES = -1  # tables stay on the target to the end
    results = {}
    for name, case in SIMULATED.items():
        target = SimulatedTarget()
        proof, _ = prove(case, target)
        results[name] = [proof.hex(), sorted(target.launched)]
    print(json.dumps(results))


if __name__ == "__main__":
    main()
