"""The lowest levels of a tree of fractions, computed from the integers and never stored.

Leaf i is n_i / (alpha - x_i), with x_i an integer of at most 32 bits and n_i = 1 (*ones*) or a sum of
products of two small tables (*weighted*, kernels/numerators.py). The node of level j at column c of a
row is the sum of leaves c 2^j ... (c + 1) 2^j - 1; those that the row does not have are 0/1. It is
added up pair of leaves by pair of leaves, (p, q) <- (p q' + p' q, q q'), in one run-time loop for all
levels, where a pair with numerators 1 costs almost nothing:

    p' = 2 alpha - (x0 + x1),    q' = alpha^2 - alpha (x0 + x1) + x0 x1.

A layer of the tree whose children are of such a level has the rounds of kernels/gkr.py, on children
in which ``bound`` variables are bound: child c of folded node k is the sum over b < 2^bound of
eq_b times child c of node k 2^bound + b. The round can store what it has folded.

Cost on an H100, in picoseconds a leaf at 130e9 multiplications in E a second, for ones (a level j
has 2^-j fractions a leaf, a fraction of it takes 3 (2^(j-1) - 1) + 0.4 2^(j-1) multiplications, and
a variable bound takes 2 more at most):

    build of level 2: 7, of 3: 10      round of level 1: 10, of 2: 12, with a variable bound 10, 11
    leaf_round with 0, 1, 2, 3 variables bound: 8, 8, 5, 4

The integers are read once in each pass, 2 bytes or 0.8 ps; a fraction stored is 32 bytes, 13 ps. All
are bound by arithmetic. Two rounds of the leaves from one pass (look-ahead) would save 9 of the 116
ps that a leaf takes in all.
"""

from __future__ import annotations

from functools import cache
from types import SimpleNamespace
from typing import Any

import numpy as np

from zkbench.fields import Field
from zkbench.fields.field import Arithmetic
from zkbench.jit import device
from zkbench.kernels.gkr import layer_functions, row_of
from zkbench.kernels.launch import kernel
from zkbench.kernels.numerators import numerator_function
from zkbench.kernels.sumcheck import weight_function


@cache
def kernels(field: Field) -> SimpleNamespace:
    """For each kind of leaf ``build`` and ``round``; for ones also ``leaf_round``, of level 0.

    Their last arguments are the leaves: (values, alpha, alpha^2), and those of ``Numerators``.
    """
    ones = SimpleNamespace(**_of_level(field, "ones", *_ones(field.ext)))
    weighted = SimpleNamespace(**_of_level(field, "weighted", *_weighted(field.ext)))
    ones.leaf_round = _leaf_round(field)
    return SimpleNamespace(ones=ones, weighted=weighted)


def _ones(ring: Arithmetic) -> tuple[Any, Any]:
    """Fractions of one leaf and of two: (row, column, cols, *leaves) -> (p, q)."""
    one, add, sub, mul_int, from_int = ring.one, ring.add, ring.sub, ring.mul_int, ring.from_int

    @device(f"leaves.one.{ring.name}")
    def one_leaf(row, c, cols, values, alpha, square):
        return one(), sub(alpha, from_int(np.int64(values[row * cols + c])))

    @device(f"leaves.two.{ring.name}")
    def two_leaves(row, c, cols, values, alpha, square):
        i = row * cols + c
        x, y = np.int64(values[i]), np.int64(values[i + 1])
        p = sub(add(alpha, alpha), from_int(x + y))
        return p, add(sub(square, mul_int(alpha, x + y)), from_int(x * y))

    return one_leaf, two_leaves


def _weighted(ring: Arithmetic) -> tuple[Any, Any]:
    add, sub, mul = ring.add, ring.sub, ring.mul
    mul_int, from_int, numerator = ring.mul_int, ring.from_int, numerator_function(ring)

    @device(f"leaves.one_weighted.{ring.name}")
    def one_leaf(row, c, cols, values, alpha, square, *numerators):
        q = sub(alpha, from_int(np.int64(values[row * cols + c])))
        return numerator(row, c, *numerators), q

    @device(f"leaves.two_weighted.{ring.name}")
    def two_leaves(row, c, cols, values, alpha, square, *numerators):
        i = row * cols + c
        x, y = np.int64(values[i]), np.int64(values[i + 1])
        m, n = numerator(row, c, *numerators), numerator(row, c + 1, *numerators)
        crossed = add(mul_int(m, y), mul_int(n, x))
        q = add(sub(square, mul_int(alpha, x + y)), from_int(x * y))
        return sub(mul(alpha, add(m, n)), crossed), q

    return one_leaf, two_leaves


