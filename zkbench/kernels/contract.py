"""Sums of integers times elements of E along one axis: partial evaluations of a tensor.

Bound by the bytes of the integer tensor: each is read once and meets one element of E, in sums that,
for integers of magnitude at most 2^16, are reduced only once a chunk (fields: ``mac``).
"""

from __future__ import annotations

from functools import cache
from types import SimpleNamespace
from typing import Any

import numpy as np

from zkbench.fields import Field
from zkbench.jit import device
from zkbench.kernels.launch import Array, Kernel, Target, kernel
from zkbench.kernels.ntt import reader

_MAX_TERMS = 1 << 14  # of a lazily reduced sum
_GPU_ITEMS = 1 << 18  # enough to fill a large GPU
_PIECE_SHARE = 16  # a piece of values from the host takes at most this part of the workspace


@cache
def kernels(field: Field) -> SimpleNamespace:
    ring = field.ext
    load, store, add, zero, mul = ring.load, ring.store, ring.add, ring.zero, ring.mul
    mul_base = ring.mul_base

    @kernel(f"contract.sum.{field.name}")
    def sum_chunks(i, partial, chunks, items, out):
        total = zero()
        for c in range(chunks):
            total = add(total, load(partial, c * items + i))
        store(out, i, total)

    @kernel(f"contract.dot.{field.name}", ring, 1)
    def dot(i, acc, a, b):
        return (add(acc[0], mul(load(a, i), load(b, i))),)

    @kernel(f"contract.dot_columns.{field.name}", ring, field.degree)
    def dot_columns(i, acc, words, weights):
        """Each word of an E element is an entry of its own base-field column."""
        w = load(weights, i)
        return (
            add(acc[0], mul_base(w, words[2 * i])),
            add(acc[1], mul_base(w, words[2 * i + 1])),
        )

    @kernel(f"contract.add_scaled.{field.name}")
    def add_scaled(i, table, other, scale):
        """table[i] += scale * other[i]."""
        store(table, i, add(load(table, i), mul(load(other, i), scale)))

    return SimpleNamespace(
        sum_chunks=sum_chunks, dot=dot, dot_columns=dot_columns, add_scaled=add_scaled
    )


@cache
def chunk_kernel(field: Field, entries: str) -> Kernel:
    """Partial sums over values that are "small" integers (at most 2^16), "integers", or "words"."""
    ring = field.ext
    load, store = ring.load, ring.store
    if entries == "small":
        zero, mac, reduce = ring.mac_zero, ring.mac, ring.mac_reduce
        name = f"contract.chunk.{field.name}"

        @device(f"contract.read.{entries}")
        def read(values, position):
            return values[position]

    else:
        zero, add, mul_base, reduce = ring.zero, ring.add, ring.mul_base, ring.canonical
        read = reader(field.base, entries == "integers")
        name = f"contract.chunk.{field.name}.{entries}"

        @device(f"contract.mac.{field.name}")
        def mac(total, weight, value):
            return add(total, mul_base(weight, value))

    @kernel(name)
    def chunk(i, values, weights, length, inner, size, items, out):
        """Item (chunk, o, i): sum over the chunk's k of weights[k] * values[o, k, i]."""
        which = i // items
        rest = i - which * items
        o = rest // inner
        start = which * size
        stop = min(start + size, length)
        position = (o * length + start) * inner + (rest - o * inner)
        total = zero()
        for k in range(start, stop):
            total = mac(total, load(weights, k), read(values, position))
            position += inner
        store(out, i, reduce(total))

    return chunk


def kind_of(dtype: Any) -> str:
    """How values of a type are summed: see ``chunk_kernel``."""
    dtype = np.dtype(dtype)
    if dtype.kind == "i":
        return "small" if dtype.itemsize <= 2 else "integers"
    return "words"


def contract(
    target: Target,
    field: Field,
    values: Array,
    outer: int,
    length: int,
    inner: int,
    weights: Array,
    kind: str = "small",
    out: Array | None = None,
) -> Array:
    """out[o, i] = sum over k of weights[k] * values[o, k, i]: outer * inner elements of E.

    ``values``: flat, outer x length x inner: integers of magnitude at most 2^16 or what ``kind`` says;
    ``weights``: E words. ``out``: where to write instead of a new array.
    """
    family = chunk_kernel(field, kind)
    items = outer * inner
    wanted = max(1, _GPU_ITEMS // items) if target.name == "cuda" else 1
    chunks = min(length, max(wanted, -(-length // _MAX_TERMS)))
    size = -(-length // chunks)
    chunks = -(-length // size)
    out = target.empty(items * field.ext.limbs) if out is None else out
    if chunks == 1:
        target.map(family, items, values, weights, length, inner, size, items, out, grain=8)
        return out
    partial = target.empty(chunks * items * field.ext.limbs)
    target.map(
        family,
        chunks * items,
        values,
        weights,
        length,
        inner,
        size,
        items,
        partial,
        grain=8,
    )
    target.map(kernels(field).sum_chunks, items, partial, chunks, items, out)
    return out


def contract_rows(
    target: Target,
    field: Field,
    values: Array,
    rows: int,
    length: int,
    weights: Array,
    kind: str = "small",
) -> Array:
    """out[r] = sum over k of weights[k] * values[r, k]; ``values`` may lie on the host.

    Then they come to the target piece by piece.
    """
    if target.name != "cuda" or not isinstance(values, np.ndarray):
        return contract(target, field, values, rows, length, 1, weights, kind)
    flat, limbs = values.reshape(-1), field.ext.limbs
    out = target.empty(rows * limbs)
    step = max(1, target.workspace_bytes // _PIECE_SHARE // (length * flat.itemsize))
    for start in range(0, rows, step):
        stop = min(start + step, rows)
        piece = target.to_device(flat[start * length : stop * length])
        where = target.view(out, start * limbs, stop * limbs)
        contract(target, field, piece, stop - start, length, 1, weights, kind, out=where)
    return out


def dot(target: Target, field: Field, a: Array, b: Array, length: int) -> object:
    """sum of a[i] * b[i] over ``length`` elements of E, as one element."""
    return field.unpack(target.reduce(kernels(field).dot, length, a, b))[0]


def weighted_sum(
    target: Target,
    field: Field,
    values: Array,
    rows: int,
    cols: int,
    row_weights: Array,
    col_weights: Array,
    kind: str = "small",
) -> object:
    """sum over r, c of row_weights[r] * col_weights[c] * values[r, c], as one element of E.

    ``values`` may lie on the host, as those of ``contract_rows``.
    """
    by_row = contract_rows(target, field, values, rows, cols, col_weights, kind)
    return dot(target, field, by_row, row_weights, rows)
