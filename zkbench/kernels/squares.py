"""Rounds of a sumcheck over the squares of a table that starts as integers, lowest variable first.

Sums are those of kernels/sumcheck.py with the same table twice. While few variables are bound, the
table is not stored: an entry of it is

    sum over b < 2^k of eq(r_1 ... r_k, b) x[row, 2^k column + b]

of 2^k integers, multiplied by elements of E (2 word products each) whenever it is needed.
"""

from __future__ import annotations

from functools import cache
from types import SimpleNamespace
from typing import Any

from zkbench.fields import Field
from zkbench.jit import device
from zkbench.kernels.launch import kernel
from zkbench.kernels.ntt import reader
from zkbench.kernels.sumcheck import weight_function


@cache
def kernels(field: Field) -> SimpleNamespace:
    """``round`` and ``fold_round`` of a stored table; ``integer_round``, and ``store`` to store it."""
    return SimpleNamespace(**_of_tables(field), **_of_integers(field))


@cache
def _functions(field: Field) -> SimpleNamespace:
    ring = field.ext
    add, sub, mul, zero, load = ring.add, ring.sub, ring.mul, ring.zero, ring.load

    @device(f"squares.add_terms.{ring.name}")
    def add_terms(acc, w, a, b):
        """Values at 0 and leading coefficients of the square of a + (b - a) X."""
        rise = sub(b, a)
        return add(acc[0], mul(w, mul(a, a))), add(acc[1], mul(w, mul(rise, rise)))

    @device(f"squares.entry.{ring.name}")
    def entry(table, start, column, cols):
        return load(table, start + column) if column < cols else zero()

    @device(f"squares.bind.{ring.name}")
    def bind(a, b, r):
        return add(a, mul(r, sub(b, a)))

    return SimpleNamespace(add_terms=add_terms, entry=entry, bind=bind)


def _of_tables(field: Field) -> dict[str, Any]:
    ring, functions = field.ext, _functions(field)
    entry, bind, add_terms = functions.entry, functions.bind, functions.add_terms
    weight, store = weight_function(ring), ring.store

    @kernel(f"squares.round.{field.name}", ring, 2)
    def round_of_table(i, acc, a, cols, half, outer, num_high, suffix, base, shift):
        row = i // half
        j = i - row * half
        w = weight(row, j, outer, num_high, suffix, base, shift)
        start = row * cols
        return add_terms(acc, w, entry(a, start, 2 * j, cols), entry(a, start, 2 * j + 1, cols))

    @kernel(f"squares.fold_round.{field.name}", ring, 2)
    def fold_round(i, acc, a, out, cols, half, quarter, r, outer, num_high, suffix, base, shift):
        """Folds columns 4j ... 4j + 3 into 2j and 2j + 1 first."""
        row = i // quarter
        j = i - row * quarter
        start, column = row * cols, 4 * j
        first = bind(entry(a, start, column, cols), entry(a, start, column + 1, cols), r)
        second = bind(entry(a, start, column + 2, cols), entry(a, start, column + 3, cols), r)
        store(out, row * half + 2 * j, first)
        if 2 * j + 1 < half:
            store(out, row * half + 2 * j + 1, second)
        return add_terms(acc, weight(row, j, outer, num_high, suffix, base, shift), first, second)

    return {"round": round_of_table, "fold_round": fold_round}


def _of_integers(field: Field) -> dict[str, Any]:
    ring, add_terms = field.ext, _functions(field).add_terms
    weight, read = weight_function(ring), reader(field.base, True)
    add, mul_base, zero, load, store = ring.add, ring.mul_base, ring.zero, ring.load, ring.store

    @device(f"squares.bound_entry.{ring.name}")
    def bound_entry(x, row, column, length, size, factors):
        """Entry ``column`` of a row of ``length`` integers once log2 size variables are bound."""
        total = zero()
        start = column * size
        for b in range(min(size, length - start)):
            total = add(total, mul_base(load(factors, b), read(x, row * length + start + b)))
        return total

    @kernel(f"squares.integer_round.{field.name}", ring, 2)
    def integer_round(i, acc, x, length, size, factors, half, outer, num_high, suffix, base, shift):
        row = i // half
        j = i - row * half
        a = bound_entry(x, row, 2 * j, length, size, factors)
        b = bound_entry(x, row, 2 * j + 1, length, size, factors)
        return add_terms(acc, weight(row, j, outer, num_high, suffix, base, shift), a, b)

    @kernel(f"squares.store.{field.name}")
    def store_entry(i, x, length, size, factors, cols, out):
        row = i // cols
        store(out, i, bound_entry(x, row, i - row * cols, length, size, factors))

    return {"integer_round": integer_round, "store": store_entry}