def _of_level(field: Field, kind: str, one_leaf: Any, two_leaves: Any) -> dict[str, Any]:
    """``build`` and ``round`` for leaves of a kind, at any level."""
    ring = field.ext
    zero, one, add, sub, mul, load = ring.zero, ring.one, ring.add, ring.sub, ring.mul, ring.load
    layer, weight = layer_functions(ring), weight_function(ring)
    place, add_terms, store_node = layer.place, layer.add_terms, layer.store_node

    @device(f"leaves.fraction.{kind}.{ring.name}")
    def fraction(row, first, level, cols, *leaves):
        """The sum of the row's leaves first ... first + 2^level - 1, as far as it has them."""
        count = min(np.int64(1) << level, cols - first)
        if count <= 0:
            return zero(), one()
        if count == 1:
            return one_leaf(row, first, cols, *leaves)
        p, q = two_leaves(row, first, cols, *leaves)
        for c in range(first + 2, first + count - 1, 2):
            other_p, other_q = two_leaves(row, c, cols, *leaves)
            p, q = add(mul(p, other_q), mul(other_p, q)), mul(q, other_q)
        if count & 1 == 1:
            other_p, other_q = one_leaf(row, first + count - 1, cols, *leaves)
            p, q = add(mul(p, other_q), mul(other_p, q)), mul(q, other_q)
        return p, q

    @device(f"leaves.folded.{kind}.{ring.name}")
    def folded(row, k, child, level, bound, eqs, cols, *leaves):
        """v_0 + sum over b > 0 of eq_b (v_b - v_0), for v_b a child of node k 2^bound + b."""
        step = np.int64(2) << level
        start = (k << bound) * step + (child << level)
        first_p, first_q = zero(), one()
        total_p, total_q = zero(), one()
        for b in range(np.int64(1) << bound):
            p, q = fraction(row, start + b * step, level, cols, *leaves)
            if b == 0:
                first_p, first_q, total_p, total_q = p, q, p, q
            else:
                e = load(eqs, b)
                total_p = add(total_p, mul(e, sub(p, first_p)))
                total_q = add(total_q, mul(e, sub(q, first_q)))
        return total_p, total_q

    @device(f"leaves.folded_node.{kind}.{ring.name}")
    def folded_node(row, k, level, bound, eqs, cols, *leaves):
        p0, q0, p1, q1 = zero(), one(), zero(), one()
        for child in range(2):
            p, q = folded(row, k, np.int64(child), level, bound, eqs, cols, *leaves)
            if child == 0:
                p0, q0 = p, q
            else:
                p1, q1 = p, q
        return p0, p1, q0, q1

    @kernel(f"leaves.build.{kind}.{field.name}")
    def build(i, level, cols, nodes, place_cols, p_out, q_out, *leaves):
        """Node i of a level, ``nodes`` a row, stored as a child of rows of ``place_cols`` nodes."""
        row = row_of(i, nodes)
        p, q = fraction(row, (i - row * nodes) << level, level, cols, *leaves)
        place(i, place_cols, p_out, q_out, p, q)

    @kernel(f"leaves.round.{kind}.{field.name}", ring, 2)
    def level_round(
        i,
        acc,
        level,
        bound,
        eqs,
        nodes,
        half,
        is_stored,
        p_out,
        q_out,
        lam,
        outer,
        num_high,
        suffix,
        base,
        shift,
        cols,
        *leaves,
    ):
        """The round of a layer with ``nodes`` folded nodes a row; ``is_stored``: these, too."""
        row = row_of(i, half)
        j = i - row * half
        a = folded_node(row, 2 * j, level, bound, eqs, cols, *leaves)
        if is_stored:
            store_node(p_out, q_out, row * nodes + 2 * j, a)
        b = (zero(), zero(), one(), one())
        if 2 * j + 1 < nodes:
            b = folded_node(row, 2 * j + 1, level, bound, eqs, cols, *leaves)
            if is_stored:
                store_node(p_out, q_out, row * nodes + 2 * j + 1, b)
        w = weight(row, j, outer, num_high, suffix, base, shift)
        return add_terms(acc, w, (a, b), lam)

    return {"build": build, "round": level_round}


