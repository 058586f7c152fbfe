"""What a CUDA launch passes, word by word, as the launcher lays it out; it needs no GPU.

Not tested here: that kernels find it there (tests/gpu).
"""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
import pytest

pytest.importorskip("cuda.core")

from cuda.core._kernel_arg_handler import ParamHolder

from zkbench.kernels.cuda_target import DeviceArray, _argument_words

TOP = 2**64 - 5  # a word whose highest bit is set


def passed(*values: Any) -> list[int]:
    """The words that the driver reads."""
    words = _argument_words(values)
    holder = ParamHolder(words)
    places = ctypes.cast(holder.ptr, ctypes.POINTER(ctypes.c_void_p))
    pointers = (ctypes.cast(places[k], ctypes.POINTER(ctypes.c_uint64)) for k in range(len(words)))
    return [pointer[0] for pointer in pointers]


def test_numbers_keep_their_bits():
    signed = [0, 1, -1, -(2**63), 2**63 - 1, np.int64(-7), np.int32(-7), True]
    assert passed(*signed) == [int(value) % 2**64 for value in signed]
    words = [0, 1, 2**63 - 1, 2**63, TOP]
    assert passed(*map(np.uint64, words)) == words
    assert passed(tuple(map(np.uint64, words)), (np.uint64(9),)) == [*words, 9]


def test_arrays_are_passed_as_numba_reads_them():
    """meminfo, parent, size, item size, data, shape, strides."""
    array = DeviceArray(0x7F00_0000_1000, 12, np.dtype(np.int16), None, 0)
    layout = [0, 0, 12, 2, 0x7F00_0000_1000, 12, 2]
    assert passed(5, array, (np.uint64(TOP),), array) == [5, *layout, TOP, *layout]
