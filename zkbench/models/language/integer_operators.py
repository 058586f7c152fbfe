"""The operators of the integer model that work on rows: linear layers, norms, rotations.

All of them are exact, and none wraps: a value that leaves its range raises a `QuantisationError`
that names it. Arrays may live wherever NumPy's functions dispatch to (CuPy on a GPU).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zkbench.models.language.formats import (
    ACCUMULATOR_BITS,
    INVERSE_BITS,
    NORM_SHIFT,
    RESIDUAL_BITS,
    VALUE_BITS,
)
from zkbench.protocols.rotary_tables import ROTARY_BITS
from zkbench.quant.formats import QuantisationError
from zkbench.quant.linear import rescale

Int16s = NDArray[np.int16]
UInt16s = NDArray[np.uint16]
Int32s = NDArray[np.int32]
Int64s = NDArray[np.int64]

SUM_OF_SQUARES_BITS = 62  # ss < 2^62
_WIDEN = "recalibrate or widen"


def integer_product(x: NDArray[np.integer], weight: NDArray[np.integer]) -> Int64s:
    """x @ weight, through float64 products, which the vendor's library computes fastest.

    Exact where the absolute values of each sum's terms add up to at most 2^53: always for int16
    with up to 2^23 terms.
    """
    return np.matmul(x.astype(np.float64), weight.astype(np.float64)).astype(np.int64)


def accumulate(x: Int16s, weight: Int16s, bias: Int64s | None) -> Int64s:
    """acc = x W + b, below 2^46 for every model that loads."""
    accumulators = integer_product(x, weight)
    return accumulators if bias is None else accumulators + bias


def rescaled(accumulators: Int64s, shift: int, name: str) -> tuple[Int16s, UInt16s]:
    """y of rescale(acc, shift) as int16, and the remainders.

    name: such as "q of layer 3", for the error.
    """
    quotients, remainders = rescale(accumulators, shift)
    return checked_int16(quotients, name), remainders


def checked_int16(values: Int64s, name: str) -> Int16s:
    """The values as int16."""
    check_bits(values, VALUE_BITS, name)
    return values.astype(np.int16)


def check_bits(values: Int64s, bits: int, name: str) -> None:
    """Raises `QuantisationError` unless all values are signed integers of that many bits."""
    low, high = int(values.min()), int(values.max())
    limit = 1 << (bits - 1)
    if low < -limit or high >= limit:
        worst = low if -low > high else high
        raise QuantisationError(f"{name} reaches {worst} and exceeds {bits} bits; {_WIDEN}")


def check_accumulators(accumulators: Int64s, name: str) -> None:
    check_bits(accumulators, ACCUMULATOR_BITS, f"accumulator of {name}")


def check_residual(x: Int64s, name: str) -> None:
    check_bits(x, RESIDUAL_BITS, f"residual stream before {name}")


@dataclass(frozen=True, eq=False)
class NormTrace:
    """What a norm computes of each row.

    ss = sum_j x_j^2 + epsilon, below 2^62 (rows); sq = floor(sqrt(ss)), below 2^31; r = floor(2^31
    / sq); y = rescale(x_j r, 16), int16 (rows x D), and what it leaves as remainders.
    """

    y: Int16s
    remainders: UInt16s
    ss: Int64s
    sq: Int32s
    r: Int32s


def normalise(x: Int64s, epsilon: int, name: str) -> NormTrace:
    """The rows of x (rows x D) over their length, with 15 fraction bits."""
    check_residual(x, name)
    sums = sum_of_squares(x, epsilon, name)
    roots = integer_sqrt(sums)
    inverses = (1 << INVERSE_BITS) // roots
    y, remainders = rescaled(x * inverses[:, None], NORM_SHIFT, name)
    return NormTrace(y, remainders, sums, roots.astype(np.int32), inverses.astype(np.int32))


def sum_of_squares(x: Int64s, epsilon: int, name: str) -> Int64s:
    """sum_j x_j^2 + epsilon; raises `QuantisationError` from 2^62 on."""
    approximate = np.square(x.astype(np.float64)).sum(axis=-1)
    if float(approximate.max()) + epsilon >= 1 << SUM_OF_SQUARES_BITS:
        raise QuantisationError(f"sum of squares of {name} exceeds 62 bits; {_WIDEN}")
    sums: Int64s = np.square(x).sum(axis=-1) + epsilon
    return sums


def integer_sqrt(values: Int64s) -> Int64s:
    """floor(sqrt(values)) for values in [0, 2^62]: float64's root is off by one at most."""
    roots: Int64s = np.sqrt(values.astype(np.float64)).astype(np.int64)
    roots = roots - (roots * roots > values)
    return roots + ((roots + 1) * (roots + 1) <= values)


def rotate_heads(x: Int16s, cos: Int16s, sin: Int16s, name: str) -> tuple[Int16s, UInt16s]:
    """rescaled of the turned heads, S x heads x d; entries j and j + d/2 turn together."""
    half = x.shape[-1] // 2
    a, b = x[..., :half].astype(np.int64), x[..., half:].astype(np.int64)
    c, s = cos[:, None, :].astype(np.int64), sin[:, None, :].astype(np.int64)
    turned = np.concatenate((a * c - b * s, b * c + a * s), axis=-1)
    return rescaled(turned, ROTARY_BITS, name)