def _leaf_round(field: Field) -> Any:
    """The round of the lowest layer for numerators 1, where folding is linear in the integers.

    ``folds`` is eq_b for b < 2^bound; then for n = 0 ... 2^bound their sum s_n over b < n, which is
    the numerator of a child that has n real leaves; then 1 + (alpha - 1) s_n, which is what its
    denominator is for leaves x_b = 0.
    """
    ring = field.ext
    zero, one, add, sub, mul, load = ring.zero, ring.one, ring.add, ring.sub, ring.mul, ring.load
    mul_int, mul_base, from_int = ring.mul_int, ring.mul_base, ring.from_int
    base_mul, base_from_int = field.base.mul, field.base.from_int
    layer, weight = layer_functions(ring), weight_function(ring)
    add_terms, store_node = layer.add_terms, layer.store_node

    @device(f"leaves.folded_leaf.{ring.name}")
    def folded_leaf(row, k, child, size, folds, cols, values):
        """(numerator, denominator) of a child of folded node k."""
        first = 2 * k * size + child
        n = max(np.int64(0), min(size, (cols - first + 1) >> 1))
        start = row * cols + first
        s = load(folds, size + n)
        x = zero()
        if n > 0:
            head = np.int64(values[start])
            x = from_int(head) if n == size else mul_int(s, head)
            for b in range(1, n):
                x = add(x, mul_int(load(folds, b), np.int64(values[start + 2 * b]) - head))
        return s, sub(load(folds, 2 * size + 1 + n), x)

    @device(f"leaves.folded_node.{ring.name}")
    def folded_node(row, k, size, folds, cols, values):
        p0, q0 = folded_leaf(row, k, np.int64(0), size, folds, cols, values)
        p1, q1 = folded_leaf(row, k, np.int64(1), size, folds, cols, values)
        return p0, p1, q0, q1

    @device(f"leaves.first_terms.{ring.name}")
    def first_terms(acc, w, start, values, lam, constant, slope):
        """Two nodes of integers (x, y), (u, v): lambda alpha^2 + 2 alpha - (1 + lambda alpha) (x + y)
        + lambda x y, and lambda (u - x) (v - y)."""
        x, y = np.int64(values[start]), np.int64(values[start + 1])
        u, v = np.int64(values[start + 2]), np.int64(values[start + 3])
        value = add(sub(constant, mul_int(slope, x + y)), mul_int(lam, x * y))
        lead = mul_base(lam, base_mul(base_from_int(u - x), base_from_int(v - y)))
        return add(acc[0], mul(w, value)), add(acc[1], mul(w, lead))

    @device(f"leaves.real_terms.{ring.name}")
    def real_terms(acc, w, a, b, lam):
        """Numerators 1 at both nodes: q0 + q1 + lambda q0 q1 and lambda (q0' - q0) (q1' - q1)."""
        scaled = mul(w, lam)
        value = add(mul(w, add(a[2], a[3])), mul(scaled, mul(a[2], a[3])))
        lead = mul(scaled, mul(sub(b[2], a[2]), sub(b[3], a[3])))
        return add(acc[0], value), add(acc[1], lead)

    @kernel(f"leaves.leaf_round.{field.name}", ring, 2)
    def leaf_round(
        i,
        acc,
        bound,
        folds,
        nodes,
        half,
        is_stored,
        p_out,
        q_out,
        constant,
        slope,
        lam,
        outer,
        num_high,
        suffix,
        base,
        shift,
        cols,
        values,
        alpha,
        square,
    ):
        row = row_of(i, half)
        j = i - row * half
        w = weight(row, j, outer, num_high, suffix, base, shift)
        size = np.int64(1) << bound
        is_real = 4 * (j + 1) * size <= cols
        if is_real and size == 1 and not is_stored:
            return first_terms(acc, w, row * cols + 4 * j, values, lam, constant, slope)
        a = folded_node(row, 2 * j, size, folds, cols, values)
        b = (zero(), zero(), one(), one())
        if 2 * j + 1 < nodes:
            b = folded_node(row, 2 * j + 1, size, folds, cols, values)
        if is_stored:
            store_node(p_out, q_out, row * nodes + 2 * j, a)
            if 2 * j + 1 < nodes:
                store_node(p_out, q_out, row * nodes + 2 * j + 1, b)
        if is_real:
            return real_terms(acc, w, a, b, lam)
        return add_terms(acc, w, (a, b), lam)

    return leaf_round
