"""Tables of activation functions: every entry is the nearest integer, whatever a library's last bits."""

from __future__ import annotations

from decimal import ROUND_FLOOR, Decimal, localcontext

import numpy as np
import pytest

from zkbench.protocols import activation_tables
from zkbench.protocols.activation_tables import OFFSET, _entries, _pi, activation_table
from zkbench.protocols.tables import Relu

NAMES = ("silu", "gelu")
FUNCTIONS = {
    "silu": (activation_tables._silu, activation_tables._exact_silu),
    "gelu": (activation_tables._gelu, activation_tables._exact_gelu),
}
IN_DOUBT = {"silu": 13, "gelu": 15}  # fraction bits with which some entry is next to a half


def nearest(value: Decimal) -> int:
    return int((value + Decimal("0.5")).to_integral_value(ROUND_FLOOR))


def alternating_erf(z: Decimal) -> Decimal:
    """2 / sqrt(pi) (z - z^3 / 3 + z^5 / (2! 5) - ...): not the series that the package sums."""
    term, total, n = z, Decimal(0), 0
    while abs(term) > Decimal(10) ** -70:
        total += term / (2 * n + 1)
        n += 1
        term = -term * z * z / n
    return 2 * total / _pi().sqrt()


def exact(name: str, integer: int, frac_bits: int) -> int:
    with localcontext(prec=110):
        x = Decimal(integer) / (1 << frac_bits)
        if name == "silu":
            return nearest(integer / (1 + (-x).exp()))
        return nearest(integer * (1 + alternating_erf(x / Decimal(2).sqrt())) / 2)


@pytest.mark.parametrize("frac_bits", [0, 9, 13])
def test_silu_vs_decimal(frac_bits: int) -> None:
    entries = activation_table("silu", frac_bits).values.tolist()
    for integer in range(-OFFSET, OFFSET, 5):
        assert entries[integer + OFFSET] == exact("silu", integer, frac_bits)


@pytest.mark.parametrize("frac_bits", [0, 8, 12, 15])
def test_gelu_vs_decimal(frac_bits: int) -> None:
    entries = activation_table("gelu", frac_bits).values.tolist()
    furthest = min(OFFSET - 1, 8 << frac_bits)
    for integer in range(-furthest, furthest, max(1, furthest // 300)):
        assert entries[integer + OFFSET] == exact("gelu", integer, frac_bits)
    integers = np.arange(-OFFSET, OFFSET)
    far = np.abs(integers) > 8 << frac_bits
    np.testing.assert_array_equal(np.array(entries)[far], np.maximum(integers, 0)[far])


@pytest.mark.parametrize("name", NAMES)
def test_entries_in_doubt_vs_decimal(name: str) -> None:
    frac_bits, (approximate, _) = IN_DOUBT[name], FUNCTIONS[name]
    integers = np.arange(-OFFSET, OFFSET)
    values = integers * approximate(np.ldexp(integers.astype(float), -frac_bits))
    from_half = np.abs(values - np.floor(values) - 0.5)
    in_doubt = integers[from_half < activation_tables._DOUBT].tolist()
    entries = activation_table(name, frac_bits).values
    assert in_doubt
    for integer in in_doubt:
        assert entries[integer + OFFSET] == exact(name, integer, frac_bits)


def erring(name: str, error: float) -> tuple[int, ...]:
    """The entries that a library gives which is off by ``error``."""
    approximate, decimals = FUNCTIONS[name]
    return _entries(lambda x: approximate(x) + error, decimals, IN_DOUBT[name])


@pytest.mark.parametrize("error", [2.0**-34, -(2.0**-34)])
@pytest.mark.parametrize("name", NAMES)
def test_a_library_that_errs_in_its_last_bits(name: str, error: float) -> None:
    """By 2^18 times what a double can hold: enough to round some entry otherwise."""
    honest = activation_table(name, IN_DOUBT[name]).values.tolist()
    assert list(erring(name, error)) == honest


@pytest.mark.parametrize("name", NAMES)
def test_a_library_that_errs_decides_where_nothing_is_in_doubt(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the entries in doubt are for."""
    monkeypatch.setattr(activation_tables, "_DOUBT", 0.0)
    assert erring(name, 2.0**-24) != erring(name, -(2.0**-24))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("frac_bits", [-1100, -3, 0, 12, 46, 1100])
def test_scales_of_any_size_give_entries_of_16_bits(name: str, frac_bits: int) -> None:
    entries = activation_table(name, frac_bits).values
    integers = np.arange(-OFFSET, OFFSET)
    assert (entries <= np.maximum(integers, 0)).all()
    assert (entries >= np.minimum(integers, 0)).all()
    assert entries[OFFSET] == 0


def test_relu_is_its_own_table() -> None:
    assert activation_table("relu", 3) == Relu(16)


def test_pi() -> None:
    assert str(_pi()).startswith("3.14159265358979323846264338327950288419716939937510582097494")
