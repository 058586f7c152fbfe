"""Activation functions on signed 16-bit integers, as tables that are the same on every machine.

Entry v + 2^15 of SiLU or GELU is 2^f a(v 2^-f), rounded to the nearest integer. A library's exp and erf
differ in their last bits from machine to machine, which at some entry changes a rounding; a verifier
makes the tables anew. So floating point decides only where it is far from a half, by more than any
library errs; the few other entries are computed in decimal arithmetic, in which exp, ln and sqrt are
correctly rounded. None of the functions exceeds its argument, so entries have 16 bits, too.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from decimal import ROUND_FLOOR, Decimal, localcontext
from functools import cache

import numpy as np
from numpy.typing import NDArray

from zkbench.protocols.tables import FunctionTable, Relu, Table

BITS = 16
OFFSET = 1 << (BITS - 1)

# Of an entry: values are below 2^15, and 53 bits leave them 2^-37. So 2^21 times that is far.
_DOUBT = 2.0**-16
_DIGITS = 60

Floats = NDArray[np.float64]


@cache
def activation_table(name: str, frac_bits: int) -> Table:
    """ "relu", "silu" or "gelu", with so many fraction bits before and after."""
    if name == "relu":
        return Relu(BITS)
    approximate, exact = {"silu": (_silu, _exact_silu), "gelu": (_gelu, _exact_gelu)}[name]
    return FunctionTable(name, _entries(approximate, exact, frac_bits), OFFSET)


def _entries(
    approximate: Callable[[Floats], Floats], exact: Callable[[Decimal], Decimal], frac_bits: int
) -> tuple[int, ...]:
    """``approximate`` and ``exact``: a(x) / x."""
    integers = np.arange(-OFFSET, OFFSET)
    with np.errstate(over="ignore", under="ignore"):
        values = integers * approximate(np.ldexp(integers.astype(np.float64), -frac_bits))
    entries = np.floor(values + 0.5).astype(np.int64)
    for place in np.flatnonzero(np.abs(values - np.floor(values) - 0.5) < _DOUBT).tolist():
        entries[place] = _rounded(exact, place - OFFSET, frac_bits)
    return tuple(entries.tolist())


def _rounded(exact: Callable[[Decimal], Decimal], integer: int, frac_bits: int) -> int:
    with localcontext(prec=_DIGITS):
        value = integer * exact(Decimal(integer) * Decimal(2) ** -frac_bits)
        return int((value + Decimal("0.5")).to_integral_value(ROUND_FLOOR))


def _silu(x: Floats) -> Floats:
    """1 / (1 + exp(-x)), which this never overflows for."""
    return 0.5 * (1 + np.tanh(0.5 * x))


def _exact_silu(x: Decimal) -> Decimal:
    return 1 / (1 + (-x).exp())


def _gelu(x: Floats) -> Floats:
    """The normal distribution function."""
    return 0.5 * (1 + _erf(x / math.sqrt(2)))


_erf = np.vectorize(math.erf, otypes=[np.float64])


def _exact_gelu(x: Decimal) -> Decimal:
    """1/2 + phi(x) (x + x^3 / 3 + x^5 / (3 5) + ...), for |x| below 10.

    Further out an entry is far closer than ``_DOUBT`` to an integer, and so far from a half.
    """
    term, total, k = x, Decimal(0), 1
    while abs(term) > Decimal(10) ** -_DIGITS:
        total, k = total + term, k + 2
        term = term * x * x / k
    return Decimal("0.5") + total * (-x * x / 2).exp() / (2 * _pi()).sqrt()


@cache
def _pi() -> Decimal:
    """Machin's 16 arctan(1/5) - 4 arctan(1/239)."""
    with localcontext(prec=_DIGITS + 5):
        return 16 * _arctan_of_inverse(5) - 4 * _arctan_of_inverse(239)


def _arctan_of_inverse(n: int) -> Decimal:
    power, total, k = Decimal(1) / n, Decimal(0), 1
    while power > Decimal(10) ** -(_DIGITS + 5):
        total += power / (k if k % 4 == 1 else -k)
        power, k = power / (n * n), k + 2
    return total
