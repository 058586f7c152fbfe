"""Sums over causal tiles: of block rows and block columns, of rows, of the diagonal.

S = n B positions in n blocks of B; tile t(bi, bj) = bi (bi + 1) / 2 + bj, bj <= bi, holds the weights
P[i, j] of positions i of block bi on positions j of block bj. A tensor over the tiles is
heads x tiles x B x B (``heads``: all layers' query heads), as indices of a short table:
P = entries[min(index, last)]. So the looked-up values are never stored, and every kernel that goes
through the tiles reads two bytes a score, once, and adds one integer times one element of E.
"""

from __future__ import annotations

from functools import cache
from types import SimpleNamespace
from typing import Any

import numpy as np

from zkbench.fields import Field
from zkbench.jit import device
from zkbench.kernels.contract import kernels as contract_kernels
from zkbench.kernels.launch import Array, Target, kernel

_GPU_ITEMS = 1 << 18  # enough to fill a large GPU


@device("attention.lookup")
def _lookup(indices, entries, position, last):
    """Indices beyond ``last`` have the same value as ``last``."""
    index = np.int64(indices[position])
    return entries[index if index < last else last]


@device("attention.tile")
def _tile(row, column):
    return row * (row + 1) // 2 + column


@cache
def kernels(field: Field) -> SimpleNamespace:
    return SimpleNamespace(
        mix_blocks=_mix_blocks(field),
        expand_groups=_expand_groups(field),
        sum_columns=_sum_columns(field),
        sum_diagonal=_sum_diagonal(field),
    )


def _mix_blocks(field: Field) -> Any:
    ring = field.ext
    load, store, add, mul, zero = ring.load, ring.store, ring.add, ring.mul, ring.zero

    @kernel(f"attention.mix_blocks.{field.name}")
    def mix_blocks(i, values, weights, blocks, heads, group, width, out):
        """out[l, bi, h, c] = sum over bj <= bi of weights[t(bi, bj)] values[l, bj, h // group, c]."""
        rest = i // width
        c = i - rest * width
        row = rest // heads
        h = rest - row * heads
        layer = row // blocks
        bi = row - layer * blocks
        step = heads // group * width
        position = layer * blocks * step + h // group * width + c
        total = zero()
        for bj in range(bi + 1):
            total = add(total, mul(load(weights, _tile(bi, bj)), load(values, position)))
            position += step
        store(out, i, total)

    return mix_blocks


