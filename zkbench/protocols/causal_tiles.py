"""Causal attention in tiles: which scores exist, and the weights by which claims speak of them.

S = n B positions, in n blocks of B = 2^b. The scores of query block bi on key block bj exist for
bj <= bi only: tile t(bi, bj) = bi (bi + 1) / 2 + bj of T = n (n + 1) / 2, B x B scores. Tiles on the
diagonal (bi = bj) hold masked scores too: those with j > i.

Sums over one of the two block axes turn weights over the tiles into weights over blocks, and weights
over blocks, gathered, into weights over tiles: all of them products of one vector an axis, which is
what commitments and lookups take. They cost a verifier T multiplications.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from zkbench.commitments.claims import AxisWeight, AxisWeights, EqAxis, VectorAxis
from zkbench.fields import Field
from zkbench.kernels import eq
from zkbench.kernels.launch import cpu_target
from zkbench.protocols.gkr import Shape

Element = Any
Point = Sequence[Element]
Weighted = tuple[AxisWeights, Element]  # sum over entries of weights(entry) tensor(entry) = value


@dataclass(frozen=True)
class AttentionShape:
    """Attention of a stack of ``layers``; query head h uses key and value head h // (heads / kv_heads).

    Raises ValueError if kv_heads does not divide heads.
    """

    layers: int
    blocks: int
    log_block: int
    heads: int
    kv_heads: int
    head_dim: int

    def __post_init__(self) -> None:
        if self.heads % self.kv_heads:
            raise ValueError(f"{self.heads} heads cannot share {self.kv_heads} key heads evenly")

    @property
    def block(self) -> int:
        return 1 << self.log_block

    @property
    def positions(self) -> int:
        return self.blocks * self.block

    @property
    def tiles(self) -> int:
        return self.blocks * (self.blocks + 1) // 2

    @property
    def group(self) -> int:
        """Query heads that share one key head."""
        return self.heads // self.kv_heads

    @property
    def queries(self) -> Shape:
        """Also of what attention puts out."""
        return (self.layers, self.blocks, self.block, self.heads, self.head_dim)

    @property
    def keys(self) -> Shape:
        """Also of values."""
        return (self.layers, self.blocks, self.block, self.kv_heads, self.head_dim)

    @property
    def scores(self) -> Shape:
        return (self.layers, self.heads, self.tiles, self.block, self.block)

    @property
    def rows(self) -> Shape:
        """One entry a row of scores."""
        return (self.layers, self.heads, self.blocks, self.block)

    @cached_property
    def tile_blocks(self) -> list[tuple[int, int]]:
        """(bi, bj) of every tile."""
        return [(bi, bj) for bi in range(self.blocks) for bj in range(bi + 1)]

    def at_head(self, point: Point) -> AxisWeight:
        """Weights over key heads: sums of eq(point, h) over the query heads h of each."""
        log_group = (self.group - 1).bit_length()
        if self.group == 1 << log_group:
            return EqAxis(tuple(point[log_group:]))
        table: Any = [eq.eq_at(point, h) for h in range(self.heads)]
        starts = range(0, self.heads, self.group)
        return VectorAxis(tuple(_total(table[s : s + self.group]) for s in starts))


def eq_weights(field: Field, point: Point, length: int) -> list[Element]:
    """eq(point, i) for i < length."""
    return field.unpack(eq.eq_table(cpu_target(), field, point, length))


def row_weights(shape: AttentionShape, at_tile: Sequence[Element]) -> list[Element]:
    """For each query block, the sum of the weights of its tiles."""
    return _block_sums(shape, at_tile, lambda bi, bj: bi)


def column_weights(
    shape: AttentionShape, at_tile: Sequence[Element], at_row: Sequence[Element]
) -> list[Element]:
    """For each key block bj, sum over bi of at_tile[t(bi, bj)] at_row[bi]."""
    products = [w * at_row[bi] for w, (bi, _) in zip(at_tile, shape.tile_blocks, strict=True)]
    return _block_sums(shape, products, lambda bi, bj: bj)


def tiles_of_rows(
    shape: AttentionShape, at_row: Sequence[Element], at_column: Sequence[Element] | None = None
) -> VectorAxis:
    """Weight at_row[bi] at_column[bj] (1, if None) of every tile."""
    if at_column is None:
        return VectorAxis(tuple(at_row[bi] for bi, _ in shape.tile_blocks))
    return VectorAxis(tuple(at_row[bi] * at_column[bj] for bi, bj in shape.tile_blocks))


def tiles_on_diagonal(shape: AttentionShape, at_block: Sequence[Element]) -> VectorAxis:
    """Weight at_block[b] of tile t(b, b), zero of the others."""
    zero = 0 * at_block[0]
    return VectorAxis(tuple(at_block[bi] if bi == bj else zero for bi, bj in shape.tile_blocks))


def later(at_i: Point, at_j: Point) -> Element:
    """The extension of [j > i] at two points of equally many variables: sum of eq(i) eq(j) over i < j.

    At the highest bit in which they differ, i has 0 and j has 1; O(variables) by + - * alone.
    """
    total: Any = 0
    equal: Any = 1
    for x, y in zip(reversed(at_i), reversed(at_j), strict=True):
        total = total + equal * (1 - x) * y
        equal = equal * (x * y + (1 - x) * (1 - y))
    return total


def masked(shape: AttentionShape, at_tile: Sequence[Element], at_i: Point, at_j: Point) -> Element:
    """The extension over tiles, i and j of the mask [position j > position i]."""
    pairs = zip(at_tile, shape.tile_blocks, strict=True)
    return _total([w for w, (bi, bj) in pairs if bi == bj]) * later(at_i, at_j)


def _total(elements: Sequence[Element]) -> Element:
    total: Any = 0
    for element in elements:
        total = total + element
    return total


def _block_sums(
    shape: AttentionShape, at_tile: Sequence[Element], block_of: Callable[[int, int], int]
) -> list[Element]:
    sums: list[Any] = [0 * at_tile[0]] * shape.blocks
    for weight, blocks in zip(at_tile, shape.tile_blocks, strict=True):
        k = block_of(*blocks)
        sums[k] = sums[k] + weight
    return sums
