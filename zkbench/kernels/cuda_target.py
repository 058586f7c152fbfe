"""The CUDA target: device memory from a pool, and launches that cost a few microseconds.

Numba compiles the kernels; arrays, launches and copies go to the driver directly. A proof launches
hundreds of short kernels, and Numba's own path (a new array object, the types of all arguments found
again, 20 microseconds and more) would take longer than the kernels do.
"""

from __future__ import annotations

import math
from collections import defaultdict
from typing import Any

import numpy as np
from cuda.core import LaunchConfig, launch
from numba import cuda, types
from numba.cuda.cudadrv import driver
from numba.np.numpy_support import from_dtype

from zkbench.errors import UnusableInput
from zkbench.kernels.cuda_shells import REDUCTION_THREADS, blocks_for
from zkbench.kernels.launch import Array, BlockKernel, Kernel, Scatter, _sum_rows, sum_copies

_MAP_THREADS = 256
# Of a table that is added into: additions to one word come one after the other, a nanosecond each, and
# what is added into is often all one word. Copies stay in the cache of a GPU, 50 MB.
_COPIES, _COPIED_WORDS = 32, 1 << 21
_SIGN = 1 << 63  # w ^ 2^63, less 2^63: the word w as a signed integer
WORKSPACE_SHARE = 0.55  # of the memory that is free once a witness is there
_api = driver.driver