def _expand_groups(field: Field) -> Any:
    load, store = field.ext.load, field.ext.store

    @kernel(f"attention.expand_groups.{field.name}")
    def expand_groups(i, values, positions, heads, group, out):
        """out[l, h, p] = values[l, p, h // group]."""
        row = i // positions
        position = i - row * positions
        layer = row // heads
        h = row - layer * heads
        source = (layer * positions + position) * (heads // group) + h // group
        store(out, i, load(values, source))

    return expand_groups


def _sum_columns(field: Field) -> Any:
    ring = field.ext
    load, store, add, mul, zero = ring.load, ring.store, ring.add, ring.mul, ring.zero
    mac_zero, mac, mac_reduce = ring.mac_zero, ring.mac, ring.mac_reduce

    @kernel(f"attention.sum_columns.{field.name}")
    def sum_columns(i, indices, entries, last, at_block, at_row, blocks, block, out):
        """out[h, bj, j] = sum over bi >= bj and i of at_block[bi] at_row[i] P[h, t(bi, bj), i, j]."""
        rest = i // block
        j = i - rest * block
        head = rest // blocks
        bj = rest - head * blocks
        total = zero()
        for bi in range(bj, blocks):
            position = (head * _tile(blocks, 0) + _tile(bi, bj)) * block * block + j
            inside = mac_zero()
            for row in range(block):
                p = _lookup(indices, entries, position, last)
                inside = mac(inside, load(at_row, row), p)
                position += block
            total = add(total, mul(load(at_block, bi), mac_reduce(inside)))
        store(out, i, total)

    return sum_columns


def _sum_diagonal(field: Field) -> Any:
    ring = field.ext
    load, store, add, mul, zero = ring.load, ring.store, ring.add, ring.mul, ring.zero
    mac_zero, mac, mac_reduce = ring.mac_zero, ring.mac, ring.mac_reduce

    @kernel(f"attention.sum_diagonal.{field.name}")
    def sum_diagonal(i, indices, entries, last, at_head, at_block, heads, blocks, cells, size, out):
        """Item (chunk, i, j): sum of at_head[h] at_block[b] P[h, t(b, b), i, j], h in the chunk."""
        chunk = i // cells
        cell = i - chunk * cells
        start = chunk * size
        total = zero()
        for head in range(start, min(start + size, heads)):
            inside = mac_zero()
            for b in range(blocks):
                position = (head * _tile(blocks, 0) + _tile(b, b)) * cells + cell
                p = _lookup(indices, entries, position, last)
                inside = mac(inside, load(at_block, b), p)
            total = add(total, mul(load(at_head, head), mac_reduce(inside)))
        store(out, i, total)

    return sum_diagonal


@kernel("attention.sum_rows")
def _sum_rows(i, indices, entries, last, blocks, block, out):
    """out[h, bi, i] = sum over bj <= bi and j of P[h, t(bi, bj), i, j], an integer."""
    rest = i // block
    row = i - rest * block
    head = rest // blocks
    bi = rest - head * blocks
    total = np.int64(0)
    for bj in range(bi + 1):
        position = ((head * _tile(blocks, 0) + _tile(bi, bj)) * block + row) * block
        for j in range(block):
            total += np.int64(_lookup(indices, entries, position + j, last))
    out[i] = total


class Tiles:
    """P over the causal tiles, on a target: indices of ``entries``, which ends at its last value."""

    def __init__(
        self, target: Target, indices: Array, entries: Array, heads: int, blocks: int, block: int
    ) -> None:
        """``indices``: flat, heads x tiles x block x block, unsigned; ``entries``: int32."""
        self.target, self.heads, self.blocks, self.block = target, heads, blocks, block
        self._read = (indices, entries, len(entries) - 1)

    def sum_rows(self) -> Array:
        """Sums of the rows: heads x blocks x block integers (int32)."""
        out = self.target.empty(self.heads * self.blocks * self.block, np.int32)
        self.target.map(_sum_rows, len(out), *self._read, self.blocks, self.block, out, grain=8)
        return out

    def sum_columns(self, field: Field, at_block: Array, at_row: Array) -> Array:
        """Weighted sums of the columns, heads x blocks x block elements of E: see the kernel."""
        count = self.heads * self.blocks * self.block
        out = self.target.empty(count * field.ext.limbs)
        arguments = (*self._read, at_block, at_row, self.blocks, self.block, out)
        self.target.map(kernels(field).sum_columns, count, *arguments, grain=8)
        return out

    def sum_diagonal(self, field: Field, at_head: Array, at_block: Array) -> Array:
        """The weighted sum of all tiles on the diagonal: block x block elements of E."""
        cells = self.block * self.block
        wanted = max(1, _GPU_ITEMS // cells) if self.target.name == "cuda" else 1
        size = -(-self.heads // min(wanted, self.heads))
        chunks = -(-self.heads // size)
        partial = self.target.empty(chunks * cells * field.ext.limbs)
        arguments = (*self._read, at_head, at_block, self.heads, self.blocks, cells, size, partial)
        self.target.map(kernels(field).sum_diagonal, chunks * cells, *arguments, grain=8)
        out = self.target.empty(cells * field.ext.limbs)
        sum_chunks = contract_kernels(field).sum_chunks
        self.target.map(sum_chunks, cells, partial, chunks, cells, out)
        return out


def mix_blocks(
    target: Target,
    field: Field,
    values: Array,
    weights: Array,
    shape: tuple[int, int, int, int],
    group: int,
) -> Array:
    """Sums of blocks by tile weights, for ``shape`` = layers, blocks, heads, width: see the kernel."""
    layers, blocks, heads, width = shape
    count = layers * blocks * heads * width
    out = target.empty(count * field.ext.limbs)
    arguments = (values, weights, blocks, heads, group, width, out)
    target.map(kernels(field).mix_blocks, count, *arguments, grain=64)
    return out


def expand_groups(
    target: Target, field: Field, values: Array, layers: int, positions: int, heads: int, group: int
) -> Array:
    """layers x positions x groups elements of E as layers x heads x positions, one copy a head."""
    count = layers * heads * positions
    out = target.empty(count * field.ext.limbs)
    target.map(kernels(field).expand_groups, count, values, positions, heads, group, out)
    return out


@cache
def table_kernels(field: Field) -> SimpleNamespace:
    """Tables of E elements for a product of looked-up values: 16 bytes an entry, on the target."""
    ring = field.ext
    load, store, mul = ring.load, ring.store, ring.mul

    @kernel(f"attention.look_up.{field.name}")
    def look_up(i, indices, entries, out):
        """out[i] = entries[indices[i]], elements of E."""
        store(out, i, load(entries, np.int64(indices[i])))

    @kernel(f"attention.multiply.{field.name}")
    def multiply(i, a, b, out):
        store(out, i, mul(load(a, i), load(b, i)))

    return SimpleNamespace(look_up=look_up, multiply=multiply)


def look_up(target: Target, field: Field, indices: Array, entries: np.ndarray) -> Array:
    """The integers entries[indices] as elements of E."""
    out = target.empty(len(indices) * field.ext.limbs)
    words = target.to_device(field.lift(entries))
    target.map(table_kernels(field).look_up, len(indices), indices, words, out)
    return out


def multiply(target: Target, field: Field, a: Array, b: Array) -> Array:
    """The entrywise product of two tables of E elements."""
    out = target.empty(len(a))
    target.map(table_kernels(field).multiply, len(a) // field.ext.limbs, a, b, out)
    return out
