"""The first rounds of a product sumcheck over two tables of small integers, none of them stored.

A table is rows x cols integers of magnitude at most 2^16. With k variables bound, an entry of the
folded table is the sum of 2^k = ``span`` neighbours, each times its weight eq(bound, .): one or two
bytes a neighbour, and no table of E, until one of a 2^k-th of the length is stored. Rounds are as in
kernels/sumcheck.py, and give the same words: missing neighbours count as zero.
"""

from __future__ import annotations

from functools import cache
from types import SimpleNamespace
from typing import Any

import numpy as np

from zkbench.fields import Field
from zkbench.fields.field import Arithmetic
from zkbench.jit import device
from zkbench.kernels.launch import kernel
from zkbench.kernels.sumcheck import pair_functions, weight_function


@device("integer_products.pair")
def _pair(table, start, column, cols):
    """An entry, and by how much the next one is larger."""
    first = np.int64(table[start + column])
    if column + 1 < cols:
        return first, np.int64(table[start + column + 1]) - first
    return first, -first


@cache
def kernels(field: Field) -> SimpleNamespace:
    """``bind`` stores a table; ``first``, ``later`` and ``last`` are rounds, ``last`` also stores."""
    later, last = _bound_rounds(field)
    return SimpleNamespace(bind=_bind(field), first=_first_round(field), later=later, last=last)


@cache
def _bound_entry(ring: Arithmetic) -> Any:
    load, zero, mac, reduce = ring.load, ring.mac_zero, ring.mac, ring.mac_reduce

    @device(f"integer_products.entry.{ring.name}")
    def entry(table, start, column, eq, span, cols):
        """Of the folded row that starts at ``start``; zero beyond its end."""
        first = column * span
        total = zero()
        for k in range(min(span, cols - first)):
            total = mac(total, load(eq, k), table[start + first + k])
        return reduce(total)

    return entry


def _bind(field: Field) -> Any:
    entry, store = _bound_entry(field.ext), field.ext.store

    @kernel(f"integer_products.bind.{field.name}")
    def bind(i, table, out, eq, span, cols, length):
        """rows x ``length`` elements of E from rows x ``cols`` integers."""
        row = i // length
        store(out, i, entry(table, row * cols, i - row * length, eq, span, cols))

    return bind


def _first_round(field: Field) -> Any:
    ring, from_int = field.ext, field.base.from_int
    add, mul_base = ring.add, ring.mul_base
    weight = weight_function(ring)

    @kernel(f"integer_products.first.{field.name}", ring, 2)
    def first(i, acc, a, b, cols, half, outer, num_high, suffix, base, shift):
        """Products of two integers are integers: of 32 bits, or 34 where they are differences."""
        row = i // half
        j = i - row * half
        w = weight(row, j, outer, num_high, suffix, base, shift)
        a0, da = _pair(a, row * cols, 2 * j, cols)
        b0, db = _pair(b, row * cols, 2 * j, cols)
        at_zero, lead = mul_base(w, from_int(a0 * b0)), mul_base(w, from_int(da * db))
        return add(acc[0], at_zero), add(acc[1], lead)

    return first


def _bound_rounds(field: Field) -> tuple[Any, Any]:
    ring = field.ext
    store, entry, weight = ring.store, _bound_entry(ring), weight_function(ring)
    add_terms = pair_functions(ring).sum2

    @device(f"integer_products.bound_pair.{ring.name}")
    def bound_pair(table, start, j, eq, span, cols):
        return (
            entry(table, start, 2 * j, eq, span, cols),
            entry(table, start, 2 * j + 1, eq, span, cols),
        )

    @device(f"integer_products.store_pair.{ring.name}")
    def store_pair(out, row, j, length, values):
        store(out, row * length + 2 * j, values[0])
        if 2 * j + 1 < length:
            store(out, row * length + 2 * j + 1, values[1])

    @kernel(f"integer_products.later.{field.name}", ring, 2)
    def later(i, acc, a, b, eq, span, cols, half, outer, num_high, suffix, base, shift):
        row = i // half
        j = i - row * half
        w = weight(row, j, outer, num_high, suffix, base, shift)
        pair_a = bound_pair(a, row * cols, j, eq, span, cols)
        return add_terms(acc, w, pair_a, bound_pair(b, row * cols, j, eq, span, cols))

    @kernel(f"integer_products.last.{field.name}", ring, 2)
    def last(
        i,
        acc,
        a,
        b,
        a_out,
        b_out,
        eq,
        span,
        cols,
        length,
        half,
        outer,
        num_high,
        suffix,
        base,
        shift,
    ):
        row = i // half
        j = i - row * half
        pair_a = bound_pair(a, row * cols, j, eq, span, cols)
        pair_b = bound_pair(b, row * cols, j, eq, span, cols)
        store_pair(a_out, row, j, length, pair_a)
        store_pair(b_out, row, j, length, pair_b)
        w = weight(row, j, outer, num_high, suffix, base, shift)
        return add_terms(acc, w, pair_a, pair_b)

    return later, last
