"""Cosines and sines of rotary embedding, the same integers on every machine.

Entry (i, j) belongs to the angle i theta^(-j / half), as 2^14 cos and 2^14 sin rounded, halves up.
A library's cos and pow differ in their last bits from machine to machine, which at some entry changes
a rounding; a verifier makes the tables anew, so here all is decimal arithmetic whose every operation
is correctly rounded, and then arithmetic of integers.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal, localcontext
from functools import lru_cache
from typing import Any

import numpy as np

ROTARY_BITS = 14  # fraction bits of a cosine
_BITS = 96  # fraction bits on the way; an entry is off by less than positions 2^-90 before it is rounded
_DIGITS = 50


@dataclass(frozen=True, eq=False)
class RotaryTables:
    """``cos`` and ``sin``: int16 with 14 fraction bits, positions x half of a head's width."""

    cos: np.ndarray
    sin: np.ndarray

    @classmethod
    def of(cls, positions: int, half: int, theta: float = 10000.0) -> RotaryTables:
        """The tables of Su et al. (RoFormer, arXiv 2104.09864, section 3.2.2) for positions 0, 1, ...

        Raises ValueError if theta is below 1.
        """
        if not 1 <= theta < float("inf"):
            raise ValueError(f"the base of rotary angles must be a number from 1 on, not {theta}")
        return _tables(positions, half, theta)


@lru_cache(maxsize=4)
def _tables(positions: int, half: int, theta: float) -> RotaryTables:
    real, imaginary = _turns(np.array(_angles(half, theta), dtype=object))
    reals = np.full((1, half), 1 << _BITS, dtype=object)
    imaginaries = np.full((1, half), 0, dtype=object)
    while len(reals) < positions:  # rows n to 2n - 1 are rows 0 to n - 1 turned by n angles
        more = _multiply(reals, imaginaries, real, imaginary)
        reals, imaginaries = np.vstack((reals, more[0])), np.vstack((imaginaries, more[1]))
        real, imaginary = _multiply(real, imaginary, real, imaginary)
    return RotaryTables(_rounded(reals[:positions]), _rounded(imaginaries[:positions]))


def _angles(half: int, theta: float) -> list[int]:
    """theta^(-j / half) in fixed point; ln and exp are correctly rounded, a power is not."""
    with localcontext(prec=_DIGITS):
        log, scale = Decimal(theta).ln(), Decimal(1 << _BITS)
        return [int((log * -j / half).exp() * scale) for j in range(half)]


def _turns(angles: Any) -> tuple[Any, Any]:
    """cos and sin of angles from 0 to 1, by their series."""
    sums = [0 * angles, 0 * angles]
    term, k = 0 * angles + (1 << _BITS), 0
    while term.any():
        sums[k % 2] = sums[k % 2] + (term if k % 4 < 2 else -term)
        k += 1
        term = (term * angles >> _BITS) // k
    return sums[0], sums[1]


def _multiply(a: Any, b: Any, c: Any, d: Any) -> tuple[Any, Any]:
    """(a + bi)(c + di)."""
    return (a * c - b * d) >> _BITS, (a * d + b * c) >> _BITS


def _rounded(values: Any) -> np.ndarray:
    drop = _BITS - ROTARY_BITS
    rounded: np.ndarray = ((values + (1 << (drop - 1))) >> drop).astype(np.int16)
    return rounded