class Pool:
    """Device memory that is kept when freed: cudaMalloc costs more than most of our kernels.

    Reuse is safe because everything runs on one stream: a block that Python has let go of is
    written again only by work queued after all of its readers.
    """

    def __init__(self) -> None:
        self._free: dict[int, list[int]] = defaultdict(list)
        self.in_use = 0
        self.peak = 0

    @staticmethod
    def bucket(size: int) -> int:
        """Sizes are rounded up to eighths of a power of two (at least 512 bytes)."""
        step = max(512, 1 << max(0, size.bit_length() - 4))
        return max(512, -(-size // step) * step)

    def take(self, bucket: int) -> int:
        pointer = self._free[bucket].pop() if self._free[bucket] else self._allocate(bucket)
        self.in_use += bucket
        self.peak = max(self.peak, self.in_use)
        return pointer

    def give_back(self, pointer: int, bucket: int) -> None:
        self.in_use -= bucket
        self._free[bucket].append(pointer)

    def _allocate(self, bucket: int) -> int:
        for enough in (bucket, None):
            try:
                return int(_api.cuMemAlloc(bucket))
            except driver.CudaAPIError:
                self._release(enough)
        try:
            return int(_api.cuMemAlloc(bucket))
        except driver.CudaAPIError as error:
            raise UnusableInput(
                f"the GPU has no {bucket / 2**30:.2f} GiB left ({self.in_use / 2**30:.2f} GiB are"
                " in use); use a smaller size or a larger GPU"
            ) from error

    def _release(self, enough: int | None = None) -> None:
        """Return what is free to the driver: all, or the largest blocks until they are ``enough``."""
        _api.cuCtxSynchronize()
        released = 0
        for bucket in sorted(self._free, reverse=True):
            pointers = self._free[bucket]
            while pointers and (enough is None or released < enough):
                _api.cuMemFree(pointers.pop())
                released += bucket


class DeviceArray:
    """A flat array in device memory, and itself as kernel arguments."""

    __slots__ = ("_bucket", "_owner", "_pool", "arguments", "dtype", "pointer", "size")

    def __init__(
        self,
        pointer: int,
        size: int,
        dtype: np.dtype,
        pool: Pool | None,
        bucket: int,
        owner: Any = None,
    ) -> None:
        """Memory from ``pool``, or, if that is None, a part of ``owner``'s or of nobody's."""
        self.pointer, self.size, self.dtype = pointer, size, dtype
        self._pool, self._bucket, self._owner = pool, bucket, owner
        # Numba's layout of an array argument: meminfo, parent, size, item size, data, shape, strides.
        item = dtype.itemsize
        self.arguments = (0, 0, size, item, pointer, size, item)

    @property
    def nbytes(self) -> int:
        return self.size * self.dtype.itemsize

    def __len__(self) -> int:
        return self.size

    def __del__(self) -> None:
        if self._pool is not None:
            self._pool.give_back(self.pointer, self._bucket)


def _kind(value: Any) -> Any:
    """A cheap key for the type of a kernel argument."""
    kind = type(value)
    if kind is DeviceArray:
        return value.dtype.char
    return len(value) if kind is tuple else kind


def _numba_type(value: Any) -> types.Type:
    if isinstance(value, DeviceArray):
        return types.Array(from_dtype(value.dtype), 1, "C")
    if isinstance(value, tuple):
        return types.UniTuple(types.uint64, len(value))
    if isinstance(value, np.uint64):
        return types.uint64
    if isinstance(value, int | np.integer):
        return types.int64
    raise TypeError(f"{type(value).__name__} cannot be a kernel argument")


def _argument_words(values: tuple[Any, ...]) -> list[int]:
    """All arguments, each of 64-bit words, as the signed integers with the same bits.

    The launcher takes Python integers for 64-bit words, and is quicker with them than with ctypes.
    """
    words: list[int] = []
    for value in values:
        kind = type(value)
        if kind is DeviceArray:
            words += value.arguments
        elif kind is int:
            words.append(value)
        elif kind is tuple:
            words += [(int(word) ^ _SIGN) - _SIGN for word in value]
        elif kind is np.uint64:
            words.append((int(value) ^ _SIGN) - _SIGN)
        else:
            words.append(int(value))
    return words


class CudaTarget:
    """One CUDA device and its default stream; ``workspace_bytes``, ``unstored_levels``: CpuTarget."""

    name = "cuda"
    runs_blocks = True
    unstored_levels = 2

    def __init__(self, workspace_bytes: int | None = None) -> None:
        """``workspace_bytes``: half of the memory, if None."""
        self.device = cuda.get_current_device()
        context = cuda.current_context()  # makes the driver's context current in this thread
        self.workspace_bytes = workspace_bytes or context.get_memory_info().total // 2
        self.multiprocessors = self.device.MULTIPROCESSOR_COUNT
        self.parallel_items = 1024 * self.multiprocessors
        self.pool = Pool()
        self._stream = driver._to_core_stream(0)
        self._compiled: dict[Any, Any] = {}
        self._configs: dict[tuple[int, int, int], LaunchConfig] = {}
        self._partials: dict[int, tuple[DeviceArray, np.ndarray]] = {}

    def empty(self, length: int, dtype: Any = np.uint64) -> DeviceArray:
        dtype = np.dtype(dtype)
        bucket = Pool.bucket(length * dtype.itemsize)
        return DeviceArray(self.pool.take(bucket), length, dtype, self.pool, bucket)

    def zeros(self, length: int, dtype: Any = np.uint64) -> DeviceArray:
        array = self.empty(length, dtype)
        if length:
            _api.cuMemsetD8(array.pointer, 0, array.nbytes)
        return array

    def to_device(self, array: Any) -> DeviceArray:
        """An array of the host is copied; one that is on the device (CuPy's) stays where it is."""
        if hasattr(array, "__cuda_array_interface__"):
            return self._adopted(array)
        flat = np.ascontiguousarray(array).reshape(-1)
        copy = self.empty(flat.size, flat.dtype)
        if flat.size:
            _api.cuMemcpyHtoD(copy.pointer, flat.ctypes.data, flat.nbytes)
        return copy

    def _adopted(self, array: Any) -> DeviceArray:
        """Another library's array as ours; both work on the default stream, one after the other."""
        interface = array.__cuda_array_interface__
        if interface.get("strides") is not None:
            raise ValueError("an array of another library must lie in memory without gaps")
        size = math.prod(interface["shape"])
        dtype = np.dtype(interface["typestr"])
        return DeviceArray(interface["data"][0], size, dtype, None, 0, array)

    def to_host(self, array: DeviceArray, length: int | None = None) -> np.ndarray:
        """The first ``length`` entries (all, if None)."""
        host = np.empty(array.size if length is None else length, dtype=array.dtype)
        if host.size:
            _api.cuMemcpyDtoH(host.ctypes.data, array.pointer, host.nbytes)
        return host

    def view(self, array: DeviceArray, start: int, stop: int) -> DeviceArray:
        """Entries start to stop of an array, sharing its memory."""
        pointer = array.pointer + start * array.dtype.itemsize
        return DeviceArray(pointer, stop - start, array.dtype, None, 0, array)

    def synchronise(self) -> None:
        _api.cuCtxSynchronize()

    def memory_peak(self) -> int | None:
        """Bytes of device memory in use at most, since the start or the last reset."""
        return self.pool.peak

    def reset_memory_peak(self) -> None:
        self.pool.peak = self.pool.in_use

    def free_memory(self) -> int:
        """Bytes of device memory that are free once the pool has given back what is unused."""
        self.pool._release()
        return int(cuda.current_context().get_memory_info().free)

    def fit_workspace(self) -> None:
        self.workspace_bytes = int(self.free_memory() * WORKSPACE_SHARE)

    def map(self, kernel: Kernel, n: int, *args: Any, grain: int = 0) -> None:
        """Queue body(i, *args) for i < n."""
        if n > 0:
            blocks = blocks_for(n, _MAP_THREADS, 32 * self.multiprocessors)
            self._launch(kernel, blocks, _MAP_THREADS, (n,), args)

    def scatter(self, scatter: Scatter, n: int, size: int, *args: Any) -> Array:
        """A table of ``size`` uint64 words into which body(i, ...) has added for every i < n."""
        copies = max(1, min(_COPIES, _COPIED_WORDS // size, n // (4 * size)))
        table = self.zeros(copies * size)
        blocks = blocks_for(n, _MAP_THREADS, 32 * self.multiprocessors)
        self._launch(scatter, blocks, _MAP_THREADS, (n, table, size), args)
        if copies > 1:
            self.map(sum_copies, size, table, size, copies)
        return self.view(table, 0, size)

    def reduce(self, kernel: Kernel, n: int, *args: Any) -> np.ndarray:
        """Sum of the accumulators over i < n: flat canonical words of ``width`` elements."""
        assert kernel.ring is not None
        words = kernel.width * kernel.ring.limbs
        blocks = blocks_for(n, REDUCTION_THREADS, 8 * self.multiprocessors)
        partial, host = self._partial_sums(words)
        self._launch(kernel, blocks, REDUCTION_THREADS, (n, partial), args)
        self.synchronise()
        _sum_rows(kernel.ring)(host, blocks, kernel.width)
        return host[:words].copy()

    def launch(self, kernel: BlockKernel, blocks: int, shared_bytes: int, *args: Any) -> None:
        """Queue a kernel over ``blocks`` blocks, each with so much dynamic shared memory."""
        key = (kernel, *map(_kind, args))
        compiled = self._compiled.get(key)
        if compiled is None:
            compiled = self._compiled[key] = self._compile_blocks(kernel, args)
        self._enqueue(compiled, (blocks, kernel.threads, shared_bytes), args)

    def _launch(
        self,
        kernel: Kernel | Scatter,
        blocks: int,
        threads: int,
        leading: tuple[Any, ...],
        args: tuple,
    ) -> None:
        key = (kernel, *map(_kind, args))
        compiled = self._compiled.get(key)
        if compiled is None:
            compiled = self._compiled[key] = self._compile(kernel, leading, args)
        self._enqueue(compiled, (blocks, threads, 0), (*leading, *args))

    def _enqueue(self, compiled: Any, shape: tuple[int, int, int], values: tuple[Any, ...]) -> None:
        """``shape``: blocks, threads of each, bytes of dynamic shared memory of each."""
        config = self._configs.get(shape)
        if config is None:
            blocks, threads, shared = shape
            config = LaunchConfig(grid=blocks, block=threads, shmem_size=shared)
            self._configs[shape] = config
        launch(self._stream, config, compiled, *_argument_words(values))

    def _compile_blocks(self, kernel: BlockKernel, args: tuple) -> Any:
        """Allows as much shared memory as a block may have: 48 KB if nothing is said."""
        function = kernel.cuda.compile(tuple(map(_numba_type, args)))._codelibrary.get_cufunc()
        attribute = driver.binding.CUfunction_attribute
        limit = self.device.MAX_SHARED_MEMORY_PER_BLOCK_OPTIN
        _api.cuKernelSetAttribute(
            attribute.CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES,
            limit,
            function.handle,
            self.device.id,
        )
        return function.kernel

    def _compile(self, kernel: Kernel | Scatter, leading: tuple[Any, ...], args: tuple) -> Any:
        signature = (*map(_numba_type, leading), types.Tuple([_numba_type(a) for a in args]))
        return kernel.cuda.compile(signature)._codelibrary.get_cufunc().kernel

    def _partial_sums(self, words: int) -> tuple[DeviceArray, np.ndarray]:
        """Where blocks leave their sums: host memory that the device writes, so no copy follows."""
        if words not in self._partials:
            length = 8 * self.multiprocessors * words
            mapped = cuda.mapped_array(length, np.uint64)
            pointer = int(mapped.device_ctypes_pointer.value)
            array = DeviceArray(pointer, length, np.dtype(np.uint64), None, 0)
            self._partials[words] = (array, np.asarray(mapped))
        return self._partials[words]
