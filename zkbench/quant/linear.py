"""The integer linear layer: exact accumulators, and the rescaling of them."""

import numpy as np
from numpy.typing import NDArray

# Sums of integers are exact in float64, in any order of addition, while they stay within this.
FLOAT64_EXACT = 1 << 53

_INT16_PRODUCT = 1 << 30  # the largest |product| of two int16 values


def exact_product(x: NDArray[np.int16], weight: NDArray[np.int16]) -> NDArray[np.int64]:
    """x @ weight over the integers: (batch, d_in) times (d_in, d_out) gives (batch, d_out).

    In float64 (BLAS, some ten times faster) where no sum can leave its exact integers, else in
    int64, which holds every sum with d_in below 2^33.
    """
    if x.shape[1] * _INT16_PRODUCT <= FLOAT64_EXACT:
        return (x.astype(np.float64) @ weight.astype(np.float64)).astype(np.int64)
    return x.astype(np.int64) @ weight.astype(np.int64)


def rescale(
    accumulators: NDArray[np.int64], shift: int
) -> tuple[NDArray[np.int64], NDArray[np.uint16]]:
    """Quotients y and remainders r with acc + 2^(shift-1) = 2^shift * y + r, 0 <= r < 2^shift.

    y is acc / 2^shift rounded to the nearest integer, halves up. 1 <= shift <= 16, and the
    accumulators lie below 2^62 in absolute value.
    """
    shifted = accumulators + (1 << (shift - 1))
    remainders = (shifted & ((1 << shift) - 1)).astype(np.uint16)
    return shifted >> shift, remainders
