"""Fixed-point number formats."""

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from zkbench.errors import UnusableInput

# float64 holds every integer of this many bits, so that quantising cannot lose one.
MAX_BITS = 53

REMEDY = "recalibrate with these inputs or leave more headroom (--headroom)"


class QuantisationError(UnusableInput):
    """A value has no representation in the number format that it must be written in."""


@dataclass(frozen=True)
class FixedPoint:
    """The integers q of `bits` bits, each of which stands for the real number q / 2^frac_bits.

    `frac_bits` may be negative, or larger than `bits`.

    >>> FixedPoint(bits=16, frac_bits=14).quantise([0.5, -1.25])
    array([  8192, -20480])
    """

    bits: int
    frac_bits: int
    signed: bool = True

    def __post_init__(self) -> None:
        if not (is_integer(self.bits) and is_integer(self.frac_bits)):
            raise QuantisationError(f"{self!r}: bits and frac_bits must be integers")
        if not 1 <= self.bits <= MAX_BITS:
            raise QuantisationError(f"{self!r}: bits must lie in [1, {MAX_BITS}]")
        if not isinstance(self.signed, bool):
            raise QuantisationError(f"{self!r}: signed must be true or false")

    @property
    def min(self) -> int:
        """The smallest integer of the format."""
        return -(1 << (self.bits - 1)) if self.signed else 0

    @property
    def max(self) -> int:
        """The largest integer of the format."""
        return (1 << (self.bits - self.signed)) - 1

    def quantise(self, x: ArrayLike, name: str = "value") -> NDArray[np.int64]:
        """x * 2^frac_bits, rounded to the nearest integer, halves to even; `name` is for errors.

        Raises `QuantisationError` where x is NaN or infinite, or the integer outside the format.
        """
        x = np.asarray(x, dtype=np.float64)
        if not np.isfinite(x).all():
            raise QuantisationError(f"{name} holds NaN or infinite values")
        with np.errstate(over="ignore", under="ignore"):
            q = np.rint(np.ldexp(x, self.frac_bits))
        outside = (q < self.min) | (q > self.max)
        if outside.any():
            raise QuantisationError(self._out_of_range(x, outside, name))
        integers: NDArray[np.int64] = q.astype(np.int64)
        return integers

    def dequantise(self, q: ArrayLike) -> NDArray[np.float64]:
        """The real numbers q / 2^frac_bits."""
        return np.ldexp(np.asarray(q, dtype=np.float64), -self.frac_bits)

    def contains(self, q: NDArray[Any]) -> bool:
        """Whether all integers of the array q are in the format; an empty array is."""
        return q.size == 0 or bool(q.min() >= self.min and q.max() <= self.max)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    def _out_of_range(self, x: NDArray[np.float64], outside: NDArray[np.bool_], name: str) -> str:
        index = tuple(int(i) for i in np.unravel_index(np.argmax(outside), x.shape))
        at = f" at {list(index)}" if index else ""
        low, high = self.dequantise([self.min, self.max])
        return (
            f"{name}{at} is {x[index]:.6g}, outside [{low:.6g}, {high:.6g}] "
            f"({self.bits} bits, {self.frac_bits} of them fraction bits)"
        )


def largest_fraction_bits(maximum: float, limit: int) -> int | None:
    """The largest f with round(maximum * 2^f) <= limit; None for a maximum of 0, where all fit.

    `maximum` is finite and not negative, `limit` at least 1 and below 2^53.
    """
    if maximum == 0:
        return None
    _, exponent = math.frexp(maximum)
    frac_bits = limit.bit_length() + 1 - exponent
    while round(math.ldexp(maximum, frac_bits)) > limit:
        frac_bits -= 1
    return frac_bits


def is_integer(value: object) -> bool:
    """Whether value is a Python int, and not True or False."""
    return isinstance(value, int) and not isinstance(value, bool)
