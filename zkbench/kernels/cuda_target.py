"""The CUDA target: device arrays from a pool, launches, and reductions read back once."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np
from numba import cuda
from numba.cuda.cudadrv import driver

from zkbench.kernels.cuda_shells import REDUCTION_THREADS, blocks_for
from zkbench.kernels.launch import Array, Kernel, Scatter, _sum_rows

_MAP_THREADS = 256


class PooledMemory(driver.NumbaCUDAMemoryManager):
    """Device memory that is kept when freed: cudaMalloc costs more than most of our kernels.

    Reuse is safe because everything runs on one stream: a block that Python has let go of is
    written again only by work queued after all of its readers.
    """

    free: dict[int, list[Any]] = defaultdict(list)
    in_use = 0
    peak = 0

    @staticmethod
    def _bucket(size: int) -> int:
        """Sizes are rounded up to eighths of a power of two (at least 512 bytes)."""
        step = max(512, 1 << max(0, size.bit_length() - 4))
        return -(-size // step) * step

    def memalloc(self, size: int) -> Any:
        bucket = self._bucket(size)
        pointer = self.free[bucket].pop() if self.free[bucket] else self._allocate(bucket)
        PooledMemory.in_use += bucket
        PooledMemory.peak = max(PooledMemory.peak, PooledMemory.in_use)

        def give_back() -> None:
            PooledMemory.in_use -= bucket
            self.free[bucket].append(pointer)

        return driver.AutoFreePointer(self.context, pointer, size, finalizer=give_back).own()

    def _allocate(self, bucket: int) -> Any:
        try:
            return driver.driver.cuMemAlloc(bucket)
        except driver.CudaAPIError:
            self._release_free_blocks()
            return driver.driver.cuMemAlloc(bucket)

    def _release_free_blocks(self) -> None:
        driver.driver.cuCtxSynchronize()
        for pointers in self.free.values():
            for pointer in pointers:
                driver.driver.cuMemFree(pointer)
        self.free.clear()


class CudaTarget:
    """One CUDA device, its default stream, and a memory pool."""

    name = "cuda"

    def __init__(self) -> None:
        cuda.set_memory_manager(PooledMemory)
        self.device = cuda.get_current_device()
        self.multiprocessors = self.device.MULTIPROCESSOR_COUNT
        self.parallel_items = 1024 * self.multiprocessors
        self._partials: dict[int, tuple[Array, np.ndarray]] = {}

    def empty(self, length: int, dtype: Any = np.uint64) -> Array:
        return cuda.device_array(max(length, 1), dtype=dtype)

    def zeros(self, length: int, dtype: Any = np.uint64) -> Array:
        array = self.empty(length, dtype)
        cuda.driver.device_memset(array, 0, array.nbytes)
        return array

    def to_device(self, array: np.ndarray) -> Array:
        return cuda.to_device(np.ascontiguousarray(array).reshape(-1))

    def to_host(self, array: Array) -> np.ndarray:
        return array.copy_to_host()

    def synchronise(self) -> None:
        cuda.synchronize()

    def memory_peak(self) -> int | None:
        return PooledMemory.peak

    def map(self, kernel: Kernel, n: int, *args: Any, grain: int = 0) -> None:
        """Queue body(i, *args) for i < n."""
        if n > 0:
            blocks = blocks_for(n, _MAP_THREADS, 32 * self.multiprocessors)
            kernel.cuda[blocks, _MAP_THREADS](n, args)

    def scatter(self, scatter: Scatter, n: int, size: int, *args: Any) -> Array:
        """A table of ``size`` uint64 words into which body(i, ...) has added for every i < n."""
        table = self.zeros(size)
        blocks = blocks_for(n, _MAP_THREADS, 32 * self.multiprocessors)
        scatter.cuda[blocks, _MAP_THREADS](n, table, args)
        return table

    def reduce(self, kernel: Kernel, n: int, *args: Any) -> np.ndarray:
        """Sum of the accumulators over i < n: flat canonical words of ``width`` elements."""
        assert kernel.ring is not None
        words = kernel.width * kernel.ring.limbs
        blocks = blocks_for(n, REDUCTION_THREADS, 8 * self.multiprocessors)
        partial, pinned = self._partial_sums(words)
        kernel.cuda[blocks, REDUCTION_THREADS](n, partial, args)
        partial.copy_to_host(pinned)
        _sum_rows(kernel.ring)(pinned, blocks, kernel.width)
        return pinned[:words].copy()

    def _partial_sums(self, words: int) -> tuple[Array, np.ndarray]:
        if words not in self._partials:
            length = 8 * self.multiprocessors * words
            self._partials[words] = (self.empty(length), cuda.pinned_array(length, np.uint64))
        return self._partials[words]
