"""Rounds of product sumchecks over virtually zero-extended tables, lowest variable first.

A table is rows x cols elements of E; the variable bound next is the lowest bit of the column index,
and a missing odd neighbour counts as zero. Round i sums, over pairs j of neighbours,

    weight(row, j) * prod_k p_k(X)         at X = 0, infinity (leading coefficient) and, for three
                                           factors, -1

with weight(row, j) = outer[row * num_high + (j >> shift)] * suffix[base + (j & (base - 1))], the eq
factor of the variables above the current one (P 1.1: eq is never materialised at full length).
"""

from __future__ import annotations

from functools import cache
from types import SimpleNamespace
from typing import Any

from zkbench.fields import Field
from zkbench.fields.field import Arithmetic
from zkbench.jit import device
from zkbench.kernels.launch import kernel


@cache
def weight_function(ring: Arithmetic) -> Any:
    """(row, j, outer, num_high, suffix, base, shift) -> weight."""
    load, mul = ring.load, ring.mul

    @device(f"sumcheck.weight.{ring.name}")
    def weight(row, j, outer, num_high, suffix, base, shift):
        return mul(
            load(outer, row * num_high + (j >> shift)), load(suffix, base + (j & (base - 1)))
        )

    return weight


@cache
def pair_functions(ring: Arithmetic) -> SimpleNamespace:
    zero, add, sub, mul = ring.zero, ring.add, ring.sub, ring.mul
    load, store = ring.load, ring.store

    @device(f"sumcheck.pair.{ring.name}")
    def pair(table, start, j, cols):
        """Columns 2j and 2j + 1 of a row that starts at ``start``."""
        first = load(table, start + 2 * j)
        if 2 * j + 1 < cols:
            return first, load(table, start + 2 * j + 1)
        return first, zero()

    @device(f"sumcheck.bind.{ring.name}")
    def bind(values, r):
        """values[0] + r (values[1] - values[0])."""
        return add(values[0], mul(r, sub(values[1], values[0])))

    @device(f"sumcheck.fold_pair.{ring.name}")
    def fold_pair(table, out, start, out_start, j, cols, half, r):
        """Fold columns 4j .. 4j + 3 into 2j and 2j + 1; returns the two."""
        first = bind(pair(table, start, 2 * j, cols), r)
        store(out, out_start + 2 * j, first)
        if 2 * j + 1 >= half:
            return first, zero()
        second = bind(pair(table, start, 2 * j + 1, cols), r)
        store(out, out_start + 2 * j + 1, second)
        return first, second

    @device(f"sumcheck.sum2.{ring.name}")
    def sum2(accumulator, w, a, b):
        wa0 = mul(w, a[0])
        lead = mul(mul(w, sub(a[1], a[0])), sub(b[1], b[0]))
        return add(accumulator[0], mul(wa0, b[0])), add(accumulator[1], lead)

    @device(f"sumcheck.sum3.{ring.name}")
    def sum3(accumulator, w, a, b, c):
        da, db, dc = sub(a[1], a[0]), sub(b[1], b[0]), sub(c[1], c[0])
        at_zero = mul(mul(w, a[0]), mul(b[0], c[0]))
        lead = mul(mul(w, da), mul(db, dc))
        minus = mul(mul(w, sub(a[0], da)), mul(sub(b[0], db), sub(c[0], dc)))
        return add(accumulator[0], at_zero), add(accumulator[1], lead), add(accumulator[2], minus)

    return SimpleNamespace(pair=pair, bind=bind, fold_pair=fold_pair, sum2=sum2, sum3=sum3)


@cache
def kernels(field: Field) -> SimpleNamespace:
    """``fold`` and, for two and three factors, ``round`` and ``fold_round`` (both in one pass)."""
    two, three = _two_factors(field), _three_factors(field)
    return SimpleNamespace(
        fold=_fold(field), round={2: two[0], 3: three[0]}, fold_round={2: two[1], 3: three[1]}
    )


def _fold(field: Field) -> Any:
    ring = field.ext
    functions = pair_functions(ring)
    pair, bind, store = functions.pair, functions.bind, ring.store

    @kernel(f"sumcheck.fold.{field.name}")
    def fold(i, table, out, cols, half, r):
        row = i // half
        store(out, i, bind(pair(table, row * cols, i - row * half, cols), r))

    return fold


def _two_factors(field: Field) -> tuple[Any, Any]:
    ring = field.ext
    functions = pair_functions(ring)
    weight = weight_function(ring)
    pair, fold_pair, add_terms = functions.pair, functions.fold_pair, functions.sum2

    @kernel(f"sumcheck.round2.{field.name}", ring, 2)
    def round2(i, acc, a, b, cols, half, outer, num_high, suffix, base, shift):
        row = i // half
        j = i - row * half
        w = weight(row, j, outer, num_high, suffix, base, shift)
        start = row * cols
        return add_terms(acc, w, pair(a, start, j, cols), pair(b, start, j, cols))

    @kernel(f"sumcheck.fold_round2.{field.name}", ring, 2)
    def fold_round2(
        i, acc, a, b, a_out, b_out, cols, half, quarter, r, outer, num_high, suffix, base, shift
    ):
        row = i // quarter
        j = i - row * quarter
        start, out_start = row * cols, row * half
        folded_a = fold_pair(a, a_out, start, out_start, j, cols, half, r)
        folded_b = fold_pair(b, b_out, start, out_start, j, cols, half, r)
        return add_terms(
            acc, weight(row, j, outer, num_high, suffix, base, shift), folded_a, folded_b
        )

    return round2, fold_round2


def _three_factors(field: Field) -> tuple[Any, Any]:
    ring = field.ext
    functions = pair_functions(ring)
    weight = weight_function(ring)
    pair, fold_pair, add_terms = functions.pair, functions.fold_pair, functions.sum3

    @kernel(f"sumcheck.round3.{field.name}", ring, 3)
    def round3(i, acc, a, b, c, cols, half, outer, num_high, suffix, base, shift):
        row = i // half
        j = i - row * half
        w = weight(row, j, outer, num_high, suffix, base, shift)
        start = row * cols
        return add_terms(
            acc, w, pair(a, start, j, cols), pair(b, start, j, cols), pair(c, start, j, cols)
        )

    @kernel(f"sumcheck.fold_round3.{field.name}", ring, 3)
    def fold_round3(
        i,
        acc,
        a,
        b,
        c,
        a_out,
        b_out,
        c_out,
        cols,
        half,
        quarter,
        r,
        outer,
        num_high,
        suffix,
        base,
        shift,
    ):
        row = i // quarter
        j = i - row * quarter
        start, out_start = row * cols, row * half
        folded_a = fold_pair(a, a_out, start, out_start, j, cols, half, r)
        folded_b = fold_pair(b, b_out, start, out_start, j, cols, half, r)
        folded_c = fold_pair(c, c_out, start, out_start, j, cols, half, r)
        w = weight(row, j, outer, num_high, suffix, base, shift)
        return add_terms(acc, w, folded_a, folded_b, folded_c)

    return round3, fold_round3
