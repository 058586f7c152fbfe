"""Targets: where arrays live and how a kernel body runs over them. Only this module names them.

A *map* runs ``body(i, *args)`` for every i below n. A *reduction* runs
``accumulator = body(i, accumulator, *args)`` and returns the sum of the accumulators, ``width``
elements of the field. On a CPU the index range is split over threads that release the GIL; on CUDA
each thread strides over the range and a block sums its accumulators in shared memory. Field sums
are exact and results canonical, so both targets return the same words however the range is split.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache, cached_property
from typing import Any

import numba
import numpy as np
import psutil

from zkbench.errors import UnusableInput
from zkbench.fields.field import Arithmetic
from zkbench.jit import device

Array = Any  # a flat array of the target: numpy.ndarray or a CUDA device array

_SMALL = 1 << 11  # fewer items than this are not worth a thread of their own


@cache
def accumulator(ring: Arithmetic, width: int) -> tuple[Any, Any, Any]:
    """(zero, merge, store) for ``width`` elements at once, as nested tuples."""
    zero, add, store = ring.zero, ring.add, ring.store
    if width == 1:

        @device(f"accumulator.{ring.name}.1.zero")
        def zeros():
            return (zero(),)

        @device(f"accumulator.{ring.name}.1.merge")
        def merge(a, b):
            return (add(a[0], b[0]),)

        @device(f"accumulator.{ring.name}.1.store")
        def write(array, slot, a):
            store(array, slot, a[0])

    elif width == 2:

        @device(f"accumulator.{ring.name}.2.zero")
        def zeros():
            return zero(), zero()

        @device(f"accumulator.{ring.name}.2.merge")
        def merge(a, b):
            return add(a[0], b[0]), add(a[1], b[1])

        @device(f"accumulator.{ring.name}.2.store")
        def write(array, slot, a):
            store(array, 2 * slot, a[0])
            store(array, 2 * slot + 1, a[1])

    else:

        @device(f"accumulator.{ring.name}.3.zero")
        def zeros():
            return zero(), zero(), zero()

        @device(f"accumulator.{ring.name}.3.merge")
        def merge(a, b):
            return add(a[0], b[0]), add(a[1], b[1]), add(a[2], b[2])

        @device(f"accumulator.{ring.name}.3.store")
        def write(array, slot, a):
            store(array, 3 * slot, a[0])
            store(array, 3 * slot + 1, a[1])
            store(array, 3 * slot + 2, a[2])

    return zeros, merge, write


@cache
def _sum_rows(ring: Arithmetic) -> Any:
    """CPU function: sum the rows of a (rows x width elements) table into its first row."""
    add, load, store = ring.add, ring.load, ring.store

    @numba.njit(nogil=True, cache=True, _nrt=False)
    def sum_rows(table, rows, width):
        for column in range(width):
            total = load(table, column)
            for row in range(1, rows):
                total = add(total, load(table, row * width + column))
            store(table, column, total)

    return sum_rows


class Kernel:
    """One body and its compiled form for each target; ``width`` > 0 makes it a reduction.

    cuda_body: where neighbouring items of a GPU work together, a function that makes its body there.
    """

    registry: dict[str, Kernel] = {}

    def __init__(
        self,
        name: str,
        body: Any,
        ring: Arithmetic | None = None,
        width: int = 0,
        cuda_body: Callable[[], Any] | None = None,
    ) -> None:
        self.name, self.body, self.ring, self.width = name, body, ring, width
        self.cuda_body = cuda_body
        Kernel.registry[name] = self

    @cached_property
    def cpu(self) -> Any:
        return self._cpu_reduction() if self.width else self._cpu_map()

    def _cpu_map(self) -> Any:
        body = self.body

        @numba.njit(nogil=True, cache=True, _nrt=False)
        def cpu_map(start, stop, *args):
            for i in range(start, stop):
                body(i, *args)

        return cpu_map

    def _cpu_reduction(self) -> Any:
        assert self.ring is not None
        body = self.body
        zeros, _, write = accumulator(self.ring, self.width)

        @numba.njit(nogil=True, cache=True, _nrt=False)
        def cpu_reduction(start, stop, slot, partial, *args):
            total = zeros()
            for i in range(start, stop):
                total = body(i, total, *args)
            write(partial, slot, total)

        return cpu_reduction

    @cached_property
    def cuda_source(self) -> Callable:
        """The Python source of the CUDA kernel: (n, args) or (n, partial, args)."""
        from zkbench.kernels import cuda_shells

        if self.width:
            assert self.ring is not None
            return cuda_shells.reduction(self.body, self.ring, self.width)
        return cuda_shells.map_over(self.cuda_body() if self.cuda_body else self.body)

    @cached_property
    def cuda(self) -> Any:
        from numba import cuda

        return cuda.jit(cache=True)(self.cuda_source)


def kernel(
    name: str, ring: Arithmetic | None = None, width: int = 0
) -> Callable[[Callable], Kernel]:
    """Decorator: a function of (i, *args), or (i, accumulator, *args), becomes a Kernel."""

    def decorate(function: Callable) -> Kernel:
        return Kernel(name, device(f"kernel.{name}")(function), ring, width)

    return decorate


class BlockKernel:
    """A CUDA kernel that cooperates in blocks of its own shape; it has no CPU form.

    ``source`` is its Python source. ``threads`` make a block, ``blocks`` of which are to fit a
    multiprocessor. Its dynamic shared memory is the launch's to choose.
    """

    registry: dict[str, BlockKernel] = {}

    def __init__(self, name: str, source: Callable, threads: int, blocks: int = 1) -> None:
        self.name, self.cuda_source, self.threads, self.blocks = name, source, threads, blocks
        BlockKernel.registry[name] = self

    @cached_property
    def cuda(self) -> Any:
        from numba import cuda

        bounds = (self.threads, self.blocks)  # not in the key of the cache: the source names them
        return cuda.jit(cache=True, launch_bounds=bounds)(self.cuda_source)


@device("scatter.add.cpu")
def _plain_add(table, index, value):
    table[index] += value


class Scatter:
    """A body that adds integers into a table: ``make_body(add)`` gives body(i, table, base, *args).

    The two targets differ in how they add: each CPU thread into its own copy of the table; CUDA
    atomically, each block into one of some copies.
    """

    registry: dict[str, Scatter] = {}

    def __init__(self, name: str, make_body: Callable[[Any], Any]) -> None:
        self.name, self.make_body = name, make_body
        Scatter.registry[name] = self

    @cached_property
    def cpu(self) -> Any:
        body = self.make_body(_plain_add)

        @numba.njit(nogil=True, cache=True, _nrt=False)
        def cpu_scatter(start, stop, table, base, *args):
            for i in range(start, stop):
                body(i, table, base, *args)

        return cpu_scatter

    @cached_property
    def cuda_source(self) -> Callable:
        from zkbench.kernels import cuda_shells

        return cuda_shells.scatter_over(self.make_body(cuda_shells.atomic_add))

    @cached_property
    def cuda(self) -> Any:
        from numba import cuda

        return cuda.jit(cache=True)(self.cuda_source)


@kernel("scatter.sum_copies")
def sum_copies(i, table, size, copies):
    """Word i of the first of some copies of a table becomes the sum of all."""
    total = table[i]
    for copy in range(1, copies):
        total += table[copy * size + i]
    table[i] = total


class CpuTarget:
    """NumPy arrays and threads.

    ``workspace_bytes``: what a prover may use beside its inputs, if it has a choice;
    ``unstored_levels``: of a tree of fractions, where memory is no matter (protocols/gkr.py).
    """

    name = "cpu"
    runs_blocks = False  # has ``launch``, for kernels that cooperate in blocks
    unstored_levels = 1

    def __init__(self, threads: int | None = None, workspace_bytes: int | None = None) -> None:
        """``workspace_bytes``: a quarter of the memory, if None."""
        self.threads = threads or len(os.sched_getaffinity(0))
        self.workspace_bytes = workspace_bytes or psutil.virtual_memory().total // 4
        self.parallel_items = self.threads  # so many items of a map occupy the whole target
        self._pool = ThreadPoolExecutor(self.threads) if self.threads > 1 else None

    def empty(self, length: int, dtype: Any = np.uint64) -> Array:
        return np.empty(length, dtype=dtype)

    def zeros(self, length: int, dtype: Any = np.uint64) -> Array:
        return np.zeros(length, dtype=dtype)

    def to_device(self, array: np.ndarray) -> Array:
        return np.ascontiguousarray(array).reshape(-1)

    def to_host(self, array: Array, length: int | None = None) -> np.ndarray:
        """The first ``length`` entries (all, if None); may share memory with the array."""
        return array[:length]

    def view(self, array: Array, start: int, stop: int) -> Array:
        """Entries start to stop of an array, sharing its memory."""
        return array[start:stop]

    def synchronise(self) -> None:
        """Nothing is asynchronous here."""

    def memory_peak(self) -> int | None:
        return None

    def reset_memory_peak(self) -> None:
        """The host's memory is measured elsewhere."""

    def free_memory(self) -> int | None:
        return None

    def fit_workspace(self) -> None:
        """Choose ``workspace_bytes`` anew by what is free: a GPU's memory also holds all tensors."""

    def _split(self, n: int, grain: int) -> list[tuple[int, int]]:
        """At most one range a thread, none of fewer than ``grain`` items."""
        parts = 1 if self._pool is None else max(1, min(self.threads, n // grain))
        bounds = [n * part // parts for part in range(parts + 1)]
        return list(zip(bounds[:-1], bounds[1:], strict=True))

    def map(self, kernel: Kernel, n: int, *args: Any, grain: int = _SMALL) -> None:
        """Run body(i, *args) for i < n; ranges below ``grain`` items stay on one thread."""
        self._run([(kernel.cpu, start, stop, *args) for start, stop in self._split(n, grain)])

    def scatter(self, scatter: Scatter, n: int, size: int, *args: Any) -> Array:
        """A table of ``size`` uint64 words into which body(i, ...) has added for every i < n."""
        ranges = self._split(n, size)
        table = np.zeros(len(ranges) * size, dtype=np.uint64)
        jobs = [
            (scatter.cpu, start, stop, table, slot * size, *args)
            for slot, (start, stop) in enumerate(ranges)
        ]
        self._run(jobs)
        if len(ranges) > 1:
            self.map(sum_copies, size, table, size, len(ranges))
        return table[:size]

    def _run(self, jobs: list[tuple[Any, ...]]) -> None:
        """Call every (function, *args), in parallel if there is more than one."""
        if len(jobs) == 1 or self._pool is None:
            for function, *args in jobs:
                function(*args)
            return
        for job in [self._pool.submit(*job) for job in jobs]:
            job.result()

    def reduce(self, kernel: Kernel, n: int, *args: Any) -> np.ndarray:
        """Sum of the accumulators over i < n: flat canonical words of ``width`` elements."""
        assert kernel.ring is not None
        ranges = self._split(n, _SMALL)
        words = kernel.width * kernel.ring.limbs
        partial = np.empty(len(ranges) * words, dtype=np.uint64)
        self._run(
            [
                (kernel.cpu, start, stop, slot, partial, *args)
                for slot, (start, stop) in enumerate(ranges)
            ]
        )
        _sum_rows(kernel.ring)(partial, len(ranges), kernel.width)
        return partial[:words]


Target = Any  # CpuTarget or cuda_target.CudaTarget: the same methods


@cache
def cpu_target() -> CpuTarget:
    return CpuTarget()


def cuda_available() -> bool:
    """Whether a CUDA GPU can be used by this process."""
    try:
        from numba import cuda

        return bool(cuda.is_available())
    except Exception:  # a broken driver raises many kinds; all mean "no"
        return False


def target_of(array: Any) -> Target:
    """The target that an array lies on: NumPy's, or that of a library for GPUs."""
    return target("cuda" if hasattr(array, "__cuda_array_interface__") else "cpu")


@cache
def target(name: str) -> Target:
    """The target called ``name``: "cpu", "cuda", or "auto" (a GPU if there is one)."""
    if name == "auto":
        name = "cuda" if cuda_available() else "cpu"
    if name == "cpu":
        return cpu_target()
    if name != "cuda":
        raise UnusableInput(f"unknown target {name!r}: choose cpu, cuda or auto")
    if not cuda_available():
        raise UnusableInput(
            "target cuda needs an NVIDIA GPU and numba-cuda, and none was found; use --target cpu"
        )
    from zkbench.kernels.cuda_target import CudaTarget

    return CudaTarget()
