"""Where a language model computes: NumPy on the host, or CuPy beside a CUDA target.

The forward pass is integer matrix products and entrywise work on whole tensors, which the vendor's
libraries do; CuPy brings them, its arrays become the target's without a copy, and its memory comes from
the target's pool: so what one has freed the other takes, and the pool's peak is that of both.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import numpy as np

from zkbench.kernels.launch import Target

Place = Callable[[Any], Any]

_HOST_SHARE = 5  # weights above this part of the device's memory stay on the host
_PAGE = 1 << 21  # device memory comes in pages of this size


def cupy_for(target: Target) -> Any:
    """CuPy, where the target is a GPU that it can use too; else None."""
    if target.name != "cuda" or importlib.util.find_spec("cupy") is None:
        return None
    return _cupy_with(target.pool)


@cache
def _cupy_with(pool: Any) -> Any:
    """CuPy with arrays in that pool from now on."""
    import cupy

    memory = _Memory(pool)
    cupy.cuda.set_allocator(cupy.cuda.PythonFunctionAllocator(memory.take, memory.give_back).malloc)
    return cupy


class _Memory:
    """A target's pool as CuPy asks for memory: what is given back is named by its address alone."""

    def __init__(self, pool: Any) -> None:
        self._pool = pool
        self._buckets: dict[int, int] = {}

    def take(self, size: int, device: int) -> int:
        # Large arrays are few, and as large as a witness: they are not rounded up by an eighth.
        bucket = -(-size // _PAGE) * _PAGE if size >= 32 * _PAGE else self._pool.bucket(size)
        pointer: int = self._pool.take(bucket)
        self._buckets[pointer] = bucket
        return pointer

    def give_back(self, pointer: int, device: int) -> None:
        self._pool.give_back(pointer, self._buckets.pop(pointer))


def place_on(target: Target) -> Place:
    """What brings a NumPy array to where the model computes."""
    cupy = cupy_for(target)
    return np.asarray if cupy is None else cupy.asarray


def weights_stay_on_host(target: Target, num_bytes: int) -> bool:
    """Whether weights of this size would leave too little of the device for a proof."""
    cupy = cupy_for(target)
    if cupy is None:
        return False
    _, total = cupy.cuda.runtime.memGetInfo()
    return bool(num_bytes * _HOST_SHARE > total)


def pin(target: Target, arrays: Mapping[str, np.ndarray]) -> None:
    """Lock host arrays in memory: the device then reads them several times faster."""
    cupy = cupy_for(target)
    if cupy is not None:
        for array in arrays.values():
            cupy.cuda.runtime.hostRegister(array.ctypes.data, array.nbytes, 0)


def unpin(target: Target, arrays: Mapping[str, np.ndarray]) -> None:
    """Undo ``pin``."""
    cupy = cupy_for(target)
    if cupy is not None:
        for array in arrays.values():
            cupy.cuda.runtime.hostUnregister(array.ctypes.data)
