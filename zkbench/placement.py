"""Where a language model computes: NumPy on the host, or CuPy beside a CUDA target.

The forward pass is integer matrix products and entrywise work on whole tensors, which the vendor's
libraries do; CuPy brings them, and its arrays become the target's without a copy. Two pools share the
device's memory then: each gives back what it does not use before the other needs it.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from zkbench.kernels.launch import Target

Place = Callable[[Any], Any]

_HOST_SHARE = 5  # weights above this part of the device's memory stay on the host
_WORKSPACE_SHARE = 0.55  # of the memory that is free once a witness is there


def cupy_for(target: Target) -> Any:
    """CuPy, where the target is a GPU that it can use too; else None."""
    if target.name != "cuda" or importlib.util.find_spec("cupy") is None:
        return None
    import cupy

    return cupy


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


def fit_workspace(target: Target) -> None:
    """Give back what is unused, and let the prover have a share of what is free now."""
    if cupy_for(target) is not None:
        target.workspace_bytes = int(free_memory(target) * _WORKSPACE_SHARE)


def free_memory(target: Target) -> Any:
    """Bytes of a GPU's memory that are free once both pools have given back what is unused.

    None for a CPU.
    """
    cupy = cupy_for(target)
    if cupy is not None:
        target.synchronise()
        cupy.get_default_memory_pool().free_all_blocks()
    return target.free_memory()
