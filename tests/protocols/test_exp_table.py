"""The table of exp: its entries, its extension, and where it must be zero."""

from __future__ import annotations

from fractions import Fraction
from math import factorial
from random import Random

import pytest
from definitions import mle, random_elements

from zkbench.fields import GOLDILOCKS as FIELD
from zkbench.protocols.tables import Exp

TABLES = [Exp(), Exp(5, 10), Exp(0, 16), Exp(1, 4, 6), Exp(11, 15)]
EACH_TABLE = pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)


def exp_of_minus(x: Fraction) -> Fraction:
    """To 60 digits, by its series at x / 2^k."""
    k = max(0, x.numerator.bit_length() - x.denominator.bit_length() + 2)
    small = x / 2**k
    value = sum((small**n / factorial(n) for n in range(40)), Fraction(0))
    value = Fraction(round(value * 10**80), 10**80)
    for _ in range(k):
        value = Fraction(round(value * value * 10**80), 10**80)
    return 1 / value


@EACH_TABLE
def test_entries_vs_fractions(table: Exp) -> None:
    places = [0, 1, 2, 3, table.cutoff // 2, table.cutoff - 1, table.cutoff, len(table.values) - 1]
    for j in places:
        exact = exp_of_minus(Fraction(j, 1 << table.log_delta)) * (1 << table.log_scale)
        assert table.values[j] == int(exact + Fraction(1, 2)), j


@EACH_TABLE
def test_entries_never_rise_and_end_in_zero(table: Exp) -> None:
    values = table.values.tolist()
    assert len(values) == 1 << table.bits
    assert values == sorted(values, reverse=True)
    assert values[table.cutoff - 1] > values[table.cutoff] == 0
    assert table.entries.tolist() == values[: table.cutoff + 1]
    assert not any(values[table.mask :])


@pytest.mark.parametrize("table", [Exp(1, 4, 6), Exp(3, 9, 8)], ids=lambda table: table.name)
def test_extension_vs_python_int(table: Exp) -> None:
    point = random_elements(FIELD, Random(1), table.bits)
    expected = mle(table.values.tolist(), (1 << table.bits,), [point])
    assert table.extension(FIELD, point) == expected


def test_steps_too_small_for_the_table() -> None:
    with pytest.raises(ValueError, match=r"steps of 2\^-12 reaches beyond 2\^15: choose larger"):
        Exp(12)
