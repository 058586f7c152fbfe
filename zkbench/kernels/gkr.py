"""Layers of a tree of fractions: p/q = p0/q0 + p1/q1, so p = p0 q1 + p1 q0 and q = q0 q1.

A layer is stored as *pairs*: element 2y + b of ``p`` and ``q`` is child b of node y. Nodes form
rows x cols, virtually zero-extended in every axis by the fraction 0/1; only real nodes are stored,
and where a row of leaves is odd its last pair is completed by 0/1. The sumcheck of a layer is

    P(w) + lambda Q(w) = sum_y eq(w, y) [(p0 + lambda q0) q1 + p1 q0](y)

What bounds these kernels on an H100 (2.5 TB/s, 130e9 multiplications in E a second): per child,
``combine`` moves 48 bytes for 1.5 multiplications, ``round`` 32 for 2.25, ``fold_round`` 48 for 2.1;
all are bound by memory, at 13 to 20 ps a child.
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
from zkbench.kernels.sumcheck import weight_function


@cache
def kernels(field: Field) -> SimpleNamespace:
    return SimpleNamespace(**_combine(field), **_rounds(field))


@device("gkr.row_of")
def row_of(i, cols):
    """i // cols for 0 <= i: in 64 bits a division costs as much as two multiplications in E."""
    if i < cols:
        return np.int64(0)
    if i <= 0x7FFFFFFF:
        return np.int64(np.uint32(i) // np.uint32(cols))
    return np.int64(i // cols)


@cache
def layer_functions(ring: Arithmetic) -> SimpleNamespace:
    """Scalar functions on fractions and on nodes, which are (p0, p1, q0, q1)."""
    zero, one, add, sub, mul, store = ring.zero, ring.one, ring.add, ring.sub, ring.mul, ring.store

    @device(f"gkr.place.{ring.name}")
    def place(i, cols, p_out, q_out, p, q):
        """Store fraction i of a (rows x cols) layer as a child; the last of an odd row adds 0/1."""
        row = row_of(i, cols)
        c = i - row * cols
        slot = 2 * (row * ((cols + 1) >> 1) + (c >> 1)) + (c & 1)
        store(p_out, slot, p)
        store(q_out, slot, q)
        if c == cols - 1 and (c & 1) == 0:
            store(p_out, slot + 1, zero())
            store(q_out, slot + 1, one())

    @device(f"gkr.term.{ring.name}")
    def term(v, lam):
        """(p0 + lambda q0) q1 + p1 q0."""
        return add(mul(add(v[0], mul(lam, v[2])), v[3]), mul(v[1], v[2]))

    @device(f"gkr.add_terms.{ring.name}")
    def add_terms(acc, w, pair, lam):
        a, b = pair
        d = sub(b[0], a[0]), sub(b[1], a[1]), sub(b[2], a[2]), sub(b[3], a[3])
        return add(acc[0], mul(w, term(a, lam))), add(acc[1], mul(w, term(d, lam)))

    @device(f"gkr.store_node.{ring.name}")
    def store_node(p_out, q_out, y, v):
        store(p_out, 2 * y, v[0])
        store(p_out, 2 * y + 1, v[1])
        store(q_out, 2 * y, v[2])
        store(q_out, 2 * y + 1, v[3])

    return SimpleNamespace(place=place, add_terms=add_terms, store_node=store_node)


def _combine(field: Field) -> dict[str, Any]:
    ring = field.ext
    add, mul, load = ring.add, ring.mul, ring.load
    place = layer_functions(ring).place

    @kernel(f"gkr.combine.{field.name}")
    def combine(i, p, q, cols, p_out, q_out):
        """Node i of the layer above, stored as a child in a layer whose rows have ``cols`` nodes."""
        q0, q1 = load(q, 2 * i), load(q, 2 * i + 1)
        numerator = add(mul(load(p, 2 * i), q1), mul(load(p, 2 * i + 1), q0))
        place(i, cols, p_out, q_out, numerator, mul(q0, q1))

    return {"combine": combine}


def _rounds(field: Field) -> dict[str, Any]:
    ring = field.ext
    zero, one, add, sub, mul = ring.zero, ring.one, ring.add, ring.sub, ring.mul
    load, weight, layer = ring.load, weight_function(ring), layer_functions(ring)
    add_terms, store_node = layer.add_terms, layer.store_node

    @device(f"gkr.node.{ring.name}")
    def node(p, q, y):
        return load(p, 2 * y), load(p, 2 * y + 1), load(q, 2 * y), load(q, 2 * y + 1)

    @device(f"gkr.node_pair.{ring.name}")
    def node_pair(p, q, start, j, cols):
        """Nodes 2j and 2j + 1 of a row; a missing one is 0/1 twice."""
        first = node(p, q, start + 2 * j)
        if 2 * j + 1 < cols:
            return first, node(p, q, start + 2 * j + 1)
        return first, (zero(), zero(), one(), one())

    @device(f"gkr.bind.{ring.name}")
    def bind(pair, r):
        a, b = pair
        return (
            add(a[0], mul(r, sub(b[0], a[0]))),
            add(a[1], mul(r, sub(b[1], a[1]))),
            add(a[2], mul(r, sub(b[2], a[2]))),
            add(a[3], mul(r, sub(b[3], a[3]))),
        )

    @kernel(f"gkr.round.{field.name}", ring, 2)
    def fraction_round(i, acc, p, q, cols, half, lam, outer, num_high, suffix, base, shift):
        row = row_of(i, half)
        j = i - row * half
        w = weight(row, j, outer, num_high, suffix, base, shift)
        return add_terms(acc, w, node_pair(p, q, row * cols, j, cols), lam)

    @kernel(f"gkr.fold.{field.name}")
    def fraction_fold(i, p, q, p_out, q_out, cols, half, r):
        row = row_of(i, half)
        store_node(p_out, q_out, i, bind(node_pair(p, q, row * cols, i - row * half, cols), r))

    @kernel(f"gkr.fold_round.{field.name}", ring, 2)
    def fraction_fold_round(
        i,
        acc,
        p,
        q,
        p_out,
        q_out,
        cols,
        half,
        quarter,
        r,
        lam,
        outer,
        num_high,
        suffix,
        base,
        shift,
    ):
        row = row_of(i, quarter)
        j = i - row * quarter
        start, out = row * cols, row * half + 2 * j
        first = bind(node_pair(p, q, start, 2 * j, cols), r)
        store_node(p_out, q_out, out, first)
        second = (zero(), zero(), one(), one())
        if 2 * j + 1 < half:
            second = bind(node_pair(p, q, start, 2 * j + 1, cols), r)
            store_node(p_out, q_out, out + 1, second)
        w = weight(row, j, outer, num_high, suffix, base, shift)
        return add_terms(acc, w, (first, second), lam)

    return {
        "round": fraction_round,
        "fold": fraction_fold,
        "fold_round": fraction_fold_round,
    }
