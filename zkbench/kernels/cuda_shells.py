"""CUDA kernels around a body: a grid-stride map, and a reduction with a block sum in shared memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba import cuda, uint64

from zkbench.fields.field import Arithmetic
from zkbench.jit import device

REDUCTION_THREADS = 128


def map_over(body: Any) -> Callable:
    """Kernel (n, args): body(i, *args) for every i < n."""

    def cuda_map(n, args):
        i = cuda.grid(1)
        stride = cuda.gridsize(1)
        while i < n:
            body(i, *args)
            i += stride

    return cuda_map


@device("scatter.add.cuda")
def atomic_add(table, index, value):
    cuda.atomic.add(table, index, value)


def scatter_over(body: Any) -> Callable:
    """Kernel (n, table, size, args): body(i, table, base, *args) for every i < n.

    ``table`` holds copies of ``size`` words, which blocks take in turn: base is where one's starts.
    """

    def cuda_scatter(n, table, size, args):
        base = (cuda.blockIdx.x % (table.size // size)) * size
        i = cuda.grid(1)
        stride = cuda.gridsize(1)
        while i < n:
            body(i, table, base, *args)
            i += stride

    return cuda_scatter


def reduction(body: Any, ring: Arithmetic, width: int) -> Callable:
    """Kernel (n, partial, args): each block writes the sum of its accumulators to its own slot."""
    from zkbench.kernels.launch import accumulator

    zeros, merge, write = accumulator(ring, width)
    read = _reader(ring, width)
    shared_words = REDUCTION_THREADS * width * ring.limbs

    def cuda_reduction(n, partial, args):
        # 16: elements of two words are loaded and stored in one access.
        shared = cuda.shared.array(shared_words, uint64, alignment=16)
        total = zeros()
        i = cuda.grid(1)
        stride = cuda.gridsize(1)
        while i < n:
            total = body(i, total, *args)
            i += stride
        thread = cuda.threadIdx.x
        write(shared, thread, total)
        cuda.syncthreads()
        half = REDUCTION_THREADS // 2
        while half > 0:
            if thread < half:
                write(shared, thread, merge(read(shared, thread), read(shared, thread + half)))
            cuda.syncthreads()
            half //= 2
        if thread == 0:
            write(partial, cuda.blockIdx.x, read(shared, 0))

    return cuda_reduction


def _reader(ring: Arithmetic, width: int) -> Any:
    """(array, slot) -> the accumulator that ``write`` stored there."""
    load = ring.load
    if width == 1:

        @device(f"accumulator.{ring.name}.1.read")
        def read(array, slot):
            return (load(array, slot),)

    elif width == 2:

        @device(f"accumulator.{ring.name}.2.read")
        def read(array, slot):
            return load(array, 2 * slot), load(array, 2 * slot + 1)

    else:

        @device(f"accumulator.{ring.name}.3.read")
        def read(array, slot):
            return load(array, 3 * slot), load(array, 3 * slot + 1), load(array, 3 * slot + 2)

    return read


def blocks_for(items: int, threads: int, limit: int) -> int:
    """How many blocks of ``threads`` cover ``items``, at most ``limit``."""
    return max(1, min(limit, -(-items // threads)))
