"""What a warp makes of its lanes' integers: each lane gets the sum, the least or the most of all."""

from __future__ import annotations

from numba import cuda

from zkbench.jit import device

_ALL = 0xFFFFFFFF


@device("softmax.total.warp")
def total(value):
    for log_distance in range(5):
        value += cuda.shfl_xor_sync(_ALL, value, 1 << log_distance)
    return value


@device("softmax.least.warp")
def least(value):
    for log_distance in range(5):
        value = min(value, cuda.shfl_xor_sync(_ALL, value, 1 << log_distance))
    return value


@device("softmax.most.warp")
def most(value):
    for log_distance in range(5):
        value = max(value, cuda.shfl_xor_sync(_ALL, value, 1 << log_distance))
    return value
