"""Sums over layers and heads of a tensor, and the coefficients of rotary embedding.

The sum is bound by the bytes of the integer tensor: each is read once and meets one element of E, in
sums that are reduced once a chunk (fields: ``mac``). It goes over two axes that are not neighbours,
so that nothing of one element of E for each layer, or each head, is ever stored.
"""

from __future__ import annotations

from functools import cache
from types import SimpleNamespace
from typing import Any

from zkbench.fields import Field
from zkbench.kernels.contract import kernels as contract_kernels
from zkbench.kernels.launch import Array, Target, kernel

_MAX_TERMS = 1 << 14  # of a lazily reduced sum
_GPU_ITEMS = 1 << 18  # enough to fill a large GPU


@cache
def kernels(field: Field) -> SimpleNamespace:
    return SimpleNamespace(sum_heads=_sum_heads(field), coefficients=_coefficients(field))


def _sum_heads(field: Field) -> Any:
    ring = field.ext
    load, store = ring.load, ring.store
    zero, mac, reduce = ring.mac_zero, ring.mac, ring.mac_reduce

    @kernel(f"rotary.sum_heads.{field.name}")
    def sum_heads(i, values, weights, rows, heads, width, terms, size, items, out):
        """Item (chunk, r, d): sum of weights[l, h] values[l, r, h, d] over the chunk's (l, h)."""
        chunk = i // items
        rest = i - chunk * items
        r = rest // width
        start = chunk * size
        layer = start // heads
        h = start - layer * heads
        position = ((layer * rows + r) * heads + h) * width + rest - r * width
        total = zero()
        for k in range(start, min(start + size, terms)):
            total = mac(total, load(weights, k), values[position])
            h += 1
            position += width
            if h == heads:
                h = 0
                position += (rows - 1) * heads * width
        store(out, i, reduce(total))

    return sum_heads


def _coefficients(field: Field) -> Any:
    ring = field.ext
    load, store, add, mul_int = ring.load, ring.store, ring.add, ring.mul_int

    @kernel(f"rotary.coefficients.{field.name}")
    def coefficients(i, cos, sin, straight, crossed, half, out):
        """out[r, d] = straight[d] cos[r, d mod half] + crossed[d] sin[r, d mod half], d < 2 half."""
        r = i // (2 * half)
        d = i - r * 2 * half
        angle = r * half + (d - half if d >= half else d)
        term = mul_int(load(straight, d), cos[angle])
        store(out, i, add(term, mul_int(load(crossed, d), sin[angle])))

    return coefficients


def sum_heads(
    target: Target,
    field: Field,
    values: Array,
    weights: Array,
    shape: tuple[int, int, int, int],
) -> Array:
    """out[r, d] = sum over l, h of weights[l, h] values[l, r, h, d]: rows x width elements of E.

    ``shape``: layers, rows, heads, width. ``values``: integers of magnitude at most 2^16.
    """
    layers, rows, heads, width = shape
    terms, items = layers * heads, rows * width
    wanted = max(1, _GPU_ITEMS // items) if target.name == "cuda" else 1
    size = -(-terms // min(terms, max(wanted, -(-terms // _MAX_TERMS))))
    chunks = -(-terms // size)
    partial = target.empty(chunks * items * field.ext.limbs)
    arguments = (values, weights, rows, heads, width, terms, size, items, partial)
    target.map(kernels(field).sum_heads, chunks * items, *arguments, grain=8)
    if chunks == 1:
        return partial
    out = target.empty(items * field.ext.limbs)
    target.map(contract_kernels(field).sum_chunks, items, partial, chunks, items, out)
    return out


def coefficients(
    target: Target,
    field: Field,
    tables: tuple[Array, Array],
    weights: tuple[Array, Array],
    rows: int,
    half: int,
) -> Array:
    """rows x 2 half elements of E; ``tables``: cos and sin, ``weights``: straight and crossed."""
    out = target.empty(rows * 2 * half * field.ext.limbs)
    target.map(kernels(field).coefficients, rows * 2 * half, *tables, *weights, half, out)
    return out
